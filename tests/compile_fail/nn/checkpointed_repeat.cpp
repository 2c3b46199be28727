// expect-error: cohort: Checkpointed<L> computes L again in one piece
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/checkpointed_repeat.cpp: the whole tower at once instead of each of its blocks.
#include <cohort/nn/checkpointed.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/residual.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

using Block = nn::Residual<nn::Linear<4, 4>>;
#ifdef VALID
using Tower = nn::Repeat<3, nn::Checkpointed<Block>>;
#else
using Tower = nn::Checkpointed<nn::Repeat<3, Block>>;
#endif
using Run = Trainer<nn::Sequential<Tower, nn::Linear<4, 2>>, nn::MeanSquaredError<2>>;
constexpr auto plan = Run::plan;
