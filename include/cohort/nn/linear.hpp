// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/linear.hpp: y = x W^T + b.
#pragma once
#include <cohort/concepts/layer.hpp>
#include <cohort/ops/column_sum.hpp>
#include <cohort/ops/default_gemm.hpp>

namespace cohort::nn {

/// Whether a layer has an additive parameter.
struct WithBias {};
struct NoBias {};

/// A dense layer, PyTorch's nn.Linear: Linear<In, Out>, Linear<In, Out, NoBias>, and an initialiser
/// of the weight as the fourth argument.
///
/// Shapes   x [rows, In], weight [Out, In], bias [Out], y [rows, Out].
/// Cost     forward 2 rows In Out operations, backward twice that.
/// Laws     tests/nn/linear_test.cpp (finite differences in fp64, PyTorch values).
template <int In, int Out_, class Bias = WithBias, class Init = init::UniformFanIn,
          class BiasInit = init::Zeros>
struct Linear {
  static constexpr bool has_bias = std::is_same_v<Bias, WithBias>;
  using Weight = Initialised<Param<"weight", Out_, In>, Init>;
  using Params =
      std::conditional_t<has_bias,
                         cohort::Params<Weight, Initialised<Param<"bias", Out_>, BiasInit>>,
                         cohort::Params<Weight>>;
  using Input = Features<In>;
  using Output = Features<Out_>;

  template <class Ctx, class P, class T>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, In> x) {
    const auto y = ctx.template make<Out_>(x.rows);  // (rows, Out)
    const T* w = p["weight"_p].data();               // (Out, In)
    const int rows = x.rows.count();
    if constexpr (has_bias) {
      matmul_bias<false, true>(ctx.device(), rows, Out_, In, x.data, In, w, In, p["bias"_p].data(),
                               y.data, Out_);
    } else {
      matmul<false, true>(ctx.device(), rows, Out_, In, x.data, In, w, In, T(0), y.data, Out_);
    }
    return Out{y, keep(ctx, "x"_p = x)};
  }

  template <class Ctx, class P, class S, class T, class G>
  static auto backward(Ctx& ctx, const P& p, const S& saved, Tensor<const T, Out_> dy, const G& g) {
    const int rows = dy.rows.count();
    const auto dw = g["weight"_p].contribute();
    matmul<true, false>(ctx.device(), Out_, In, rows, dy.data, Out_, saved["x"_p].data, In,
                        dw.first ? T(0) : T(1), dw.data, In);  // dW (+)= dy^T x
    if constexpr (has_bias) {
      const auto db = g["bias"_p].contribute();
      ops::column_sum<Out_>(ctx.device(), rows, dy.data, db.data, db.first);
    }
    const auto dx = ctx.template make<In>(dy.rows);
    matmul<false, false>(ctx.device(), rows, In, Out_, dy.data, Out_, p["weight"_p].data(), In,
                         T(0), dx.data, In);
    return dx;
  }
};

}  // namespace cohort::nn
