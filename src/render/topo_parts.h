// Parts of the drawings for people, and the words they share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "numapin/machine.h"
#include "render/topo.h"

namespace numapin::drawing {

constexpr std::string_view kBold = "\033[1m", kYellow = "\033[33m";

std::string painted(std::string_view color, std::string text, const TextStyle& style);
std::string plural(std::size_t n, std::string_view noun);
/// "0-3,5" of GPU or node numbers
std::string number_list(const std::vector<int>& numbers);
std::vector<std::string> words_of(std::string_view sentence);
/// A sentence wrapped to the width.
std::string paragraph(std::string_view first, std::string_view rest, std::string_view sentence, const TextStyle& style);

std::string distances(const Machine& m, const TextStyle& style);
std::string gpu_links(const Machine& m, const TextStyle& style);
std::string nearest_nic_lines(const Machine& m, const TextStyle& style);
/// What this process may use, where it is less than the machine has.
std::string allowance_lines(const System& s, const TextStyle& style);
/// The sentences of the two below.
std::vector<std::string> allowance_sentences(const System& s);
std::vector<std::string> note_sentences(const System& s);
/// Where facts come from when not from the kernel, what sources disagree on, what they could not read.
std::string notes(const System& s, const TextStyle& style);

}  // namespace numapin::drawing
