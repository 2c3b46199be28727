// expect-error: cohort: after its width LayerNorm takes WithBias or NoBias
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/norm_epsilon.cpp: an epsilon where the bias stands.
#include <cohort/nn/layer_norm.hpp>

using namespace cohort;

#ifdef VALID
using L = nn::LayerNorm<4, nn::WithBias, std::ratio<1, 1000000>>;
#else
using L = nn::LayerNorm<4, std::ratio<1, 1000000>>;
#endif
constexpr std::size_t bytes = sizeof(L);
