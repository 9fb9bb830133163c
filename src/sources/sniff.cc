#include "sources/sniff.h"

#include "base/numbers.h"
#include "base/text.h"
#include "sources/paste.h"

namespace numapin {
namespace {

bool has(std::string_view text, std::string_view words) { return text.find(words) != text.npos; }

/// Name of the first XML element, "" if the text does not start like XML. Skips declarations and comments.
std::string_view first_element(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  while (true) {
    text = trim(text);
    if (!text.starts_with('<')) return {};
    if (text.starts_with("<?") || text.starts_with("<!")) {
      const std::string_view end = text.starts_with("<!--") ? "-->" : ">";
      const auto at = text.find(end);
      if (at == text.npos) return {};
      text.remove_prefix(at + end.size());
      continue;
    }
    return text.substr(1, text.find_first_of(" \t\r\n/>", 1) - 1);
  }
}

/// A line of `lscpu --extended`: column names, CPU first.
bool is_lscpu_table_header(std::string_view line) {
  const auto words = split_words(unquote(line));
  if (words.size() < 2 || words[0] != "CPU") return false;
  for (auto w : words)
    if (w == "NODE" || w == "SOCKET" || w == "CORE" || w == "ONLINE") return true;
  return false;
}

bool is_gpu_name(std::string_view word) {
  return word.starts_with("GPU") && parse_number<int>(word.substr(3)).has_value();
}

/// A row "GPU0  X  NV4": a name and a cell that only a topology matrix has.
bool is_matrix_row(std::string_view line) {
  const auto words = split_words(line);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    auto name = words[i];
    if (const auto mark = name.find_last_of(":>#|"); mark != name.npos) name.remove_prefix(mark + 1);
    if (!is_gpu_name(name)) continue;
    auto cell = words[i + 1];
    if (cell == "|" && i + 2 < words.size()) cell = words[i + 2];
    if (parse_link(cell)) return true;
  }
  return false;
}

}  // namespace

bool looks_like_hwloc_xml(std::string_view text) { return first_element(text) == "topology"; }

bool looks_like_nccl_xml(std::string_view text) { return first_element(text) == "system"; }

bool looks_like_rocm_smi(std::string_view text) {
  return has(text, "(Topology) Numa") || (has(text, "between two GPUs") && has(text, "GPU"));
}

bool looks_like_smi_topo(std::string_view text) {
  if (looks_like_rocm_smi(text)) return false;
  const auto clean = clean_paste(text);
  if (has(clean, "CPU Affinity") && has(clean, "GPU")) return true;
  for (auto line : split_lines(clean))
    if (is_matrix_row(line)) return true;
  return false;
}

bool looks_like_numactl_hardware(std::string_view pasted) {
  const auto text = clean_paste(pasted);
  return has(text, "node distances:") || (has(text, "available:") && has(text, " nodes")) ||
         (has(text, "node 0 cpus:") && has(text, "size:"));
}

bool looks_like_lscpu(std::string_view pasted) {
  const auto text = clean_paste(pasted);
  if (has(text, "NUMA node(s):") || has(text, "On-line CPU(s)") || has(text, "Thread(s) per core:")) return true;
  if (has(text, "NUMA node") && has(text, " CPU(s):")) return true;
  for (auto line : split_lines(text))
    if (is_lscpu_table_header(line)) return true;
  return false;
}

bool looks_like_lspci_tree(std::string_view pasted) {
  const auto text = clean_paste(pasted);
  // "-[0000:00]-+-00.0" (one or several domains) and "+-[0000:e0]-+-00.0"
  for (auto line : split_lines(text)) {
    const auto open = line.find("-[");
    if (open == line.npos) continue;
    const auto close = line.find("]-", open);
    if (close != line.npos && line.substr(open, close - open).find(':') != line.npos) return true;
  }
  return false;
}

}  // namespace numapin
