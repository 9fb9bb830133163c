// Many of something, for tests/soak/run: crowd processes|threads|mappings|forks N. Says "ready PID" when all are there and
// stays until its standard input ends; nothing outlives it. crowd peak FILE COMMAND...: its largest resident set, in kB.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static void sleep_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

static pid_t child(void) {
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return pid;
}

static void stay(void) {
  char c;
  printf("ready %d\n", getpid());
  fflush(stdout);
  while (read(0, &c, 1) > 0) {
  }
}

static void processes(long n) {
  for (long i = 0; i < n; ++i)
    if (child() == 0)
      for (;;) pause();
  stay();
}

static void* waits(void* unused) {
  for (;;) pause();
  return unused;
}

static void threads(long n) {
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 32 << 10);
  for (long i = 0; i < n; ++i)
    if (pthread_create(&thread, &attributes, waits, NULL) != 0) fail("pthread_create");
  stay();
}

// Neighbours of unlike protection do not merge.
static void mappings(long n) {
  const long page = sysconf(_SC_PAGESIZE);
  char* all = mmap(NULL, (size_t)(n * page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) fail("mmap");
  memset(all, 1, (size_t)(n * page));
  for (long i = 0; i < n; i += 2)
    if (mprotect(all + i * page, (size_t)page, PROT_READ) != 0) fail("mprotect");
  stay();
}

// N lines of descent: each child forks the next after 5 to 20 ms and ends 5 ms later, so that a parent's listing is old at once.
static void line(long number) {
  for (unsigned generation = 0;; ++generation) {
    if (getppid() == 1) exit(0);
    const pid_t next = child();
    if (next != 0) {
      sleep_ms(5 + (number * 7 + generation) % 16);
      int status;
      kill(next, SIGKILL);
      waitpid(next, &status, 0);
      continue;
    }
    if (child() == 0) {
      sleep_ms(3);
      _exit(0);
    }
    sleep_ms(20);
    _exit(0);
  }
}

static void forks(long n) {
  signal(SIGCHLD, SIG_IGN);
  for (long i = 0; i < n; ++i)
    if (child() == 0) {
      signal(SIGCHLD, SIG_DFL);
      line(i);
    }
  stay();
}

// A small program has to fork it: what the parent has resident counts as the child's until it calls exec.
static int peak(const char* file, char** command) {
  int status;
  struct rusage used;
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    execvp(command[0], command);
    _exit(127);
  }
  if (wait4(pid, &status, 0, &used) != pid) fail("wait4");
  FILE* out = fopen(file, "w");
  if (out == NULL || fprintf(out, "%ld\n", used.ru_maxrss) < 0 || fclose(out) != 0) fail(file);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char** argv) {
  if (argc > 3 && strcmp(argv[1], "peak") == 0) return peak(argv[2], argv + 3);
  const long n = argc == 3 ? atol(argv[2]) : 0;
  if (n < 1) return 2;
  if (strcmp(argv[1], "processes") == 0) processes(n);
  else if (strcmp(argv[1], "threads") == 0) threads(n);
  else if (strcmp(argv[1], "mappings") == 0) mappings(n);
  else if (strcmp(argv[1], "forks") == 0) forks(n);
  else return 2;
  return 0;
}
