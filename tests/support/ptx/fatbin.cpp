// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/fatbin.cpp: headers of fat binaries: a wrapper, a header, and per part a header and its bytes.
#include <cstdint>
#include <cstring>
#include <support/ptx/fatbin.hpp>
#include <support/ptx/program.hpp>

namespace cohort::ptx {

namespace {
template <class T> T at(const std::byte* p, std::size_t offset) {
  T value;
  std::memcpy(&value, p + offset, sizeof value);
  return value;
}
constexpr std::uint32_t wrapper_magic = 0x466243b1, magic = 0xba55ed50;
constexpr std::uint16_t ptx = 1;
constexpr std::uint64_t compressed = 0x2000 | 0x8000;  // LZ4, zstd
}  // namespace

std::string text_of(const void* wrapper, unsigned architecture) {
  const auto* outer = static_cast<const std::byte*>(wrapper);
  if (outer == nullptr || at<std::uint32_t>(outer, 0) != wrapper_magic)
    throw Mistake("this is no fat binary");
  const auto* begin = at<const std::byte*>(outer, 8);
  if (at<std::uint32_t>(begin, 0) != magic) throw Mistake("this is no fat binary");
  const std::byte* part = begin + at<std::uint16_t>(begin, 6);
  const std::byte* end = part + at<std::uint64_t>(begin, 8);
  std::string found;
  std::uint32_t newest = 0;
  while (part < end) {
    const auto header = at<std::uint32_t>(part, 4), made_for = at<std::uint32_t>(part, 28);
    const auto bytes = at<std::uint64_t>(part, 8);
    if (at<std::uint16_t>(part, 0) == ptx && made_for >= newest && made_for <= architecture) {
      if ((at<std::uint64_t>(part, 40) & compressed) != 0)
        throw Mistake("the PTX is compressed: compile with nvcc --no-compress");
      newest = made_for;
      found.assign(reinterpret_cast<const char*>(part + header), bytes);
    }
    part += header + bytes;
  }
  if (found.empty())
    throw Mistake("there is no PTX for compute capability " + std::to_string(architecture) +
                  " in this program: compile for a virtual architecture too (-arch=compute_90)");
  return found;
}

}  // namespace cohort::ptx
