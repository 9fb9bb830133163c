// One libFuzzer program for all targets; NUMAPIN_FUZZ_TARGET names the one to run ("list" prints them).
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "fuzz/target.h"

namespace {

const numapin::fuzz::Target* chosen = nullptr;

void choose() {
  static const auto all = numapin::fuzz::all_targets();
  const char* wanted = std::getenv("NUMAPIN_FUZZ_TARGET");
  for (const auto& target : all)
    if (wanted != nullptr && wanted == target.name) chosen = &target;
  if (chosen != nullptr) return;
  for (const auto& target : all) std::printf("%s\n", std::string(target.name).c_str());
  std::exit(wanted != nullptr && std::string_view(wanted) == "list" ? 0 : 2);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  choose();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    chosen->run({reinterpret_cast<const char*>(data), size});
  } catch (const numapin::fuzz::Broken& broken) {
    std::fprintf(stderr, "%s: %s\n", std::string(chosen->name).c_str(), broken.what());
    std::abort();
  }
  return 0;
}
