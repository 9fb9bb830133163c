#include "oci/command_line.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace numapin::oci {
namespace {

struct Option {
  std::string_view name;
  char letter;        ///< 0: none
  bool takes_value;
};

// runc 1.1 to 1.4 and crun 1.8 to 1.25, `--help` of both.
constexpr Option kGlobal[] = {{"log", 0, true},           {"log-format", 0, true}, {"log-level", 0, true},
                              {"root", 0, true},          {"criu", 0, true},       {"rootless", 0, true},
                              {"cgroup-manager", 0, true}, {"debug", 0, false},    {"systemd-cgroup", 0, false},
                              {"help", 'h', false},       {"usage", 0, false},     {"version", 'v', false}};
constexpr Option kStart[] = {{"bundle", 'b', true},          {"config", 'f', true},          {"console-socket", 0, true},
                             {"pid-file", 'p', true},        {"preserve-fds", 0, true},      {"detach", 'd', false},
                             {"keep", 0, false},             {"no-subreaper", 0, false},     {"no-pivot", 0, false},
                             {"no-new-keyring", 0, false},   {"help", 'h', false}};

/// The option of that name or letter, or the only one that begins so.
const Option* find_option(std::span<const Option> options, std::string_view name) {
  const Option* found = nullptr;
  for (const auto& option : options) {
    if (option.name == name || (name.size() == 1 && option.letter == name[0])) return &option;
    if (name.size() < 2 || !option.name.starts_with(name)) continue;
    if (found != nullptr) return nullptr;
    found = &option;
  }
  return found;
}

/// One option with its value, or a word that is none.
struct Item {
  const Option* option = nullptr;  ///< null: an option that is not known, or a word
  std::string value;
  bool is_option = false;
};

class Reader {
 public:
  explicit Reader(std::span<const std::string> args) : args_(args) {}
  bool done() const { return at_ >= args_.size(); }

  Item next(std::span<const Option> options) {
    const std::string_view word = args_[at_++];
    if (only_words_ || word.size() < 2 || word[0] != '-') return {nullptr, std::string(word), false};
    if (word == "--") {
      only_words_ = true;
      return {nullptr, "", true};
    }
    auto name = word.substr(word[1] == '-' ? 2 : 1);
    const auto equals = name.find('=');
    std::optional<std::string> value;
    if (equals != name.npos) value = name.substr(equals + 1);
    name = name.substr(0, equals);
    const auto* option = find_option(options, name);
    if (option == nullptr && word[1] != '-') {  // -bDIR
      option = find_option(options, word.substr(1, 1));
      if (option != nullptr && option->takes_value) return {option, std::string(word.substr(2)), true};
      return {nullptr, "", true};
    }
    if (option != nullptr && option->takes_value && !value && !done()) value = args_[at_++];
    return {option, value.value_or(""), true};
  }

 private:
  std::span<const std::string> args_;
  std::size_t at_ = 0;
  bool only_words_ = false;
};

void take(const Item& item, RuntimeCommand& c) {
  if (item.option == nullptr) return;
  const auto name = item.option->name;
  if (name == "log") c.log = item.value;
  if (name == "log-format") c.json_log = item.value == "json";
  if (name == "bundle" && !item.value.empty()) c.bundle = item.value;
  if (name == "config") c.config = item.value == "config.json" ? "" : item.value;
}

}  // namespace

RuntimeCommand read_command(std::span<const std::string> args) {
  RuntimeCommand c;
  Reader reader(args);
  while (!reader.done() && c.name.empty()) {
    const auto item = reader.next(kGlobal);
    if (item.is_option) take(item, c);
    else c.name = item.value;
  }
  if (!c.starts_container()) return c;
  while (!reader.done()) {
    const auto item = reader.next(kStart);
    if (item.is_option) take(item, c);
    else if (c.id.empty()) c.id = item.value;
  }
  return c;
}

}  // namespace numapin::oci
