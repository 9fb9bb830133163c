#include "library.h"

#include <dlfcn.h>
#include <numapin/numapin.h>

#include <nlohmann/json.hpp>

namespace numapin_spank {
namespace {

using Json = nlohmann::json;

struct Library {
  void* handle = nullptr;
  decltype(&numapin_machine_open) machine_open = nullptr;
  decltype(&numapin_bind_self) bind_self = nullptr;
  decltype(&numapin_error_message) error_message = nullptr;

  /// "" or why it cannot be used. It stays loaded: the task's execve is near.
  std::string open(const std::string& file) {
    handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return dlerror();
    const bool all = find(machine_open, "numapin_machine_open") && find(bind_self, "numapin_bind_self") &&
                     find(error_message, "numapin_error_message");
    return all ? "" : file + " is another library, or too old a one";
  }

  template <class Function>
  bool find(Function& to, const char* name) const {
    to = reinterpret_cast<Function>(dlvsym(handle, name, "NUMAPIN_1"));
    return to != nullptr;
  }

  std::string message(const numapin_error* error) const { return error == nullptr ? "out of memory" : error_message(error); }
};

std::string request(const Options& options, const Task& task) {
  // A script's children run on its CPUs too: never less than its GPUs' nodes. CPUs that are the task's alone need no sharing.
  const bool whole = task.is_script || (options.cpus == "exclusive" && task.own_cpus);
  const Json json = {{"slurm", true},
                     {"env", task.env},
                     {"allowed_cpulist", task.cpulist},
                     {"cpus", whole ? "node" : options.cpus},
                     {"smt", options.smt},
                     {"memory", options.memory},
                     {"strict", options.strict},
                     {"dry_run", options.dry_run},
                     {"look", false}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::string> texts(const Json& array) {
  std::vector<std::string> out;
  for (const auto& text : array) out.push_back(text.get<std::string>());
  return out;
}

Report read_answer(const char* answer) {
  const auto json = Json::parse(answer);
  Report r;
  r.verdict = json.at("verdict").get<std::string>();
  if (const auto& cpus = json.at("cpulist"); cpus.is_string()) r.cpulist = cpus.get<std::string>();
  r.because = texts(json.at("because"));
  r.losses = texts(json.at("warnings"));
  for (const auto& loss : json.at("losses")) {
    auto line = loss.at("message").get<std::string>();  // two rungs of the ladder may be refused in the same words
    if (r.losses.empty() || r.losses.back() != line) r.losses.push_back(std::move(line));
  }
  return r;
}

Report failed(std::string why) {
  Report r;
  r.failure = std::move(why);
  return r;
}

}  // namespace

Report bind(const Site& site, const Options& options, const Task& task) {
  Library library;
  if (const auto why = library.open(site.library); !why.empty()) return failed(why);
  numapin_error* error = nullptr;
  numapin_machine* machine = nullptr;
  if (!site.machine.empty() && library.machine_open(site.machine.c_str(), &machine, &error) != NUMAPIN_OK)
    return failed(library.message(error));
  char* answer = nullptr;
  if (library.bind_self(machine, request(options, task).c_str(), &answer, &error) != NUMAPIN_OK) return failed(library.message(error));
  return read_answer(answer);  // nothing is freed: the process is about to become another program
}

}  // namespace numapin_spank
