// A command that is judged before it is started: what stands in front of the program is followed.
#include <fmt/format.h>

#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"
#include "cli/doctor_setup.h"
#include "cli/run.h"
#include "cli/run_placement.h"
#include "cli/session.h"
#include "os/kernel.h"

namespace numapin::cli {
namespace {

using Words = std::vector<std::string>;

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// "NAME=value"
bool is_assignment(const std::string& word) {
  const auto equals = word.find('=');
  return equals != word.npos && equals > 0 &&
         word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") == equals;
}

void assign(Subject& s, const std::string& word) {
  const auto equals = word.find('=');
  if (!s.env) s.env.emplace();
  (*s.env)[word.substr(0, equals)] = word.substr(equals + 1);
}

/// The kernel's words for it in numa_maps.
std::string policy_words(const MemoryPolicy& p) {
  switch (p.mode) {
    case MemoryMode::kPreferred:
      return "prefer (many):" + p.nodes.to_list();
    case MemoryMode::kPreferredOne:
      return "prefer:" + p.nodes.to_list();
    case MemoryMode::kBind:
      return "bind:" + p.nodes.to_list();
    case MemoryMode::kInterleave:
      return "interleave:" + p.nodes.to_list();
    case MemoryMode::kWeightedInterleave:
      return "weighted interleave:" + p.nodes.to_list();
    case MemoryMode::kLocal:
      return "local";
    default:
      return "default";
  }
}

void set_cpus(Subject& s, const CpuSet& cpus) {
  for (auto& t : s.process.threads) t.allowed_cpus = cpus;
}

/// numactl's options are those of `numapin run`; what it binds is asked of the code that would.
Result<void> bind_as_run(Subject& s, Words& words, const Session& session) {
  NUMAPIN_TRY(const auto options, parse_run_words(words));
  words = options.words;
  RealKernel kernel;  // only asked: place() sets nothing
  NUMAPIN_TRY(const auto where, place(options, session, kernel));
  const auto& p = where.placement;
  if (!p.cpus.empty()) set_cpus(s, p.cpus);
  if (p.memory.mode != MemoryMode::kNone) {
    if (!s.process.memory) s.process.memory.emplace();
    s.process.memory->policy = policy_words(p.memory);
  }
  for (const auto& [name, value] : p.env) assign(s, name + "=" + value);
  s.gpus = p.gpus;
  s.means_gpus = !options.gpu.empty();
  return {};
}

Result<void> follow_taskset(Subject& s, Words& words, const Machine& m) {
  bool list = false;
  while (!words.empty() && words.front().starts_with('-')) {
    if (words.front() == "-p" || words.front() == "--pid" || words.front() == "-cp" || words.front() == "-pc")
      return bad_input("check 'taskset -p': it starts nothing", "give the process's number: numapin doctor PID");
    list = list || words.front() == "-c" || words.front() == "--cpu-list";
    words.erase(words.begin());
  }
  if (words.empty()) return bad_input("check 'taskset': it names no CPUs");
  NUMAPIN_TRY(const auto cpus, list ? CpuSet::parse(words.front()) : CpuSet::parse_mask(words.front()));
  words.erase(words.begin());
  const auto usable = cpus & online_cpus(m);
  if (usable.empty()) return bad_input(fmt::format("check 'taskset': CPUs {} are not online here", cpus.to_list()));
  set_cpus(s, usable);
  return {};
}

void follow_env(Subject& s, Words& words) {
  for (; !words.empty(); words.erase(words.begin())) {
    const auto& word = words.front();
    if (is_assignment(word))
      assign(s, word);
    else if (word == "-i" || word == "-")
      s.env = Environment{};
    else if (word == "-u" && words.size() > 1) {
      words.erase(words.begin());
      if (s.env) s.env->erase(words.front());
    } else
      break;
  }
}

/// The value of "--name=value" or "--name value"; each option that docker takes without a value is passed over.
std::optional<std::string> docker_option(const Words& words, const std::string& name) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].starts_with(name + "=")) return words[i].substr(name.size() + 1);
    if (words[i] == name && i + 1 < words.size()) return words[i + 1];
  }
  return std::nullopt;
}

/// --gpus all, 2, '"device=0,1"', device=GPU-...: as the variable that NVIDIA's runtime reads.
void add_docker_gpus(Subject& s, std::string gpus) {
  std::erase(gpus, '"');
  std::erase(gpus, '\'');
  constexpr std::string_view kDevice = "device=";
  if (gpus.starts_with(kDevice)) {
    assign(s, "NVIDIA_VISIBLE_DEVICES=" + gpus.substr(kDevice.size()));
  } else if (const auto count = parse_number<int>(gpus); count && *count > 0) {
    assign(s, fmt::format("NVIDIA_VISIBLE_DEVICES={}", CpuSet::range(0, *count - 1).to_list()));
  }
}

Result<void> follow_docker(Subject& s, Words& words, const Machine& m, std::string_view tool) {
  s.in_container = true;
  s.container.emplace().engine = tool == "nerdctl" ? "containerd" : tool;
  s.cgroup = "(a new container)";
  s.policy_error.reset();  // the seccomp profile is the runtime's
  s.env = Environment{};
  if (const auto cpus = docker_option(words, "--cpuset-cpus")) {
    NUMAPIN_TRY(const auto set, CpuSet::parse(*cpus));
    set_cpus(s, set & online_cpus(m));
  } else {
    set_cpus(s, online_cpus(m));
  }
  NodeSet nodes;
  for (const auto& node : m.nodes) nodes.insert(node.id);
  if (const auto mems = docker_option(words, "--cpuset-mems")) {
    NUMAPIN_TRY(nodes, NodeSet::parse(*mems));
  }
  s.process.allowed_mems = nodes;
  if (s.process.memory) s.process.memory->policy = "default";
  if (const auto gpus = docker_option(words, "--gpus")) add_docker_gpus(s, *gpus);
  for (std::size_t i = 0; i + 1 < words.size(); ++i)
    if ((words[i] == "-e" || words[i] == "--env") && is_assignment(words[i + 1])) assign(s, words[i + 1]);
  words.clear();
  return {};
}

constexpr std::string_view kBinders[] = {"srun", "sbatch", "salloc", "mpirun",  "mpiexec", "mpiexec.hydra", "prterun",
                                         "flux", "jsrun",  "aprun",  "kubectl", "ssh",     "sudo",          "systemd-run"};

/// Takes the first word off and follows it; false where it is the program itself.
Result<bool> follow(Subject& s, Words& words, const Machine& m, const Session& session) {
  const auto name = base_name(words.front());
  if (std::find(std::begin(kBinders), std::end(kBinders), name) != std::end(kBinders))
    return fail(Error::Kind::kUnsupported, fmt::format("check '{}': what it starts is bound elsewhere", name),
                fmt::format("let doctor run in the program's place: {} ... numapin doctor", name));
  if (is_assignment(words.front())) {
    assign(s, words.front());
    words.erase(words.begin());
    return true;
  }
  if (name == "docker" || name == "podman" || name == "nerdctl") {
    if (words.size() < 2 || words[1] != "run")
      return bad_input(fmt::format("check '{}': only its 'run' starts a job", name), "doctor inside the container sees the rest");
    NUMAPIN_CHECK_OK(follow_docker(s, words, m, name));
    return false;
  }
  const bool ours = name == "numapin" && words.size() > 1 && words[1] == "run";
  if (!ours && name != "env" && name != "taskset" && name != "numactl" && name != "nohup" && name != "exec") return false;
  words.erase(words.begin(), words.begin() + (ours ? 2 : 1));
  if (name == "env") follow_env(s, words);
  if (name == "taskset") NUMAPIN_CHECK_OK(follow_taskset(s, words, m));
  if (ours || name == "numactl") NUMAPIN_CHECK_OK(bind_as_run(s, words, session));
  return true;
}

}  // namespace

Result<Subject> imagine(const Subject& shell, const Words& command, const Machine& m, const Session& session) {
  Subject s = shell;
  s.kind = Subject::Kind::kCommand;
  s.command = join(command, " ");
  auto words = command;
  while (!words.empty()) {
    NUMAPIN_TRY(const bool more, follow(s, words, m, session));
    if (!more) break;
  }
  return s;
}

}  // namespace numapin::cli
