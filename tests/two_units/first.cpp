// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/two_units/first.cpp: the library in one unit, a step in each, and main.
#include <cohort/cohort.hpp>

#include "step.hpp"

double loss_in_second_unit();

int main() {
  const double loss = loss_of_one_step();
  return loss > 0 && loss == loss_in_second_unit() ? 0 : 1;
}
