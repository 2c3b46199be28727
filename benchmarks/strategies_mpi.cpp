// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/strategies_mpi.cpp: strategies.cpp with processes for ranks: mpirun -n 2 strategies_mpi FullShard.
#include <cohort/mpi.hpp>

#include "strategies.hpp"

int main(int argc, char** argv) { return bench::strategies<cohort::Mpi>(argc, argv); }
