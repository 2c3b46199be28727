// expect-error: cohort: the width of attention must be a multiple of its heads.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/attention_no_heads.cpp: no heads.
#include <cohort/nn/attention.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::Attention<12, 4>;
#else
using Model = nn::Attention<12, 0>;
#endif
static_assert(Layer<Model>);
