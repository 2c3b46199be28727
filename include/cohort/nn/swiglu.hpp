// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/swiglu.hpp: a gate of SiLU: what stands between the two Linears of LLaMA's feed-forward.
#pragma once
#include <cohort/concepts/layer.hpp>
#include <cohort/ops/swiglu.hpp>

namespace cohort::nn {

/// y = silu(gate) up, where x is [gate | up]: the rows of gate_proj's weight stand above those of up_proj's in
/// the Linear before it.
///
///   using FeedForward = nn::Sequential<nn::Linear<C, 2 * F, nn::NoBias>, nn::SwiGlu<F>, nn::Linear<F, C, nn::NoBias>>;
///
/// Shapes   x [rows, 2 C], y [rows, C].
/// Units    16-bit T: computed in fp32, rounded once.
/// Cost     keeps x.
/// Source   Shazeer 2020, arXiv:2002.05202.
template <int C> struct SwiGlu {
  using Input = Features<2 * C>;
  using Output = Features<C>;
  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P&, Tensor<const T, 2 * C, Where> x) {
    const auto y = ctx.template make<C>(x.rows);
    ops::swiglu_forward<C>(ctx.device(), x.rows.count(), x.data, y.data);
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P&, const S& saved, Tensor<const T, C, Where> dy, const G&) {
    const auto dx = ctx.template make<2 * C>(dy.rows);
    ops::swiglu_backward<C>(ctx.device(), dy.rows.count(), saved["x"_p].data, dy.data, dx.data);
    return dx;
  }
};

}  // namespace cohort::nn
