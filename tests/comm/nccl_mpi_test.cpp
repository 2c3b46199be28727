// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_mpi_test.cpp: MPI's ranks become NCCL's. (The double of NCCL knows one process only.)
#include <cohort/comm/nccl_mpi.hpp>
#include <cohort/launch.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Launches<NcclMpi, void (*)(Nccl&)>);

namespace {

/// MPI begins with the first test and ends with the process: it cannot begin twice.
void begin_mpi() {
  struct Job {
    Job() {
      int level = 0;
      MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &level);
    }
    ~Job() { MPI_Finalize(); }
  };
  static const Job job;
}

TEST_CASE("NcclMpi: one process is a world of one, on the first GPU") {
  begin_mpi();
  const Machine machine;
  int ranks = 0;
  NcclMpi::run({}, [&](Nccl& world) {
    double x = 3;
    world.all_reduce(&x, 1);
    CHECK(x == 3);
    CHECK(world.gpu() == 0);
    ranks = world.size();
  });
  CHECK(ranks == 1);
}

TEST_CASE("NcclMpi: what a rank throws comes out; --gpus is refused") {
  begin_mpi();
  const Machine machine;
  CHECK_THROWS_AS(NcclMpi::run({}, [](Nccl&) { throw Boom("boom"); }), Boom);
  CHECK_THROWS_WITH_AS(NcclMpi::run({.gpus = {0}}, [](Nccl&) {}),
                       doctest::Contains("--gpus is for one process"), InvalidInput);
}

}  // namespace
