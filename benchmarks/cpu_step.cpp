// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/cpu_step.cpp: one training step of nanoGPT's CPU model; run_cpu_step.py compares it with PyTorch.
#include "cpu_step.hpp"

int main(int argc, char** argv) { return bench::serve_cpu_step<bench::NanoGpt>(argc, argv); }
