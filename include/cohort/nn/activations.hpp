// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/activations.hpp: elementwise layers: ReLU, GELU, SiLU, and functions of your own.
#pragma once
#include <cohort/concepts/layer.hpp>
#include <cohort/ops/gelu.hpp>
#include <cohort/ops/relu.hpp>
#include <cohort/ops/silu.hpp>

namespace cohort::nn {

/// y = F(x), element by element, on every device: F is one of those below or a type of yours
/// (ops/activation.hpp says what it has).
///
/// Units    16-bit T: computed in fp32, rounded once.
/// Cost     keeps x.
template <int C, class F> struct Activation {
  static_assert(
      ops::ElementFunction<F>,
      "cohort: F of Activation<C, F> has two static templates, V value(V x, Maths) and V "
      "slope(V x, Maths), for V = float, double and registers full of them: constants are V{} "
      "+ 0.5f, choices ops::select(x < V{}, a, b). docs/writing_a_layer.md shows one. "
      "[cohort/nn/activations.hpp]");
  using Input = Features<C>;
  using Output = Features<C>;
  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P&, Tensor<const T, C, Where> x) {
    const auto y = ctx.like(x);
    ops::activation_forward<F>(ctx.device(), x.size(), x.data, y.data);
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P&, const S& saved, Tensor<const T, C, Where> dy, const G&) {
    const auto dx = ctx.like(dy);
    ops::activation_backward<F>(ctx.device(), dy.size(), saved["x"_p].data, dy.data, dx.data);
    return dx;
  }
};

/// y = max(x, 0), exact in every type.
template <int C> struct ReLU : Activation<C, ops::Relu> {};

/// y = x Phi(x): exact by default (PyTorch's nn.GELU()), Gelu<C, ops::GeluTanh> for the tanh form
/// (GPT-2).
/// Source   Hendrycks and Gimpel 2016, arXiv:1606.08415.
template <int C, class How = ops::GeluErf> struct Gelu : Activation<C, How> {};

/// y = x / (1 + e^-x), PyTorch's nn.SiLU().
/// Source   Elfwing, Uchibe and Doya 2017, arXiv:1702.03118.
template <int C> struct SiLU : Activation<C, ops::Silu> {};

}  // namespace cohort::nn
