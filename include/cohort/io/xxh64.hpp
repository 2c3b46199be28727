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
#include <vector>

namespace cohort::io {

/// The checksum XXH64 of a sequence of bytes: finds damage by accident, not by intent.
///
/// Cost     two multiplications and a rotation per 8 bytes, in four independent chains: about half the
///          speed of memory; of_two at the speed of memory. No allocation; 80 bytes.
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

  /// Of two sequences of the same length: together, where the target multiplies eight 64-bit words at once.
  static std::array<std::uint64_t, 2> of_two(std::span<const std::byte> a,
                                             std::span<const std::byte> b) {
    Xxh64 first, second;
#if defined(__AVX512DQ__) && !defined(__CUDACC__)
    const std::size_t whole = a.size() / stripe * stripe;
    consume_two(first, a.first(whole), second, b.first(whole));
    a = a.subspan(whole);
    b = b.subspan(whole);
#endif
    first.add(a);
    second.add(b);
    return {first.value(), second.value()};
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
#if defined(__AVX512DQ__) && !defined(__CUDACC__)
  /// The same of two new ones: their lanes side by side in a register of eight words.
  static void consume_two(Xxh64& first, std::span<const std::byte> a, Xxh64& second,
                          std::span<const std::byte> b) {
    using Half [[gnu::vector_size(stripe)]] = std::uint64_t;
    using Words [[gnu::vector_size(2 * stripe)]] = std::uint64_t;
    const auto join = [](const void* low, const void* high) -> Words {
      Half halves[2];
      std::memcpy(&halves[0], low, stripe);
      std::memcpy(&halves[1], high, stripe);
      return __builtin_shufflevector(halves[0], halves[1], 0, 1, 2, 3, 4, 5, 6, 7);
    };
    Words lanes = join(first.lanes_.data(), second.lanes_.data());
    for (std::size_t at = 0; at != a.size(); at += stripe) {
      lanes += join(a.data() + at, b.data() + at) * p2;
      lanes = (lanes << 31 | lanes >> 33) * p1;
    }
    std::memcpy(first.lanes_.data(), &lanes, stripe);
    std::memcpy(second.lanes_.data(), reinterpret_cast<const std::byte*>(&lanes) + stripe, stripe);
    first.length_ += a.size();
    second.length_ += b.size();
  }
#endif
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

/// Appends the checksum of each block of `block` bytes, the last of which may be shorter.
inline void xxh64_blocks(std::span<const std::byte> bytes, std::size_t block,
                         std::vector<std::uint64_t>& to) {
  for (; bytes.size() >= 2 * block; bytes = bytes.subspan(2 * block))
    for (const std::uint64_t hash : Xxh64::of_two(bytes.first(block), bytes.subspan(block, block)))
      to.push_back(hash);
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(block, bytes.size())))
    to.push_back(xxh64(bytes.first(std::min(block, bytes.size()))));
}

}  // namespace cohort::io
