// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/rms_norm.hpp: division of each row by its root mean square, with learned weight.
#pragma once
#include <cohort/concepts/layer.hpp>
#include <cohort/nn/norm_epsilon.hpp>
#include <cohort/ops/rms_norm.hpp>

namespace cohort::nn {

/// PyTorch's nn.RMSNorm over the last dimension with eps = 1e-5, as Llama's; Qwen's is RmsNorm<C, std::ratio<1,
/// 1000000>>.
///
/// Shapes   x, y [rows, C], weight [C]; keeps 1 / root mean square of each row in fp32 (fp64 for double).
/// Units    16-bit T: everything inside is fp32, y and dx are rounded once; the gradient stays fp32.
/// Source   Zhang and Sennrich 2019, arXiv:1910.07467.
template <int C, class Epsilon = NormEpsilon> struct RmsNorm {
  static_assert(detail::SmallRatio<Epsilon>,
                "cohort: RmsNorm takes epsilon as a std::ratio above 0 and below 1: RmsNorm<C, "
                "std::ratio<1, 1000000>>. [cohort/nn/rms_norm.hpp]");
  using Params = cohort::Params<Initialised<Param<"weight", C>, init::Ones>>;
  using Input = Features<C>;
  using Output = Features<C>;
  static constexpr bool adds_backward = true;

  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, C, Where> x) {
    const auto y = ctx.like(x);
    using A = accumulator_t<T>;
    const auto rstd = ctx.template make<1, A>(x.rows);
    ops::rms_norm_forward<C>(ctx.device(), x.rows.count(), x.data, p["weight"_p].data(), y.data,
                             rstd.data, detail::epsilon<Epsilon, A>);
    return Out{y, keep(ctx, "x"_p = x, "rstd"_p = rstd)};
  }
  /// `residual`: none, or what is added to dx.
  template <class Ctx, class P, class S, class T, class G, class Where, class... Residual>
  static auto backward(Ctx& ctx, const P& p, const S& s, Tensor<const T, C, Where> dy, const G& g,
                       Residual... residual) {
    const auto dx = ctx.like(dy);
    const auto dw = g["weight"_p].contribute();
    ops::rms_norm_backward<C>(ctx.device(), dy.rows.count(), s["x"_p].data, p["weight"_p].data(),
                              s["rstd"_p].data, dy.data, dx.data, dw.data, dw.first,
                              residual.data...);
    return dx;
  }
};

}  // namespace cohort::nn
