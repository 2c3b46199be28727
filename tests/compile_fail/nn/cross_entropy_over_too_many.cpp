// expect-error: cohort: CrossEntropyOver<K> needs a model with at least K logits
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/cross_entropy_over_too_many.cpp: eleven classes of ten logits.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Loss = nn::CrossEntropyOver<9>;
#else
using Loss = nn::CrossEntropyOver<11>;
#endif
using Run = Trainer<nn::Linear<4, 10>, Loss>;
constexpr auto plan = Run::plan;
