// expect-error: cohort: every key head must be shared by the same number of query heads
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/attention_key_heads.cpp: six query heads for four key heads.
#include <cohort/nn/attention.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::GroupedQueryAttention<24, 6, 3>;
#else
using Model = nn::GroupedQueryAttention<24, 6, 4>;
#endif
using Run = Trainer<Model, nn::MeanSquaredError<Model::Output::extent>>;
constexpr auto plan = Run::plan;
