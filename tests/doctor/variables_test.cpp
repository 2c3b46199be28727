// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/variables_test.cpp: what slows a run down is told, the rest is listed.
#include <cohort/doctor/variables.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using test::FakeSystem, test::contains, test::found;

namespace {
std::vector<Finding> with(checkup::Environment::Variables variables, const char* cpus = "0-3") {
  FakeSystem fake;
  fake.variables(std::move(variables));
  fake.file("/proc/self/status", std::string("Cpus_allowed_list:\t") + cpus + "\n");
  const auto all = checkup::variables(fake.system);
  CHECK(test::all_say_what_helps(all));
  return all;
}
}  // namespace

TEST_CASE("variables: OMP_NUM_THREADS") {
  const auto threads = [](const char* value) {
    return found(with({{"OMP_NUM_THREADS", value}}), "OMP_NUM_THREADS").verdict;
  };
  CHECK(threads("1") == Verdict::ok);
  CHECK(threads("1,2") == Verdict::ok);
  CHECK(threads("4") == Verdict::note);
  for (const char* bad : {"", "0", "many", "-1", ","}) {
    CAPTURE(bad);
    CHECK(threads(bad) == Verdict::warning);
  }
  const Finding f = found(with({}), "OMP_NUM_THREADS");
  CHECK(f.verdict == Verdict::note);
  CHECK(contains(f.found, "all 4 CPUs"));
  CHECK(found(with({}, "2"), "OMP_NUM_THREADS").verdict == Verdict::ok);
}

TEST_CASE(
    "variables: those that slow down are notes, by value; others of NCCL and MPI are listed") {
  const auto all = with({{"OMP_NUM_THREADS", "1"},
                         {"CUDA_LAUNCH_BLOCKING", "1"},
                         {"NCCL_P2P_DISABLE", "1"},
                         {"NCCL_SHM_DISABLE", "0"},
                         {"NCCL_DEBUG", "WARN"},
                         {"OMPI_MCA_btl", "tcp,self"},
                         {"HOME", "/root"}});
  CHECK(found(all, "CUDA_LAUNCH_BLOCKING").verdict == Verdict::note);
  CHECK(found(all, "NCCL_P2P_DISABLE").verdict == Verdict::note);
  CHECK(found(all, "OMPI_MCA_btl").verdict == Verdict::note);
  CHECK(found(all, "NCCL and MPI").found == "NCCL_DEBUG=WARN, NCCL_SHM_DISABLE=0");
  CHECK(all.size() == 5);
}

TEST_CASE("variables: what launch<Nccl> refuses is a problem") {
  CHECK(found(with({{"NCCL_COMM_BLOCKING", "1"}}), "NCCL_COMM_BLOCKING").verdict ==
        Verdict::problem);
  CHECK(found(with({{"NCCL_COMM_BLOCKING", "0"}}), "NCCL and MPI").verdict == Verdict::ok);
}

TEST_CASE("variables: NCCL's file counts as well") {
  FakeSystem fake;
  fake.file("/etc/nccl.conf", "# comment\nNCCL_IB_HCA=mlx5_0\n");
  CHECK(found(checkup::variables(fake.system), "NCCL and MPI").found ==
        "NCCL_IB_HCA=mlx5_0 (/etc/nccl.conf)");
}
