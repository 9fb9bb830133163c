// The table of commands, in the order of the help page. A new command is one include and one row here.
#include "cli/analyze.h"
#include "cli/bench.h"
#include "cli/command.h"
#include "cli/compare.h"
#include "cli/completion.h"
#include "cli/doctor.h"
#include "cli/inspect.h"
#include "cli/launch.h"
#include "cli/oci_runtime.h"
#include "cli/plan.h"
#include "cli/rebind.h"
#include "cli/report.h"
#include "cli/run.h"
#include "cli/slurm.h"
#include "cli/snapshot.h"
#include "cli/topo.h"
#include "cli/watch.h"

namespace numapin::cli {

// Rows of one job stand together; the jobs are the headings of the first screen.
constexpr std::string_view kSee = "see the machine", kStart = "start programs in the right place",
                           kCheck = "check what runs", kMeasure = "measure what placement is worth", kCluster = "on a cluster", kShell = "in your shell";

constexpr Command kCommands[] = {
    {"topo", kSee, "Show the machine: nodes, cores, memory, PCIe tree, GPUs, links", add_topo},
    {"report", kSee, "Write a page of the machine, its plan and its GPU processes", add_report},
    {"snapshot", kSee, "Record this machine in a text file that every command can replay", add_snapshot},
    {"run", kStart, "Start a command beside its GPU, CPUs and memory bound", add_run},
    {"launch", kStart, "Start one bound process per GPU and stand by them", add_launch},
    {"oci-runtime", kStart, "Be the runtime of containers: place them, then run runc or crun", add_oci_runtime, run_oci_runtime},
    {"plan", kStart, "Print who would go where, for you or for another launcher", add_plan},
    {"doctor", kCheck, "Check machine, container and job; say what to type to mend them", add_doctor},
    {"inspect", kCheck, "Show where running GPU processes really are", add_inspect},
    {"rebind", kCheck, "Move a running process, its children and its memory to its GPU", add_rebind},
    {"watch", kCheck, "Show live where GPU processes run and have their memory", add_watch},
    {"bench", kMeasure, "Measure what near and far memory cost here, and say if it matters", add_bench},
    {"compare", kMeasure, "Run a command under several placements and say which is worth it", add_compare},
    {"analyze", kMeasure, "Show which link limits what, and which GPUs to take together", add_analyze},
    {"slurm", kCluster, "Write and check Slurm's files; explain what it gave a job", add_slurm},
    {"completion", kShell, "Print completions for bash, zsh or fish", add_completion},
};

std::span<const Command> commands() { return kCommands; }

}  // namespace numapin::cli
