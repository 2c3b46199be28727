// expect-error: cohort: two parameters, or two children, of a layer have the same name
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/two_children_of_one_name.cpp: a name copied with its line.
#include <cohort/nn/linear.hpp>

using namespace cohort;

struct Pair {
#ifdef VALID
  using Children =
      cohort::Children<Child<"left", nn::Linear<3, 3>>, Child<"right", nn::Linear<3, 3>>>;
#else
  using Children =
      cohort::Children<Child<"left", nn::Linear<3, 3>>, Child<"left", nn::Linear<3, 3>>>;
#endif
};
static_assert(flat_size<Pair>() == 4 * chunk);
