// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/mpi_dead.hpp: which processes MPI knows to be dead, where it has the calls to say so.
#pragma once
#include <mpi.h>
#if defined(OPEN_MPI)
#include <mpi-ext.h>
#endif

#include <vector>

namespace cohort::detail {

/// Does this error say that a process died? Only an MPI that was started to survive that returns such
/// errors (Open MPI 5: mpirun --with-ft ulfm); others end the job themselves.
///
/// Source   User Level Failure Mitigation: the MPIX_ calls of Open MPI 5 and MPICH.
inline bool is_death(int code) {
#if defined(MPIX_ERR_PROC_FAILED)
  int error = MPI_SUCCESS;
  MPI_Error_class(code, &error);
  return error == MPIX_ERR_PROC_FAILED || error == MPIX_ERR_PROC_FAILED_PENDING;
#else
  return code < MPI_SUCCESS;  // never
#endif
}

/// The ranks of comm whose death this process has heard of, in order. Messages from anybody can be
/// received again afterwards. To be called after is_death() was true: some MPIs declare the calls only.
inline std::vector<int> dead_ranks([[maybe_unused]] MPI_Comm comm) {
  std::vector<int> dead;
#if defined(MPIX_ERR_PROC_FAILED)
  MPI_Group all = MPI_GROUP_NULL, failed = MPI_GROUP_NULL;
  int size = 0, count = 0;
  MPI_Comm_size(comm, &size);
  MPI_Comm_group(comm, &all);
  MPIX_Comm_failure_ack(comm);
  MPIX_Comm_failure_get_acked(comm, &failed);
  MPI_Group_size(failed, &count);
  for (int r = 0; r < size && count > 0; ++r) {
    int there = MPI_UNDEFINED;
    MPI_Group_translate_ranks(all, 1, &r, failed, &there);
    if (there != MPI_UNDEFINED) dead.push_back(r);
  }
  MPI_Group_free(&all);
  if (failed != MPI_GROUP_EMPTY) MPI_Group_free(&failed);
#endif
  return dead;
}

}  // namespace cohort::detail
