// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/mpi_dead_test.cpp: errors of other kinds are no deaths; deaths themselves are in tests/mpi/check_jobs.py.
#include <cohort/comm/mpi_dead.hpp>

#include <doctest/doctest.h>

using namespace cohort::detail;

namespace {

TEST_CASE("is_death: only what MPI calls the failure of a process") {
  for (int code : {MPI_SUCCESS, MPI_ERR_TRUNCATE, MPI_ERR_PENDING, MPI_ERR_OTHER, MPI_ERR_COMM})
    CHECK(!is_death(code));
#if defined(MPIX_ERR_PROC_FAILED)
  CHECK(is_death(MPIX_ERR_PROC_FAILED));
  CHECK(is_death(MPIX_ERR_PROC_FAILED_PENDING));
#endif
}

}  // namespace
