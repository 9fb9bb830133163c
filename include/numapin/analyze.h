// Which link limits what: a machine as a graph of links with capacities, the routes traffic takes on it, and what
// concurrent traffic gets by max-min fair sharing. Pure. Rates are GB/s (1e9 bytes a second) in one direction.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "numapin/machine.h"
#include "numapin/result.h"

namespace numapin {

struct Measured;  // measured.h: what `bench --out` wrote

// ---- the graph -------------------------------------------------------------------------------------------------------

/// Where a capacity comes from; only the first three speak of this very machine.
enum class Basis {
  kMeasured,   ///< by `bench` on this machine
  kHmat,       ///< firmware's HMAT, through the kernel
  kLink,       ///< computed from the link's rate and width
  kPublished,  ///< a published figure for this kind of part
  kGuess,      ///< as published, but something about it is assumed; `because` says what
  kUnlimited,  ///< on one die: never the limit in this model
  kUnknown,
};
std::string_view to_string(Basis b);

struct Capacity {
  std::optional<double> gb_per_s;  ///< nothing where basis is kUnlimited or kUnknown
  Basis basis = Basis::kUnknown;
  std::string because;             ///< "31.5 GB/s after 128b/130b, 0.86 of it after packet headers"
  bool operator==(const Capacity&) const = default;
};

struct Part {
  enum class Kind {
    kGpu,
    kNic,
    kWire,      ///< beyond a NIC's port
    kMemory,    ///< the memory of a node
    kNode,      ///< the CPUs of a node, and what hangs on them
    kSocket,
    kPci,       ///< a PCIe switch, or a port that several devices share
    kPackage,   ///< a PCI function that shows as several GPUs (AMD's partitions) or NICs: they share its link
    kNvSwitch,  ///< all NVSwitches of the machine, as one
    kUnplaced,  ///< where devices hang whose node no source tells
  } kind = Kind::kNode;
  int index = 0;     ///< Gpu::index, Nic::index, the node's number, or a running number
  std::string name;  ///< "GPU 0", "node 1", "switch 0000:1a:00.0"
  bool operator==(const Part&) const = default;
};

enum class LinkType { kMemory, kOnDie, kInterconnect, kPcie, kNvlink, kXgmi, kC2c, kPort };
std::string_view to_string(LinkType t);

/// What flows share: one direction of a link (both, for memory).
struct Channel {
  std::string name;  ///< "PCIe Gen4 x16 of GPU 0", "UPI, socket 0 to 1"
  std::string kind;  ///< "PCIe Gen4 x16", "UPI", "NV12": the same for all links of a kind
  LinkType type = LinkType::kOnDie;
  Capacity capacity;
  bool operator==(const Channel&) const = default;
};

/// One direction; where a card has several functions, or memory is read and written, edges share a channel.
struct Edge {
  int from = 0, to = 0, channel = 0;
  bool operator==(const Edge&) const = default;
};

/// How this machine's CPUs treat traffic of devices that passes them.
struct HostRules {
  double peer_weight = 1;  ///< bytes on the PCIe links for one byte from device to device through the CPU
  std::string peer_weight_because;
  std::optional<double> remote_read, remote_write;  ///< ceiling for a device that reads, writes the other socket's memory
  std::string remote_because;
  std::optional<double> remote_peer;                ///< ceiling between devices of two sockets
  std::string remote_peer_because;
  std::string remote_peer_unknown;                  ///< not empty: nobody can say, and this is why
  bool operator==(const HostRules&) const = default;
};

/// A pair that was measured as a whole.
struct MeasuredPair {
  DeviceRef from, to;
  double gb_per_s = 0;
  bool operator==(const MeasuredPair&) const = default;
};

struct LinkGraph {
  std::vector<Part> parts;
  std::vector<Channel> channels;
  std::vector<Edge> edges;          ///< by `from`
  HostRules rules;
  std::vector<MeasuredPair> measured;
  std::vector<std::string> notes;   ///< what is assumed for the whole machine, or cannot be known
  bool operator==(const LinkGraph&) const = default;
};

/// Every GPU, NIC (but virtual functions) and memory of the machine, connected. Capacities from `measured`, where it is
/// not null and says one; else from HMAT, the links, and published rates.
LinkGraph make_link_graph(const Machine& m, const Measured* measured = nullptr);

// ---- routes ----------------------------------------------------------------------------------------------------------

/// A channel on a route, and how many bytes of it one byte of the flow takes.
struct Use {
  std::uint32_t channel = 0;
  float weight = 1;
  bool operator==(const Use&) const = default;
};

/// Latency classes, nearest first.
enum class Reach { kDirect, kSwitch, kSwitches, kHost, kNode, kSocket, kUnknown };
std::string_view to_string(Reach r);

struct Route {
  std::vector<int> edges;             ///< in the order of travel
  std::vector<Use> uses;              ///< what it takes of each channel
  std::optional<double> gb_per_s;     ///< alone on the machine; nothing where nothing on the way is known
  std::optional<int> narrowest;       ///< the channel that limits it
  std::optional<double> ceiling;      ///< the host's own limit for this kind of traffic, where it has one
  std::string ceiling_because;        ///< or, where `gb_per_s` is from a measurement of this pair: says so
  Basis basis = Basis::kUnknown;      ///< of what limits it
  std::vector<int> unknown, guessed;  ///< channels of unknown capacity (the rate is then an upper bound), and guesses
  std::string cannot_know;            ///< not empty: why there is no figure
  Reach reach = Reach::kUnknown;
  bool operator==(const Route&) const = default;
};

/// The way from a GPU, a NIC's wire or a node's memory to another; nothing where the graph has no such part.
std::optional<Route> find_route(const LinkGraph& g, DeviceRef from, DeviceRef to);
/// All routes from one part; quicker than one by one. In the order of `to`; nothing for unknown parts.
std::vector<std::optional<Route>> find_routes(const LinkGraph& g, DeviceRef from, std::span<const DeviceRef> to);
/// "GPU 0 → PCIe Gen4 x16 → node 0 → UPI → node 1 → PCIe Gen4 x16 → GPU 4"
std::string route_text(const LinkGraph& g, const Route& r, std::string_view arrow = " -> ");

/// Routes from every row to every column; nothing where row and column are one.
struct PairTable {
  std::string title;  ///< "GPU to GPU"
  std::vector<DeviceRef> rows, columns;
  std::vector<std::vector<std::optional<Route>>> routes;
};
/// GPU to GPU, memory to GPU, GPU to memory, GPU to NIC; without the tables that would be empty.
std::vector<PairTable> all_pairs(const LinkGraph& g);

// ---- fair shares -----------------------------------------------------------------------------------------------------

/// Flows and what each uses, one after the other: flow f has uses[first[f]] up to uses[first[f + 1]].
struct FlowTable {
  std::vector<std::uint32_t> first{0};
  std::vector<Use> uses;

  void add(std::span<const Use> flow) {
    uses.insert(uses.end(), flow.begin(), flow.end());
    first.push_back(static_cast<std::uint32_t>(uses.size()));
  }
  std::size_t size() const { return first.size() - 1; }
};

inline constexpr std::uint32_t kNoChannel = 0xffffffff;

struct Shares {
  std::vector<double> rate;              ///< by flow; infinite where nothing limits it
  std::vector<std::uint32_t> limited_by; ///< by flow: the saturated channel that set its rate; kNoChannel: none
};
/// Max-min fair: no flow can get more without taking from one that has as little or less. `capacity` by channel,
/// infinite where there is no limit. Time and memory grow about linearly with the uses.
Shares share_max_min(std::span<const double> capacity, const FlowTable& flows);

// ---- traffic ---------------------------------------------------------------------------------------------------------

struct Flow {
  DeviceRef from, to;
  std::optional<double> wanted_gb_per_s;  ///< asks for no more than this
  bool operator==(const Flow&) const = default;
};

enum class Pattern {
  kLoad,       ///< every GPU reads host memory
  kSave,       ///< every GPU writes host memory
  kRing,       ///< all-reduce in one ring
  kTree,       ///< all-reduce in a binary tree, up and down at once
  kAllToAll,
  kPipeline,   ///< each GPU to the next
  kRdma,       ///< each GPU to and from the NIC paired with it
};
std::string_view to_string(Pattern p);
std::optional<Pattern> parse_pattern(std::string_view word);
std::string pattern_words();  ///< "load, save, ring, ..."

/// Where the memory of kLoad and kSave lies.
struct Binding {
  enum class Kind { kLocal, kNode, kInterleave } kind = Kind::kLocal;
  NodeId node{};
  bool operator==(const Binding&) const = default;
};
Result<Binding> parse_binding(std::string_view word);  ///< "local", "node1", "interleave"

/// The flows of a pattern over these GPUs in this order. Interleaved memory is one flow per node and GPU, tied (below).
struct FlowSet {
  std::vector<Flow> flows;
  std::vector<int> tie;  ///< by flow: flows of one number move at one rate as a whole (interleaved memory); empty: none
};
FlowSet flows_of(const Machine& m, const LinkGraph& g, Pattern p, std::span<const int> gpus, const Binding& binding = {});

/// A user's own flows, schema "numapin/flows/1" (docs/analyze.md); ends are "gpu0", "nic1", "node0".
Result<FlowSet> flows_from_json(std::string_view text);
/// "gpu0", "nic1", "node0": as in the flow files and options.
std::optional<DeviceRef> parse_end(std::string_view word);
std::string to_string(DeviceRef end);  ///< "GPU 0", "NIC 1", "memory of node 0"

struct FlowRate {
  Flow flow;
  std::optional<double> gb_per_s;      ///< nothing: nothing known limits it
  std::optional<int> limited_by;       ///< channel; nothing: its own ceiling or what it wants
  std::string why;                     ///< where no channel limits it: "asks for no more", "remote reads through QPI"
  bool is_bound = false;               ///< an upper bound only: a channel on the way is unknown
  std::string cannot_know;
};
struct Saturated {
  int channel = 0;
  int flows = 0;  ///< on it
};
struct Traffic {
  std::vector<FlowRate> flows;
  std::vector<Saturated> saturated;  ///< most flows first
  std::optional<double> slowest, total;
};
Traffic run_traffic(const LinkGraph& g, const FlowSet& flows);

/// Which link to fix first, and what it would bring, in one sentence; what to measure where that cannot be said.
struct Advice {
  std::string sentence;
  std::vector<int> channels;            ///< the link, or all links of a kind
  std::optional<double> slowest_after;  ///< with twice their capacity
};
Advice advise(const LinkGraph& g, const FlowSet& flows, const Traffic& now);

// ---- what if ---------------------------------------------------------------------------------------------------------

/// "gpu3=gen3x8": the link of a device at another speed; "move:gpu3=node1": the PCIe root it hangs on, switch and all, at
/// another node. Changes the machine; run make_link_graph() again.
Result<std::string> apply_what_if(Machine& m, std::string_view spec);

// ---- placement -------------------------------------------------------------------------------------------------------

struct Placing {
  std::vector<int> gpus;           ///< Gpu::index, ascending
  std::vector<int> ring;           ///< the same in the best ring order
  std::optional<double> slowest;   ///< GB/s of the slowest flow of the pattern
  bool exact = true;               ///< false: more than 16 GPUs, grown greedily
};
struct PlaceResult {
  Placing best, naive;  ///< naive: GPUs 0 to K-1 in that order
};
/// The `count` of `among` whose pattern runs best: slowest flow first, then what choose_best_connected() prefers.
Result<PlaceResult> place_gpus(const Machine& m, const LinkGraph& g, int count, Pattern p, std::vector<int> among);

struct NicPair {
  int gpu = 0, nic = 0;
  std::optional<double> gb_per_s;
  Reach reach = Reach::kUnknown;
};
/// A NIC for each GPU: the nearest, and of those the one that fewest GPUs have.
std::vector<NicPair> pair_nics(const Machine& m, const LinkGraph& g, std::span<const int> gpus);

// ---- fabrics ---------------------------------------------------------------------------------------------------------

/// Identical machines under a two-level fat tree; schema "numapin/fabric/1" (docs/analyze.md).
struct Fabric {
  int machines = 1;
  int leaves = 1, spines = 1;
  int links_per_pair = 1;                 ///< between a leaf and a spine
  double leaf_spine_gb_per_s = 50;        ///< of one such link
  std::optional<double> nic_gb_per_s;     ///< where the machine does not know its ports' rate
  bool rail_optimized = true;             ///< NIC r of every machine on a leaf of rail r; else all NICs of a machine on one
  bool spread = true;                     ///< traffic between leaves uses all spines evenly; false: one each, by hash
};
Result<Fabric> fabric_from_json(std::string_view text);

/// An all-reduce over every GPU of every machine: one ring per rail.
struct FabricTraffic {
  std::size_t flows = 0, channels = 0;
  double slowest = 0, total = 0;          ///< GB/s; total over all flows between machines
  std::string slowest_limited_by;
  struct Level {
    std::string name;                     ///< "NIC ports", "leaf to spine"
    std::size_t saturated = 0, of = 0;
  };
  std::vector<Level> levels;
  std::string sentence;                   ///< which level to fix first, and what it would bring
};
/// `aligned`: ring r leaves and enters machines by rail r; else it leaves by rail r and enters by rail r + 1.
Result<FabricTraffic> run_fabric(const Machine& m, const LinkGraph& g, const Fabric& f, bool aligned);

// ---- text --------------------------------------------------------------------------------------------------------------

/// The machine as NCCL_TOPO_FILE takes it. Measured PCIe rates are expressed as NCCL can: by the number of lanes.
std::string nccl_topology_xml(const Machine& m, const LinkGraph& g);

}  // namespace numapin
