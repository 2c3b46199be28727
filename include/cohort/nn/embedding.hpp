// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/embedding.hpp: token embeddings, learned positions, and a head tied to the token table.
#pragma once
#include <cohort/concepts/layer.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cohort/ops/embedding.hpp>
#include <cohort/ops/position.hpp>

namespace cohort::nn {

/// y[row] = weight[token]: PyTorch's nn.Embedding.
///
/// Shapes   tokens [rows], weight [V, C], y [rows, C].
/// Units    16-bit T: rows are copied; the gradient is summed in fp32.
/// Errors   run time: InvalidInput for a token outside [0, V).
template <int V, int C, class Init = init::Normal<1, 1>> struct Embedding {
  static constexpr bool asks_what_is_wanted = true;
  using Params = cohort::Params<Initialised<Param<"weight", V, C>, Init>>;
  using Input = Tokens;
  using Output = Features<C>;

  template <class Ctx, class P, class Where>
  static auto forward(Ctx& ctx, const P& p, TokensIn<Where> x) {
    const auto y = ctx.template make<C>(x.rows);
    ops::embedding_forward<V, C>(ctx.device(), x.rows.count(), x.data, p["weight"_p].data(),
                                 y.data);
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P&, const S& saved, Tensor<const T, C, Where> dy,
                       const G& g) {
    if constexpr (wants<G, "weight">) {
      const auto dw = g["weight"_p].contribute();
      ops::embedding_backward<V, C>(ctx.device(), dy.rows.count(), saved["x"_p].data, dy.data,
                                    dw.data, dw.first);
    }
    return NoGradient{};
  }
};

/// y = x + weight[position], position = row within its sample: learned absolute positions.
///
/// Shapes   x, y [samples * tokens, C], weight [MaxTokens, C].
/// Units    16-bit T: added in fp32, rounded once; the gradient is summed in fp32.
/// Errors   run time: InvalidInput when a sample has more than MaxTokens rows.
template <int MaxTokens, int C, class Init = init::Normal<1, 1>> struct AddPosition {
  static constexpr bool asks_what_is_wanted = true;
  using Params = cohort::Params<Initialised<Param<"weight", MaxTokens, C>, Init>>;
  using Input = Features<C>;
  using Output = Features<C>;
  static constexpr Work work(Rows) { return {}; }  // no product

  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, C, Where> x) {
    if (x.rows.tokens > MaxTokens) {
      throw InvalidInput(-1, "AddPosition",
                         "a sample has " + std::to_string(x.rows.tokens) +
                             " tokens, positions are learned for " + std::to_string(MaxTokens) +
                             ". Cut the sample or enlarge AddPosition.");
    }
    const auto y = ctx.like(x);
    ops::position_forward<C>(ctx.device(), x.rows.samples, x.rows.tokens, x.data,
                             p["weight"_p].data(), y.data);
    return Out{y, keep(ctx)};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P&, const S&, Tensor<const T, C, Where> dy, const G& g) {
    if constexpr (wants<G, "weight">) {
      const auto dw = g["weight"_p].contribute();
      ops::position_backward<MaxTokens, C>(ctx.device(), dy.rows.samples, dy.rows.tokens, dy.data,
                                           dw.data, dw.first);
    }
    return dy;
  }
};

/// Takes and gives [rows, C].
template <class L, int C>
concept BodyOfWidth = DeclaresExtents<L> &&((std::is_same_v<typename L::Input, Features<C>> &&
                                             std::is_same_v<typename L::Output, Features<C>>) ||
                                            cohort::detail::holds_refused<L>());

namespace detail {
template <int C, class Body> struct OtherWidth {
  static void say() {
    static_assert(BodyOfWidth<Body, C>,
                  "cohort: the body of TiedEmbedding<V, C, Body> must take and give Features<C>. "
                  "[cohort/nn/embedding.hpp]");
  }
};
}  // namespace detail

/// Chosen only when the body has another width: says so in one sentence, then stops.
template <int V, int C, class Body, class Init = init::Normal<1, 1>>
struct TiedEmbedding : cohort::detail::RefusedLayer {
  static_assert(cohort::detail::said<detail::OtherWidth<C, Body>>());
};

/// Token embedding and output head over one shared table (weight tying), with Body between them:
/// logits = Body(weight[tokens]) weight^T. The table is one parameter with two uses in one unit.
///
/// Shapes   tokens [rows], weight [V, C], Body: [rows, C] -> [rows, C], logits [rows, V].
/// Units    16-bit T: both uses of the table add to one fp32 gradient; logits are rounded once.
/// Source   Press and Wolf 2017, arXiv:1608.05859.
template <int V, int C, class Body, class Init>
requires BodyOfWidth<Body, C>
struct TiedEmbedding<V, C, Body, Init> {
  static constexpr bool asks_what_is_wanted = true;
  using Params = cohort::Params<Initialised<Param<"weight", V, C>, Init>>;
  using Children = cohort::Children<Child<"body", Body>>;
  using Input = Tokens;
  using Output = Features<V>;
  static constexpr Work work(Rows rows) {  // the head's
    const double product = 2.0 * rows.count() * V * C;
    return {product, 2 * product};
  }

  template <class Ctx, class P, class Where>
  static auto forward(Ctx& ctx, const P& p, TokensIn<Where> x) {
    using T = typename Ctx::scalar;
    const int rows = x.rows.count();
    const T* w = p["weight"_p].data();
    const auto embedded = ctx.template make<C>(x.rows);
    ops::embedding_forward<V, C>(ctx.device(), rows, x.data, w, embedded.data);
    const auto body = cohort::forward(ctx, p["body"_p], embedded.view());
    const auto y = ctx.template make<V>(x.rows);
    ops::matmul<false, true>(ctx.device(), rows, V, C, body.y.data, C, w, C, accumulator_t<T>(0),
                             y.data, V);
    return Out{
        y, keep(ctx, "x"_p = x, "embedded"_p = embedded, "h"_p = body.y, "body"_p = body.saved)};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P& p, const S& saved, Tensor<const T, V, Where> dy,
                       const G& g) {
    const int rows = dy.rows.count();
    if constexpr (wants<G, "weight">) {
      const auto head = g["weight"_p].contribute();
      ops::matmul<true, false>(ctx.device(), V, C, rows, dy.data, V, saved["h"_p].data, C,
                               accumulator_t<T>(head.first ? 0 : 1), head.data, C);
    }
    const auto dh = ctx.template make<C>(dy.rows);
    ops::matmul<false, false>(ctx.device(), rows, C, V, dy.data, V, p["weight"_p].data(), C,
                              accumulator_t<T>(0), dh.data, C);
    const auto dx = cohort::backward(ctx, p["body"_p], saved["body"_p], dh.view(), g["body"_p]);
    if constexpr (wants<G, "weight">) {
      const auto table = g["weight"_p].contribute();
      ops::embedding_backward<V, C>(ctx.device(), rows, saved["x"_p].data, dx.data, table.data,
                                    table.first);
    }
    return NoGradient{};
  }
  template <class T> static constexpr BackwardBytes backward_bytes(Rows rows) {
    return {Tensor<T, C>::bytes(rows) + cohort::backward_bytes<Body, T>(rows).peak, 0};
  }
};

}  // namespace cohort::nn
