// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/sampler_golden.hpp: reads tests/golden/sampler.txt (see sampler_golden.py).
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace sampler_golden {

struct Line {
  std::string text;
  std::vector<std::uint64_t> arguments;
  std::size_t count = 0;
  std::uint64_t hash = 0;
  std::vector<std::uint64_t> head;  // the whole list where it has at most 64 indices
};

/// The lines that start with `kind`, which takes `num_arguments` numbers.
inline std::vector<Line> lines(const std::string& kind, std::size_t num_arguments) {
  const auto tests = std::filesystem::path(__FILE__).parent_path().parent_path();
  std::ifstream file(tests / "golden" / "sampler.txt");
  std::vector<Line> out;
  for (std::string text; std::getline(file, text);) {
    std::istringstream in(text);
    std::string word;
    if (!(in >> word) || word != kind) continue;
    Line line{.text = text.substr(0, 80),
              .arguments = std::vector<std::uint64_t>(num_arguments),
              .head = {}};
    for (auto& argument : line.arguments) in >> argument;
    in >> line.count >> std::hex >> line.hash >> std::dec >> word;
    for (std::uint64_t index = 0; in >> index;) line.head.push_back(index);
    out.push_back(line);
  }
  return out;
}

/// FNV-1a over the indices, four little-endian bytes each.
template <class List> std::uint64_t hash(const List& list) {
  std::uint64_t digest = 0xCBF29CE484222325u;
  for (const auto index : list) {
    for (int byte = 0; byte < 4; ++byte) {
      digest = (digest ^ (static_cast<std::uint64_t>(index) >> (8 * byte) & 0xFF)) * 0x100000001B3u;
    }
  }
  return digest;
}

/// True if `list` has the line's count, head and hash.
template <class List> bool equals(const Line& line, const List& list) {
  if (list.size() != line.count || line.head.size() > line.count) return false;
  for (std::size_t i = 0; i < line.head.size(); ++i) {
    if (static_cast<std::uint64_t>(list[i]) != line.head[i]) return false;
  }
  return hash(list) == line.hash;
}

}  // namespace sampler_golden
