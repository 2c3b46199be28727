// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/column_sum.hpp: sums over rows, the gradient of a bias.
#pragma once
#include <cohort/core/dtype.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>

namespace cohort::ops {

namespace detail {
/// One block of Width columns (Width <= 8 vectors) of dy[rows, C].
template <int C, int Width, class T, class D>
void sum_columns(int rows, const T* dy, D* db, bool first) {
  using A = accumulator_t<T>;
  constexpr int num = (Width + lanes<A> - 1) / lanes<A>;
  constexpr auto count = [](auto i) {
    constexpr int left = Width - i * lanes<A>;
    return std::integral_constant<int, (left < lanes<A> ? left : lanes<A>)>{};
  };
  Vec<A> total[num] = {};
  for (int row = 0; row < rows;) {
    Vec<A> sum[num] = {};
    const int end = row + 32 < rows ? row + 32 : rows;
    for (; row < end; ++row, dy += C)
      repeat<num>([&](auto i) { sum[i] += load(dy + i * lanes<A>, count(i)); });
    repeat<num>([&](auto i) { total[i] += sum[i]; });
  }
  repeat<num>([&](auto i) {
    D* to = db + i * lanes<A>;
    store(to, first ? total[i] : total[i] + load(static_cast<const D*>(to), count(i)), count(i));
  });
}
}  // namespace detail

/// db[c] (+)= sum over rows of dy[row, c].
///
/// Shapes   dy[rows, C], db[C]: fp32 for 16-bit dy. `first`: db is overwritten, else added to.
/// Laws     rows are added in order within blocks of 32 rows, whose sums are added in order; columns
///          never meet, so neither alignment nor C can change a bit.
template <int C, class G, class T, class D>
void column_sum(const Cpu<G>&, int rows, const T* dy, D* db, bool first) {
  constexpr int width =
      8 * lanes<accumulator_t<T>>;  // eight sums in flight hide an addition's latency
  constexpr int whole = C / width * width;
  for (int c = 0; c < whole; c += width) detail::sum_columns<C, width>(rows, dy + c, db + c, first);
  if constexpr (whole < C) detail::sum_columns<C, C - whole>(rows, dy + whole, db + whole, first);
}

// The same on a GPU: ops/cuda/column_sum.hpp.
template <int C, class T, class D>
void column_sum(const Cuda&, int rows, const T* dy, D* db, bool first);

}  // namespace cohort::ops
