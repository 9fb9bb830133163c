/* A memory-bound program for `numapin compare`: passes of a = b + x*c over arrays larger than any cache.
 *
 *   triad LOG [MIB [PASSES]]    prints "speed: N MB/s" after each pass; adds one line to LOG: the CPUs it may use, and
 *                               pages of its arrays by node, as move_pages(2) says
 *
 * With TRIAD_FAIL_ON=LIST in the environment it ends with status 3 where its CPUs are that LIST.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { kPage = 4096, kMaxNodes = 16, kArrays = 3 };

static void die(const char *what)
{
    fprintf(stderr, "triad: %s: %s\n", what, strerror(errno));
    exit(99);
}

static double *array(long bytes)
{
    double *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) die("mmap");
    madvise(p, bytes, MADV_NOHUGEPAGE);
    memset(p, 0, bytes);  /* first touch, by this thread */
    return p;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void allowed_cpus(char *out, size_t size)
{
    char line[4096];
    FILE *f = fopen("/proc/self/status", "r");
    if (!f) die("/proc/self/status");
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "Cpus_allowed_list:\t", 19)) snprintf(out, size, "%.*s", (int)strcspn(line + 19, "\n"), line + 19);
    fclose(f);
}

static void count_pages(double *p, long bytes, long *count)
{
    enum { kAtOnce = 512 };
    void *pages[kAtOnce];
    int nodes[kAtOnce];
    for (long at = 0; at < bytes;) {
        long n = 0;
        for (; n < kAtOnce && at < bytes; at += kPage) pages[n++] = (char *)p + at;
        if (syscall(SYS_move_pages, 0, n, pages, NULL, nodes, 0)) die("move_pages");
        for (long i = 0; i < n; i++)
            if (nodes[i] >= 0 && nodes[i] < kMaxNodes) count[nodes[i]]++;
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    long bytes = (argc > 2 ? atol(argv[2]) : 8) << 20, n = bytes / (long)sizeof(double), count[kMaxNodes] = {0};
    int passes = argc > 3 ? atoi(argv[3]) : 8;
    double *a[kArrays];
    for (int i = 0; i < kArrays; i++) a[i] = array(bytes);
    for (int pass = 0; pass < passes; pass++) {
        double start = seconds();
        for (long i = 0; i < n; i++) a[0][i] = a[1][i] + 3.0 * a[2][i];
        printf("speed: %.1f MB/s\n", kArrays * (double)bytes / 1e6 / (seconds() - start));
    }
    char cpus[256] = "", line[1024];
    allowed_cpus(cpus, sizeof cpus);
    for (int i = 0; i < kArrays; i++) count_pages(a[i], bytes, count);
    int length = snprintf(line, sizeof line, "%s", cpus);
    for (int i = 0; i < kMaxNodes; i++)
        if (count[i]) length += snprintf(line + length, sizeof line - length, " %d:%ld", i, count[i]);
    line[length++] = '\n';
    int log = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (log < 0 || write(log, line, length) != length) die(argv[1]);
    const char *fail = getenv("TRIAD_FAIL_ON");
    if (fail && !strcmp(fail, cpus)) {
        fprintf(stderr, "triad: no room on CPUs %s\n", cpus);
        return 3;
    }
    return 0;
}
