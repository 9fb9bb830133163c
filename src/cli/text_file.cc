#include "cli/text_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace numapin::cli {

Result<std::string> read_text_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in) return bad_input("read " + file + ": " + std::strerror(errno));
  return text.str();
}

}  // namespace numapin::cli
