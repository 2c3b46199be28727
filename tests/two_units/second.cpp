// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/two_units/second.cpp: the library in a second unit.
#include <cohort/cohort.hpp>

int sum_of_the_other_unit() { return 1 + 2; }
