// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/two_units/first.cpp: the library in one unit, and main.
#include <cohort/cohort.hpp>

int sum_of_the_other_unit();

int main() { return sum_of_the_other_unit() == 3 ? 0 : 1; }
