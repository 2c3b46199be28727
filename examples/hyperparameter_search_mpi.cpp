// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/hyperparameter_search_mpi.cpp: the same search on processes: mpirun -n 4 hyperparameter_search_mpi
#include <cohort/mpi.hpp>

#include "hyperparameter_search.hpp"

int main(int argc, char** argv) {
  const auto arguments = example::search_arguments(argc, argv);
  const auto search = [&](auto& world) { example::search(world, arguments); };
  return cohort::launch<cohort::Mpi>(argc, argv, search);
}
