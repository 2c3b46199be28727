// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/mpi_process_test.cpp: MPI starts where its launcher did, or says which one is wanted.
#include <cohort/comm/mpi_process.hpp>

#include <doctest/doctest.h>

#include "mpi/support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

template <class F> std::string refusal(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("torchrun alone is refused with the command to use; one process is no harm") {
  const Launcher torchrun{LauncherKind::torchrun, 1, 4}, mpirun{LauncherKind::open_mpi, 1, 4};
  CHECK(contains(refusal([&] { detail::refuse_torchrun({torchrun}); }),
                 "start it with mpirun -n 4 instead"));
  CHECK(refusal([&] { detail::refuse_torchrun({torchrun, mpirun}); }) == "accepted");
  CHECK(refusal([&] { detail::refuse_torchrun({{LauncherKind::torchrun, 0, 1}}); }) == "accepted");
  CHECK(refusal([] { detail::refuse_torchrun({}); }) == "accepted");
  CHECK(detail::mpi_launcher({torchrun, mpirun}) == mpirun);
  CHECK(detail::mpi_launcher({torchrun}).kind == LauncherKind::none);
}

TEST_CASE("another MPI's launcher is refused with both counts and this MPI's name") {
  const std::string sentence = refusal([] {
    detail::refuse_foreign_launcher({LauncherKind::hydra, 0, 4}, 1);
  });
  CHECK(contains(sentence, "mpiexec started 4 processes but this program's MPI ("));
  CHECK(contains(sentence, ") sees 1"));
  CHECK(refusal([] {
          detail::refuse_foreign_launcher({LauncherKind::hydra, 0, 4}, 4);
        }) == "accepted");
  CHECK(refusal([] { detail::refuse_foreign_launcher({}, 4); }) == "accepted");
}

TEST_CASE("check_mpi: MPI's own words, the rank and the operation") {
  CHECK(refusal([] { detail::check_mpi(MPI_SUCCESS, 2, "MPI_Isend"); }) == "accepted");
  const std::string sentence = refusal([] { detail::check_mpi(MPI_ERR_TRUNCATE, 2, "MPI_Isend"); });
  CHECK(contains(sentence, "cohort: rank 2: MPI_Isend: MPI reports: "));
  CHECK(contains(sentence, "runcat"));
}

TEST_CASE("a program that started MPI itself keeps it") {
  {
    detail::MpiProcess process;
    CHECK(process.size() == num_processes());
    process.ended_well();
  }
  int finalized = 1;
  MPI_Finalized(&finalized);
  CHECK(finalized == 0);
}

}  // namespace
