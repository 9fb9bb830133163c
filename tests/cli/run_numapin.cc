#include "run_numapin.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace numapin::test {
namespace {

using File = std::unique_ptr<FILE, int (*)(FILE*)>;

std::string content(FILE* file) {
  std::rewind(file);
  std::string text;
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), file)) > 0;) text.append(buffer.data(), n);
  return text;
}

[[noreturn]] void become(const std::string& shell, int in, int out, int err) {
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  for (const char* name : {"NO_COLOR", "COLUMNS", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
                           "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK"}) {
    unsetenv(name);
  }
  const char* path = std::getenv("PATH");
  setenv("PATH", (numapin_program().parent_path().string() + ":" + (path != nullptr ? path : "/usr/bin:/bin")).c_str(), 1);
  execl("/bin/sh", "sh", "-c", shell.c_str(), nullptr);
  _exit(127);
}

}  // namespace

std::filesystem::path numapin_program() { return NUMAPIN_PROGRAM; }

Ran run_shell(const std::string& shell) {
  const File in(std::tmpfile(), std::fclose), out(std::tmpfile(), std::fclose), err(std::tmpfile(), std::fclose);
  if (!in || !out || !err) return {};
  const pid_t child = fork();
  if (child == 0) become(shell, fileno(in.get()), fileno(out.get()), fileno(err.get()));
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return {};
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), content(out.get()), content(err.get())};
}

}  // namespace numapin::test
