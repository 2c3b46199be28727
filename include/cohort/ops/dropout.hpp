// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/dropout.hpp: elements that are dropped at random; the others grow, so that the mean stays.
#pragma once
#include <algorithm>
#include <bit>
#include <cohort/core/random.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/philox.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace cohort::ops {

/// The share of elements that is dropped, to the nearest multiple of 2^-16: an element's 16 random bits
/// must reach `below`, or it is dropped. `scale` is that multiple's, so the mean stays what it was.
struct DropRate {
  std::uint32_t below;
  float scale;

  /// Num / Den, in [0, 1): from 1 - 2^-17 on one element in 65536 is kept.
  static constexpr DropRate of(std::intmax_t num, std::intmax_t den) {
    const auto share = static_cast<double>(num) / static_cast<double>(den);
    const auto below =
        std::min(std::uint32_t{65535}, static_cast<std::uint32_t>(share * 65536 + 0.5));
    return {below, 65536.0f / static_cast<float>(65536 - below)};
  }
  /// What an element is multiplied by.
  COHORT_HOST_DEVICE constexpr float factor(std::uint32_t half) const {
    return half >= below ? scale : 0.0f;
  }
};

namespace detail {
/// The factors of 8 philox_lanes elements, from block `block` of a draw on: element e has half e % 8 of its
/// block.
template <class A>
inline void drop_factors(DropRate rate, std::uint64_t seed, std::uint64_t stream,
                         std::uint64_t block, A* factors) {
  alignas(register_bytes) std::uint32_t words[4 * philox_lanes];
  philox_blocks(seed, stream, block, words);
  if constexpr (std::is_same_v<A, float> && std::endian::native == std::endian::little) {
    for (int e = 0; e < 8 * philox_lanes; e += lanes<float>) {
      Halves halves;
      std::memcpy(&halves, words + e / 2, sizeof halves);
      const auto kept = (as_upper_halves(halves) >> 16) >= rate.below;
      store(factors + e, select(kept, broadcast(rate.scale), Vec<float>{}));
    }
  } else {
    for (int w = 0; w < 4 * philox_lanes; ++w) {
      factors[2 * w] = static_cast<A>(rate.factor(words[w] & 0xffff));
      factors[2 * w + 1] = static_cast<A>(rate.factor(words[w] >> 16));
    }
  }
}

/// use(element, count, factors) for all elements of all samples, by whole blocks of the draw.
template <class A, class Use>
inline void for_drop_factors(Rows rows, std::size_t columns, DropRate rate, const Random& random,
                             Use use) {
  constexpr std::size_t batch = 8 * philox_lanes;
  const std::size_t of_sample = static_cast<std::size_t>(rows.tokens) * columns;
  const std::uint64_t seed = random.seed(), stream = random.stream();
  alignas(register_bytes) A factors[batch];
  for (int s = 0; s < rows.samples; ++s) {
    for (std::size_t e = 0; e < of_sample; e += batch) {
      drop_factors(rate, seed, stream, random.first_block(s) + e / 8, factors);
      use(static_cast<std::size_t>(s) * of_sample + e, std::min(batch, of_sample - e),
          static_cast<const A*>(factors));
    }
  }
}

/// A number of A as it is after it was stored as a T.
template <class T, class V> [[gnu::always_inline]] inline V as_stored(V value) {
  if constexpr (Float16<T>)
    return widen<T>(narrow<T>(value));
  else
    return value;
}
}  // namespace detail

/// y = x scale where the draw keeps an element, 0 x where it drops it: a NaN or an infinity is never hidden.
/// Its own backward: dx from dy.
///
/// Shapes   x, y [rows, columns]; y may be x.
/// Cost     one pass of 0.3 ns an element (AVX-512, in cache): eight elements share a block of Philox.
/// Laws     an element's factor depends on the draw, its sample and its place in it only.
/// Source   Srivastava et al. 2014, JMLR 15; PyTorch's inverted form.
template <class G, class T>
void dropout(const Cpu<G>&, Rows rows, std::size_t columns, DropRate rate, const Random& random,
             const T* x, T* y) {
  detail::for_drop_factors<accumulator_t<T>>(
      rows, columns, rate, random, [&](std::size_t at, std::size_t count, const auto* factors) {
        map(
            count, [](auto v, auto f) { return v * f; }, y + at, x + at, factors);
      });
}

/// y = residual + dropout(x); y may be residual or x.
///
/// Laws     of 16-bit elements both results are rounded: the bits of add after dropout. Of others their
///          sum is rounded once.
template <class G, class T>
void dropout_add(const Cpu<G>&, Rows rows, std::size_t columns, DropRate rate, const Random& random,
                 const T* residual, const T* x, T* y) {
  detail::for_drop_factors<accumulator_t<T>>(
      rows, columns, rate, random, [&](std::size_t at, std::size_t count, const auto* factors) {
        map(
            count,
            [](auto r, auto v, auto f) {
              if constexpr (Float16<T>)
                return r + detail::as_stored<T>(v * f);
              else
                return fma(v, f, r);
            },
            y + at, residual + at, x + at, factors);
      });
}

// The same on a GPU: ops/cuda/dropout.hpp.
template <class T>
void dropout(const Cuda&, Rows rows, std::size_t columns, DropRate rate, const Random& random,
             const T* x, T* y);
template <class T>
void dropout_add(const Cuda&, Rows rows, std::size_t columns, DropRate rate, const Random& random,
                 const T* residual, const T* x, T* y);

}  // namespace cohort::ops
