// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/cpu_step_accum.cpp: the same step in four micro-batches of 3 rows, whose activations stay in cache.
#include "cpu_step.hpp"

int main(int argc, char** argv) {
  return bench::serve_cpu_step<bench::NanoGpt, cohort::GradAccum<4>>(argc, argv);
}
