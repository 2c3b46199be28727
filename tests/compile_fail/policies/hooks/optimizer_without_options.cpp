// expect-error: cohort: the optimizer lacks a hook.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/hooks/optimizer_without_options.cpp: an optimizer without Options.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Descent {
  using slot = slots::optimizer;
#ifdef VALID
  struct Options {};
#endif
  static constexpr int moments = 0;
  static void update(const auto&, const auto& s, UpdateStep now, const auto&) {
    for (std::size_t i = 0; i < s.size; ++i)
      s.params[i] -= float(now.learning_rate * now.grad_scale) * s.grads[i];
  }
};

using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Descent>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step({x, {4}}, {y, {4}});
  });
}
