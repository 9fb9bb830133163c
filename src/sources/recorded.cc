#include "sources/recorded.h"

#include <fmt/format.h>

#include "base/numbers.h"
#include "base/text.h"
#include "sources/builder.h"

namespace numapin {
namespace {

constexpr Source kFrom = Source::kNvml;

// ---- one line: words "key=value" behind a word that says of what -----------------------------------------------------

/// Adds " key=value" where the value is known.
template <class T>
void put(std::string& line, std::string_view key, const std::optional<T>& value) {
  if (value) line += fmt::format(" {}={}", key, *value);
}
template <class T>
void put(std::string& line, std::string_view key, const Fact<T>& fact) { put(line, key, fact.value); }

template <class Id>
void put_set(std::string& line, std::string_view key, const Fact<IdSet<Id>>& fact) {
  if (fact) line += fmt::format(" {}={}", key, fact->to_list());
}

class Words {
 public:
  explicit Words(std::string_view line) : words_(split_words(line)) {}
  /// The i-th word behind the first.
  std::string_view at(std::size_t i) const { return i + 1 < words_.size() ? words_[i + 1] : std::string_view(); }
  std::optional<std::string_view> value(std::string_view key) const {
    for (const auto w : words_)
      if (w.starts_with(key) && w.substr(key.size()).starts_with('=')) return w.substr(key.size() + 1);
    return std::nullopt;
  }
  template <class Int>
  std::optional<Int> number(std::string_view key, int base = 10) const {
    const auto text = value(key);
    return text ? parse_number<Int>(*text, base) : std::nullopt;
  }
  std::string text(std::string_view key) const { return std::string(value(key).value_or("")); }

 private:
  std::vector<std::string_view> words_;
};

template <class T, class U>
void set(Fact<T>& fact, const std::optional<U>& value) {
  if (value) fact = {static_cast<T>(*value), kFrom};
}

template <class Set>
void set_ids(Fact<Set>& fact, const std::optional<std::string_view>& text) {
  if (!text) return;
  if (auto ids = Set::parse(*text)) fact = {*ids, kFrom};
}

// ---- GPUs, MIG instances, links --------------------------------------------------------------------------------------

std::string gpu_line(const Gpu& gpu) {
  auto line = fmt::format("gpu {}", gpu.index);
  if (gpu.address) line += " address=" + gpu.address->to_string();
  line += fmt::format(" vendor={:04x} device={:04x}", gpu.vendor, gpu.device);
  put(line, "uuid", gpu.uuid);
  put(line, "memory_bytes", gpu.memory_bytes);
  put(line, "nvml_index", gpu.nvml_index);
  put(line, "minor", gpu.minor);
  put_set(line, "numa_nodes", gpu.numa_nodes);
  put_set(line, "local_cpus", gpu.local_cpus);
  if (gpu.memory_node) line += fmt::format(" memory_node={}", number(*gpu.memory_node));
  return line + "\n";
}

Gpu parse_gpu(const Words& w, int index) {
  Gpu gpu;
  gpu.index = index;
  gpu.address = PciAddress::parse(w.text("address"));
  gpu.vendor = w.number<std::uint16_t>("vendor", 16).value_or(0);
  gpu.device = w.number<std::uint16_t>("device", 16).value_or(0);
  set(gpu.uuid, w.value("uuid"));
  set(gpu.memory_bytes, w.number<std::uint64_t>("memory_bytes"));
  set(gpu.nvml_index, w.number<int>("nvml_index"));
  set(gpu.minor, w.number<int>("minor"));
  set_ids(gpu.numa_nodes, w.value("numa_nodes"));
  set_ids(gpu.local_cpus, w.value("local_cpus"));
  set(gpu.memory_node, w.number<int>("memory_node"));
  return gpu;
}

std::string mig_line(const Gpu& gpu, const MigInstance& mig) {
  auto line = fmt::format("mig {}", gpu.index);
  if (!mig.uuid.empty()) line += " uuid=" + mig.uuid;
  put(line, "gpu_instance", mig.gpu_instance);
  put(line, "compute_instance", mig.compute_instance);
  put(line, "memory_bytes", mig.memory_bytes);
  if (!mig.profile.empty()) line += " profile=" + mig.profile;
  return line + "\n";
}

MigInstance parse_mig(const Words& w) {
  MigInstance mig;
  mig.uuid = w.text("uuid");
  mig.gpu_instance = w.number<int>("gpu_instance");
  mig.compute_instance = w.number<int>("compute_instance");
  mig.memory_bytes = w.number<std::uint64_t>("memory_bytes");
  mig.profile = w.text("profile");
  return mig;
}

/// Both ends are GPUs: NVML knows no others.
std::string link_line(const Link& link) {
  auto line = fmt::format("link {} {} {}", link.from.index, link.to.index, to_string(link));
  put(line, "version", link.version);
  return line + "\n";
}

std::optional<Link> parse_link_line(const Words& w) {
  const auto from = parse_number<int>(w.at(0)), to = parse_number<int>(w.at(1));
  auto link = parse_link(w.at(2));
  if (!from || !to || !link) return std::nullopt;
  link->from = {DeviceRef::Type::kGpu, *from};
  link->to = {DeviceRef::Type::kGpu, *to};
  link->version = w.number<int>("version");
  link->source = kFrom;
  return link;
}

// False: no line of this kind, or of a GPU that no line before named.
bool add_line(std::string_view line, Machine& m) {
  const Words w(line);
  const auto blank = line.find(' ');
  const auto kind = line.substr(0, blank);
  const auto rest = blank == line.npos ? std::string_view() : line.substr(blank + 1);
  const auto index = parse_number<int>(w.at(0));
  if (kind == "driver_version") m.driver_version = {std::string(rest), kFrom};
  else if (kind == "note") m.notes.emplace_back(rest);
  else if (kind == "gpu" && index == static_cast<int>(m.gpus.size())) m.gpus.push_back(parse_gpu(w, *index));
  else if (kind == "model" && index && !m.gpus.empty() && *index == m.gpus.back().index)
    m.gpus.back().model = {std::string(rest.substr(std::min(rest.find(' ') + 1, rest.size()))), kFrom};
  else if (kind == "mig" && index && !m.gpus.empty() && *index == m.gpus.back().index)
    m.gpus.back().mig.push_back(parse_mig(w));
  else if (auto link = kind == "link" ? parse_link_line(w) : std::nullopt) m.links.push_back(*link);
  else return false;
  return true;
}

}  // namespace

std::string write_nvml_facts(const Result<Machine>& nvml) {
  if (!nvml) return "error " + nvml.error().message + "\n";
  std::string out;
  if (nvml->driver_version) out += fmt::format("driver_version {}\n", *nvml->driver_version);
  for (const auto& gpu : nvml->gpus) {
    out += gpu_line(gpu);
    if (gpu.model) out += fmt::format("model {} {}\n", gpu.index, *gpu.model);
    for (const auto& mig : gpu.mig) out += mig_line(gpu, mig);
  }
  for (const auto& link : nvml->links) out += link_line(link);
  for (const auto& note : nvml->notes) out += fmt::format("note {}\n", note);
  return out;
}

Result<Machine> parse_nvml_facts(std::string_view text) {
  constexpr std::string_view kError = "error ";
  if (text.starts_with(kError)) return fail(Error::Kind::kSystem, std::string(trim(text.substr(kError.size()))));
  Machine m;
  int number = 0;
  for (const auto line : split_lines(text)) {
    ++number;
    if (!add_line(line, m)) return bad_input(fmt::format("read {}: line {} is none of ours", kRecordedNvml, number));
  }
  drop_repeated_names(m);
  return m;
}

std::optional<Result<Machine>> recorded_nvml(const FileTree& tree) {
  const auto text = tree.read(kRecordedNvml);
  if (!text) return std::nullopt;
  return parse_nvml_facts(*text);
}

std::string write_environment(const std::map<std::string, std::string>& visible_env) {
  std::string out;
  for (const auto& [name, value] : visible_env) out += fmt::format("{}={}\n", name, value);
  return out;
}

std::map<std::string, std::string> recorded_environment(const FileTree& tree) {
  std::map<std::string, std::string> out;
  const auto text = tree.read(kRecordedEnvironment);
  if (!text) return out;
  for (const auto line : split_lines(*text))
    if (const auto equals = line.find('='); equals != line.npos) out.emplace(line.substr(0, equals), line.substr(equals + 1));
  return out;
}

}  // namespace numapin
