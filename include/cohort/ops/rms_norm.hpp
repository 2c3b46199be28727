// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/rms_norm.hpp: division of each row by its root mean square, then weight.
#pragma once
#include <cmath>
#include <cohort/core/dtype.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/layer_norm.hpp>
#include <cohort/ops/vector.hpp>

namespace cohort::ops {

/// y = x / sqrt(mean of x^2 + epsilon) * weight.
///
/// Shapes   x, y [rows, C]; weight [C]; saved rstd [rows], the factor of each row.
/// Laws     a row's bits do not depend on the other rows. y may be x. Of 16-bit elements all that is
///          fp32, and y is rounded once.
/// Source   Zhang and Sennrich 2019, arXiv:1910.07467.
template <int C, class G, class T>
void rms_norm_forward(const Cpu<G>&, int rows, const T* x, const T* weight, T* y,
                      accumulator_t<T>* rstd, accumulator_t<T> epsilon = accumulator_t<T>(1e-5)) {
  using A = accumulator_t<T>;
  alignas(register_bytes) A wide_x[C], wide_w[C];  // for 16 bits: widened once
  const A* w = widened<C>(weight, wide_w);
  for (int row = 0; row < rows; ++row, x += C, y += C) {
    const A* v = widened<C>(x, wide_x);
    const A square =
        detail::row_sum<C, A>([](auto sum, auto e) { return fma(e, e, sum); }, v) / A(C);
    const A r = A(1) / std::sqrt(square + epsilon);
    for_vectors<C, A>([&](int c, auto count) {
      store(y + c, (load(v + c, count) * r) * load(w + c, count), count);
    });
    rstd[row] = r;
  }
}

/// dx, and dweight summed over the rows in order. x is the forward's input. With a `residual`
/// dx = residual + that.
///
/// Shapes   x, dy, dx, residual [rows, C]; weight, dweight [C]; rstd [rows]. `first`: dweight is
///          overwritten, else added to. dx may be dy, and residual either.
/// Cost     one row sum; C accumulators on the stack, 4 C for 16-bit elements.
/// Laws     of 16-bit elements dx is rounded once, and its sum with a residual once more: the bits of add
///          after it; dweight stays fp32. Of others that sum alone is rounded.
template <int C, class G, class T, class D, class... Residual>
requires(sizeof...(Residual) <=
         1) void rms_norm_backward(const Cpu<G>&, int rows, const T* x, const T* weight,
                                   const accumulator_t<T>* rstd, const T* dy, T* dx, D* dweight,
                                   bool first, const Residual*... residual) {
  using A = accumulator_t<T>;
  alignas(register_bytes) A dw[C] = {};
  alignas(register_bytes) A wide_x[C], wide_dy[C], wide_w[C];  // for 16 bits: widened once
  const A* w = widened<C>(weight, wide_w);
  for (int row = 0; row < rows; ++row, x += C, dy += C, dx += C, ((residual += C), ...)) {
    const A *v = widened<C>(x, wide_x), *dv = widened<C>(dy, wide_dy);
    const A r = rstd[row];
    Vec<A> dot{};
    for_vectors<C, A>([&](int c, auto count) {
      const Vec<A> d = load(dv + c, count), normal = load(v + c, count) * r;
      dot = fma(d * load(w + c, count), normal, dot);
      store(dw + c, fma(d, normal, load(dw + c, count)), count);
    });
    const A mean = sum_lanes<A>(dot) / A(C);
    for_vectors<C, A>([&](int c, auto count) {
      const Vec<A> normal = load(v + c, count) * r, g = load(dv + c, count) * load(w + c, count);
      const Vec<A> scaled = fma(normal, -mean, g);
      if constexpr (sizeof...(residual) == 0)
        store(dx + c, scaled * r, count);
      else
        store(dx + c, detail::scaled_sum<T>(scaled, r, load((residual + c)..., count)), count);
    });
  }
  for (int c = 0; c < C; ++c) dweight[c] = D(first ? dw[c] : A(dweight[c]) + dw[c]);
}

// The same on a GPU: ops/cuda/rms_norm.hpp.
template <int C, class T>
void rms_norm_forward(const Cuda&, int rows, const T* x, const T* weight, T* y,
                      accumulator_t<T>* rstd, accumulator_t<T> epsilon = accumulator_t<T>(1e-5));
template <int C, class T, class D, class... Residual>
requires(sizeof...(Residual) <=
         1) void rms_norm_backward(const Cuda&, int rows, const T* x, const T* weight,
                                   const accumulator_t<T>* rstd, const T* dy, T* dx, D* dweight,
                                   bool first, const Residual*... residual);

}  // namespace cohort::ops
