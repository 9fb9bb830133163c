// Shared by the export_*.cc files.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "numapin/plan_export.h"

namespace numapin {

Result<std::string> export_numactl(const ExportRequest& r);
Result<std::string> export_taskset(const ExportRequest& r);
Result<std::string> export_env(const ExportRequest& r);
Result<std::string> export_docker(const ExportRequest& r);
Result<std::string> export_podman(const ExportRequest& r);
Result<std::string> export_compose(const ExportRequest& r);
Result<std::string> export_k8s(const ExportRequest& r);
Result<std::string> export_oci(const ExportRequest& r);
Result<std::string> export_slurm(const ExportRequest& r);
Result<std::string> export_openmpi_rankfile(const ExportRequest& r);
Result<std::string> export_prrte(const ExportRequest& r);
Result<std::string> export_torchrun(const ExportRequest& r);
Result<std::string> export_vllm(const ExportRequest& r);
Result<std::string> export_monarch(const ExportRequest& r);

/// linux.memoryPolicy of an OCI configuration as JSON; "" where there is none to set.
std::string oci_memory_policy(const MemoryPolicy& policy);
/// A word that a POSIX shell reads as `text`: as it is where that is safe, else in single quotes.
std::string shell_word(std::string_view text);
/// The command as shell words, or `placeholder`.
std::string command_words(const ExportRequest& r, std::string_view placeholder);
/// "NAME=VALUE " for every variable of the placement, as shell words.
std::string env_words(const Placement& p);
/// The arguments for numactl that bind as the placement says: "--physcpubind=0-3 --preferred=0"; "" for nothing to do.
std::string numactl_arguments(const Placement& p);
/// "rank 3: GPU 3", "GPUs 0-1" for the only one.
std::string title_of(const Plan& plan, std::size_t rank);
/// One block a rank, with its title as a comment; several are started side by side and waited for.
std::string one_command_a_rank(const ExportRequest& r, const std::function<std::string(const Placement&)>& command);
/// A shell `case` over the local rank: the arm of each rank is what `arm` says.
std::string case_of_ranks(const Plan& plan, std::string_view indent, const std::function<std::string(const Placement&)>& arm);

}  // namespace numapin
