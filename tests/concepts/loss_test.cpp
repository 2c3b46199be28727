// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/concepts/loss_test.cpp: what a loss must offer, each requirement with a near miss.
#include <doctest/doctest.h>
#include <cohort/concepts/loss.hpp>
#include <cohort/nn/losses.hpp>

using namespace cohort;

namespace {
struct Model {
  using Output = Features<3>;
};
struct Other {
  using Output = Features<4>;
};
struct Gradient {
  Tensor<float, 3> dy;
  ops::LossSum total;
};
struct Good {
  using Target = Tokens;
  static Gradient forward(auto&, auto, Tokens) { return {}; }
  static ops::LossSum evaluate(auto&, auto, Tokens) { return {}; }
  template <class M, class T> static constexpr std::size_t gradient_bytes(Rows) { return 64; }
};
static_assert(LossFor<Good, Model>);
static_assert(LossFor<nn::CrossEntropy, Model> && LossFor<nn::CrossEntropy, Other>);
static_assert(LossFor<nn::MeanSquaredError<3>, Model>);

struct NoTarget {
  static Gradient forward(auto&, auto, Tokens) { return {}; }
  static ops::LossSum evaluate(auto&, auto, Tokens) { return {}; }
  template <class M, class T> static constexpr std::size_t gradient_bytes(Rows) { return 64; }
};
struct TargetIsNoExtent : Good {
  using Target = int;
};
struct ForwardReturnsAMean : Good {
  struct Mean {
    Tensor<float, 3> dy;
    double total;
  };
  static Mean forward(auto&, auto, Tokens) { return {}; }
};
struct ForwardReturnsNoGradient : Good {
  static ops::LossSum forward(auto&, auto, Tokens) { return {}; }
};
struct EvaluatesToAMean : Good {
  static double evaluate(auto&, auto, Tokens) { return 0; }
};
struct NoEvaluate {
  using Target = Tokens;
  static Gradient forward(auto&, auto, Tokens) { return {}; }
  template <class M, class T> static constexpr std::size_t gradient_bytes(Rows) { return 64; }
};
struct NoBytes {
  using Target = Tokens;
  static Gradient forward(auto&, auto, Tokens) { return {}; }
  static ops::LossSum evaluate(auto&, auto, Tokens) { return {}; }
};
static_assert(!LossFor<NoTarget, Model> && !LossFor<TargetIsNoExtent, Model>);
static_assert(!LossFor<ForwardReturnsAMean, Model> && !LossFor<ForwardReturnsNoGradient, Model>);
static_assert(!LossFor<EvaluatesToAMean, Model> && !LossFor<NoEvaluate, Model>);
static_assert(!LossFor<NoBytes, Model>);
static_assert(!LossFor<nn::MeanSquaredError<3>, Other>);  // another extent than the model's output
static_assert(!LossFor<Model, Model> && !LossFor<int, Model>);
}  // namespace

TEST_CASE("loss: sums over parts give the mean of the whole, not the mean of means") {
  ops::LossSum all;
  all += {6.0, 2.0};   // mean 3
  all += {1.0, 10.0};  // mean 0.1
  CHECK(all.mean() == 7.0 / 12.0);
}
