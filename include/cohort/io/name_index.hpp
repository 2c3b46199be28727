// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/name_index.hpp: names found by a keyed hash, 8 bytes a name, whoever chose the names.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::io {

namespace detail {

/// SipHash-1-3: nobody who does not know the key can choose names that collide.
///
/// Source   Aumasson and Bernstein 2012, "SipHash: a fast short-input PRF" (1 and 3 rounds).
class SipHash {
 public:
  constexpr SipHash(std::uint64_t key0, std::uint64_t key1)
      : v_{key0 ^ 0x736f6d6570736575, key1 ^ 0x646f72616e646f6d, key0 ^ 0x6c7967656e657261,
           key1 ^ 0x7465646279746573} {}

  std::uint64_t operator()(std::string_view s) const {
    std::array<std::uint64_t, 4> v = v_;
    std::uint64_t last = s.size() << 56;
    for (; s.size() >= 8; s.remove_prefix(8)) add(v, little_endian(s.substr(0, 8)));
    add(v, last |= little_endian(s));
    v[2] ^= 0xff;
    for (int i = 0; i < 3; ++i) round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
  }

 private:
  static std::uint64_t little_endian(std::string_view s) {
    std::uint64_t word = 0;
    if constexpr (std::endian::native == std::endian::little) {
      if (s.size() == 8) {
        std::memcpy(&word, s.data(), 8);
        return word;
      }
    }
    for (std::size_t i = 0; i < s.size(); ++i)
      word |= std::uint64_t{static_cast<unsigned char>(s[i])} << 8 * i;
    return word;
  }
  static void add(std::array<std::uint64_t, 4>& v, std::uint64_t word) {
    v[3] ^= word;
    round(v);
    v[0] ^= word;
  }
  static void round(std::array<std::uint64_t, 4>& v) {
    v[0] += v[1];
    v[1] = std::rotl(v[1], 13) ^ v[0];
    v[0] = std::rotl(v[0], 32);
    v[2] += v[3];
    v[3] = std::rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = std::rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = std::rotl(v[1], 17) ^ v[2];
    v[2] = std::rotl(v[2], 32);
  }

  std::array<std::uint64_t, 4> v_;
};

/// Sorts numbers whose upper bits are random: dealt in place to 1024 parts that fit in a cache.
inline void sort_random(std::span<std::uint64_t> numbers) {
  constexpr std::size_t parts = 1024;
  constexpr int shift = 64 - 10;
  if (numbers.size() < 4 * parts) return std::sort(numbers.begin(), numbers.end());
  std::vector<std::size_t> begin(parts + 1), next;
  for (const std::uint64_t x : numbers) ++begin[(x >> shift) + 1];
  for (std::size_t p = 0; p < parts; ++p) begin[p + 1] += begin[p];
  next = begin;
  for (std::size_t p = 0; p < parts; ++p) {
    while (next[p] < begin[p + 1]) {
      std::uint64_t& here = numbers[next[p]];
      if (here >> shift == p)
        ++next[p];
      else
        std::swap(here, numbers[next[here >> shift]++]);
    }
    std::sort(numbers.begin() + static_cast<std::ptrdiff_t>(begin[p]),
              numbers.begin() + static_cast<std::ptrdiff_t>(begin[p + 1]));
  }
}

}  // namespace detail

/// Finds the number of a name, and names that were added twice. Names are kept by the caller, who
/// says whether two numbers mean the same one.
///
/// Cost     8 bytes a name (at most 24 while it grows); every process draws a random key, so no
///          choice of names makes it slow.
/// Laws     what it answers does not depend on the key (tests/io/name_index_test.cpp).
class NameIndex {
 public:
  NameIndex() : NameIndex(process_key()[0], process_key()[1]) {}
  NameIndex(std::uint64_t key0, std::uint64_t key1) : hash_(key0, key1) {}

  std::uint32_t hash(std::string_view name) const {
    return static_cast<std::uint32_t>(hash_(name) >> 32);
  }
  std::size_t size() const { return names_.size(); }
  void add(std::uint32_t hash, std::uint32_t number) {
    names_.push_back(std::uint64_t{hash} << 32 | number);
  }

  /// Ends the adding. Two numbers of one name, the lower first, where there are any:
  /// same(a, b) compares.
  template <class Same>
  std::optional<std::pair<std::uint32_t, std::uint32_t>> sort_and_find_twice(Same same) {
    detail::sort_random(names_);
    for (std::size_t i = 0; i < names_.size(); ++i)
      for (std::size_t j = i + 1; j < names_.size() && names_[i] >> 32 == names_[j] >> 32; ++j)
        if (same(number(i), number(j))) return std::pair(number(i), number(j));
    return {};
  }
  /// The number for which is(number) says that it is the name of this hash.
  template <class Is> std::optional<std::uint32_t> find(std::uint32_t hash, Is is) const {
    auto at = std::lower_bound(names_.begin(), names_.end(), std::uint64_t{hash} << 32);
    for (; at != names_.end() && *at >> 32 == hash; ++at)
      if (is(static_cast<std::uint32_t>(*at))) return static_cast<std::uint32_t>(*at);
    return {};
  }

 private:
  /// Drawn once: random bits of the processor can take 40 us a word.
  static const std::array<std::uint64_t, 2>& process_key() {
    static const std::array<std::uint64_t, 2> key = [] {
      std::random_device device;
      const auto word = [&] { return std::uint64_t{device()} << 32 | device(); };
      return std::array{word(), word()};
    }();
    return key;
  }
  std::uint32_t number(std::size_t i) const { return static_cast<std::uint32_t>(names_[i]); }

  detail::SipHash hash_;
  std::vector<std::uint64_t> names_;  // hash, number
};

}  // namespace cohort::io
