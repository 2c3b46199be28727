// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/dropout.hpp: elements dropped at random while a model is trained.
#pragma once
#include <cohort/concepts/fused.hpp>
#include <cohort/concepts/layer.hpp>
#include <cohort/ops/dropout.hpp>
#include <cohort/ops/elementwise.hpp>
#include <ratio>

namespace cohort::nn {

namespace detail {
template <class R> struct is_share : std::false_type {};
template <std::intmax_t Num, std::intmax_t Den>
struct is_share<std::ratio<Num, Den>>
    : std::bool_constant<(std::ratio<Num, Den>::num >= 0 &&
                          std::ratio<Num, Den>::num < std::ratio<Num, Den>::den)> {};
template <int C, class Rate> struct NoShare {
  static void say() {
    static_assert(is_share<Rate>::value,
                  "cohort: Dropout<C, Rate> drops a share of the elements: give a std::ratio of at "
                  "least 0 and below 1, e.g. Dropout<768, std::ratio<1, 10>>. "
                  "[cohort/nn/dropout.hpp]");
  }
};
}  // namespace detail

/// Chosen only when Rate is no share: says so in one sentence, then stops.
template <int C, class Rate = std::ratio<1, 10>> struct Dropout : cohort::detail::RefusedLayer {
  static_assert(cohort::detail::said<detail::NoShare<C, Rate>>());
};

/// Drops the share Rate of its input while training, and divides what stays by 1 - Rate; in evaluation it
/// passes its input on.
///
///   nn::Residual<nn::Sequential<nn::LayerNorm<C>, nn::Attention<C, Heads>, nn::Dropout<C>>>
///
/// Shapes   x, y [rows, C].
/// Units    Rate: a std::ratio in [0, 1), taken to the nearest multiple of 2^-16.
/// Cost     no mask is kept: backward draws it again (core/random.hpp). At the end of a Residual the sum is
///          made in the same pass.
/// Laws     what is dropped depends on the seed, the step, the sample and the place in the model, and not on the
///          world's size, the strategy or the cut into micro-batches; Checkpointed drops the same again
///          (tests/nn/dropout_test.cpp).
/// Source   Srivastava et al. 2014, JMLR 15.
template <int C, class Rate>
requires detail::is_share<Rate>::value struct Dropout<C, Rate> {
  using Input = Features<C>;
  using Output = Features<C>;
  static constexpr bool adds_forward = true, skips_forward = true;
  static constexpr ops::DropRate rate = ops::DropRate::of(Rate::num, Rate::den);

  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P&, Tensor<const T, C, Where> x) {
    if constexpr (Ctx::train) {
      const Random random = ctx.random();
      const auto y = ctx.like(x);
      ops::dropout(ctx.device(), x.rows, C, rate, random, x.data, y.data);
      return Out{y, keep(ctx, "random"_p = random)};
    } else {
      return Out{x, keep(ctx)};
    }
  }
  /// y = residual + dropout(x).
  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P&, Tensor<const T, C, Where> x,
                      Tensor<const T, C, Where> residual) {
    const auto y = ctx.like(x);
    if constexpr (Ctx::train) {
      const Random random = ctx.random();
      ops::dropout_add(ctx.device(), x.rows, C, rate, random, residual.data, x.data, y.data);
      return Out{y, keep(ctx, "random"_p = random)};
    } else {
      ops::add(ctx.device(), x.size(), residual.data, x.data, y.data);
      return Out{y, keep(ctx)};
    }
  }
  template <class Ctx, class P, class T, class Where>
  static auto forward(Ctx& ctx, const P&, Tensor<const T, C, Where> x, NoResult) {
    return Out{ctx.like(x), keep(ctx, "random"_p = ctx.random())};
  }
  template <class Ctx, class P, class S, class T, class G, class Where>
  static auto backward(Ctx& ctx, const P&, const S& saved, Tensor<const T, C, Where> dy, const G&) {
    const auto dx = ctx.like(dy);
    ops::dropout(ctx.device(), dy.rows, C, rate, saved["random"_p], dy.data, dx.data);
    return dx;
  }
};

}  // namespace cohort::nn
