// expect-error: cohort: this option belongs to a policy that is not in the list of Trainer.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/schedule_options_without_schedule.cpp: warm-up steps at a constant rate.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, optim::WarmupCosine>;
#else
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2> >;
#endif
const Run::options options{.batch = 4, .schedule = {.warmup_steps = 10, .total_steps = 100}};
