#include "gpu/library.h"

#include <dlfcn.h>

#include <utility>

namespace numapin {

Result<Library> Library::open(const std::string& name) {
  void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return Library(handle);
  const char* said = dlerror();
  const std::string reason = said == nullptr ? "unknown reason" : said;
  const bool absent = reason.find("No such file") != std::string::npos;
  return fail(absent ? Error::Kind::kNotFound : Error::Kind::kSystem, "load " + name + ": " + reason);
}

Library::Library(Library&& o) noexcept : handle_(std::exchange(o.handle_, nullptr)) {}

Library& Library::operator=(Library&& o) noexcept {
  std::swap(handle_, o.handle_);
  return *this;
}

Library::~Library() {
  if (handle_ != nullptr) dlclose(handle_);
}

void* Library::address(const char* symbol) const { return dlsym(handle_, symbol); }

}  // namespace numapin
