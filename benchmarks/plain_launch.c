/* plain_launch N COMMAND [ARG...]: what `numapin launch --nproc N` does to its ranks, written as plainly as C allows and
 * without what makes numapin more than a loop. For each rank it makes two pipes and forks; the child takes a process
 * group of its own, dies with its parent, has /dev/null as input (but rank 0), binds itself to its share of the allowed
 * CPUs, sets the same fourteen variables, and execs. The parent polls the pipes, writes each line with
 * "[rank] " before it, and waits. It does not: discover the machine, read options, say which binding was refused, have a
 * guard against its own SIGKILL, take signals, or keep the last lines. scripts/bench-launch-ranks times both. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMaxRanks = 1024 };

struct stream {
  int fd, rank, to;
  size_t used;
  char line[8192];
};
static struct stream streams[2 * kMaxRanks];
static struct pollfd polled[2 * kMaxRanks];

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void set_number(const char *name, int value) {
  char text[16];
  snprintf(text, sizeof text, "%d", value);
  setenv(name, text, 1);
}

static void set_variables(int rank, int count, int cores) {
  set_number("RANK", rank);
  set_number("LOCAL_RANK", rank);
  set_number("WORLD_SIZE", count);
  set_number("LOCAL_WORLD_SIZE", count);
  set_number("GROUP_RANK", 0);
  set_number("GROUP_WORLD_SIZE", 1);
  set_number("ROLE_RANK", rank);
  set_number("ROLE_WORLD_SIZE", count);
  setenv("MASTER_ADDR", "127.0.0.1", 1);
  set_number("MASTER_PORT", 29500);
  set_number("PLAIN_RESTART_COUNT", 0);
  setenv("PLAIN_RUN_ID", "12345-1700000000000000000", 1);
  set_number("OMP_NUM_THREADS", cores);
  setenv("PYTHONUNBUFFERED", "1", 1);
}

/* Ranks take the allowed CPUs in turn; with fewer ranks than CPUs, a run of them each. */
static int share(const cpu_set_t *allowed, int rank, int count, cpu_set_t *out) {
  int total = CPU_COUNT(allowed), seen = 0, cores = 0;
  int first = count >= total ? rank % total : rank * total / count;
  int last = count >= total ? first + 1 : (rank + 1) * total / count;
  CPU_ZERO(out);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, allowed)) continue;
    if (seen >= first && seen < last) CPU_SET(cpu, out), ++cores;
    ++seen;
  }
  return cores;
}

static void become_rank(int rank, int count, const cpu_set_t *allowed, int out, int err, pid_t parent, char **words) {
  cpu_set_t cpus;
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  if (rank != 0) {
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0) dup2(null, 0);
  }
  dup2(out, 1);
  dup2(err, 2);
  int cores = share(allowed, rank, count, &cpus);
  sched_setaffinity(0, sizeof cpus, &cpus);
  set_variables(rank, count, cores);
  execvp(words[0], words);
  _exit(127);
}

static void write_line(const struct stream *s, const char *line, size_t size) {
  char text[sizeof s->line + 32];
  int head = snprintf(text, 32, "[%d] ", s->rank);
  memcpy(text + head, line, size);
  text[(size_t)head + size] = '\n';
  if (write(s->to, text, (size_t)head + size + 1) < 0) die("plain_launch: write");
}

static int read_stream(struct stream *s) {
  ssize_t got = read(s->fd, s->line + s->used, sizeof s->line - s->used);
  if (got <= 0) {
    if (s->used > 0) write_line(s, s->line, s->used);
    return 0;
  }
  s->used += (size_t)got;
  char *start = s->line, *end = s->line + s->used, *newline;
  while ((newline = memchr(start, '\n', (size_t)(end - start))) != NULL) {
    write_line(s, start, (size_t)(newline - start));
    start = newline + 1;
  }
  s->used = (size_t)(end - start);
  memmove(s->line, start, s->used);
  if (s->used == sizeof s->line) {
    write_line(s, s->line, s->used);
    s->used = 0;
  }
  return 1;
}

int main(int argc, char **argv) {
  int count = argc > 2 ? atoi(argv[1]) : 0, open_streams = 0, failed = 0, status = 0;
  cpu_set_t allowed;
  struct rusage usage;
  if (count < 1 || count > kMaxRanks) {
    fprintf(stderr, "usage: plain_launch N COMMAND [ARG...]\n");
    return 2;
  }
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) die("plain_launch: sched_getaffinity");
  pid_t parent = getpid();
  for (int rank = 0; rank < count; ++rank) {
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) die("plain_launch: pipe");
    pid_t child = fork();
    if (child < 0) die("plain_launch: fork");
    if (child == 0) become_rank(rank, count, &allowed, out[1], err[1], parent, argv + 2);
    close(out[1]);
    close(err[1]);
    for (int i = 0; i < 2; ++i) {
      struct stream *s = &streams[open_streams];
      s->fd = i == 0 ? out[0] : err[0];
      s->rank = rank;
      s->to = i + 1;
      polled[open_streams++] = (struct pollfd){s->fd, POLLIN, 0};
    }
  }
  for (int left = open_streams; left > 0;) {
    if (poll(polled, (nfds_t)open_streams, -1) < 0) die("plain_launch: poll");
    for (int i = 0; i < open_streams; ++i) {
      if (polled[i].revents == 0 || read_stream(&streams[i])) continue;
      close(polled[i].fd);
      polled[i].fd = -1; /* poll() passes it over */
      --left;
    }
  }
  while (wait4(-1, &status, 0, &usage) > 0)
    if (status != 0) failed = 1;
  return failed;
}
