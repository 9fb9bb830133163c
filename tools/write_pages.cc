// write_pages DIRECTORY: manual pages and completions of this build, for `cmake --install` and packages.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "cli/completion_scripts.h"
#include "cli/man_page.h"

namespace {

namespace fs = std::filesystem;

bool write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) std::cerr << "write_pages: cannot write " << path << '\n';
  return static_cast<bool>(file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: write_pages DIRECTORY\n";
    return 2;
  }
  using namespace numapin::cli;
  const fs::path top = argv[1];
  const auto pages = command_pages();
  bool good = write(top / "man1/numapin.1", man_page(pages));
  for (const auto& page : pages) good &= write(top / "man1" / ("numapin-" + page.name + ".1"), man_page(page));
  good &= write(top / "bash/numapin", bash_completion(pages)) && write(top / "zsh/_numapin", zsh_completion(pages)) &&
          write(top / "fish/numapin.fish", fish_completion(pages));
  return good ? 0 : 1;
}
