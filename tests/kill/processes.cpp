// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/kill/processes.cpp: train.hpp with MPI processes that share moments and masters.
#include <cohort/mpi.hpp>

#include "train.hpp"

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  return victim::program<cohort::ShardOptimizer, cohort::Mpi>(argc, argv, {.timeout = 3s});
}
