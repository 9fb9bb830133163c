#include "numapin/sources.h"
#include "sources/sniff.h"

namespace numapin {
namespace {

constexpr TextFormat kFormats[] = {
    {"hwloc XML", looks_like_hwloc_xml, from_hwloc_xml},
    {"NCCL topology XML", looks_like_nccl_xml, from_nccl_xml},
    {"rocm-smi --showtopo text", looks_like_rocm_smi, from_rocm_smi},
    {"nvidia-smi topo -m text", looks_like_smi_topo, from_smi_topo},
    {"numactl --hardware text", looks_like_numactl_hardware, from_numactl_hardware},
    {"lscpu text", looks_like_lscpu, from_lscpu},
    {"lspci -tv text", looks_like_lspci_tree, from_lspci_tree},
};

}  // namespace

std::span<const TextFormat> text_formats() { return kFormats; }

}  // namespace numapin
