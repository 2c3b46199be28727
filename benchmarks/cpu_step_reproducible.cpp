// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/cpu_step_reproducible.cpp: the same step with the bits of four ranks: on one rank four parts of 3 rows.
#include "cpu_step.hpp"

int main(int argc, char** argv) {
  return bench::serve_cpu_step<bench::NanoGpt, cohort::Reproducible<4>>(argc, argv);
}
