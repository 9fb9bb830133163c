/* What a process in the guest sees of itself, in a program that starts in no time (a dynamic one costs 80 ms there).
 *
 *   probe show [MIB]            one "name value" a line: CPU mask, allowed nodes, memory policy, where touched pages are,
 *                               the environment variables that a binder sets
 *   probe hold MIB [NODE]       touches MIB of memory (bound to NODE), says "ready", waits for the end of stdin, says
 *                               where its pages are by then
 *   probe confined [--cgroup DIR] [--refuse CALL,...] [--cpus LIST] [--uid N] -- CMD...
 *                               CMD in that cgroup, with seccomp answering EPERM to these system calls
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kPage = 4096, kMaxNodes = 16, kBind = 2 };
extern char **environ;

static void die(const char *what)
{
    fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
    exit(99);
}

static char *map(long bytes)
{
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) die("mmap");
    madvise(p, bytes, MADV_NOHUGEPAGE);  /* a huge page would be one allocation, not many */
    return p;
}

/* "pages 0:250 1:6": asks move_pages(2), which moves nothing when it is given no nodes */
static void print_pages(char *p, long bytes)
{
    long n = bytes / kPage, count[kMaxNodes] = {0}, elsewhere = 0;
    void **addresses = malloc(n * sizeof *addresses);
    int *status = malloc(n * sizeof *status);
    for (long i = 0; i < n; i++) addresses[i] = p + i * kPage;
    if (syscall(SYS_move_pages, 0, n, addresses, NULL, status, 0)) die("move_pages");
    for (long i = 0; i < n; i++)
        if (status[i] >= 0 && status[i] < kMaxNodes) count[status[i]]++;
        else elsewhere++;
    printf("pages");
    for (int i = 0; i < kMaxNodes; i++)
        if (count[i]) printf(" %d:%ld", i, count[i]);
    if (elsewhere) printf(" ?:%ld", elsewhere);
    printf("\n");
}

/* The kernel's own words for the policy: the second field of a mapping without one of its own in numa_maps */
static void print_policy(char *p)
{
    char line[4096], start[32];
    snprintf(start, sizeof start, "%lx ", (unsigned long)p);
    FILE *f = fopen("/proc/self/numa_maps", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, start, strlen(start))) continue;
        char *policy = line + strlen(start), *end = strstr(policy, " anon=");
        if (end) *end = 0;
        printf("policy %s\n", policy);
    }
    if (f) fclose(f);
}

static void print_allowed(void)
{
    char line[4096];
    FILE *f = fopen("/proc/self/status", "r");
    if (!f) die("/proc/self/status");
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, "Cpus_allowed_list:", 18)) printf("cpus %s", line + 19);
        if (!strncmp(line, "Mems_allowed_list:", 18)) printf("mems %s", line + 19);
    }
    fclose(f);
}

static void print_environment(void)
{
    static const char *const wanted[] = {"CUDA_", "HIP_", "ROCR_", "ZE_", "GPU_", "NUMAPIN_", "OMP_", "RANK=", "LOCAL_"};
    for (char **e = environ; *e; e++)
        for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (!strncmp(*e, wanted[i], strlen(wanted[i]))) printf("env %s\n", *e);
}

static int show(long mib)
{
    char *p = map(mib << 20);
    print_allowed();
    memset(p, 1, mib << 20);
    print_policy(p);
    print_pages(p, mib << 20);
    print_environment();
    return 0;
}

static int hold(long mib, const char *node)
{
    char *p = map(mib << 20), c;
    madvise(p, mib << 20, MADV_HUGEPAGE);  /* much faster to touch */
    unsigned long mask = node ? 1UL << atoi(node) : 0;
    if (node && syscall(SYS_mbind, p, mib << 20, kBind, &mask, 64UL, 0)) die("mbind");
    memset(p, 1, mib << 20);
    printf("ready\n");
    fflush(stdout);
    while (read(0, &c, 1) > 0) {}
    print_pages(p, mib << 20);
    return 0;
}

static void refuse(char *calls)
{
    static const struct { const char *name; int number; } known[] = {
        {"set_mempolicy", SYS_set_mempolicy}, {"get_mempolicy", SYS_get_mempolicy}, {"mbind", SYS_mbind},
        {"move_pages", SYS_move_pages}, {"migrate_pages", SYS_migrate_pages},
        {"sched_setaffinity", SYS_sched_setaffinity}};
    struct sock_filter f[64] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    unsigned short n = 1;
    for (char *c = strtok(calls, ","); c; c = strtok(NULL, ",")) {
        unsigned i = 0;
        while (i < sizeof known / sizeof *known && strcmp(known[i].name, c)) i++;
        if (i == sizeof known / sizeof *known) { fprintf(stderr, "probe: no call %s\n", c); exit(99); }
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, known[i].number, 0, 1);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {n, f};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) die("seccomp");
}

static void set_cpus(char *list)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (char *c = strtok(list, ","); c; c = strtok(NULL, ",")) {
        int first = atoi(c), last = strchr(c, '-') ? atoi(strchr(c, '-') + 1) : first;
        for (int i = first; i <= last; i++) CPU_SET(i, &set);
    }
    if (sched_setaffinity(0, sizeof set, &set)) die("sched_setaffinity");
}

static void enter(const char *cgroup)
{
    char path[512];
    snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) die(path);
}

static int confined(char **a)
{
    char *calls = NULL;
    for (; *a && strcmp(*a, "--"); a += 2) {
        if (!strcmp(*a, "--cgroup")) enter(a[1]);
        else if (!strcmp(*a, "--refuse")) calls = a[1];
        else if (!strcmp(*a, "--cpus")) set_cpus(a[1]);
        else if (!strcmp(*a, "--uid") && setuid(atoi(a[1]))) die("setuid");
    }
    if (calls) refuse(calls);
    execvp(a[1], a + 1);
    die(a[1]);
    return 99;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "show")) return show(argc > 2 ? atol(argv[2]) : 1);
    if (argc > 2 && !strcmp(argv[1], "hold")) return hold(atol(argv[2]), argv[3]);
    if (argc > 3 && !strcmp(argv[1], "confined")) return confined(argv + 2);
    fprintf(stderr, "usage: probe show|hold|confined\n");
    return 99;
}
