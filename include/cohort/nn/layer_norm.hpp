// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/layer_norm.hpp: normalisation of each row, with learned weight and bias.
#pragma once
#include <cohort/nn/linear.hpp>
#include <cohort/nn/norm_epsilon.hpp>
#include <cohort/ops/layer_norm.hpp>

namespace cohort::nn {

/// PyTorch's nn.LayerNorm over the last dimension: LayerNorm<C>, LayerNorm<C, NoBias>, and another Epsilon as
/// a std::ratio.
///
/// Shapes   x, y [rows, C], weight, bias [C]; keeps mean and 1/deviation of each row in fp32 (fp64
///          for double).
/// Units    16-bit T: everything inside is fp32, y and dx are rounded once; gradients stay fp32.
/// Source   Ba, Kiros, Hinton 2016, arXiv:1607.06450.
template <int C, class Bias = WithBias, class Epsilon = NormEpsilon> struct LayerNorm {
  static_assert(BiasOrNot<Bias> && detail::SmallRatio<Epsilon>,
                "cohort: after its width LayerNorm takes WithBias or NoBias, then epsilon as a "
                "std::ratio above 0 and below 1: LayerNorm<C, WithBias, std::ratio<1, 1000000>>. "
                "[cohort/nn/layer_norm.hpp]");
  static constexpr bool has_bias = std::is_same_v<Bias, WithBias>;
  using Weight = Initialised<Param<"weight", C>, init::Ones>;
  using Params = std::conditional_t<has_bias, cohort::Params<Weight, Param<"bias", C>>,
                                    cohort::Params<Weight>>;
  using Input = Features<C>;
  using Output = Features<C>;
  static constexpr bool adds_backward = true;

  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, C, Where> x) {
    using A = accumulator_t<T>;
    const auto y = ctx.like(x);
    const auto mean = ctx.template make<1, A>(x.rows);
    const auto rstd = ctx.template make<1, A>(x.rows);
    const T* bias = nullptr;
    if constexpr (has_bias) bias = p["bias"_p].data();
    ops::layer_norm_forward<C>(ctx.device(), x.rows.count(), x.data, p["weight"_p].data(), bias,
                               y.data, mean.data, rstd.data, detail::epsilon<Epsilon, A>);
    return Out{y, keep(ctx, "x"_p = x, "mean"_p = mean, "rstd"_p = rstd)};
  }
  /// `residual`: none, or what is added to dx.
  template <class Ctx, class P, class S, class T, class G, class Where, class... Residual>
  static auto backward(Ctx& ctx, const P& p, const S& s, Tensor<const T, C, Where> dy, const G& g,
                       Residual... residual) {
    const auto dx = ctx.like(dy);
    const auto dw = g["weight"_p].contribute();
    auto db = dw;
    if constexpr (has_bias)
      db = g["bias"_p].contribute();
    else
      db.data = nullptr;
    ops::layer_norm_backward<C>(ctx.device(), dy.rows.count(), s["x"_p].data, p["weight"_p].data(),
                                s["mean"_p].data, s["rstd"_p].data, dy.data, dx.data, dw.data,
                                db.data, dw.first, residual.data...);
    return dx;
  }
};

}  // namespace cohort::nn
