// What analyze found, as text for people and as JSON (docs/analyze.md).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "numapin/analyze.h"
#include "render/topo.h"

namespace numapin {

struct PathsView {
  std::string hostname;
  const LinkGraph& graph;
  std::vector<PairTable> tables;
  bool every_pair = false;  ///< a line for each pair, not one for those that are alike
};
std::string paths_text(const PathsView& v, const TextStyle& style);
std::string paths_json(const PathsView& v);

/// A pattern, run; and run again where something was asked to be otherwise.
struct TrafficView {
  struct Run {
    std::string name;  ///< "load, memory local"; "with gpu3 at PCIe Gen3 x8"
    LinkGraph graph;
    Traffic traffic;
    Advice advice;
    std::size_t ring_gpus = 0;  ///< of an all-reduce ring over so many GPUs; 0: no ring
  };
  std::string hostname;
  std::vector<Run> runs;
};
std::string traffic_text(const TrafficView& v, const TextStyle& style);
std::string traffic_json(const TrafficView& v);

struct PlaceView {
  std::string hostname;
  Pattern pattern = Pattern::kRing;
  PlaceResult result;
  std::vector<NicPair> nics;  ///< of the best
  const Machine& machine;
};
std::string place_text(const PlaceView& v);
std::string place_json(const PlaceView& v);

struct FabricView {
  const Fabric& fabric;
  const FabricTraffic& traffic;
  bool aligned = true;
  std::size_t gpus = 0;  ///< of a machine
};
std::string fabric_text(const FabricView& v);
std::string fabric_json(const FabricView& v);

}  // namespace numapin
