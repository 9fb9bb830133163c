// A shared library opened at run time, closed with the object.
#pragma once

#include <string>

#include "numapin/result.h"

namespace numapin {

class Library {
 public:
  /// Opens `name` as dlopen(3) finds it. Error kNotFound: there is no such library; kSystem: it does not load.
  static Result<Library> open(const std::string& name);
  Library(Library&& o) noexcept;
  Library& operator=(Library&& o) noexcept;
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library();

  /// Sets `function` to the symbol, or to null where the library lacks it.
  template <class Function>
  bool find(const char* symbol, Function*& function) const {
    function = reinterpret_cast<Function*>(address(symbol));
    return function != nullptr;
  }

 private:
  explicit Library(void* handle) : handle_(handle) {}
  void* address(const char* symbol) const;
  void* handle_ = nullptr;
};

}  // namespace numapin
