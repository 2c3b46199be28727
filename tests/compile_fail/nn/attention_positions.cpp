// expect-error: cohort: rotary positions turn pairs of features
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/attention_positions.cpp: heads of five features cannot be turned in pairs.
#include <cohort/nn/attention.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::GroupedQueryAttention<24, 4, 2, 6>;
#else
using Model = nn::GroupedQueryAttention<24, 4, 2, 5>;
#endif
using Run = Trainer<Model, nn::MeanSquaredError<Model::Output::extent>>;
constexpr auto plan = Run::plan;
