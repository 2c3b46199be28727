// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/refused_run_test.cpp: what a refused Trainer hands out takes every call of a run.
#include <doctest/doctest.h>
#include <cohort/comm/threads.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/run/refused_run.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

namespace {

/// What programs call on a run.
template <class R>
concept TakesEveryCall = requires(R& run, const float* x, const std::string& text,
                                  std::span<const float> values) {
  run.step({x, Rows{1, 1}}, {x, Rows{1, 1}}).loss;
  run.step({x, Rows{1, 1}}, {x, Rows{1, 1}}).skipped;
  run.evaluate({x, Rows{1, 1}}, {x, Rows{1, 1}}).mean();
  run.predict({x, Rows{1, 1}});
  run.gather_parameters();
  run.gather_gradients();
  run.set_parameter(text, values);
  run.save(text);
  run.save_async(text);
  run.wait_for_save();
  run.rank() + run.size();
  run.steps_done();
  run.loss_scale();
  run.memory();
  run.sizes();
  R::plan.hash();
};
using Run = Trainer<nn::Linear<2, 1>, nn::MeanSquaredError<1>>;
static_assert(TakesEveryCall<Run::execution<Threads>>);
static_assert(TakesEveryCall<detail::RefusedRun>);

TEST_CASE("RefusedRun: does nothing, and its plan is one of one number") {
  detail::RefusedRun run;
  run.save("nowhere");
  CHECK(run.steps_done() == 0);
  CHECK(detail::RefusedRun::plan.layout.num_params == 1);
}

}  // namespace
