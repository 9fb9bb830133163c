/* plain_launch N COMMAND [ARG...]: the least a launcher can do: N forks and execs, N waits. What `numapin launch` is
 * measured against (scripts/bench-launch-ranks). */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int count = argc > 2 ? atoi(argv[1]) : 0;
  if (count < 1) {
    fprintf(stderr, "usage: plain_launch N COMMAND [ARG...]\n");
    return 2;
  }
  for (int rank = 0; rank < count; ++rank) {
    pid_t child = fork();
    if (child < 0) {
      perror("plain_launch: fork");
      return 1;
    }
    if (child == 0) {
      execvp(argv[2], argv + 2);
      _exit(127);
    }
  }
  int failed = 0, status = 0;
  while (wait(&status) > 0)
    if (status != 0) failed = 1;
  return failed;
}
