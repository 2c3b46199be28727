// expect-error: cohort: RmsNorm takes epsilon as a std::ratio above 0
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/rms_norm_epsilon.cpp: an epsilon of zero.
#include <cohort/nn/rms_norm.hpp>

using namespace cohort;

#ifdef VALID
using L = nn::RmsNorm<4, std::ratio<1, 1000000>>;
#else
using L = nn::RmsNorm<4, std::ratio<0>>;
#endif
constexpr std::size_t bytes = sizeof(L);
