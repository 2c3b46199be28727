// expect-error: cohort: the rate of an Averaged parameter is above 0 and at most 1
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/rate_above_one.cpp: a percentage where a part of one is meant.
#include <cohort/core/params.hpp>

using namespace cohort;

struct Norm {
#ifdef VALID
  using Params = cohort::Params<Averaged<Param<"mean", 3>, std::ratio<1, 10>>>;
#else
  using Params = cohort::Params<Averaged<Param<"mean", 3>, std::ratio<10>>>;
#endif
};
static_assert(flat_size<Norm>() == chunk);
