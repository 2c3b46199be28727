// expect-error: cohort: Checkpointed<L> needs a layer L
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/checkpointed_of_no_layer.cpp: a width where a layer belongs.
#include <cohort/nn/checkpointed.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using First = nn::Checkpointed<nn::Linear<4, 4>>;
#else
using First = nn::Checkpointed<Features<4>>;
#endif
using Run = Trainer<nn::Sequential<First, nn::Linear<4, 2>>, nn::MeanSquaredError<2>>;
constexpr auto plan = Run::plan;
