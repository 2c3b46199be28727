// expect-error: cohort: the second argument of Trainer is not a loss
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/loss_of_other_width.cpp: a loss of three features after a model of one.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Run = Trainer<nn::Linear<3, 1>, nn::MeanSquaredError<1>>;
#else
using Run = Trainer<nn::Linear<3, 1>, nn::MeanSquaredError<3>>;
#endif
static_assert(Run::plan.peak_bytes({.ranks = 8, .batch = 4}) < 1000000);
