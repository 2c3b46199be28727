// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/conclusion_test.cpp: a step's sums lead to exactly one of: update, skip, stop.
#include <cohort/run/conclusion.hpp>

#include <doctest/doctest.h>

#include <cohort/cohort.hpp>
#include <limits>

using namespace cohort;

namespace {

using Model = nn::Linear<4, 2>;
using Clipped = Trainer<Model, nn::MeanSquaredError<2>, ClipGradNorm>;
using Scaled = Trainer<Model, nn::MeanSquaredError<2>, MixedPrecision<fp16>, DynamicLossScale<>>;
using Plain = Trainer<Model, nn::MeanSquaredError<2>, optim::WarmupCosine>;
constexpr double infinity = std::numeric_limits<double>::infinity();

template <class Run>
detail::Conclusion conclude(LossSum total, double squares, typename Run::options options = {},
                            std::int64_t steps = 0, double scale = 0, bool finite_averages = true) {
  detail::LossScaler<typename Run::plan_type> scaler(1.0, 1);
  if (scale != 0) scaler.set({scale, 0});
  return detail::conclude<typename Run::plan_type>(total, squares, scaler, options, steps,
                                                   finite_averages);
}
int outcomes(const detail::Conclusion& c) {
  return int(c.applies) + int(c.broken) + int(c.empty) + int(c.report.skipped);
}

TEST_CASE("conclude: norm and clipping are those of the mean gradient") {
  // |sum of gradients| = 40 over a weight of 10: norm 4; clipped to 1 (torch adds 1e-6 to the norm).
  const auto c = conclude<Clipped>({25, 10}, 1600, {.clip = {.max_norm = 1.0}}, 6);
  CHECK((c.applies && outcomes(c) == 1));
  CHECK(c.report.loss == 2.5);
  CHECK(c.report.grad_norm == 4);
  CHECK(c.report.clip_coefficient == 1.0 / (4 + 1e-6));
  CHECK(c.update.grad_scale == c.report.clip_coefficient / 10);
  CHECK((c.report.step == 7 && c.update.step == 7));
}

TEST_CASE("conclude: the schedule is asked for the step that is done") {
  const Plain::options options{.learning_rate = 1.0,
                               .schedule = {.warmup_steps = 4, .total_steps = 10}};
  CHECK(conclude<Plain>({1, 1}, 0, options, 0).update.learning_rate == 1.0 / 5);
  CHECK(conclude<Plain>({1, 1}, 0, options, 4).update.learning_rate == 1.0);
}

TEST_CASE("conclude: without weight, or not finite, there is no update and check says why") {
  const auto empty = conclude<Clipped>({0, 0}, 0);
  CHECK((empty.empty && outcomes(empty) == 1));
  CHECK_THROWS_AS(detail::check_conclusion(0, empty), InvalidInput);
  for (const auto& bad :
       {conclude<Clipped>({infinity, 1}, 1), conclude<Clipped>({1, 1}, infinity)}) {
    CHECK((bad.broken && outcomes(bad) == 1));
    CHECK_THROWS_WITH_AS(detail::check_conclusion(3, bad), doctest::Contains("rank 3: step 1"),
                         NonFinite);
  }
  CHECK_NOTHROW(detail::check_conclusion(0, conclude<Clipped>({1, 1}, 1)));
  // An average that would not be finite, where loss and norm are; where they are not, they come first.
  const auto average = conclude<Clipped>({1, 1}, 1, {}, 0, 0, false);
  CHECK((average.broken && average.bad_average && outcomes(average) == 1));
  CHECK_THROWS_WITH_AS(detail::check_conclusion(3, average), doctest::Contains("running average"),
                       NonFinite);
  CHECK_FALSE(conclude<Clipped>({infinity, 1}, 1, {}, 0, 0, false).bad_average);
}

TEST_CASE(
    "conclude: an overflow under a loss scale is skipped, at the least scale it is an error") {
  const auto skipped = conclude<Scaled>({1, 1}, infinity, {}, 5);
  CHECK((skipped.report.skipped && outcomes(skipped) == 1));
  CHECK(skipped.report.step == 5);  // no update was done
  CHECK_NOTHROW(detail::check_conclusion(0, skipped));
  const auto exhausted = conclude<Scaled>({1, 1}, infinity, {}, 5, 0x1p-24);
  CHECK((exhausted.broken && outcomes(exhausted) == 1));
  const auto fine = conclude<Scaled>({1, 2}, 65536.0 * 65536.0 * 9, {}, 5);
  CHECK(fine.report.grad_norm == 1.5);  // 3 x 65536 / 65536 / 2
  CHECK(fine.update.grad_scale == 1.0 / 65536 / 2);
}

}  // namespace
