// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/mpi_library_test.cpp: which MPI a program, its library, mpirun and the launcher have.
#include <cohort/doctor/mpi_library.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using test::contains, test::found;

namespace {

std::vector<Finding> with(const checkup::MpiNames& names,
                          checkup::Environment::Variables variables = {}) {
  test::FakeSystem fake;
  fake.variables(std::move(variables));
  const auto all = checkup::mpi_findings(fake.system, names);
  CHECK(test::all_say_what_helps(all));
  return all;
}
const std::string open_mpi = "Open MPI 4.1.4", mpich = "MPICH 4.0.2";

}  // namespace

TEST_CASE("mpi_library: all of one MPI") {
  CHECK(worst(with({open_mpi, open_mpi, open_mpi})) == Verdict::ok);
  CHECK(worst(with({mpich, mpich, mpich}, {{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}})) == Verdict::ok);
  CHECK(worst(with({open_mpi, "Open MPI 4.1.9", ""})) == Verdict::ok);
}

TEST_CASE("mpi_library: headers of one MPI, the library of another or of another age") {
  CHECK(found(with({mpich, open_mpi, open_mpi}), "library").verdict == Verdict::problem);
  CHECK(found(with({open_mpi, "Open MPI 5.0.7", ""}), "library").verdict == Verdict::warning);
  CHECK(found(with({"", "", ""}), "library").verdict == Verdict::note);
}

TEST_CASE("mpi_library: mpirun or the launcher of another MPI") {
  const Finding f = found(with({mpich, mpich, open_mpi}), "mpirun");
  CHECK(f.verdict == Verdict::warning);
  CHECK(contains(f.fix, "mpiexec.mpich"));
  const Finding started = found(with({mpich, mpich, open_mpi}, {{"OMPI_COMM_WORLD_RANK", "0"},
                                                                {"OMPI_COMM_WORLD_SIZE", "2"}}),
                                "launcher");
  CHECK(started.verdict == Verdict::problem);
  CHECK(
      contains(started.found, "Open MPI's mpirun started this program, whose MPI is MPICH 4.0.2"));
  CHECK(found(with({open_mpi, open_mpi, ""}, {{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}), "launcher")
            .verdict == Verdict::problem);
}

TEST_CASE("mpi_library: the very MPI that runs this test is the one it was compiled for") {
  const auto names = checkup::mpi_names(checkup::System{});
  CHECK(names.header != "");
  CHECK(names.header == names.library);
  const auto all = checkup::mpi(checkup::System{});
  CHECK(found(all, "library").verdict == Verdict::ok);
  CHECK(found(all, "launcher").found == "no such finding");
}
