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
/// Num sums over rows in one block of Width columns: value(row, i, count, add) calls add(k, vector) for
/// each of them, for the vector of `count` elements that begins i vectors into the block; done(i, totals,
/// count) gets the sums.
template <int Num, int Width, class A, class F, class Done>
[[gnu::always_inline]] inline void sum_block(int rows, F value, Done done) {
  constexpr int vectors = (Width + lanes<A> - 1) / lanes<A>;
  constexpr auto count = [](auto i) {
    constexpr int left = Width - i * lanes<A>;
    return std::integral_constant<int, (left < lanes<A> ? left : lanes<A>)>{};
  };
  Vec<A> total[vectors][Num] = {};
  for (int row = 0; row < rows;) {
    Vec<A> sum[vectors][Num] = {};
    const int end = row + 32 < rows ? row + 32 : rows;
    for (; row < end; ++row)
      repeat<vectors>(
          [&](auto i) { value(row, i, count(i), [&](auto k, Vec<A> v) { sum[i][k] += v; }); });
    repeat<vectors>([&](auto i) { repeat<Num>([&](auto k) { total[i][k] += sum[i][k]; }); });
  }
  repeat<vectors>([&](auto i) { done(i, total[i], count(i)); });
}

/// Num sums over rows of every column of C: value(row, c, count, add), done(c, totals, count), c being the
/// first column of a vector.
///
/// Laws     rows are added in order within blocks of 32 rows, whose sums are added in order; columns
///          never meet, so neither alignment nor C can change a bit.
template <int C, int Num, class A, class F, class Done>
void sum_columns(int rows, F value, Done done) {
  constexpr int width = 8 / Num * lanes<A>;  // eight sums in flight hide an addition's latency
  constexpr int whole = C / width * width;
  const auto block = [&](int first, auto size) {
    sum_block<Num, size, A>(
        rows,
        [&](int row, auto i, auto count, auto add) {
          value(row, first + i * lanes<A>, count, add);
        },
        [&](auto i, const auto& totals, auto count) { done(first + i * lanes<A>, totals, count); });
  };
  for (int c = 0; c < whole; c += width) block(c, std::integral_constant<int, width>{});
  if constexpr (whole < C) block(whole, std::integral_constant<int, C - whole>{});
}

/// to = sum, or to += sum.
template <class D, class V, class Count>
[[gnu::always_inline]] inline void contribute(D* to, V sum, bool first, Count count) {
  store(to, first ? sum : sum + load(static_cast<const D*>(to), count), count);
}
}  // namespace detail

/// db[c] (+)= sum over rows of dy[row, c].
///
/// Shapes   dy[rows, C], db[C]: fp32 for 16-bit dy. `first`: db is overwritten, else added to.
/// Laws     those of detail::sum_columns: every column's sum has one order.
template <int C, class G, class T, class D>
void column_sum(const Cpu<G>&, int rows, const T* dy, D* db, bool first) {
  using A = accumulator_t<T>;
  detail::sum_columns<C, 1, A>(
      rows,
      [&](int row, int c, auto count, auto add) {
        add(std::integral_constant<int, 0>{},
            load(dy + static_cast<std::size_t>(row) * C + c, count));
      },
      [&](int c, const auto& totals, auto count) {
        detail::contribute(db + c, totals[0], first, count);
      });
}

// The same on a GPU: ops/cuda/column_sum.hpp.
template <int C, class T, class D>
void column_sum(const Cuda&, int rows, const T* dy, D* db, bool first);

}  // namespace cohort::ops
