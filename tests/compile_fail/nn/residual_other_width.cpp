// expect-error: cohort: Residual<L> adds the input to the output
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/residual_other_width.cpp: a branch of another width.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/residual.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::Sequential<nn::Residual<nn::Linear<4, 4>>, nn::Linear<4, 2>>;
#else
using Model = nn::Sequential<nn::Residual<nn::Linear<4, 2>>, nn::Linear<2, 2>>;
#endif
using Run = Trainer<Model, nn::MeanSquaredError<2>>;
constexpr auto plan = Run::plan;
