// expect-error: cohort: a Param needs one to four extents above zero
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/no_extent.cpp: a parameter of width zero.
#include <cohort/core/params.hpp>

using namespace cohort;

struct Scale {
#ifdef VALID
  using Params = cohort::Params<Param<"weight", 3, 1>>;
#else
  using Params = cohort::Params<Param<"weight", 3, 0>>;
#endif
};
static_assert(flat_size<Scale>() == chunk);
