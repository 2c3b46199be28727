// expect-error: cohort: Sequential was given no layer.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/sequential_empty.cpp: no layers.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/sequential.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::Sequential<nn::Linear<3, 4>>;
#else
using Model = nn::Sequential<>;
#endif
static_assert(Layer<Model>);
