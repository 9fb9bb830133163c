#include "diagnose/check_slurm.h"

#include <algorithm>

#include "base/numbers.h"
#include "base/text.h"
#include "diagnose/result.h"
#include "diagnose/slurm_conf.h"
#include "plan/slurm_node.h"

namespace numapin {

using namespace doctor;

std::optional<Finding> doctor::task_plugin_finding(const SoftwareFacts& s) {
  const auto plugins = s.slurm_conf ? conf_value(*s.slurm_conf, "TaskPlugin") : std::nullopt;
  if (!plugins || plugins->find("affinity") != std::string::npos) return std::nullopt;
  return Finding{Severity::kWarning, s.slurm_conf_path, "TaskPlugin=" + *plugins,
                 "task/cgroup,task/affinity: without task/affinity srun binds no task to cores or memory",
                 fmt::format("# {}: TaskPlugin=task/cgroup,task/affinity; then scontrol reconfigure, and restart slurmd", s.slurm_conf_path),
                 fmt::format("# {}: TaskPlugin={}", s.slurm_conf_path, *plugins)};
}

namespace {

/// The GPUs behind the files of a line.
std::vector<int> gpus_of(const SlurmNode& node, const GresLine& line, bool guess) {
  std::vector<int> gpus;
  for (const auto& gpu : node.gpus)
    if ((guess || !gpu.file_guessed) && std::find(line.files.begin(), line.files.end(), gpu.file) != line.files.end()) gpus.push_back(gpu.gpu);
  return gpus;
}

std::string without_cores(std::string line) {
  if (const auto at = to_lower(line).find(" cores="); at != line.npos) line.erase(at, line.find(' ', at + 1) - at);
  return line;
}

}  // namespace

std::vector<Finding> doctor::gres_core_findings(const Machine& m, const std::string& gres_conf, const std::string& path, const std::string& host,
                                                bool guess, bool& judged) {
  std::vector<Finding> found;
  const auto node = slurm_node(m, host);
  if (!node) return found;
  for (const auto& line : gres_lines(gres_conf, host).gpus) {
    const auto gpus = gpus_of(*node, line, guess);
    const auto near = near_nodes(m, gpus);
    if (!near) continue;
    judged = true;
    const bool right = std::all_of(gpus.begin(), gpus.end(), [&](int gpu) {
      return line.cores && slurm_cores(m, *near_nodes(m, {gpu})).contains(*line.cores);
    });
    if (right) continue;
    auto part = *node;
    std::erase_if(part.gpus, [&](const SlurmGpu& g) { return std::find(gpus.begin(), gpus.end(), g.gpu) == gpus.end(); });
    const bool together = slurm_cores(m, *near) == slurm_cores(m, *near_nodes(m, {gpus[0]}));
    std::string mend;
    if (together) mend = fmt::format("# {}: {} Cores={}", path, without_cores(line.text), slurm_cores(m, *near).to_list());
    else
      for (const auto& own : gres_conf_lines(part)) mend += fmt::format("{}# {}: {}", mend.empty() ? "" : "\n", path, own);
    found.push_back({Severity::kProblem, path,
                     line.cores ? fmt::format("{}: Cores={}, and {} {} on {}", line.text, line.cores->to_list(), gpus_text(gpus),
                                              gpus.size() == 1 ? "is" : "are", nodes_text(*near))
                                : line.text + ": no Cores",
                     together ? fmt::format("Cores={}, in Slurm's count of cores", slurm_cores(m, *near).to_list())
                              : "a line for the GPUs of each node, with its cores in Slurm's count",
                     mend, fmt::format("# {}: {}", path, line.text)});
  }
  return found;
}

namespace {

/// One look at the files; each check adds a finding, or a line that all is well, or what is missing.
struct Look {
  const Machine& m;
  const SlurmSite& site;
  const SlurmNode& node;
  SlurmFindings out;

  void find(Severity severity, const std::string& where, std::string is, std::string should, const std::string& mend) {
    const auto line = mend.empty() ? "" : fmt::format("# {}: {}", where, mend);
    out.findings.push_back({severity, where, std::move(is), std::move(should), line, {}});
  }
  void fine(std::string line) { out.fine.push_back(std::move(line)); }
  void unknown(std::string line) { out.unknown.push_back(std::move(line)); }
  std::optional<std::string> conf(std::string_view key) const { return conf_value(site.slurm_conf, key); }

  bool has_parameter(std::string_view word) const { return conf("SlurmdParameters").value_or("").find(word) != std::string::npos; }

  void plugins();
  void gres_types();
  void select_type();
  void shape();
  void memory();
  void gpu_count();
  void sockets();
  void cores();
  void file_order();
  void fences();
  void habits();
  void spank();
};

void Look::plugins() {
  SoftwareFacts s;
  s.slurm_conf = site.slurm_conf;
  s.slurm_conf_path = site.slurm_conf_path;
  const auto plugins = conf("TaskPlugin");
  if (!plugins) {
    find(Severity::kWarning, site.slurm_conf_path, "no TaskPlugin: the default differs by version, and the older ones bind nothing",
         "task/cgroup,task/affinity", "TaskPlugin=task/cgroup,task/affinity; then scontrol reconfigure, and restart slurmd");
  } else if (auto found = task_plugin_finding(s)) {
    out.findings.push_back(std::move(*found));
  } else {
    fine("TaskPlugin=" + *plugins);
  }
}

void Look::gres_types() {
  if (node.gpus.empty()) return;
  const auto types = conf("GresTypes");
  if (types && (("," + *types + ",").find(",gpu,") != std::string::npos)) return fine("GresTypes=" + *types);
  find(Severity::kProblem, site.slurm_conf_path, types ? "GresTypes=" + *types : "no GresTypes", "gpu among them, or no job can ask for one", "GresTypes=gpu");
}

void Look::select_type() {
  const auto type = conf("SelectType");
  if (!type) return;
  if (*type == "select/cons_tres") return fine("SelectType=" + *type);
  find(Severity::kWarning, site.slurm_conf_path, "SelectType=" + *type,
       "select/cons_tres: the others know no --gpus-per-task, and do not look at the Cores of gres.conf", "SelectType=select/cons_tres");
}

void Look::shape() {
  const auto line = node_conf(site.slurm_conf, site.host);
  if (!line) return unknown(fmt::format("no NodeName line of {} names {} (Include files are not followed): --node NAME gives another", site.slurm_conf_path, site.host));
  const auto number_at = [&](std::string_view key) {
    const auto text = line->value(key);
    return text ? parse_number<int>(*text) : std::nullopt;
  };
  const int boards = number_at("Boards").value_or(1);
  auto sockets = number_at("Sockets");
  if (const auto a_board = number_at("SocketsPerBoard")) sockets = *a_board * boards;
  std::vector<std::string> wrong;
  const auto compare = [&](std::string_view what, std::optional<int> has, int wants) {
    if (has && *has != wants) wrong.push_back(fmt::format("{} {} (the machine: {})", what, *has, wants));
  };
  const auto expected = with_sockets(node, has_parameter("numa_node_as_socket") ? cpu_nodes(m).size() : node.packages);
  compare("CPUs", number_at("CPUs"), expected.cpus);
  if (!has_parameter("l3cache_as_socket")) {
    compare("sockets", sockets, expected.sockets);
    compare("CoresPerSocket", number_at("CoresPerSocket"), expected.cores_per_socket);
  }
  compare("ThreadsPerCore", number_at("ThreadsPerCore"), node.threads_per_core);
  if (wrong.empty()) return fine("the NodeName line has the machine's sockets, cores and threads");
  find(Severity::kProblem, site.slurm_conf_path, fmt::format("{}: {}", line->text, join(wrong, ", ")),
       "the machine's own: Cores= of gres.conf count in them, and slurmd drains a node that has less", node_line(expected));
}

void Look::memory() {
  const auto line = node_conf(site.slurm_conf, site.host);
  const auto text = line ? line->value("RealMemory") : std::nullopt;
  const auto mib = text ? parse_number<std::uint64_t>(*text) : std::nullopt;
  if (!mib || !node.memory_mib || *mib <= *node.memory_mib) return;
  find(Severity::kProblem, site.slurm_conf_path, fmt::format("RealMemory={}, and the machine has {} MiB", *mib, *node.memory_mib),
       "no more than it has, or slurmctld keeps the node out", fmt::format("RealMemory={}", *node.memory_mib));
}

/// "gpu:a100:4,gpu:2(S:0),nic:1" -> 6
int count_gpus(std::string_view gres) {
  int count = 0;
  for (const auto item : split(gres, ',')) {
    const auto words = split(trim(item.substr(0, item.find('('))), ':');
    if (words.empty() || words[0] != "gpu") continue;
    count += words.size() == 1 ? 1 : parse_number<int>(words.back()).value_or(1);
  }
  return count;
}

void Look::gpu_count() {
  const auto line = node_conf(site.slurm_conf, site.host);
  if (!line) return;
  const auto gres = line->value("Gres").value_or("");
  const int count = count_gpus(gres), has = static_cast<int>(node.gpus.size());
  if (count == has) return fine(fmt::format("Gres= counts the machine's {}", count_text(static_cast<std::size_t>(has), "GPU")));
  find(has == 0 ? Severity::kWarning : Severity::kProblem, site.slurm_conf_path,
       gres.empty() ? fmt::format("{}: no Gres=", line->text) : fmt::format("Gres={}: {}", gres, count_text(static_cast<std::size_t>(count), "GPU")),
       fmt::format("the {} of the machine", count_text(static_cast<std::size_t>(has), "GPU")), node_line(node));
}

void Look::sockets() {
  const auto parameters = conf("SlurmdParameters").value_or("");
  if (!node.numa_as_socket) return;
  if (has_parameter("numa_node_as_socket") || has_parameter("l3cache_as_socket")) return fine("SlurmdParameters=" + parameters);
  find(Severity::kWarning, site.slurm_conf_path, "a GPU is near a part of its socket (sub-NUMA clusters, NPS), and Slurm picks cores by socket",
       "SlurmdParameters=numa_node_as_socket, and as many sockets in NodeName as nodes", "SlurmdParameters=numa_node_as_socket and " + node_line(node));
}

void Look::cores() {
  if (node.gpus.empty()) return;
  if (!site.gres_conf) {
    find(Severity::kProblem, site.gres_conf_path, "no gres.conf", "a line for each GPU, or AutoDetect: Slurm does not know where the GPUs are",
         "numapin slurm gres writes it");
    return;
  }
  if (gres_lines(*site.gres_conf, site.host).auto_detect) return fine("AutoDetect finds each GPU's cores where slurmd was built with the driver's library (Debian's was not)");
  if (cpu_nodes(m).size() < 2) return fine("one node: every core is as near");
  bool judged = false;
  auto found = gres_core_findings(m, *site.gres_conf, site.gres_conf_path, site.host, true, judged);
  if (!judged) return unknown("no line of gres.conf names a GPU of this machine whose node is known");
  if (found.empty()) fine("gres.conf gives each GPU cores of its node");
  out.findings.insert(out.findings.end(), found.begin(), found.end());
}

/// Slurm numbers GPUs by their place in gres.conf, CUDA by PCI address.
void Look::file_order() {
  if (!site.gres_conf) return;
  std::vector<int> order;
  for (const auto& line : gres_lines(*site.gres_conf, site.host).gpus)
    for (const auto& file : line.files)
      for (const auto& gpu : node.gpus)
        if (gpu.file == file && !gpu.file_guessed) order.push_back(gpu.gpu);
  if (order.size() < 2 || std::is_sorted(order.begin(), order.end())) return;
  const auto constrain = site.cgroup_conf ? conf_value(*site.cgroup_conf, "ConstrainDevices") : std::nullopt;
  const bool fenced = constrain && to_lower(*constrain) == "yes";
  find(fenced ? Severity::kNote : Severity::kProblem, site.gres_conf_path,
       "the files are not in the order of the GPUs' PCI addresses: Slurm's number N is not CUDA's",
       fenced ? "CUDA_VISIBLE_DEVICES still works, as ConstrainDevices leaves only the job's own; numbers in SLURM_STEP_GPUS are not CUDA's"
              : "PCI order: without ConstrainDevices a job uses another GPU than it was given",
       "order the lines as numapin slurm gres does");
}

void Look::fences() {
  if (node.gpus.empty()) return;
  const auto constrain = site.cgroup_conf ? conf_value(*site.cgroup_conf, "ConstrainDevices") : std::nullopt;
  if (!constrain || to_lower(*constrain) != "yes") {
    find(Severity::kNote, "cgroup.conf", constrain ? "ConstrainDevices=" + *constrain : "ConstrainDevices is not set",
         "yes keeps jobs off GPUs that are not theirs; now CUDA_VISIBLE_DEVICES alone does, which a job may change", "ConstrainDevices=yes");
    return;
  }
  fine("ConstrainDevices=yes");
  if (node.gpus.size() < 2) return;
  find(Severity::kNote, "cgroup.conf", "ConstrainDevices=yes: a task of `srun --gpus-per-task` or `--gpu-bind` may open its own GPU only",
       "for ranks that use peer access (NCCL, CUDA IPC) give the GPUs to the job, --gres=gpu:N or --gpus-per-node, with --gpu-bind=none, and let each rank "
       "pick its own",
       "");
}

void Look::habits() {
  find(Severity::kNote, "job scripts", "since Slurm 22.05 srun does not take --cpus-per-task from sbatch or salloc: a step gets one CPU a task",
       "srun --cpus-per-task=$SLURM_CPUS_PER_TASK, or the variable in the script", "");
  out.findings.back().mend = "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK";
}

void Look::spank() {
  if (site.plugstack && site.plugstack->find("spank_numapin") != std::string::npos) return fine("plugstack.conf loads spank_numapin.so");
  if (node.gpus.empty() || cpu_nodes(m).size() < 2) return;
  find(Severity::kNote, "plugstack.conf", "Slurm binds memory by the CPUs of a task, never by its GPU",
       "the plugin spank_numapin.so binds both to the GPU's node (docs/slurm.md)", "optional spank_numapin.so auto");
}

}  // namespace

SlurmFindings check_slurm(const Machine& m, const SlurmSite& site) {
  const auto node = slurm_node(m, site.host);
  if (!node) return {{}, {}, {node.error().message}};
  Look look{m, site, *node, {}};
  look.plugins();
  look.gres_types();
  look.select_type();
  look.shape();
  look.memory();
  look.gpu_count();
  look.sockets();
  look.cores();
  look.file_order();
  look.fences();
  look.habits();
  look.spank();
  std::stable_sort(look.out.findings.begin(), look.out.findings.end(), [](const auto& a, const auto& b) { return a.severity > b.severity; });
  return std::move(look.out);
}

}  // namespace numapin
