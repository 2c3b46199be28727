// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/rng.hpp: random numbers without state: each is a function of (seed, stream, index).
#pragma once
#include <array>
#include <cmath>
#include <cohort/core/host_device.hpp>
#include <cstdint>
#include <numbers>

namespace cohort {

/// Philox4x32-10: 128 random bits for each of 2^128 counters, for each of 2^64 seeds.
///
/// Laws     equals the known-answer vectors of Random123 (tests/core/rng_test.cpp).
/// Source   Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
class Philox {
 public:
  using Counter = std::array<std::uint32_t, 4>;
  using Key = std::array<std::uint32_t, 2>;

  explicit constexpr Philox(Key key) : key_(key) {}
  explicit constexpr Philox(std::uint64_t seed) : key_{low(seed), high(seed)} {}

  constexpr Counter operator()(Counter c) const {
    Key k = key_;
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t a = std::uint64_t{0xD2511F53} * c[0];
      const std::uint64_t b = std::uint64_t{0xCD9E8D57} * c[2];
      c = {high(b) ^ c[1] ^ k[0], low(b), high(a) ^ c[3] ^ k[1], low(a)};
      k[0] += 0x9E3779B9u;
      k[1] += 0xBB67AE85u;
    }
    return c;
  }
  /// Block `block` of stream `stream`.
  constexpr Counter operator()(std::uint64_t stream, std::uint64_t block) const {
    return (*this)(Counter{low(block), high(block), low(stream), high(stream)});
  }

 private:
  static constexpr std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
  static constexpr std::uint32_t high(std::uint64_t x) {
    return static_cast<std::uint32_t>(x >> 32);
  }
  Key key_;
};

/// Keeps draws of one seed apart by what they are for. Parameter n uses stream n itself.
enum class RandomUse : std::uint8_t { parameters, data, layers, generation, rounding };

/// The stream number n of a use; n below 2^56.
constexpr std::uint64_t random_stream(RandomUse use, std::uint64_t n) {
  return static_cast<std::uint64_t>(use) << 56 | n;
}

/// 64 random bits.
constexpr std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  const auto w = Philox(seed)(stream, index >> 1);
  const std::size_t at = 2 * (index & 1);
  return std::uint64_t{w[at]} << 32 | w[at + 1];
}

/// A multiple of 2^-24 in [0, 1), each equally likely.
constexpr float uniform01(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  const std::uint32_t word = Philox(seed)(stream, index >> 2)[index & 3];
  return static_cast<float>(word >> 8) * 0x1p-24f;
}

/// An integer in [0, n), n >= 1. Some values are likelier than others by at most n / 2^64.
constexpr std::uint64_t uniform_below(std::uint64_t n, std::uint64_t seed, std::uint64_t stream,
                                      std::uint64_t index) {
  const std::uint64_t x = random_bits(seed, stream, index);  // the high word of x * n, by halves
  const std::uint64_t x0 = x & 0xFFFFFFFFu, x1 = x >> 32, n0 = n & 0xFFFFFFFFu, n1 = n >> 32;
  const std::uint64_t middle = (x0 * n0 >> 32) + (x1 * n0 & 0xFFFFFFFFu) + (x0 * n1 & 0xFFFFFFFFu);
  return x1 * n1 + (x1 * n0 >> 32) + (x0 * n1 >> 32) + (middle >> 32);
}

/// A draw from the normal distribution with mean 0 and deviation 1, at most 8.6 from 0.
///
/// Cost     one block, log, sqrt and a sine or cosine in double: about 50 ns.
/// Source   Box and Muller 1958; indices 2k and 2k + 1 are the two halves of pair k.
COHORT_HOST_DEVICE inline float normal(std::uint64_t seed, std::uint64_t stream,
                                       std::uint64_t index) {
  const auto w = Philox(seed)(stream, index >> 1);
  const std::uint64_t first = std::uint64_t{w[0]} << 32 | w[1];
  const std::uint64_t second = std::uint64_t{w[2]} << 32 | w[3];
  const double u = static_cast<double>((first >> 11) + 1) * 0x1p-53;  // (0, 1]: its log is finite
  const double turn = static_cast<double>(second >> 11) * 0x1p-53 * (2.0 * std::numbers::pi);
  const double radius = std::sqrt(-2.0 * std::log(u));
  return static_cast<float>(radius * ((index & 1) == 0 ? std::cos(turn) : std::sin(turn)));
}

}  // namespace cohort
