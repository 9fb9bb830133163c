#include "os/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace numapin {
namespace {

/// 0, or the errno with which execve(2) would refuse the file.
int why_not_executable(const std::string& file) {
  struct stat st {};
  if (stat(file.c_str(), &st) != 0) return errno;
  if (S_ISDIR(st.st_mode)) return EISDIR;
  // faccessat asks for the effective user, as execve does; access(2) asks for the real one.
  return faccessat(AT_FDCWD, file.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

bool is_missing(int error) { return error == ENOENT || error == ENOTDIR; }

Unexpected refuse(const std::string& name, const std::string& file, int error) {
  if (is_missing(error)) {
    return fail(Error::Kind::kNotFound, fmt::format("run {}: command not found", name),
                name.find('/') != name.npos ? "is the path right?" : "is it in PATH? give a path, as in ./" + name);
  }
  return fail(Error::Kind::kDenied, fmt::format("run {}: {}", name, std::strerror(error)),
              error == EISDIR ? file + " is a directory" : "is it an executable file? chmod +x " + file);
}

}  // namespace

std::vector<char*> exec_pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const auto& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> shell_words(const std::string& file, const std::vector<std::string>& words) {
  std::vector<std::string> shell = {"/bin/sh", file};
  shell.insert(shell.end(), words.begin() + 1, words.end());
  return shell;
}

Error start_error(std::string_view name, int error) {
  Error e{is_missing(error) ? Error::Kind::kNotFound : Error::Kind::kDenied, fmt::format("run {}: {}", name, std::strerror(error)), {}};
  if (error == ENOENT) e.hint = "the file is there: its interpreter (the \"#!\" line) or loader is missing";
  if (error == ENOEXEC) e.hint = "it is built for another kind of machine, or is no program";
  return e;
}

Result<std::string> find_program(const std::string& name, std::string_view path_variable) {
  if (name.find('/') != name.npos) {
    if (const int error = why_not_executable(name)) return refuse(name, name, error);
    return name;
  }
  std::string denied_file;
  int denied = ENOENT;
  while (!name.empty()) {
    const auto colon = path_variable.find(':');
    const auto directory = path_variable.substr(0, colon);
    // An empty item of PATH is the working directory (POSIX, 8.3).
    const auto file = directory.empty() ? "./" + name : fmt::format("{}/{}", directory, name);
    const int error = why_not_executable(file);
    if (error == 0) return file;
    if (!is_missing(error)) {
      denied = error;
      denied_file = file;
    }
    if (colon == path_variable.npos) break;
    path_variable.remove_prefix(colon + 1);
  }
  return refuse(name, denied_file, denied);
}

Error become(const std::string& file, const std::vector<std::string>& words) {
  execve(file.c_str(), exec_pointers(words).data(), environ);
  if (errno == ENOEXEC) {
    const auto shell = shell_words(file, words);
    execve(shell[0].c_str(), exec_pointers(shell).data(), environ);
  }
  return start_error(words[0], errno);
}

}  // namespace numapin
