// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/concepts/layer_test.cpp: what a layer must offer, each requirement with a near miss.
#include <doctest/doctest.h>
#include <cohort/concepts/layer.hpp>

#include "support/models.hpp"

using namespace cohort;

namespace {
/// The smallest layer: y is x.
struct Pass {
  using Input = Features<3>;
  using Output = Features<3>;
  static auto forward(auto& ctx, const auto&, auto x) { return Out{x, keep(ctx)}; }
  static auto backward(auto&, const auto&, const auto&, auto dy, const auto&) { return dy; }
};
static_assert(Layer<Pass> && Layer<Pass, DefaultCpu, double>);
static_assert(Layer<zoo::Scale<3>> && Layer<zoo::TwoBranches<5>> && Layer<zoo::Standardize<5>>);

struct NoInput {
  using Output = Features<3>;
};
struct NoOutput {
  using Input = Features<3>;
};
struct InputIsATensor : Pass {
  using Input = Tensor<const float, 3>;
};
struct OutputIsANumber : Pass {
  using Output = int;
};
static_assert(DeclaresExtents<Pass> && !DeclaresExtents<NoInput> && !DeclaresExtents<NoOutput>);
static_assert(!DeclaresExtents<InputIsATensor> && !DeclaresExtents<OutputIsANumber>);
static_assert(!DeclaresExtents<int> && !DeclaresExtents<std::string>);

struct NoForward {
  using Input = Features<3>;
  using Output = Features<3>;
  static auto backward(auto&, const auto&, const auto&, auto dy, const auto&) { return dy; }
};
struct ForwardIsNotStatic : NoForward {
  auto forward(auto& ctx, const auto&, auto x) { return Out{x, keep(ctx)}; }
};
struct ForwardTakesOtherExtent : NoForward {
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, 4> x) {
    return Out{x, keep(ctx)};
  }
};
struct ForwardWritesItsInput : NoForward {
  template <class T>
  static auto forward(auto& ctx, const auto&, Tensor<T, 3> x) requires(!std::is_const_v<T>) {
    return Out{x, keep(ctx)};
  }
};
struct ForwardReturnsOnlyY : NoForward {
  static auto forward(auto&, const auto&, auto x) { return x; }
};
struct ForwardHasNoView : NoForward {
  static auto forward(auto& ctx, auto x) { return Out{x, keep(ctx)}; }
};
static_assert(HasForward<Pass> && !HasForward<NoForward> && !HasForward<ForwardIsNotStatic>);
static_assert(!HasForward<ForwardTakesOtherExtent> && !HasForward<ForwardWritesItsInput>);
static_assert(!HasForward<ForwardReturnsOnlyY> && !HasForward<ForwardHasNoView>);

struct KeepsANumber : NoForward {
  static auto forward(auto&, const auto&, auto x) { return Out{x, 3}; }
};
struct KeepsAPointer : NoForward {
  static auto forward(auto&, const auto& p, auto x) { return Out{x, &p}; }
};
static_assert(KeepsOnlyActivations<Pass>);
static_assert(HasForward<KeepsANumber> && !KeepsOnlyActivations<KeepsANumber>);
static_assert(HasForward<KeepsAPointer> && !KeepsOnlyActivations<KeepsAPointer>);

struct NoBackward {
  using Input = Features<3>;
  using Output = Features<3>;
  static auto forward(auto& ctx, const auto&, auto x) { return Out{x, keep(ctx)}; }
};
struct BackwardForgetsGradients : NoBackward {
  static auto backward(auto&, const auto&, const auto&, auto dy) { return dy; }
};
struct BackwardWantsOtherDy : NoBackward {
  template <class T>
  static auto backward(auto&, const auto&, const auto&, Tensor<const T, 4> dy, const auto&) {
    return dy;
  }
};
struct BackwardWantsOwnSaved : NoBackward {
  static auto backward(auto&, const auto&, const Nothing&, auto dy, const auto&) { return dy; }
};
static_assert(HasBackward<Pass> && !HasBackward<NoBackward>);
static_assert(!HasBackward<BackwardForgetsGradients> && !HasBackward<BackwardWantsOtherDy>);
static_assert(!HasBackward<BackwardWantsOwnSaved>);

// Layer is the conjunction: one near miss of each part.
static_assert(!Layer<NoInput> && !Layer<NoForward> && !Layer<KeepsANumber> && !Layer<NoBackward>);
static_assert(!Layer<int> && !Layer<Features<3>>);

struct OnlyFloat {  // a body for one element type is a layer for that type only
  using Input = Features<3>;
  using Output = Features<3>;
  static auto forward(auto& ctx, const auto&, Tensor<const float, 3> x) {
    return Out{x, keep(ctx)};
  }
  static auto backward(auto&, const auto&, const auto&, Tensor<const float, 3> dy, const auto&) {
    return dy;
  }
};
static_assert(Layer<OnlyFloat> && !Layer<OnlyFloat, DefaultCpu, double>);
}  // namespace

TEST_CASE("layer: every model of the zoo is one, for float and for double") {
  zoo::for_each_case([]<class Case>() {
    using Model = typename Case::Model;
    CHECK(Layer<Model>);
    CHECK(Layer<Model, DefaultCpu, double>);
    CHECK(!Layer<Case>);
  });
}
