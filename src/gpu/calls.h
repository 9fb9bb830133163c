// Calling a function of a vendor's table: noted for the watcher, checked, its status turned into an Error.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>

#include "gpu/runtime.h"

namespace numapin {

class Calls {
 public:
  using Describe = std::function<std::string(int status)>;
  Calls(CallNote* note, Describe describe) : note_(note), describe_(std::move(describe)) {}

  template <class... Parameters, class... Arguments>
  Result<void> operator()(const char* name, int (*function)(Parameters...), Arguments... arguments) const {
    if (function == nullptr) return fail(Error::Kind::kUnsupported, fmt::format("call {}: this driver does not have it", name));
    if (note_) note_->write(name);
    const int status = function(arguments...);
    if (note_) note_->write("");
    if (status == 0) return {};
    return fail(Error::Kind::kSystem, fmt::format("call {}: {}", name, describe_(status)));
  }

  /// Gives something back: nobody can do anything about a failure, but the first is kept.
  template <class... Parameters, class... Arguments>
  void give_back(const char* name, int (*function)(Parameters...), Arguments... arguments) {
    if (auto done = (*this)(name, function, arguments...); !done && first_not_given_back_.empty()) first_not_given_back_ = done.error().message;
  }
  const std::string& not_given_back() const { return first_not_given_back_; }

 private:
  CallNote* note_;
  Describe describe_;
  std::string first_not_given_back_;
};

}  // namespace numapin
