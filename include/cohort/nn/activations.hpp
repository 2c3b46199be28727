// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/activations.hpp: elementwise layers: ReLU, GELU, SiLU.
#pragma once
#include <cohort/concepts/layer.hpp>
#include <cohort/ops/gelu.hpp>
#include <cohort/ops/relu.hpp>
#include <cohort/ops/silu.hpp>

namespace cohort::nn {

/// y = max(x, 0), exact in every type.
template <int C> struct ReLU {
  using Input = Features<C>;
  using Output = Features<C>;
  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P&, Tensor<const T, C, Where> x) {
    const auto y = ctx.like(x);
    ops::relu_forward(ctx.device(), x.size(), x.data, y.data);
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P&, const S& saved, Tensor<const T, C, Where> dy, const G&) {
    const auto dx = ctx.like(dy);
    ops::relu_backward(ctx.device(), dy.size(), saved["x"_p].data, dy.data, dx.data);
    return dx;
  }
};

/// y = x Phi(x): exact by default (PyTorch's nn.GELU()), Gelu<C, ops::GeluTanh> for the tanh form
/// (GPT-2).
/// Units    16-bit T: computed in fp32, rounded once.
/// Source   Hendrycks and Gimpel 2016, arXiv:1606.08415.
template <int C, class How = ops::GeluErf> struct Gelu {
  using Input = Features<C>;
  using Output = Features<C>;
  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P&, Tensor<const T, C, Where> x) {
    const auto y = ctx.like(x);
    ops::gelu_forward<How>(ctx.device(), x.size(), x.data, y.data);
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P&, const S& saved, Tensor<const T, C, Where> dy, const G&) {
    const auto dx = ctx.like(dy);
    ops::gelu_backward<How>(ctx.device(), dy.size(), saved["x"_p].data, dy.data, dx.data);
    return dx;
  }
};

/// y = x / (1 + e^-x), PyTorch's nn.SiLU().
/// Units    16-bit T: computed in fp32, rounded once.
/// Source   Elfwing, Uchibe and Doya 2017, arXiv:1702.03118.
template <int C> struct SiLU {
  using Input = Features<C>;
  using Output = Features<C>;
  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P&, Tensor<const T, C, Where> x) {
    const auto y = ctx.like(x);
    ops::silu_forward(ctx.device(), x.size(), x.data, y.data);
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P&, const S& saved, Tensor<const T, C, Where> dy, const G&) {
    const auto dx = ctx.like(dy);
    ops::silu_backward(ctx.device(), dy.size(), saved["x"_p].data, dy.data, dx.data);
    return dx;
  }
};

}  // namespace cohort::nn
