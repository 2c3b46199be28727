// expect-error: cohort: a child and a parameter of a layer have the same name
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/child_called_as_a_parameter.cpp: p["gain"_p] could be either.
#include <cohort/nn/linear.hpp>

using namespace cohort;

struct Gained {
  using Params = cohort::Params<Param<"gain", 3>>;
#ifdef VALID
  using Children = cohort::Children<Child<"inner", nn::Linear<3, 3>>>;
#else
  using Children = cohort::Children<Child<"gain", nn::Linear<3, 3>>>;
#endif
};
static_assert(flat_size<Gained>() == 3 * chunk);
