// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/sum.hpp: sums over ranks in one fixed order, element by element.
#pragma once
#include <cohort/core/dtype.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace cohort {

/// Element types that ranks can add up. 16-bit types are added in fp32 and rounded once, at the end.
template <class T>
concept Summable = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, bf16> ||
    std::same_as<T, fp16> || std::same_as<T, std::int32_t> || std::same_as<T, std::int64_t>;

namespace detail {

/// Integers are added as they are; floating point in accumulator_t.
template <class T>
using sum_t = typename std::conditional_t<std::integral<T>, std::type_identity<T>,
                                          std::type_identity<accumulator_t<T>>>::type;

/// Integer sums wrap: a loud overflow check belongs to whoever knows the magnitudes.
template <class T> constexpr T plus(T a, T b) {
  if constexpr (std::integral<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
  } else {
    return a + b;
  }
}

inline constexpr std::size_t sum_block = 512;  // elements: partial sums stay in the L1 cache

/// out[i] = the sum over ranks [first, first + span) of at(rank)[i], for at most sum_block elements.
///
/// The order is that of `for s = 1; s < N; s *= 2: a[r] += a[r + s] for r a multiple of 2 s`, that
/// is the tree that halves spans of a power of two; ranks beyond the last are absent. It depends
/// on the number of ranks only: bucketing, offsets and counts cannot change an element's bits.
template <Summable T, class At>
void sum_span(const At& at, int first, int span, int ranks, std::size_t n, sum_t<T>* out) {
  using A = sum_t<T>;
  while (span > 1 && first + span / 2 >= ranks) span /= 2;
  const T* a = at(first);
  if (span == 1) {
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<A>(a[i]);
  } else if (span == 2) {
    const T* b = at(first + 1);
    for (std::size_t i = 0; i < n; ++i) out[i] = plus(A(a[i]), A(b[i]));
  } else if (span == 4 && first + 3 < ranks) {
    const T *b = at(first + 1), *c = at(first + 2), *d = at(first + 3);
    for (std::size_t i = 0; i < n; ++i)
      out[i] = plus(plus(A(a[i]), A(b[i])), plus(A(c[i]), A(d[i])));
  } else {
    A right[sum_block];
    sum_span<T>(at, first, span / 2, ranks, n, out);
    sum_span<T>(at, first + span / 2, span / 2, ranks, n, right);
    for (std::size_t i = 0; i < n; ++i) out[i] = plus(out[i], right[i]);
  }
}

constexpr int sum_tree(int ranks) {
  return static_cast<int>(std::bit_ceil(static_cast<unsigned>(ranks)));
}

/// out[i] = the sum over all ranks of at(rank)[i].
template <Summable T, class At> void sum_into(const At& at, int ranks, std::size_t count, T* out) {
  sum_t<T> block[sum_block];
  for (std::size_t begin = 0; begin < count; begin += sum_block) {
    const std::size_t n = std::min(sum_block, count - begin);
    const auto from = [&](int r) { return at(r) + begin; };
    sum_span<T>(from, 0, sum_tree(ranks), ranks, n, block);
    for (std::size_t i = 0; i < n; ++i) out[begin + i] = static_cast<T>(block[i]);
  }
}

/// Both arrays become their sum: two ranks, the commonest world, in one pass.
template <Summable T> void sum_pair(T* __restrict a, T* __restrict b, std::size_t n) {
  using A = sum_t<T>;
  for (std::size_t i = 0; i < n; ++i) a[i] = b[i] = static_cast<T>(plus(A(a[i]), A(b[i])));
}

/// Every rank's array becomes the sum over all ranks.
template <Summable T, class At> void sum_in_place(const At& at, int ranks, std::size_t count) {
  if (ranks == 1 || count == 0) return;
  if (ranks == 2) return sum_pair<T>(at(0), at(1), count);
  T block[sum_block];
  for (std::size_t begin = 0; begin < count; begin += sum_block) {
    const std::size_t n = std::min(sum_block, count - begin);
    const auto from = [&](int r) { return static_cast<const T*>(at(r) + begin); };
    sum_into<T>(from, ranks, n, block);
    for (int r = 0; r < ranks; ++r) std::memcpy(at(r) + begin, block, n * sizeof(T));
  }
}

}  // namespace detail
}  // namespace cohort
