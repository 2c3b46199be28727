// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/strategies.cpp: a training step under each strategy on threads; run_strategies.py compares them.
#include <cohort/cohort.hpp>

#include "strategies.hpp"

int main(int argc, char** argv) { return bench::strategies<cohort::Threads>(argc, argv); }
