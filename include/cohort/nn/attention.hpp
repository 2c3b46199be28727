// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/attention.hpp: multi-head self-attention with its input and output projections.
#pragma once
#include <cohort/nn/linear.hpp>
#include <cohort/ops/attention.hpp>

namespace cohort::nn {

struct Causal {};
struct Bidirectional {};

/// Every head gets the same number of features.
template <int C, int Heads>
concept HeadsDivideWidth = (Heads > 0) && (C % Heads == 0);

namespace detail {
template <int C, int Heads> struct UnequalHeads {
  static void say() {
    static_assert(HeadsDivideWidth<C, Heads>,
                  "cohort: the width of attention must be a multiple of its heads. Write "
                  "Attention<C, Heads> with C = Heads x features of a head. "
                  "[cohort/nn/attention.hpp]");
  }
};
}  // namespace detail

/// Chosen only when the heads do not divide the width: says so in one sentence, then stops.
template <int C, int Heads, class Mask = Causal>
struct ScaledDotProduct : cohort::detail::RefusedLayer {
  static_assert(cohort::detail::said<detail::UnequalHeads<C, Heads>>());
};

/// Scaled dot-product attention over each sample's rows, without projections.
///
/// Shapes   x [samples * tokens, 3 C] = queries, keys, values side by side; y [samples * tokens,
///          C]. Keeps the log-sum-exp of each head's rows, qkv and y (both there already);
///          probabilities are recomputed in backward.
/// Units    16-bit T: scores, softmax, log-sum-exp and every sum are fp32; y and dx are rounded once.
/// Source   Vaswani et al. 2017, arXiv:1706.03762; Dao et al. 2022, arXiv:2205.14135.
template <int C, int Heads, class Mask>
requires HeadsDivideWidth<C, Heads>
struct ScaledDotProduct<C, Heads, Mask> {
  static constexpr bool causal = std::is_same_v<Mask, Causal>;
  static constexpr int head_dim = C / Heads;
  using Input = Features<3 * C>;
  using Output = Features<C>;

  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P&, Tensor<const T, 3 * C, Where> qkv) {
    using A = accumulator_t<T>;
    const auto y = ctx.template make<C>(qkv.rows);
    const auto lse = ctx.template make<Heads, A>(qkv.rows);
    A* scratch = ctx.template scratch<A>(scratch_elements<T, typename Ctx::device_type>(qkv.rows));
    ops::attention_forward<Heads, head_dim, causal>(ctx.device(), qkv.rows.samples, qkv.rows.tokens,
                                                    qkv.data, y.data, lse.data, scratch);
    return Out{y, keep(ctx, "qkv"_p = qkv, "y"_p = y.view(), "lse"_p = lse)};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P&, const S& s, Tensor<const T, C, Where> dy, const G&) {
    using A = accumulator_t<T>;
    const auto dqkv = ctx.template make<3 * C>(dy.rows);
    A* scratch = ctx.template scratch<A>(scratch_elements<T, typename Ctx::device_type>(dy.rows));
    ops::attention_backward<Heads, head_dim, causal>(ctx.device(), dy.rows.samples, dy.rows.tokens,
                                                     s["qkv"_p].data, s["y"_p].data, dy.data,
                                                     s["lse"_p].data, dqkv.data, scratch);
    return dqkv;
  }
  template <class T, class Device> static constexpr std::size_t scratch_bytes(Rows rows) {
    return scratch_elements<T, Device>(rows) * sizeof(accumulator_t<T>);
  }

 private:
  template <class T, class Device> static constexpr std::size_t scratch_elements(Rows rows) {
    if constexpr (std::is_same_v<Device, Cuda>)
      return ops::attention_scratch_on_cuda<Heads>(rows.samples, rows.tokens);
    else
      return ops::attention_scratch<head_dim, T>(rows.tokens);
  }
};

/// Linear -> ScaledDotProduct -> Linear: Attention<C, Heads>, Attention<C, Heads, Bidirectional,
/// NoBias>. Init and ProjectionInit initialise the weights of the first and the last.
///
/// Units    16-bit T: each of the three rounds its result once; inside they are fp32.
template <int C, int Heads, class Mask = Causal, class Bias = WithBias,
          class Init = init::UniformFanIn, class ProjectionInit = Init>
struct Attention {
  using Children = cohort::Children<Child<"qkv", Linear<C, 3 * C, Bias, Init>>,
                                    Child<"core", ScaledDotProduct<C, Heads, Mask>>,
                                    Child<"projection", Linear<C, C, Bias, ProjectionInit>>>;
  using Input = Features<C>;
  using Output = Features<C>;
  static constexpr bool adds_forward = true, adds_backward = true, skips_forward = true;

  /// `fused`: none, a residual that the projection adds, or NoResult.
  template <class Ctx, class P, class T, class Where, class... Fused>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, C, Where> x, Fused... fused) {
    const auto qkv = cohort::forward(ctx, p["qkv"_p], x);
    const auto core = cohort::forward(ctx, p["core"_p], qkv.y);
    const auto y = cohort::forward(ctx, p["projection"_p], core.y, fused...);
    return Out{y.y,
               keep(ctx, "qkv"_p = qkv.saved, "core"_p = core.saved, "projection"_p = y.saved)};
  }
  /// `residual`: none, or what is added to dx.
  template <class Ctx, class P, class S, class T, class G, class Where, class... Residual>
  static auto backward(Ctx& ctx, const P& p, const S& s, Tensor<const T, C, Where> dy, const G& g,
                       Residual... residual) {
    const auto far = ctx.opposite();
    const auto mark = ctx.results().mark();
    const auto dcore =
        cohort::backward(ctx, p["projection"_p], s["projection"_p], dy, g["projection"_p]);
    const auto dqkv = cohort::backward(far, p["core"_p], s["core"_p], dcore.view(), g["core"_p]);
    ctx.results().release(mark, ctx.end());
    return cohort::backward(ctx, p["qkv"_p], s["qkv"_p], dqkv.view(), g["qkv"_p], residual...);
  }
  template <class T> static constexpr BackwardBytes backward_bytes(Rows rows) {
    return {Tensor<T, C>::bytes(rows) + Tensor<T, 3 * C>::bytes(rows), Tensor<T, C>::bytes(rows)};
  }
};

}  // namespace cohort::nn
