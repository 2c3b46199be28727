// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/non_finite.hpp: are there NaN or infinities among numbers, how many, and where is the first?
#pragma once
#include <algorithm>
#include <bit>
#include <cohort/core/dtype.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace cohort::ops {

/// What of some numbers is not finite; first and value are meaningless when nothing is.
struct NonFiniteCount {
  std::size_t nans = 0, infinities = 0;
  std::size_t first = 0;
  double value = 0;
  explicit operator bool() const { return nans + infinities > 0; }
};

namespace detail {
template <std::size_t> struct unsigned_of;
template <> struct unsigned_of<2> { using type = std::uint16_t; };
template <> struct unsigned_of<4> { using type = std::uint32_t; };
template <> struct unsigned_of<8> { using type = std::uint64_t; };

/// A number's bits without the sign: what is not finite is not below infinity's.
template <class T> constexpr auto magnitude_bits(T x) {
  using U = typename unsigned_of<sizeof(T)>::type;
  return static_cast<U>(std::bit_cast<U>(x) & (std::numeric_limits<U>::max() >> 1));
}
template <class T> constexpr auto infinity_bits() {
  if constexpr (std::is_same_v<T, bf16>)
    return std::uint16_t{0x7f80};
  else if constexpr (std::is_same_v<T, fp16>)
    return std::uint16_t{0x7c00};
  else
    return magnitude_bits(std::numeric_limits<T>::infinity());
}
}  // namespace detail

/// Integers are compared, so that no flag of the compiler takes the question away.
///
/// Cost     one pass at the speed of memory.
template <class T> bool all_finite(const T* x, std::size_t n) {
  decltype(detail::magnitude_bits(T{})) most = 0;
  for (std::size_t i = 0; i < n; ++i) most = std::max(most, detail::magnitude_bits(x[i]));
  return most < detail::infinity_bits<T>();
}
/// Counts, in a second pass, where all_finite says that there is something to count.
template <class T> NonFiniteCount count_non_finite(const T* x, std::size_t n) {
  NonFiniteCount count;
  if (all_finite(x, n)) return count;
  for (std::size_t i = 0; i < n; ++i) {
    if (detail::magnitude_bits(x[i]) < detail::infinity_bits<T>()) continue;
    if (!count) {
      count.first = i;
      count.value = static_cast<double>(static_cast<accumulator_t<T>>(x[i]));
    }
    (detail::magnitude_bits(x[i]) > detail::infinity_bits<T>() ? count.nans : count.infinities) +=
        1;
  }
  return count;
}

}  // namespace cohort::ops
