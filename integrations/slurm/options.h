// What a site writes in plugstack.conf and a user as --numapin=WORD,WORD…. Pure, and linked to nothing of Slurm's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace numapin_spank {

/// One list of words. A later word wins over an earlier one.
struct Options {
  bool on = true;
  std::string cpus = "node";         ///< "node", "l3", "exclusive"
  bool smt = true;
  std::string memory = "preferred";  ///< a memory mode of the C ABI's
  bool verbose = false, dry_run = false, strict = false;
  bool operator==(const Options&) const = default;
};

/// The words of --numapin, for help and for errors.
extern const char kWords[];

/// Applies "l3,memory=bind,verbose" to `to`. The word that is none, or "" for success; `to` then has the others.
std::string apply_words(std::string_view list, Options& to);

struct Site {
  Options defaults;
  bool forbids = false;               ///< users' words do not count, but for "verbose"
  std::string library = "libnumapin.so.0";
  std::string machine;                ///< a recorded machine to go by instead of this one's sysfs
  std::vector<std::string> mistakes;  ///< arguments that are none
};
/// Arguments of the plugin's line: WORD,…  forbid  library=FILE  machine=FILE
Site read_site(const std::vector<std::string_view>& arguments);

/// The site's words with the user's on top, as far as the site lets them.
struct Effective {
  Options options;
  std::string ignored;  ///< why the user's words, or some, do not count; "" where they do
};
Effective effective(const Site& site, const std::optional<std::string>& user);

/// "quiet,mask_cpu:0x3,0xc" and the like: each local task has CPUs of its own. False where that cannot be told.
bool has_own_masks(std::string_view cpu_bind, unsigned tasks);

}  // namespace numapin_spank
