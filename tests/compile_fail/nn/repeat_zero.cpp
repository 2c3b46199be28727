// expect-error: cohort: Repeat<N, L> needs a layer L whose Output is its Input, and N above zero
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/repeat_zero.cpp: no copies at all.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/repeat.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::Repeat<3, nn::Linear<4, 4>>;
#else
using Model = nn::Repeat<0, nn::Linear<4, 4>>;
#endif
static_assert(Layer<Model>);
