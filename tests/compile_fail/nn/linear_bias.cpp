// expect-error: cohort: the third argument of Linear says WithBias or NoBias
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/linear_bias.cpp: an initialiser where the bias stands.
#include <cohort/nn/linear.hpp>

using namespace cohort;

#ifdef VALID
using L = nn::Linear<4, 4, nn::WithBias, init::Zeros>;
#else
using L = nn::Linear<4, 4, init::Zeros>;
#endif
constexpr std::size_t bytes = sizeof(L);
