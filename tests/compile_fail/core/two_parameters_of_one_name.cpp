// expect-error: cohort: two parameters, or two children, of a layer have the same name
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/two_parameters_of_one_name.cpp: found before the first save, not by it.
#include <cohort/core/params.hpp>

using namespace cohort;

struct Gate {
#ifdef VALID
  using Params = cohort::Params<Param<"weight", 3, 3>, Param<"gate", 3, 3>>;
#else
  using Params = cohort::Params<Param<"weight", 3, 3>, Param<"weight", 3, 3>>;
#endif
};
static_assert(flat_size<Gate>() == 2 * chunk);
