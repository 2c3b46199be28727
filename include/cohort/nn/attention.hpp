// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/attention.hpp: multi-head self-attention with its input and output projections.
#pragma once
#include <algorithm>
#include <cohort/nn/linear.hpp>
#include <cohort/ops/attention.hpp>
#include <cohort/ops/rope.hpp>

namespace cohort::nn {

struct Causal {};
struct Bidirectional {};

/// One of the two.
template <class M>
concept AttentionMask = std::is_same_v<M, Causal> || std::is_same_v<M, Bidirectional>;
/// Every head gets the same number of features.
template <int C, int Heads>
concept HeadsDivideWidth = (Heads > 0) && (C > 0) && (C % Heads == 0);
/// Every key head is shared by the same number of query heads.
template <int Heads, int KvHeads>
concept KeyHeadsDivideHeads = (KvHeads > 0) && (Heads % KvHeads == 0);

namespace detail {
template <int C, int Heads> struct UnequalHeads {
  static void say() {
    static_assert(
        HeadsDivideWidth<C, Heads>,
        "cohort: the width of attention must be a multiple of its heads. Write "
        "Attention<C, Heads> with C = Heads x features of a head, or say how many features "
        "a head has: GroupedQueryAttention<C, Heads, KvHeads, HeadDim>. "
        "[cohort/nn/attention.hpp]");
  }
};
template <int Heads, int KvHeads> struct UnequalGroups {
  static void say() {
    static_assert(Heads <= 0 || KeyHeadsDivideHeads<Heads, KvHeads>,
                  "cohort: every key head must be shared by the same number of query heads: write "
                  "GroupedQueryAttention<C, Heads, KvHeads> with Heads a multiple of KvHeads. "
                  "[cohort/nn/attention.hpp]");
  }
};
template <class M> struct NoMask {
  static void say() {
    static_assert(
        AttentionMask<M>,
        "cohort: the mask of attention is Causal or Bidirectional, and stands before the "
        "bias: Attention<C, Heads, Causal, NoBias>, GroupedQueryAttention<C, Heads, KvHeads, "
        "HeadDim, Rope<>, Causal, WithBias>. [cohort/nn/attention.hpp]");
  }
};
/// 0 where the heads do not divide the width.
template <int C, int Heads> constexpr int head_dim() {
  if constexpr (HeadsDivideWidth<C, Heads>)
    return C / Heads;
  else
    return 0;
}
}  // namespace detail

/// Chosen only when heads or mask do not fit: says so in one sentence, then stops.
template <int C, int Heads, class Mask = Causal, int KvHeads = Heads>
struct ScaledDotProduct : cohort::detail::RefusedLayer {
  static_assert(cohort::detail::said<detail::UnequalHeads<C, Heads>>());
  static_assert(cohort::detail::said<detail::UnequalGroups<Heads, KvHeads>>());
  static_assert(cohort::detail::said<detail::NoMask<Mask>>());
};

/// Scaled dot-product attention over each sample's rows, without projections.
///
/// Shapes   x [samples * tokens, C + 2 KvHeads C / Heads] = queries, keys, values side by side; y [samples *
///          tokens, C]. Query head h reads key head h KvHeads / Heads. Keeps the log-sum-exp of each head's
///          rows, qkv and y (both there already); probabilities are recomputed in backward.
/// Units    16-bit T: scores, softmax, log-sum-exp and every sum are fp32; y and dx are rounded once.
/// Source   Vaswani et al. 2017, arXiv:1706.03762; Dao et al. 2022, arXiv:2205.14135; fewer key heads:
///          Ainslie et al. 2023, arXiv:2305.13245.
template <int C, int Heads, class Mask, int KvHeads>
requires HeadsDivideWidth<C, Heads> && KeyHeadsDivideHeads<Heads, KvHeads> && AttentionMask<Mask>
struct ScaledDotProduct<C, Heads, Mask, KvHeads> {
  static constexpr bool causal = std::is_same_v<Mask, Causal>;
  using QkvHeads = ops::AttentionHeads<Heads, KvHeads, C / Heads>;
  using Input = Features<QkvHeads::row>;
  using Output = Features<C>;

  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P&, Tensor<const T, QkvHeads::row, Where> qkv) {
    using A = accumulator_t<T>;
    const auto y = ctx.template make<C>(qkv.rows);
    const auto lse = ctx.template make<Heads, A>(qkv.rows);
    A* scratch = ctx.template scratch<A>(scratch_elements<T, typename Ctx::device_type>(qkv.rows));
    ops::attention_forward<QkvHeads, causal>(ctx.device(), qkv.rows.samples, qkv.rows.tokens,
                                             qkv.data, y.data, lse.data, scratch);
    return Out{y, keep(ctx, "qkv"_p = qkv, "y"_p = y.view(), "lse"_p = lse)};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P&, const S& s, Tensor<const T, C, Where> dy, const G&) {
    using A = accumulator_t<T>;
    const auto dqkv = ctx.template make<QkvHeads::row>(dy.rows);
    A* scratch = ctx.template scratch<A>(scratch_elements<T, typename Ctx::device_type>(dy.rows));
    ops::attention_backward<QkvHeads, causal>(ctx.device(), dy.rows.samples, dy.rows.tokens,
                                              s["qkv"_p].data, s["y"_p].data, dy.data,
                                              s["lse"_p].data, dqkv.data, scratch);
    return dqkv;
  }
  /// Scores and their product with v, once in forward; backward forms scores again, and four products more.
  static constexpr Work work(Rows rows) {
    const double keys = causal ? (rows.tokens + 1) / 2.0 : rows.tokens;
    const double product = 2.0 * rows.count() * keys * C;
    return {2 * product, 5 * product};
  }
  template <class T, class Device> static constexpr std::size_t scratch_bytes(Rows rows) {
    return scratch_elements<T, Device>(rows) * sizeof(accumulator_t<T>);
  }

 private:
  template <class T, class Device> static constexpr std::size_t scratch_elements(Rows rows) {
    if constexpr (std::is_same_v<Device, Cuda>)
      return ops::attention_scratch_on_cuda<QkvHeads>(rows.samples, rows.tokens);
    else
      return ops::attention_scratch<QkvHeads::head_dim, T>(rows.tokens);
  }
};

/// Where tokens stand is in x already: added to it, or it does not matter.
struct NoPositions {};

/// Rotary positions: pair i of a head's `pairs` turns by Base^(-i / pairs) radians a token. A type of your own
/// with such an `of_pair` serves as well, say one that scales the slow pairs for longer texts.
///
/// Source   Su et al. 2021, arXiv:2104.09864. Llama 2: Rope<>, Llama 3: Rope<500000>, Qwen2: Rope<1000000>.
template <int Base = 10000> struct Rope : ops::RotaryAngles<Base> {};

/// Linear -> ScaledDotProduct -> Linear, between them the positions of queries and keys: what Attention and
/// GroupedQueryAttention are. HeadDim need not be C / Heads. Init and ProjectionInit initialise the weights
/// of the first and the last.
///
/// Shapes   weight of "qkv": the rows of q_proj stand above those of k_proj, and v_proj's below.
/// Units    16-bit T: each of the three rounds its result once, as do positions; inside they are fp32.
template <int C, int Heads, int KvHeads, int HeadDim, class Positions, class Mask, class Bias,
          class Init, class ProjectionInit, class ProjectionBias>
struct SelfAttention {
  static_assert(HeadDim >= 0,
                "cohort: HeadDim, the features of a head, is a number above zero. "
                "[cohort/nn/attention.hpp]");
  static constexpr bool turns = !std::is_same_v<Positions, NoPositions>;
  static_assert(
      !turns || requires { double{Positions::of_pair(0, 1)}; },
      "cohort: positions of attention are NoPositions, Rope<Base>, or a type with static "
      "double of_pair(int pair, int pairs), in radians a token. [cohort/nn/attention.hpp]");
  static_assert(!turns || HeadDim % 2 == 0,
                "cohort: rotary positions turn pairs of features: give heads an even number of "
                "them (HeadDim, which is C / Heads unless given), or take NoPositions. "
                "[cohort/nn/attention.hpp]");
  // Heads that do not fit: ScaledDotProduct says so.
  static constexpr int width = HeadDim >= 1 ? Heads * HeadDim : C;
  static constexpr int qkv_width = HeadDim >= 1 ? width + 2 * KvHeads * HeadDim : 3 * C;
  using Children =
      cohort::Children<Child<"qkv", Linear<C, qkv_width, Bias, Init>>,
                       Child<"core", ScaledDotProduct<width, Heads, Mask, KvHeads>>,
                       Child<"projection", Linear<width, C, ProjectionBias, ProjectionInit>>>;
  using Input = Features<C>;
  using Output = Features<C>;
  static constexpr bool adds_forward = true, adds_backward = true, skips_forward = true;

  /// `fused`: none, a residual that the projection adds, or NoResult.
  template <class Ctx, class P, class T, class Where, class... Fused>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, C, Where> x, Fused... fused) {
    const auto qkv = cohort::forward(ctx, p["qkv"_p], x);
    if constexpr (turns && fits)  // in place: backward does not read what the Linear wrote
      ops::rope_forward<QkvHeads, Positions>(ctx.device(), x.rows.samples, x.rows.tokens,
                                             cohort::detail::overwritten(qkv.y.view()).data);
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
    if constexpr (turns && fits)
      ops::rope_backward<QkvHeads, Positions>(ctx.device(), dy.rows.samples, dy.rows.tokens,
                                              cohort::detail::overwritten(dqkv.view()).data);
    ctx.results().release(mark, ctx.end());
    return cohort::backward(ctx, p["qkv"_p], s["qkv"_p], dqkv.view(), g["qkv"_p], residual...);
  }
  template <class T> static constexpr BackwardBytes backward_bytes(Rows rows) {
    const std::size_t dx = Tensor<T, C>::bytes(rows);
    return {std::max(Tensor<T, width>::bytes(rows), dx) + Tensor<T, qkv_width>::bytes(rows), dx};
  }

 private:
  static constexpr bool fits =
      HeadDim > 0 && HeadDim % 2 == 0 && KeyHeadsDivideHeads<Heads, KvHeads>;
  using QkvHeads = ops::AttentionHeads<Heads, KvHeads, HeadDim>;
};

/// Every head has keys and values of its own, as in GPT-2: Attention<C, Heads>, Attention<C, Heads,
/// Bidirectional, NoBias>.
template <int C, int Heads, class Mask = Causal, class Bias = WithBias,
          class Init = init::UniformFanIn, class ProjectionInit = Init>
struct Attention : SelfAttention<C, Heads, Heads, detail::head_dim<C, Heads>(), NoPositions, Mask,
                                 Bias, Init, ProjectionInit, Bias> {};

/// Heads / KvHeads query heads share each key head, and positions are rotary: Llama 3 8B has
/// GroupedQueryAttention<4096, 32, 8, 128, Rope<500000>>. Bias is that of queries, keys and values; Qwen2 has
/// no other.
template <int C, int Heads, int KvHeads, int HeadDim = detail::head_dim<C, Heads>(),
          class Positions = Rope<>, class Mask = Causal, class Bias = NoBias,
          class Init = init::UniformFanIn, class ProjectionInit = Init,
          class ProjectionBias = NoBias>
struct GroupedQueryAttention : SelfAttention<C, Heads, KvHeads, HeadDim, Positions, Mask, Bias,
                                             Init, ProjectionInit, ProjectionBias> {};

}  // namespace cohort::nn
