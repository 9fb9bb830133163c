#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/text.h"
#include "oci/container.h"
#include "oci/edit.h"
#include "oci/gpus.h"
#include "oci/policy.h"
#include "oci/splice.h"
#include "plan/export.h"
#include "plan/gpu_families.h"
#include "plan/policy_text.h"

namespace numapin::oci {
namespace {

using Json = nlohmann::ordered_json;

/// What the user said, without what an earlier start of this bundle wrote.
void forget_own(const Record& earlier, Container& c) {
  if (!earlier.cpus.empty() && c.cpus == earlier.cpus) c.cpus = earlier.cpus_before;
  if (!earlier.mems.empty() && c.mems == earlier.mems) c.mems = earlier.mems_before;
  if (!earlier.memory_policy.empty() && c.memory_policy == earlier.memory_policy) c.memory_policy.clear();
}

/// The user's own set narrows what is allowed. Error where it is no list: then nothing can be narrowed inside it.
template <class Set>
Result<void> limit(Fact<Set>& allowed, const std::string& own) {
  if (own.empty()) return {};
  NUMAPIN_TRY(const auto set, Set::parse(own));
  allowed = {allowed ? *allowed & set : set, Source::kUser};
  return {};
}

/// What a container gets, before it is written down.
struct Place {
  Placement placement;
  std::string subject;  ///< "GPU 0 (NVIDIA_VISIBLE_DEVICES=0), node 0"
  CpuSet allowed;       ///< CPUs that it would have without us
};

/// Every GPU was found, and the kernel says where each is.
bool is_enough(const Machine& m, const ContainerGpus& gpus) {
  return gpus.unresolved.empty() &&
         std::all_of(gpus.gpus.begin(), gpus.gpus.end(), [&](const ChosenGpu& g) { return bool(gpu_at(m, g.gpu)->numa_nodes); });
}

Result<Machine> machine_with(const Host& host, const Container& c, ContainerGpus& gpus) {
  NUMAPIN_TRY(auto m, host.machine(false));
  gpus = find_gpus(m, c);
  if (is_enough(m, gpus)) return m;
  NUMAPIN_TRY(m, host.machine(true));
  gpus = find_gpus(m, c);
  return m;
}

Result<Place> place(const Container& c, const Policy& policy, const Host& host) {
  ContainerGpus gpus;
  NUMAPIN_TRY(const auto m, machine_with(host, c, gpus));
  if (!gpus.unresolved.empty() && (gpus.gpus.empty() || policy.strict))
    return fail(Error::Kind::kNotFound, fmt::format("{}: no such GPU here: {}", gpus.from, join(gpus.unresolved, ", ")));
  if (gpus.gpus.empty()) return fail(Error::Kind::kNotFound, fmt::format("{}: none of them is a GPU of this machine", gpus.from));
  auto allowance = host.allowance(c.cgroups_path);
  NUMAPIN_CHECK_OK(limit(allowance.cpus, c.cpus));
  NUMAPIN_CHECK_OK(limit(allowance.mems, c.mems));
  Job job;
  job.gpus = gpus.gpus;
  job.cpus = policy.cpus;
  job.smt = policy.smt;
  job.memory = policy.memory;
  job.set_visible = false;  // the container is given the GPUs themselves
  NUMAPIN_TRY(auto plan, make_plan(m, allowance, job));
  Place out;
  out.placement = std::move(plan.placements.at(0));
  auto& warnings = out.placement.warnings;
  warnings.insert(warnings.end(), plan.notes.begin(), plan.notes.end());
  const auto& near = out.placement.near_nodes;
  out.subject = fmt::format("{} ({}), {}", gpus_words(gpus.gpus), gpus.from, near.empty() ? "node unknown" : node_words(near));
  out.allowed = allowance.cpus ? *allowance.cpus & online_cpus(m) : online_cpus(m);
  if (policy.strict && !warnings.empty()) return fail(Error::Kind::kDenied, out.subject + ": " + warnings[0]);
  if (policy.strict && near.empty()) return fail(Error::Kind::kNotFound, out.subject);
  return out;
}

/// The edit under way: members are set one after the other; the first that cannot be ends it.
class Editor {
 public:
  Editor(std::string_view text, const Container& as_is) : text_(text), as_is_(as_is) {}

  bool set_cpus(const std::string& cpus) { return cpus == as_is_.cpus || set({"linux", "resources", "cpu", "cpus"}, json_string(cpus)); }
  bool set_mems(const std::string& mems) { return mems == as_is_.mems || set({"linux", "resources", "cpu", "mems"}, json_string(mems)); }
  bool set_policy(const std::string& json) { return json == as_is_.memory_policy || set({"linux", "memoryPolicy"}, json); }
  std::optional<std::string> result() { return changed_ ? std::optional(std::move(text_)) : std::nullopt; }

 private:
  bool set(const std::vector<std::string>& path, std::string_view json) {
    auto next = with_member(text_, path, json);
    if (!next) return false;
    text_ = std::move(*next);
    changed_ = true;
    return true;
  }

  std::string text_;
  const Container& as_is_;
  bool changed_ = false;
};

/// linux.memoryPolicy for the policy, where the runtime takes its mode; "" where not. The nodes are meant as such, also
/// where cpuset.mems becomes another set (MPOL_F_STATIC_NODES): else the kernel renumbers those of bind and interleave.
std::string memory_field(const MemoryPolicy& policy, const Host& host) {
  const auto fragment = oci_memory_policy(policy);
  if (fragment.empty()) return "";
  auto field = Json::parse(fragment);
  if (!host.runtime_sets(policy, field["mode"].get<std::string>())) return "";
  if (!policy.nodes.empty()) field["flags"].push_back("MPOL_F_STATIC_NODES");
  return nlohmann::json(field).dump();  // keys in the order in which parse_config() gives them
}

std::string memory_words(const Place& where, const Edit& edit, const std::string& mems) {
  std::string words;
  if (!mems.empty()) words += fmt::format("; cpuset.mems {}", mems);
  if (!edit.record.memory_policy.empty()) words += fmt::format("; memory {} (linux.memoryPolicy)", describe(where.placement.memory));
  else if (edit.memory.mode != MemoryMode::kNone) words += fmt::format("; memory {} (inherited from the runtime)", describe(edit.memory));
  return words;
}

/// Nothing is changed, and `line` says why.
Edit told(std::string line, bool refused) {
  Edit edit;
  edit.about_gpus = true;
  edit.line = std::move(line);
  edit.refused = refused;
  return edit;
}

/// Writes the place into the configuration: CPUs inside what the user allows, memory where the user said nothing.
Edit write(std::string_view config, const Container& as_is, const Container& users, const Place& where, const Policy& policy, const Host& host) {
  Edit edit;
  edit.about_gpus = true;
  edit.strict = policy.strict;
  Editor editor(config, as_is);
  const auto& p = where.placement;
  const bool narrows = !p.cpus.empty() && p.cpus != where.allowed;
  const auto cpus = narrows ? p.cpus.to_list() : users.cpus;
  const auto mems = policy.strict && !p.memory.nodes.empty() ? p.memory.nodes.to_list() : users.mems;
  bool done = editor.set_cpus(cpus) && editor.set_mems(mems);
  if (users.memory_policy.empty()) {
    const auto field = memory_field(p.memory, host);
    if (field.empty()) edit.memory = p.memory;
    done = done && (field.empty() ? as_is.memory_policy.empty() || editor.set_policy("null") : editor.set_policy(field));
    edit.record.memory_policy = field;
  }
  if (narrows) edit.record.cpus = cpus, edit.record.cpus_before = users.cpus;
  if (mems != users.mems) edit.record.mems = mems, edit.record.mems_before = users.mems;
  edit.line = fmt::format("{}: {}", where.subject, narrows ? "cpuset.cpus " + cpus : "cpuset.cpus left as it is");
  edit.line += memory_words(where, edit, mems == users.mems ? "" : mems);
  for (const auto& warning : p.warnings) edit.line += "; " + warning;
  if (done) edit.config = editor.result();
  if (!done) return told(where.subject + ": config.json left as it is: linux.resources.cpu is no object, or there twice", policy.strict);
  return edit;
}

/// Without a place: what an earlier start wrote goes away again.
Edit leave(std::string_view config, const Container& as_is, const Container& users, std::string line) {
  Edit edit;
  edit.line = std::move(line);
  Editor editor(config, as_is);
  if (editor.set_cpus(users.cpus) && editor.set_mems(users.mems) &&
      (as_is.memory_policy == users.memory_policy || editor.set_policy("null")))
    edit.config = editor.result();
  return edit;
}

/// A pod's annotations are given to its sandbox and to every container of it, also to those without GPU.
bool is_in_pod(const Container& c) {
  return std::any_of(c.annotations.begin(), c.annotations.end(), [](const auto& a) { return a.first.starts_with("io.kubernetes."); });
}

Edit decide(std::string_view config, std::string_view site_policy, const Record& earlier, const Host& host) {
  Policy policy;
  apply_words(site_policy, policy);
  const auto as_is = parse_config(config);
  if (!as_is) return told(as_is.error().message, policy.strict && !policy.off);
  auto users = *as_is;
  forget_own(earlier, users);
  const auto annotation = users.annotations.find(std::string(kPolicyAnnotation));
  const bool asked = annotation != users.annotations.end();
  if (asked) apply_words(annotation->second, policy);
  if (policy.off) return leave(config, *as_is, users, "off");
  for (const auto& [key, value] : users.annotations)
    if (key.starts_with("numapin.") && key != kPolicyAnnotation) policy.unknown.push_back(key);
  std::string unknown;
  if (!policy.unknown.empty()) unknown = fmt::format("{}: not understood: {}", kPolicyAnnotation, join(policy.unknown, ", "));
  const bool has_gpus = hints_at_gpus(users);
  if (policy.strict && (has_gpus || asked) && !unknown.empty()) return told(unknown, true);
  if (!has_gpus) {
    auto edit = leave(config, *as_is, users, "no GPU was asked for");
    edit.about_gpus = edit.refused = asked && policy.strict && !is_in_pod(users);
    return edit;
  }
  const auto where = place(users, policy, host);
  auto edit = where ? write(config, *as_is, users, *where, policy, host) : leave(config, *as_is, users, where.error().message);
  edit.about_gpus = true;
  if (!where) edit.refused = policy.strict;
  if (!unknown.empty()) edit.line += "; " + unknown;
  return edit;
}

/// The line goes to logs and terminals: no control characters of a container's variables, and no novel.
std::string one_line(std::string line) {
  constexpr std::size_t kLongest = 1000;
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  if (line.size() > kLongest) line = line.substr(0, kLongest) + "...";
  return line;
}

}  // namespace

Edit edit_config(std::string_view config, std::string_view site_policy, const Record& earlier, const Host& host) {
  auto edit = decide(config, site_policy, earlier, host);
  if (edit.refused) edit.config.reset();
  edit.line = one_line(std::move(edit.line));
  return edit;
}

std::string to_json(const Record& r, std::string_view line) {
  const Json document = {{"schema", "numapin/oci-record/1"}, {"line", line},
                         {"cpus", r.cpus},                   {"cpus_before", r.cpus_before},
                         {"mems", r.mems},                   {"mems_before", r.mems_before},
                         {"memory_policy", r.memory_policy}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Record parse_record(std::string_view text) {
  const auto document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return {};
  const auto get = [&](const char* key) {
    const auto it = document.find(key);
    return it != document.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  return {get("cpus"), get("cpus_before"), get("mems"), get("mems_before"), get("memory_policy")};
}

}  // namespace numapin::oci
