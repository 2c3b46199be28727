// expect-error: cohort: Dropout<C, Rate> drops a share of the elements
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/dropout_of_everything.cpp: a share that leaves nothing.
#include <cohort/nn/dropout.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Rate = std::ratio<1, 10>;
#else
using Rate = std::ratio<10, 10>;
#endif
using Run =
    Trainer<nn::Sequential<nn::Linear<4, 4>, nn::Dropout<4, Rate>>, nn::MeanSquaredError<4>>;
constexpr auto plan = Run::plan;
