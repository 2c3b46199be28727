// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// test_package/test_package_mpi.cpp: a sum over the processes of MPI.
#include <cohort/mpi.hpp>
#include <cstdio>

int main(int argc, char** argv) {
  return cohort::launch<cohort::Mpi>(argc, argv, [](cohort::Mpi& world) {
    double ranks = 1;
    world.all_reduce(&ranks, 1);
    if (world.rank() == 0) std::printf("MPI: %g of %d ranks\n", ranks, world.size());
  });
}
