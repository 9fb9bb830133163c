/* numapin's C ABI: for programs in C, for other languages, and for plug-ins.
 *
 * Requests and answers are JSON in UTF-8, so that the functions stay few and need not change. Keys of requests are listed
 * with each function; an unknown key is an error (NUMAPIN_BAD_INPUT), NULL is the empty request.
 *
 * - Every function may be called by several threads at once; a numapin_machine never changes.
 * - No C++ exception leaves the library, and it never prints or exits.
 * - What is returned through `char **` is freed by numapin_free(), and is NULL after an error.
 * - `error` may be NULL. Else it gets an object to be freed by numapin_error_free(), or NULL after success.
 * - Symbols carry the version NUMAPIN_1: a function keeps its name, parameters and meaning as long as that node exists.
 */
#ifndef NUMAPIN_NUMAPIN_H
#define NUMAPIN_NUMAPIN_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NUMAPIN_ABI_VERSION 1

typedef enum numapin_code {
  NUMAPIN_OK = 0,
  NUMAPIN_NOT_FOUND = 1,    /* no such GPU, process, file */
  NUMAPIN_NOT_RECORDED = 2, /* a recording never looked there */
  NUMAPIN_DENIED = 3,       /* EACCES, EPERM: seccomp, another user's process */
  NUMAPIN_UNSUPPORTED = 4,  /* this kernel, driver or machine cannot do it */
  NUMAPIN_BAD_INPUT = 5,    /* the caller's request is wrong */
  NUMAPIN_SYSTEM = 6        /* any other failure, out of memory too */
} numapin_code;

typedef struct numapin_machine numapin_machine;
typedef struct numapin_error numapin_error;

/* "0.1.0"; static. */
const char *numapin_version(void);
/* NUMAPIN_ABI_VERSION of the library that is loaded. */
int numapin_abi_version(void);

/* ---- errors ------------------------------------------------------------------------------------------------------ */
numapin_code numapin_error_code(const numapin_error *error);
/* "verb object: reason", one line; valid until the error is freed. */
const char *numapin_error_message(const numapin_error *error);
/* What to do about it, one line; may be "". */
const char *numapin_error_hint(const numapin_error *error);
void numapin_error_free(numapin_error *error);
void numapin_free(char *text);

/* ---- machines ---------------------------------------------------------------------------------------------------- */
/* This machine, as this process may use it. Its CPUs are those that any of the process's threads may run on: one thread
 * alone may have been pinned by an OpenMP runtime. */
numapin_code numapin_machine_discover(numapin_machine **machine, numapin_error **error);
/* A recorded or built-in machine: whatever `numapin --machine` takes. */
numapin_code numapin_machine_open(const char *path, numapin_machine **machine, numapin_error **error);
/* Schema numapin/topo/1 (docs/json.md). */
numapin_code numapin_machine_json(const numapin_machine *machine, char **json, numapin_error **error);
void numapin_machine_free(numapin_machine *machine);

/* ---- plans ------------------------------------------------------------------------------------------------------- */
/* Who would go where; changes nothing. Answer: schema numapin/plan/1 (docs/plan-json.md).
 *
 *   gpu            index among the visible GPUs, UUID or prefix, PCI address, list or range as text, or an array of
 *                  these; "all", "none"; default: the visible GPUs
 *   local_rank     number: the GPU of that rank on this host (the only visible one, where a launcher left one);
 *                  "auto": the number that mpirun, srun, flux, torchrun or numapin gave this process, if one did.
 *                  Without GPUs the rank's share of the nodes among local_size processes
 *   local_size     number of ranks on this host; default: the launcher's variable
 *   cpus           "node", "socket", "l3", "exclusive", "spread", "all", "none"
 *   memory         "preferred" (default), "bind", "interleave", "weighted-interleave", "local", "default", "none"
 *   profile        "training", "inference", "big-memory"
 *   smt            false: one logical CPU of each core
 *   reserve        physical cores of each node to leave to the system
 *   worker_cores   number or "auto": cores of the share for data-loading workers
 *   per_gpu        true (default here): one process per GPU; false: one for all of them
 *   processes_per_gpu, processes   with per_gpu; without GPUs
 *   visible        true (default here): plan the visible-GPU variables too
 *   allowed_cpulist  instead of the CPUs that the machine's process may use: "0-15"
 *   env            object: looked up instead of the process's environment (*_VISIBLE_DEVICES, ranks)
 *
 * `cpus` is "exclusive" by default here and wherever worker_cores is given, else "node". */
numapin_code numapin_plan(const numapin_machine *machine, const char *request, char **json, numapin_error **error);

/* ---- this process ------------------------------------------------------------------------------------------------ */
/* Binds this process: the mask of every thread that lives (one with a mask of its own keeps its shape), and the memory
 * policy of the calling thread, which is the only one that the kernel lets it set. Threads and processes created later
 * inherit both from their creators. Keys as above (per_gpu and visible: false, fixed) and
 *
 *   cpulist        "0-3": these very CPUs, whatever the GPU; and `nodes`: "0-1", these nodes' memory. With either of
 *                  them the machine is not looked at
 *   migrate        true: also move what the process has touched on other nodes
 *   strict         true: a refusal is an error instead of an entry in `losses`; what was done before it stays
 *   slurm          true: the GPUs that Slurm gave the task that this process is, whatever `gpu` and `local_rank` say: by
 *                  the device files that it may open, then the visible-GPU variables, then SLURM_STEP_GPUS. Without a GPU
 *                  nothing is bound. With `machine` NULL the driver's library is loaded only to read UUIDs
 *   dry_run        true: say what would be done, change nothing
 *   look           false: do not read where the process's pages are (/proc/self/numa_maps walks all of them)
 *
 * The environment is not changed: setenv(3) is not safe beside other threads. `machine` NULL: this one, as it is now.
 * Answer: schema numapin/bind/1 (docs/json.md). */
numapin_code numapin_bind_self(const numapin_machine *machine, const char *request, char **json, numapin_error **error);

/* Running processes against the nodes of their GPUs. Answer: schema numapin/inspect/1 (docs/json.md).
 *
 *   pid            number; default: this process
 *   children       true: also all that descend from it
 *   gpu            judge against these, whatever the processes use; as above
 *   memory         false: do not read where their pages are
 *   env            as above */
numapin_code numapin_inspect(const numapin_machine *machine, const char *request, char **json, numapin_error **error);

/* ---- memory ------------------------------------------------------------------------------------------------------ */
/* Puts [start, start + bytes) on the nodes of a GPU: mbind(2), then every page is touched (its content stays) by a thread
 * on that node, then looked up. The range must be writable, start at a page, and not have been pinned. Answer: schema
 * numapin/memory/1. Keys gpu, local_rank, local_size, env, allowed_cpulist as above, memory ("preferred", "bind"), and
 *
 *   nodes          "0-1": to these nodes instead
 *   huge_pages     true: ask for transparent huge pages
 *   strict         true: a page elsewhere is an error */
numapin_code numapin_place_memory(const numapin_machine *machine, void *start, size_t bytes, const char *request,
                                    char **json, numapin_error **error);
/* Where the pages of a range are: {"schema": "numapin/memory/1", "bytes_by_node": {"0": 4096}, "absent_bytes": 0}.
 * NUMAPIN_DENIED where the kernel does not tell (move_pages(2) under seccomp). */
numapin_code numapin_memory_nodes(const void *start, size_t bytes, char **json, numapin_error **error);

#ifdef __cplusplus
}
#endif

#endif
