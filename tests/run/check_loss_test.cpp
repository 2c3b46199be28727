// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/check_loss_test.cpp: right losses pass, every kind of wrong one is named.
#include <cohort/run/check_loss.hpp>

#include <doctest/doctest.h>

#include <cohort/nn/losses.hpp>
#include <cohort/run/options.hpp>

using namespace cohort;

namespace {

enum class Fault { none, sign, mean, other_evaluation, other_weight, bytes, no_scale, scaled_sum };

/// The sum of squares, with one fault.
template <Fault F> struct Squares {
  using Target = Features<3>;
  template <class T>
  static auto forward(auto& ctx, Tensor<const T, 3> y, Tensor<const accumulator_t<T>, 3> target,
                      float scale = 1) {
    const auto dy = ctx.like(y);
    const double by = F == Fault::sign ? -2 : F == Fault::mean ? 2.0 / y.rows.count() : 2;
    dy.assign(T(by * (F == Fault::no_scale ? 1 : scale)) * (y.wide() - target.wide()));
    LossSum total = evaluate(ctx, y, target);
    if (F == Fault::other_evaluation) total.sum += 1;
    if (F == Fault::other_weight) total.weight = 1;
    if (F == Fault::scaled_sum) total.sum *= scale;
    return nn::LossGradient<T, 3>{dy, total};
  }
  template <class T>
  static LossSum evaluate(auto&, Tensor<const T, 3> y, Tensor<const accumulator_t<T>, 3> target) {
    return {double((y.wide() - target.wide()).squaredNorm()), double(y.size())};
  }
  template <class Model, class T> static constexpr std::size_t gradient_bytes(Rows rows) {
    return (F == Fault::bytes ? 3 : 1) * Tensor<T, 3>::bytes(rows);
  }
};

template <Fault F> std::string said() {
  const GradientCheck check = check_loss<Squares<F>, 3>();
  CHECK_FALSE(check.ok());
  return to_string(check);
}
}  // namespace

TEST_CASE("check_loss: losses that are right pass, all their derivatives compared") {
  const GradientCheck check = check_loss<Squares<Fault::none>, 3>();
  CHECK(check.ok());
  CHECK(check.checked == 6 * 3);
  CHECK(check.worst < 1e-9);
  CHECK(check_loss<nn::MeanSquaredError<4>, 4>({5, 1}, 2).ok());
  CHECK(check_loss<nn::CrossEntropy, 11>().ok());
  CHECK(check_loss<nn::CrossEntropy, 3>({7, 1}, 3, 20).ok());
}

TEST_CASE("check_loss: every fault is named") {
  CHECK(said<Fault::sign>().starts_with("y: backward says"));
  CHECK(said<Fault::mean>().starts_with("y: backward says"));
  CHECK(said<Fault::other_evaluation>().starts_with("evaluate: its sum and weight"));
  CHECK(said<Fault::other_weight>().starts_with("evaluate: its sum and weight"));
  CHECK(said<Fault::bytes>().starts_with("gradient_bytes: it is not what forward takes"));
  CHECK(said<Fault::no_scale>() == "scale: dy is not multiplied by it.");
  CHECK(said<Fault::scaled_sum>() == "scale: it changes the loss's own sum.");
}
