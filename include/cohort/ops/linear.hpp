// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/linear.hpp: the products of a dense layer, alone and with gelu behind it.
#pragma once
#include <algorithm>
#include <cohort/concepts/fused.hpp>
#include <cohort/core/dtype.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/column_sum.hpp>
#include <cohort/ops/elementwise.hpp>
#include <cohort/ops/gelu.hpp>
#include <cohort/ops/matmul.hpp>
#include <cstddef>

namespace cohort::ops {

/// Rows that a fused backward works on together: what one pass has written, the next finds in L2.
/// TiledGemm sums rows in blocks of 256 anyway, so cutting there changes no bit.
inline constexpr int row_block = 256;

namespace detail {
/// f(first row, how many) for the blocks of `rows` rows; one empty block when there are none, so
/// that sums are written even then.
template <class F> void for_row_blocks(int rows, F f) {
  int row = 0;
  do f(row, std::min(row_block, rows - row));
  while ((row += row_block) < rows);
}
}  // namespace detail

namespace detail {
/// What follows a product: c += residual, piece by piece; both are [rows, n] without gaps.
template <class G, class T> auto adding(const Cpu<G>& cpu, const T* residual, T* c, int n) {
  return [&cpu, residual, c, n](int row, int rows, int column, int columns) {
    for (int r = row; r < row + rows; ++r) {
      const std::ptrdiff_t at = std::ptrdiff_t(r) * n + column;
      add_to(cpu, static_cast<std::size_t>(columns), c + at, residual + at);
    }
  };
}
/// The same for c *= factor.
template <class G, class T> auto multiplying(const Cpu<G>& cpu, const T* factor, T* c, int n) {
  return [&cpu, factor, c, n](int row, int rows, int column, int columns) {
    for (int r = row; r < row + rows; ++r) {
      const std::ptrdiff_t at = std::ptrdiff_t(r) * n + column;
      multiply(cpu, static_cast<std::size_t>(columns), static_cast<const T*>(c + at), factor + at,
               c + at);
    }
  };
}
}  // namespace detail

/// y = x w^T + bias.
///
/// Shapes   x[rows, In], w[Out, In], bias[Out] or nullptr, y[rows, Out].
/// Laws     a row's bits do not depend on the other rows (with TiledGemm).
template <int In, int Out, class G, class T>
void linear_forward(const Cpu<G>& cpu, int rows, const T* x, const T* w, const T* bias, T* y) {
  if (bias)
    matmul_bias<false, true>(cpu, rows, Out, In, x, In, w, In, bias, y, Out);
  else
    matmul<false, true>(cpu, rows, Out, In, x, In, w, In, 0, y, Out);
}

/// y = residual + x w^T + bias, added while the product's rows lie in L1.
///
/// Shapes   as above; residual[rows, Out] must not be y.
/// Laws     the bits of linear_forward and add.
template <int In, int Out, class G, class T>
void linear_forward(const Cpu<G>& cpu, int rows, const T* x, const T* w, const T* bias, T* y,
                    const T* residual) {
  matmul_then<false, true>(cpu, rows, Out, In, x, In, w, In, bias, y, Out,
                           detail::adding(cpu, residual, y, Out));
}

/// No y: nobody reads it. On any device.
template <int In, int Out, class Device, class T>
void linear_forward(const Device&, int, const T*, const T*, const T*, T*, NoResult::Data) {}

namespace detail {
template <int In, int Out, class G, class T>
void linear_gradients(const Cpu<G>& cpu, int rows, const T* x, const T* dy, accumulator_t<T>* dw,
                      accumulator_t<T>* db, bool first) {
  using D = accumulator_t<T>;
  if (db != nullptr) column_sum<Out>(cpu, rows, dy, db, first);
  if (dw != nullptr)
    matmul<true, false>(cpu, Out, In, rows, dy, Out, x, In, D(first ? 0 : 1), dw, In);
}
}  // namespace detail

/// db (+)= column sums of dy, dw (+)= dy^T x and dx = dy w.
///
/// Shapes   as linear_forward; db[Out]. `first`: dw and db are overwritten, else added to. Either may be
///          nullptr: not wanted. dx must not be dy. dw and db are of the accumulator type: float, not
///          rounded, for 16-bit T.
/// Laws     with TiledGemm, blocks of 256 rows one after the other give dw's and dx's bits of all rows.
template <int In, int Out, class G, class T>
void linear_backward(const Cpu<G>& cpu, int rows, const T* x, const T* w, const T* dy,
                     accumulator_t<T>* dw, accumulator_t<T>* db, bool first, T* dx) {
  detail::linear_gradients<In, Out>(cpu, rows, x, dy, dw, db, first);
  matmul<false, false>(cpu, rows, In, Out, dy, Out, w, In, 0, dx, In);
}

/// The same with dx = residual + dy w.
///
/// Shapes   residual[rows, In] must not be dx; it may be dy.
/// Laws     the bits of linear_backward and add.
template <int In, int Out, class G, class T>
void linear_backward(const Cpu<G>& cpu, int rows, const T* x, const T* w, const T* dy,
                     accumulator_t<T>* dw, accumulator_t<T>* db, bool first, T* dx,
                     const T* residual) {
  detail::linear_gradients<In, Out>(cpu, rows, x, dy, dw, db, first);
  matmul_then<false, false>(cpu, rows, In, Out, dy, Out, w, In, static_cast<const T*>(nullptr), dx,
                            In, detail::adding(cpu, residual, dx, In));
}

/// The same with dx = (dy w) times gelu's slope at what was x before gelu: x = gelu(z), dx becomes dz.
///
/// Laws     the bits of linear_backward and multiply.
template <int In, int Out, class G, class T, class How>
void linear_backward(const Cpu<G>& cpu, int rows, const T* x, const T* w, const T* dy,
                     accumulator_t<T>* dw, accumulator_t<T>* db, bool first, T* dx,
                     GeluSlope<How, T> slope) {
  detail::linear_gradients<In, Out>(cpu, rows, x, dy, dw, db, first);
  matmul_then<false, false>(cpu, rows, In, Out, dy, Out, w, In, static_cast<const T*>(nullptr), dx,
                            In, detail::multiplying(cpu, slope.at, dx, In));
}

/// y = gelu(x w^T + bias) and, unless slope is nullptr, the slope of gelu there, which is all that
/// backward needs of it. Both are computed while the product's rows lie in L1. (A GPU, which has
/// arithmetic to spare, keeps gelu's input in `slope`.)
///
/// Shapes   as linear_forward; slope[rows, Out].
/// Laws     the bits of linear_forward and activation_forward.
template <class How, int In, int Out, class G, class T>
void linear_gelu_forward(const Cpu<G>& cpu, int rows, const T* x, const T* w, const T* bias, T* y,
                         T* slope) {
  const auto activate = [&](int row, int count, int column, int columns) {
    const auto n = static_cast<std::size_t>(columns);
    for (int r = row; r < row + count; ++r) {
      const std::ptrdiff_t at = std::ptrdiff_t(r) * Out + column;
      if (slope)
        activation_forward<How>(cpu, n, y + at, y + at, slope + at);
      else
        activation_forward<How>(cpu, n, y + at, y + at);
    }
  };
  matmul_then<false, true>(cpu, rows, Out, In, x, In, w, In, bias, y, Out, activate);
}

/// Elements of scratch that linear_gelu_backward needs.
template <int Out> constexpr std::size_t linear_gelu_scratch(int rows) {
  return static_cast<std::size_t>(std::min(row_block, rows)) * Out;
}

/// dw, db and dx of y = gelu(x w^T + bias) from what forward left in `slope`. dw and db may be nullptr.
///
/// Shapes   as linear_backward; db[Out]; scratch[linear_gelu_scratch<Out>(rows)].
/// Laws     with TiledGemm dw and dx have the bits of activation_backward and linear_backward; db is the
///          sum of the blocks' column sums, in order.
template <class How, int In, int Out, class G, class T>
void linear_gelu_backward(const Cpu<G>& cpu, int rows, const T* x, const T* w, const T* slope,
                          const T* dy, accumulator_t<T>* dw, accumulator_t<T>* db, bool first,
                          T* dx, T* scratch) {
  detail::for_row_blocks(rows, [&](int row, int count) {
    const std::ptrdiff_t at = std::ptrdiff_t(row) * Out, in = std::ptrdiff_t(row) * In;
    const bool begins = first && row == 0;
    multiply(cpu, static_cast<std::size_t>(count) * Out, dy + at, slope + at, scratch);
    linear_backward<In, Out>(cpu, count, x + in, w, static_cast<const T*>(scratch), dw, db, begins,
                             dx + in);
  });
}

/// The same on a GPU: ops/cuda/linear.hpp.
template <int In, int Out, class T>
void linear_forward(const Cuda&, int rows, const T* x, const T* w, const T* bias, T* y);
template <int In, int Out, class T>
void linear_forward(const Cuda&, int rows, const T* x, const T* w, const T* bias, T* y,
                    const T* residual);
template <int In, int Out, class T>
void linear_backward(const Cuda&, int rows, const T* x, const T* w, const T* dy,
                     accumulator_t<T>* dw, accumulator_t<T>* db, bool first, T* dx);
template <int In, int Out, class T>
void linear_backward(const Cuda&, int rows, const T* x, const T* w, const T* dy,
                     accumulator_t<T>* dw, accumulator_t<T>* db, bool first, T* dx,
                     const T* residual);
template <int In, int Out, class T, class How>
void linear_backward(const Cuda&, int rows, const T* x, const T* w, const T* dy,
                     accumulator_t<T>* dw, accumulator_t<T>* db, bool first, T* dx,
                     GeluSlope<How, T> slope);
template <class How, int In, int Out, class T>
void linear_gelu_forward(const Cuda&, int rows, const T* x, const T* w, const T* bias, T* y,
                         T* slope);
template <class How, int In, int Out, class T>
void linear_gelu_backward(const Cuda&, int rows, const T* x, const T* w, const T* slope,
                          const T* dy, accumulator_t<T>* dw, accumulator_t<T>* db, bool first,
                          T* dx, T* scratch);

/// Elements of scratch that linear_gelu_backward needs on a GPU: gelu's whole gradient.
template <int Out> constexpr std::size_t linear_gelu_scratch_on_cuda(int rows) {
  return static_cast<std::size_t>(rows) * Out;
}

}  // namespace cohort::ops
