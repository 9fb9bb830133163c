// A flow set as the table that share_max_min() takes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "numapin/analyze.h"

namespace numapin {

/// Routes found once, all from a part at a time; patterns over many subsets ask for the same ones again and again.
class RouteCache {
 public:
  explicit RouteCache(const LinkGraph& g);
  /// Null: there is no way. Stays valid.
  const Route* of(DeviceRef from, DeviceRef to);

 private:
  const LinkGraph& g_;
  std::vector<DeviceRef> ends_;
  std::map<DeviceRef, std::map<DeviceRef, std::optional<Route>>> routes_;
};

struct Prepared {
  Prepared(const LinkGraph& g, const FlowSet& set, RouteCache& routes);

  struct PreparedFlow {
    const Route* route = nullptr;
    std::size_t row = 0;  ///< in the table
    double share = 1;     ///< of the row's rate
  };
  std::vector<PreparedFlow> flows;      ///< as in the set
  std::vector<double> capacity;         ///< the graph's channels, then the flows' own limits
  std::vector<std::string> own_limits;  ///< why, of each own limit
  FlowTable table;

 private:
  void add(const FlowSet& set, const std::vector<std::size_t>& members);
};

}  // namespace numapin
