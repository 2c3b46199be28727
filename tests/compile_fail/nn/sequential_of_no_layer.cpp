// expect-error: cohort: Sequential was given something that is not a layer.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/sequential_of_no_layer.cpp: an empty struct among the layers, inside a residual branch.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/residual.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Inner = nn::Linear<3, 3>;
#else
struct Inner {};
#endif
using Model = nn::Sequential<nn::Residual<nn::Sequential<Inner>>, nn::Linear<3, 2>>;
using Run = Trainer<Model, nn::MeanSquaredError<2>>;
constexpr auto plan = Run::plan;
