// expect-error: cohort: this layer has no usable forward.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/sequential_with_no_forward.cpp: a layer without forward inside a model.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/repeat.hpp>
#include <cohort/nn/residual.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Inner = nn::Linear<3, 3>;
#else
struct Inner {
  using Input = Features<3>;
  using Output = Features<3>;
};
#endif
using Model = nn::Sequential<nn::Repeat<2, nn::Residual<nn::Sequential<nn::Linear<3, 3>, Inner>>>,
                             nn::Linear<3, 2>>;
using Run = Trainer<Model, nn::MeanSquaredError<2>>;
constexpr auto plan = Run::plan;
