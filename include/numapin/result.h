// Errors as values. The library never prints, exits or throws across its API.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace numapin {

/// What went wrong. `message` says verb, object, reason: "read /proc/4242/numa_maps: Permission denied";
/// `hint` says what to do, in one line, and may be empty.
struct Error {
  enum class Kind {
    kNotFound,     ///< the thing does not exist (ENOENT, no such GPU)
    kNotRecorded,  ///< replaying a recording that never looked at this path
    kDenied,       ///< EACCES, EPERM
    kUnsupported,  ///< this kernel, driver or machine cannot do it
    kBadInput,     ///< the caller's text or option is wrong
    kSystem,       ///< any other failure of the operating system
  };
  Kind kind = Kind::kSystem;
  std::string message;
  std::string hint;

  bool operator==(const Error&) const = default;
};

using Unexpected = tl::unexpected<Error>;

/// A value or an Error: `Result<Machine> m = ...; if (!m) report(m.error()); use(*m);`
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

inline Unexpected fail(Error::Kind kind, std::string message, std::string hint = {}) {
  return Unexpected(Error{kind, std::move(message), std::move(hint)});
}
inline Unexpected bad_input(std::string message, std::string hint = {}) {
  return fail(Error::Kind::kBadInput, std::move(message), std::move(hint));
}

}  // namespace numapin

#define NUMAPIN_CAT2(a, b) a##b
#define NUMAPIN_CAT(a, b) NUMAPIN_CAT2(a, b)

/// `NUMAPIN_TRY(auto text, tree.read(path));` declares text, or returns the error to the caller.
#define NUMAPIN_TRY(decl, expr) NUMAPIN_TRY_IMPL(NUMAPIN_CAT(numapin_result_, __LINE__), decl, expr)
#define NUMAPIN_TRY_IMPL(tmp, decl, expr)                                   \
  auto tmp = (expr);                                                        \
  if (!tmp) return ::numapin::Unexpected(std::move(tmp).error());           \
  decl = std::move(*tmp)

/// `NUMAPIN_CHECK_OK(do_it());` returns the error to the caller, if there is one.
#define NUMAPIN_CHECK_OK(expr)                                              \
  do {                                                                      \
    if (auto numapin_status = (expr); !numapin_status)                      \
      return ::numapin::Unexpected(std::move(numapin_status).error());      \
  } while (false)
