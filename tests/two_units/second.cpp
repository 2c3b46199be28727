// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/two_units/second.cpp: the library in a second unit.
#include <cohort/cohort.hpp>

#include "step.hpp"

double loss_in_second_unit() { return loss_of_one_step(); }
