// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/batch_norm.hpp: normalisation of each column to mean 0 and variance 1, then weight and bias.
#pragma once
#include <cmath>
#include <cohort/core/dtype.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/column_sum.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>

namespace cohort::ops {

namespace detail {
/// Columns of a matrix, for sum_columns.
template <int C, class T, class Count>
[[gnu::always_inline]] inline auto at_row(const T* x, int row, int c, Count count) {
  return load(x + static_cast<std::size_t>(row) * C + c, count);
}
using first_sum = std::integral_constant<int, 0>;
using second_sum = std::integral_constant<int, 1>;
/// 1 / deviation of `count` columns; the lanes behind them are 0.
template <class A, class S, int Count>
[[gnu::always_inline]] inline Vec<A> inverse_deviation(const S* variance, A epsilon,
                                                       std::integral_constant<int, Count> count) {
  Vec<A> r{};
  const Vec<A> v = load(variance, count);
  for (int i = 0; i < Count; ++i) r[i] = A(1) / std::sqrt(v[i] + epsilon);
  return r;
}
}  // namespace detail

/// Mean and variance of every column.
///
/// Shapes   x [rows, C]; mean, variance [C].
/// Laws     two passes: the variance is the mean of squared differences, divided by the number of rows.
///          Rows are added in the order of detail::sum_columns.
template <int C, class G, class T, class A>
void batch_moments(const Cpu<G>&, int rows, const T* x, A* mean, A* variance) {
  const A n = static_cast<A>(rows);
  detail::sum_columns<C, 1, A>(
      rows,
      [&](int row, int c, auto count, auto add) {
        add(detail::first_sum{}, detail::at_row<C>(x, row, c, count));
      },
      [&](int c, const auto& sums, auto count) { store(mean + c, sums[0] / n, count); });
  detail::sum_columns<C, 1, A>(
      rows,
      [&](int row, int c, auto count, auto add) {
        const Vec<A> d =
            detail::at_row<C>(x, row, c, count) - load(static_cast<const A*>(mean + c), count);
        add(detail::first_sum{}, d * d);
      },
      [&](int c, const auto& sums, auto count) { store(variance + c, sums[0] / n, count); });
}

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, column by column.
///
/// Shapes   x, y [rows, C]; the others [C], mean and variance of T or of its accumulator_t.
/// Laws     an element's bits depend on its column's numbers only. y may be x.
/// Source   Ioffe and Szegedy 2015, arXiv:1502.03167.
template <int C, class G, class T, class S>
void normalise_columns(const Cpu<G>&, int rows, const T* x, const S* mean, const S* variance,
                       const T* weight, const T* bias, T* y,
                       accumulator_t<T> epsilon = accumulator_t<T>(1e-5)) {
  using A = accumulator_t<T>;
  alignas(register_bytes) A factor[C];
  for_vectors<C, A>([&](int c, auto count) {
    store(factor + c,
          detail::inverse_deviation(variance + c, epsilon, count) * load(weight + c, count), count);
  });
  for (int row = 0; row < rows; ++row, x += C, y += C)
    for_vectors<C, A>([&](int c, auto count) {
      const Vec<A> centred = load(x + c, count) - load(mean + c, count);
      store(y + c,
            fma(centred, load(static_cast<const A*>(factor + c), count), load(bias + c, count)),
            count);
    });
}

/// dx, dweight and dbias where mean and variance are those of x: batch_moments made them.
///
/// Shapes   x, dy, dx [rows, C]; the others [C]. `first`: dweight and dbias are overwritten, else added
///          to. dx may be dy.
/// Cost     x and dy are read twice.
template <int C, class G, class T, class A, class D>
void batch_norm_backward(const Cpu<G>&, int rows, const T* x, const A* mean, const A* variance,
                         const T* weight, const T* dy, T* dx, D* dweight, D* dbias, bool first,
                         A epsilon = A(1e-5)) {
  alignas(register_bytes) A rstd[C], mean_dy[C], mean_dot[C], factor[C];
  const A n = static_cast<A>(rows);
  for_vectors<C, A>([&](int c, auto count) {
    store(rstd + c, detail::inverse_deviation(variance + c, epsilon, count), count);
  });
  const auto column = [](const A* of, int c, auto count) { return load(of + c, count); };
  const auto normal = [&](Vec<A> v, int c, auto count) {
    return (v - column(mean, c, count)) * column(rstd, c, count);
  };
  detail::sum_columns<C, 2, A>(
      rows,
      [&](int row, int c, auto count, auto add) {
        const Vec<A> d = detail::at_row<C>(dy, row, c, count);
        add(detail::first_sum{}, d);
        add(detail::second_sum{}, d * normal(detail::at_row<C>(x, row, c, count), c, count));
      },
      [&](int c, const auto& sums, auto count) {
        detail::contribute(dbias + c, sums[0], first, count);
        detail::contribute(dweight + c, sums[1], first, count);
        store(mean_dy + c, sums[0] / n, count);
        store(mean_dot + c, sums[1] / n, count);
        store(factor + c, column(rstd, c, count) * load(weight + c, count), count);
      });
  for (int row = 0; row < rows; ++row, x += C, dy += C, dx += C)
    for_vectors<C, A>([&](int c, auto count) {
      const Vec<A> centred = load(dy + c, count) - column(mean_dy, c, count);
      const Vec<A> slope =
          fma(normal(load(x + c, count), c, count), -column(mean_dot, c, count), centred);
      store(dx + c, slope * column(factor, c, count), count);
    });
}

/// dx = dy weight / sqrt(variance + epsilon): where mean and variance are constants. dx may be dy.
template <int C, class G, class T, class S>
void normalise_columns_backward(const Cpu<G>&, int rows, const S* variance, const T* weight,
                                const T* dy, T* dx,
                                accumulator_t<T> epsilon = accumulator_t<T>(1e-5)) {
  using A = accumulator_t<T>;
  for (int row = 0; row < rows; ++row, dy += C, dx += C)
    for_vectors<C, A>([&](int c, auto count) {
      const Vec<A> r = detail::inverse_deviation(variance + c, epsilon, count);
      store(dx + c, load(dy + c, count) * (r * load(weight + c, count)), count);
    });
}

/// Adds samples times the mean, and times the unbiased variance, to the sums of running averages.
///
/// Shapes   all [C]. rows: what the variance was divided by, at least 2.
template <int C, class G, class A>
void add_moments(const Cpu<G>&, int rows, int samples, const A* mean, const A* variance,
                 A* mean_sum, A* variance_sum) {
  const A n = static_cast<A>(samples), unbiased = n * (A(rows) / A(rows - 1));
  for (int c = 0; c < C; ++c) {
    mean_sum[c] = std::fma(n, mean[c], mean_sum[c]);
    variance_sum[c] = std::fma(unbiased, variance[c], variance_sum[c]);
  }
}

// The same on a GPU: ops/cuda/batch_norm.hpp.
template <int C, class T, class A>
void batch_moments(const Cuda&, int rows, const T* x, A* mean, A* variance);
template <int C, class T, class S>
void normalise_columns(const Cuda&, int rows, const T* x, const S* mean, const S* variance,
                       const T* weight, const T* bias, T* y,
                       accumulator_t<T> epsilon = accumulator_t<T>(1e-5));
template <int C, class T, class A, class D>
void batch_norm_backward(const Cuda&, int rows, const T* x, const A* mean, const A* variance,
                         const T* weight, const T* dy, T* dx, D* dweight, D* dbias, bool first,
                         A epsilon = A(1e-5));
template <int C, class T, class S>
void normalise_columns_backward(const Cuda&, int rows, const S* variance, const T* weight,
                                const T* dy, T* dx,
                                accumulator_t<T> epsilon = accumulator_t<T>(1e-5));
template <int C, class A>
void add_moments(const Cuda&, int rows, int samples, const A* mean, const A* variance, A* mean_sum,
                 A* variance_sum);

}  // namespace cohort::ops
