/* The C ABI, used as a C program does. Prints each check that fails; exit status 1 if one did. */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numapin/numapin.h"

static int failures = 0;

static void check(int holds, const char *what, const char *detail) {
  if (holds) return;
  __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
  fprintf(stderr, "FAILED: %s: %s\n", what, detail == NULL ? "(null)" : detail);
}

static int has(const char *text, const char *part) { return text != NULL && strstr(text, part) != NULL; }

/* ---- values ---------------------------------------------------------------------------------------------------------- */

static numapin_machine *open_dual(void) {
  numapin_machine *machine = NULL;
  numapin_error *error = NULL;
  const numapin_code code = numapin_machine_open("dual-a100", &machine, &error);
  check(code == NUMAPIN_OK && machine != NULL && error == NULL, "open dual-a100", numapin_error_message(error));
  return machine;
}

static void test_version(void) {
  check(numapin_abi_version() == NUMAPIN_ABI_VERSION, "ABI version of header and library", numapin_version());
  check(has(numapin_version(), "."), "version", numapin_version());
}

static void test_machine_and_plan(void) {
  numapin_machine *machine = open_dual();
  char *json = NULL;
  check(numapin_machine_json(machine, &json, NULL) == NUMAPIN_OK && has(json, "\"numapin/topo/1\""), "machine as JSON", json);
  numapin_free(json);
  check(numapin_plan(machine, "{\"gpu\": 5, \"per_gpu\": false, \"cpus\": \"node\"}", &json, NULL) == NUMAPIN_OK &&
            has(json, "\"cpulist\": \"12-23,36-47\""), "plan for GPU 5: node 1 of dual-a100", json);
  numapin_free(json);
  check(numapin_plan(machine, NULL, &json, NULL) == NUMAPIN_OK && has(json, "\"rank\": 7") && !has(json, "\"rank\": 8"),
        "plan: a process for each of the 8 GPUs", json);
  numapin_free(json);
  check(numapin_plan(machine, "{\"gpu\": [\"2\", 3], \"per_gpu\": false, \"worker_cores\": 2}", &json, NULL) == NUMAPIN_OK &&
            has(json, "\"worker_cpulist\": \""), "plan with worker cores", json);
  numapin_free(json);
  check(numapin_plan(machine, "{\"local_rank\": 3, \"per_gpu\": false, \"env\": {\"CUDA_VISIBLE_DEVICES\": \"6\", \"LOCAL_WORLD_SIZE\": \"8\"}}", &json, NULL) ==
            NUMAPIN_OK && has(json, "\"cpulist\": \"12-23,36-47\""), "rank 3 whose launcher left it GPU 6 alone", json);
  numapin_free(json);
  numapin_machine_free(machine);
}

static void expect_error(numapin_code got, numapin_error *error, numapin_code want, const char *message, const char *hint) {
  check(got == want && numapin_error_code(error) == want, message, numapin_error_message(error));
  check(has(numapin_error_message(error), message), message, numapin_error_message(error));
  check(has(numapin_error_hint(error), hint), hint, numapin_error_hint(error));
  numapin_error_free(error);
}

/* `call` hands `error` out. */
#define EXPECT_ERROR(call, want, message, hint)   \
  do {                                            \
    numapin_error *error = NULL;                  \
    const numapin_code got = call;                \
    expect_error(got, error, want, message, hint);\
  } while (0)

static void test_errors(void) {
  numapin_machine *machine = open_dual(), *none = machine;
  char *json = (char *)"not touched";
  EXPECT_ERROR(numapin_machine_open("/no/such/file", &none, &error), NUMAPIN_NOT_FOUND, "/no/such/file", "");
  check(none == NULL, "no machine after an error", "");
  EXPECT_ERROR(numapin_plan(machine, "{\"gpus\": 1}", &json, &error), NUMAPIN_BAD_INPUT, "no key 'gpus'", "gpu, local_rank");
  check(json == NULL, "no answer after an error", json);
  EXPECT_ERROR(numapin_plan(machine, "[1]", &json, &error), NUMAPIN_BAD_INPUT, "no JSON object", "keys");
  EXPECT_ERROR(numapin_plan(machine, "{\"gpu\": 0, \"cpus\": \"nodes\"}", &json, &error), NUMAPIN_BAD_INPUT, "cpus cannot be \"nodes\"", "socket");
  EXPECT_ERROR(numapin_plan(machine, "{\"reserve\": -1}", &json, &error), NUMAPIN_BAD_INPUT, "reserve cannot be -1", "from 0");
  EXPECT_ERROR(numapin_plan(machine, "{\"gpu\": \"\xff\xfe\"}", &json, &error), NUMAPIN_BAD_INPUT, "no JSON object", "");
  EXPECT_ERROR(numapin_plan(machine, "{\"gpu\": 8}", &json, &error), NUMAPIN_NOT_FOUND, "8", "GPU");
  EXPECT_ERROR(numapin_plan(machine, "{\"migrate\": true}", &json, &error), NUMAPIN_BAD_INPUT, "no key 'migrate'", "");
  EXPECT_ERROR(numapin_plan(NULL, "{}", &json, &error), NUMAPIN_BAD_INPUT, "null", "");
  EXPECT_ERROR(numapin_plan(machine, "{}", NULL, &error), NUMAPIN_BAD_INPUT, "null", "");
  EXPECT_ERROR(numapin_inspect(NULL, "{\"pid\": 4194304}", &json, &error), NUMAPIN_NOT_FOUND, "4194304", "");
  EXPECT_ERROR(numapin_place_memory(NULL, &json, 8, NULL, &json, &error), NUMAPIN_BAD_INPUT, "does not start at a page", "mmap");
  check(numapin_plan(machine, "{\"gpu\": 8}", &json, NULL) == NUMAPIN_NOT_FOUND, "no error object wanted", "");
  check(numapin_error_code(NULL) == NUMAPIN_OK && numapin_error_message(NULL)[0] == '\0', "no error", "");
  numapin_error_free(NULL);
  numapin_free(NULL);
  numapin_machine_free(NULL);
  numapin_machine_free(machine);
}

/* ---- several threads at once ------------------------------------------------------------------------------------------- */

static void *use(void *machine) {
  for (int i = 0; i < 20; ++i) {
    numapin_error *error = NULL;
    char *json = NULL;
    check(numapin_plan(machine, "{\"gpu\": \"0-3\"}", &json, &error) == NUMAPIN_OK && has(json, "\"rank\": 3"), "plan in a thread", json);
    numapin_free(json);
    check(numapin_plan(machine, "{\"gpu\": \"nine\"}", &json, &error) != NUMAPIN_OK && has(numapin_error_message(error), "nine"),
          "the thread's own error", numapin_error_message(error));
    numapin_error_free(error);
  }
  return NULL;
}

static void test_threads(void) {
  pthread_t threads[8];
  numapin_machine *machine = open_dual();
  for (int i = 0; i < 8; ++i) pthread_create(&threads[i], NULL, use, machine);
  for (int i = 0; i < 8; ++i) pthread_join(threads[i], NULL);
  numapin_machine_free(machine);
}

/* ---- this process ------------------------------------------------------------------------------------------------------- */

static void *wait_for_end(void *gate) {
  pthread_mutex_lock(gate);
  pthread_mutex_unlock(gate);
  return NULL;
}

/* Threads of this process that may run on `cpu` only. */
static int threads_on(int cpu, int *all) {
  int count = 0;
  DIR *dir = opendir("/proc/self/task");
  *all = 0;
  for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
    cpu_set_t set;
    if (entry->d_name[0] == '.' || sched_getaffinity(atoi(entry->d_name), sizeof set, &set) != 0) continue;
    ++*all;
    if (CPU_COUNT(&set) == 1 && CPU_ISSET(cpu, &set)) ++count;
  }
  if (dir != NULL) closedir(dir);
  return count;
}

static int first_cpu(void) {
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &set)) return i;
  return 0;
}

static void test_bind(void) {
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  pthread_t threads[3];
  char *json = NULL, request[200];
  int all = 0;
  const int cpu = first_cpu();
  cpu_set_t before;
  sched_getaffinity(0, sizeof before, &before);
  pthread_mutex_lock(&gate);
  for (int i = 0; i < 3; ++i) pthread_create(&threads[i], NULL, wait_for_end, &gate);
  snprintf(request, sizeof request, "{\"gpu\": \"none\", \"cpus\": \"all\", \"allowed_cpulist\": \"%d\"}", cpu);
  numapin_error *error = NULL;
  check(numapin_bind_self(NULL, request, &json, &error) == NUMAPIN_OK && has(json, "\"numapin/bind/1\"") && has(json, "\"seen\": 4"),
        "bind 4 threads", json != NULL ? json : numapin_error_message(error));
  const int bound = threads_on(cpu, &all);
  check(all >= 4 && bound == all, "every thread on the one CPU", json);
  numapin_free(json);
  numapin_error_free(error);
  pthread_mutex_unlock(&gate);
  for (int i = 0; i < 3; ++i) pthread_join(threads[i], NULL);
  sched_setaffinity(0, sizeof before, &before);
}

static void test_inspect(void) {
  char *json = NULL, pid[40];
  snprintf(pid, sizeof pid, "\"pid\": %d", (int)getpid());
  check(numapin_inspect(NULL, "{\"children\": true}", &json, NULL) == NUMAPIN_OK && has(json, pid) && has(json, "numapin/inspect/1"), "inspect", json);
  numapin_free(json);
}

static void test_memory(void) {
  const size_t bytes = 4 << 20;
  char *json = NULL, *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  numapin_error *error = NULL;
  if (numapin_memory_nodes(start, bytes, &json, &error) == NUMAPIN_DENIED) {
    fprintf(stderr, "memory is not looked at: %s\n", numapin_error_message(error));
    numapin_error_free(error);
    return;
  }
  check(has(json, "\"absent_bytes\": 4194304"), "untouched memory is nowhere", json);
  numapin_free(json);
  start[5] = 42;
  check(numapin_place_memory(NULL, start, bytes, "{\"nodes\": \"0\", \"strict\": true}", &json, &error) == NUMAPIN_OK &&
            has(json, "\"0\": 4194304") && has(json, "\"absent_bytes\": 0"), "4 MiB on node 0", json != NULL ? json : numapin_error_message(error));
  check(start[5] == 42, "its content stays", "");
  numapin_free(json);
  numapin_error_free(error);
  munmap(start, bytes);
}

int main(void) {
  test_version();
  test_machine_and_plan();
  test_errors();
  test_threads();
  test_bind();
  test_inspect();
  test_memory();
  if (failures == 0) puts("the C ABI holds");
  return failures == 0 ? 0 : 1;
}
