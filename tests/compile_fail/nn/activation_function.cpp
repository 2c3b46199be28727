// expect-error: cohort: F of Activation<C, F> has two static templates
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/activation_function.cpp: a function of floats, without a slope.
#include <cohort/nn/activations.hpp>

using namespace cohort;

struct Half {
  static float value(float x) { return x / 2; }
};
#ifdef VALID
using L = nn::Activation<4, ops::Silu>;
#else
using L = nn::Activation<4, Half>;
#endif
constexpr std::size_t bytes = sizeof(L);
