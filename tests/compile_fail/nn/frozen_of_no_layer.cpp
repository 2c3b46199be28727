// expect-error: cohort: Frozen<L> needs a layer L
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/frozen_of_no_layer.cpp: a parameter where a layer should stand.
#include <cohort/nn/frozen.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::Sequential<nn::Frozen<nn::Linear<4, 4>>, nn::Linear<4, 2>>;
#else
using Model = nn::Sequential<nn::Frozen<Param<"weight", 4, 4>>, nn::Linear<4, 2>>;
#endif
using Run = Trainer<Model, nn::MeanSquaredError<2>>;
constexpr auto plan = Run::plan;
