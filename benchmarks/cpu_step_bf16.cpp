// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/cpu_step_bf16.cpp: the same step in bf16, over fp32 masters.
#include "cpu_step.hpp"

int main(int argc, char** argv) {
  return bench::serve_cpu_step<bench::NanoGpt, cohort::MixedPrecision<cohort::bf16, cohort::fp32>>(
      argc, argv);
}
