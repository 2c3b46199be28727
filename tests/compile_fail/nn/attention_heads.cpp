// expect-error: cohort: the width of attention must be a multiple of its heads.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/attention_heads.cpp: ten features for four heads.
#include <cohort/nn/attention.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::Attention<12, 4>;
#else
using Model = nn::Attention<10, 4>;
#endif
using Run = Trainer<Model, nn::MeanSquaredError<Model::Output::extent>>;
constexpr auto plan = Run::plan;
