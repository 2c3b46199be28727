// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/layer_norm.hpp: normalisation of each row to mean 0 and variance 1, then weight and bias.
#pragma once
#include <cmath>
#include <cohort/core/dtype.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>

namespace cohort::ops {

namespace detail {
/// `value` in the first `Count` lanes, `other` behind them.
template <int Count, class V>
[[gnu::always_inline]] inline V keep_first(V value, V other, std::integral_constant<int, Count>) {
  constexpr int all = lanes<element_t<V>>;
  for (int i = Count; i < all; ++i) value[i] = other[i];
  return value;
}

/// sum = f(sum, x[c]...) over a row, lane by lane, then the sum over the lanes.
template <int C, class A, class F, class... T>
[[gnu::always_inline]] inline A row_sum(F f, const T*... x) {
  Vec<A> sum{};
  for_vectors<C, A>(
      [&](int c, auto count) { sum = keep_first(f(sum, load(x + c, count)...), sum, count); });
  return sum_lanes<A>(sum);
}

/// value * factor, rounded to T where that has 16 bits, plus `other`.
template <class T, class A>
[[gnu::always_inline]] inline Vec<A> scaled_sum(Vec<A> value, A factor, Vec<A> other) {
  if constexpr (Float16<T>)
    return widen<T>(narrow<T>(value * factor)) + other;
  else
    return fma(value, factor, other);
}
}  // namespace detail

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias.
///
/// Shapes   x, y [rows, C]; weight, bias [C], bias may be nullptr; saved mean, rstd [rows].
/// Laws     two passes over a row that stays in L1: the variance is the mean of squared differences,
///          divided by C as PyTorch does. A row's bits do not depend on the other rows. y may be x.
///          Of 16-bit elements all that is fp32, and y is rounded once.
/// Source   Ba, Kiros, Hinton 2016, arXiv:1607.06450.
template <int C, class G, class T>
void layer_norm_forward(const Cpu<G>&, int rows, const T* x, const T* weight, const T* bias, T* y,
                        accumulator_t<T>* mean, accumulator_t<T>* rstd,
                        accumulator_t<T> epsilon = accumulator_t<T>(1e-5)) {
  using A = accumulator_t<T>;
  alignas(register_bytes) A wide_x[C], wide_w[C], wide_b[C];  // for 16 bits: widened once
  const A* w = widened<C>(weight, wide_w);
  const A* b = bias ? widened<C>(bias, wide_b) : nullptr;
  for (int row = 0; row < rows; ++row, x += C, y += C) {
    const A* v = widened<C>(x, wide_x);
    const A m = detail::row_sum<C, A>([](auto sum, auto e) { return sum + e; }, v) / A(C);
    const A variance =
        detail::row_sum<C, A>([m](auto sum, auto e) { return fma(e - m, e - m, sum); }, v) / A(C);
    const A r = A(1) / std::sqrt(variance + epsilon);
    for_vectors<C, A>([&](int c, auto count) {
      const Vec<A> normal = (load(v + c, count) - m) * r;
      const Vec<A> shift = b ? load(b + c, count) : Vec<A>{};
      store(y + c, fma(normal, load(w + c, count), shift), count);
    });
    mean[row] = m;
    rstd[row] = r;
  }
}

/// dx, and dweight and dbias summed over the rows in order. x is the forward's input. With a `residual`
/// dx = residual + that.
///
/// Shapes   x, dy, dx, residual [rows, C]; weight, dweight, dbias [C], dbias may be nullptr; mean, rstd
///          [rows]. `first`: dweight and dbias are overwritten, else added to. dx may be dy, and
///          residual either.
/// Cost     two row sums; 2 C accumulators on the stack, 5 C for 16-bit elements.
/// Laws     of 16-bit elements dx is rounded once, and its sum with a residual once more: the bits of add
///          after it; dweight and dbias stay fp32. Of others that sum alone is rounded.
template <int C, class G, class T, class D, class... Residual>
requires(sizeof...(Residual) <=
         1) void layer_norm_backward(const Cpu<G>&, int rows, const T* x, const T* weight,
                                     const accumulator_t<T>* mean, const accumulator_t<T>* rstd,
                                     const T* dy, T* dx, D* dweight, D* dbias, bool first,
                                     const Residual*... residual) {
  using A = accumulator_t<T>;
  alignas(register_bytes) A dw[C] = {}, db[C] = {};
  alignas(register_bytes) A wide_x[C], wide_dy[C], wide_w[C];  // for 16 bits: widened once
  const A* w = widened<C>(weight, wide_w);
  for (int row = 0; row < rows; ++row, x += C, dy += C, dx += C, ((residual += C), ...)) {
    const A *v = widened<C>(x, wide_x), *dv = widened<C>(dy, wide_dy);
    const A m = mean[row], r = rstd[row];
    Vec<A> sum{}, dot{};
    for_vectors<C, A>([&](int c, auto count) {
      const Vec<A> d = load(dv + c, count), normal = (load(v + c, count) - m) * r;
      const Vec<A> g = d * load(w + c, count);
      sum += g;
      dot = fma(g, normal, dot);
      store(dw + c, fma(d, normal, load(dw + c, count)), count);
      store(db + c, d + load(db + c, count), count);
    });
    const A c1 = sum_lanes<A>(sum) / A(C), c2 = sum_lanes<A>(dot) / A(C);
    for_vectors<C, A>([&](int c, auto count) {
      const Vec<A> normal = (load(v + c, count) - m) * r;
      const Vec<A> g = fma(load(dv + c, count), load(w + c, count), broadcast(-c1));
      const Vec<A> scaled = fma(normal, -c2, g);
      if constexpr (sizeof...(residual) == 0)
        store(dx + c, scaled * r, count);
      else
        store(dx + c, detail::scaled_sum<T>(scaled, r, load((residual + c)..., count)), count);
    });
  }
  for (int c = 0; c < C; ++c) dweight[c] = D(first ? dw[c] : A(dweight[c]) + dw[c]);
  if (dbias == nullptr) return;
  for (int c = 0; c < C; ++c) dbias[c] = D(first ? db[c] : A(dbias[c]) + db[c]);
}

// The same on a GPU: ops/cuda/layer_norm.hpp.
template <int C, class T>
void layer_norm_forward(const Cuda&, int rows, const T* x, const T* weight, const T* bias, T* y,
                        accumulator_t<T>* mean, accumulator_t<T>* rstd,
                        accumulator_t<T> epsilon = accumulator_t<T>(1e-5));
template <int C, class T, class D, class... Residual>
requires(sizeof...(Residual) <=
         1) void layer_norm_backward(const Cuda&, int rows, const T* x, const T* weight,
                                     const accumulator_t<T>* mean, const accumulator_t<T>* rstd,
                                     const T* dy, T* dx, D* dweight, D* dbias, bool first,
                                     const Residual*... residual);

}  // namespace cohort::ops
