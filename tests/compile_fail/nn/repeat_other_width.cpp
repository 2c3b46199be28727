// expect-error: cohort: Repeat<N, L> needs a layer L whose Output is its Input
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/repeat_other_width.cpp: a layer that cannot follow itself.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/repeat.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::Sequential<nn::Repeat<3, nn::Linear<4, 4>>, nn::Linear<4, 2>>;
#else
using Model = nn::Sequential<nn::Repeat<3, nn::Linear<4, 3>>, nn::Linear<3, 2>>;
#endif
using Run = Trainer<Model, nn::MeanSquaredError<2>>;
constexpr auto plan = Run::plan;
