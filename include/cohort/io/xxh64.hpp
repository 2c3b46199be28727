// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/xxh64.hpp: the checksum XXH64, of bytes that are there at once or come in pieces.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace cohort::io {

/// The checksum XXH64 of a sequence of bytes: finds damage by accident, not by intent.
///
/// Cost     a multiplication and a rotation per 8 bytes, in four independent chains: near the speed
///          of memory. No allocation; 80 bytes.
/// Errors   none.
/// Laws     how the bytes are cut into pieces does not change the value; equal to the reference
///          implementation's (tests/io/xxh64_test.cpp).
/// Source   Y. Collet, xxHash fast digest algorithm, version 0.2.0, chapter "XXH64 algorithm".
class Xxh64 {
 public:
  explicit Xxh64(std::uint64_t seed = 0)
      : lanes_{seed + p1 + p2, seed + p2, seed, seed - p1}, seed_(seed) {}

  void add(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    std::size_t held = static_cast<std::size_t>(length_ % stripe);
    length_ += bytes.size();
    if (held != 0) {
      const std::size_t more = std::min(stripe - held, bytes.size());
      std::memcpy(rest_.data() + held, bytes.data(), more);
      bytes = bytes.subspan(more);
      if (held + more < stripe) return;
      consume(rest_);
    }
    const std::size_t whole = bytes.size() / stripe * stripe;
    consume(bytes.first(whole));
    bytes = bytes.subspan(whole);
    if (!bytes.empty()) std::memcpy(rest_.data(), bytes.data(), bytes.size());
  }

  /// Of everything added so far; more may be added afterwards.
  std::uint64_t value() const {
    std::uint64_t hash = length_ < stripe ? seed_ + p5 : merged();
    hash += length_;
    const std::byte* at = rest_.data();
    std::size_t left = static_cast<std::size_t>(length_ % stripe);
    for (; left >= 8; at += 8, left -= 8)
      hash = std::rotl(hash ^ round(0, load<std::uint64_t>(at)), 27) * p1 + p4;
    for (; left >= 4; at += 4, left -= 4)
      hash = std::rotl(hash ^ (load<std::uint32_t>(at) * p1), 23) * p2 + p3;
    for (; left > 0; ++at, --left)
      hash = std::rotl(hash ^ (std::to_integer<std::uint64_t>(*at) * p5), 11) * p1;
    hash = (hash ^ (hash >> 33)) * p2;
    hash = (hash ^ (hash >> 29)) * p3;
    return hash ^ (hash >> 32);
  }

 private:
  static_assert(std::endian::native == std::endian::little, "the words of XXH64 are little endian");
  static constexpr std::size_t stripe = 32;  // bytes: one word for each of the four lanes
  static constexpr std::uint64_t p1 = 0x9E3779B185EBCA87, p2 = 0xC2B2AE3D27D4EB4F,
                                 p3 = 0x165667B19E3779F9, p4 = 0x85EBCA77C2B2AE63,
                                 p5 = 0x27D4EB2F165667C5;

  template <class Word> static std::uint64_t load(const std::byte* from) {
    Word word;
    std::memcpy(&word, from, sizeof(word));
    return word;
  }
  static std::uint64_t round(std::uint64_t lane, std::uint64_t word) {
    lane = std::rotl(lane + word * p2, 31) * p1;
    // Four lanes in one vector register would take twice the time: its product of 64-bit words is slow.
    asm("" : "+r"(lane));
    return lane;
  }
  /// Takes whole stripes in.
  void consume(std::span<const std::byte> bytes) {
    auto [a, b, c, d] = lanes_;  // in registers
    const std::byte* const end = bytes.data() + bytes.size();
    for (const std::byte* at = bytes.data(); at != end; at += stripe) {
      a = round(a, load<std::uint64_t>(at));
      b = round(b, load<std::uint64_t>(at + 8));
      c = round(c, load<std::uint64_t>(at + 16));
      d = round(d, load<std::uint64_t>(at + 24));
    }
    lanes_ = {a, b, c, d};
  }
  std::uint64_t merged() const {
    std::uint64_t hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) +
                         std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_) hash = (hash ^ round(0, lane)) * p1 + p4;
    return hash;
  }

  std::array<std::uint64_t, 4> lanes_;
  std::array<std::byte, stripe> rest_{};  // the last length_ % stripe bytes
  std::uint64_t length_ = 0, seed_;
};

/// The checksum of bytes that are there at once.
inline std::uint64_t xxh64(std::span<const std::byte> bytes, std::uint64_t seed = 0) {
  Xxh64 hash(seed);
  hash.add(bytes);
  return hash.value();
}

}  // namespace cohort::io
