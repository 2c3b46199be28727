// expect-error: cohort: an argument after the loss is not a policy.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/strategy_without_data_parallel.cpp: Replicate where DataParallel<Replicate> is meant.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, DataParallel<Replicate>>;
#else
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Replicate>;
#endif
constexpr auto plan = Run::plan;
