// expect-error: cohort: check_loss<Loss, C> needs a loss over [rows, C] values of any type
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/not_a_loss_to_check.cpp: a layer where a loss is meant.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/run/check_loss.hpp>

using namespace cohort;

#ifdef VALID
int main() { return check_loss<nn::MeanSquaredError<3>, 3>().ok() ? 0 : 1; }
#else
int main() { return check_loss<nn::Linear<3, 3>, 3>().ok() ? 0 : 1; }
#endif
