// expect-error: cohort: CrossEntropyOver<K> needs a model with at least K logits, and K of at least 1.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/cross_entropy_over_nothing.cpp: no class at all.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Loss = nn::CrossEntropyOver<10>;
#else
using Loss = nn::CrossEntropyOver<0>;
#endif
using Run = Trainer<nn::Linear<4, 10>, Loss>;

int main() {
  launch<Threads>({.ranks = 1}, [](auto& world) {
    auto run = Run::on(world, {.batch = 1, .learning_rate = 0.1});
    const float x[4] = {};
    const int y[1] = {};
    run.step({x, {1, 1}}, {y, {1, 1}});
  });
}
