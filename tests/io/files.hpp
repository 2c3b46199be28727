// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/files.hpp: whole files in and out, texts of errors, what a safetensors file says.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cohort/io/safetensors.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "support/message.hpp"
#include "support/temporary_directory.hpp"

namespace cohort::test {

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE_MESSAGE(in.good(), path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void put_bytes(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  REQUIRE_MESSAGE(out.good(), path.string());
}

inline std::string hexed(std::string_view bytes) {
  std::string out;
  for (const char c : bytes)
    for (const int shift : {4, 0})
      out += "0123456789abcdef"[static_cast<unsigned char>(c) >> shift & 15];
  return out;
}

/// All that a file says, in the form of tests/golden/safetensors_golden.py; the data by view() and,
/// which must be the same, by read().
inline std::string reading(const io::Safetensors& file) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : file.metadata()) {
    REQUIRE(file.metadata(key) == value);
    parts.push_back("@" + hexed(key) + "=" + hexed(value) + ";");
  }
  for (std::size_t i = 0; i < file.size(); ++i) {
    const io::StoredTensor t = file[i];
    std::string extents;
    for (const std::uint64_t extent : t.shape)
      extents += (extents.empty() ? "" : "x") + std::to_string(extent);
    const auto seen = file.view(t);
    std::string data(t.bytes(), '\0');
    file.read(t, 0, std::as_writable_bytes(std::span(data)));
    REQUIRE(std::ranges::equal(seen, std::as_bytes(std::span(data))));
    const auto found = file.find(t.name);
    REQUIRE((found && found->begin == t.begin && found->end == t.end && found->shape == t.shape));
    parts.push_back(hexed(t.name) + ":" + std::string(name(t.type)) + ":" + extents + ":" +
                    hexed(data) + ";");
  }
  std::sort(parts.begin(), parts.end());
  std::string out;
  for (const std::string& part : parts) out += part;
  return out.empty() ? "nothing" : out;
}

}  // namespace cohort::test
