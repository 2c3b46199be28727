// expect-error: cohort: the mask of attention is Causal or Bidirectional
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/attention_mask.cpp: a bias where the mask stands.
#include <cohort/nn/attention.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::GroupedQueryAttention<8, 2, 1, 4, nn::Rope<>, nn::Causal, nn::WithBias>;
#else
using Model = nn::GroupedQueryAttention<8, 2, 1, 4, nn::Rope<>, nn::WithBias>;
#endif
using Run = Trainer<Model, nn::MeanSquaredError<Model::Output::extent>>;
constexpr auto plan = Run::plan;
