// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/launcher_test.cpp: each launcher is seen; half of one, two that disagree and sbatch alone are told with what helps.
#include <cohort/doctor/launcher.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using test::contains, test::found;
using Variables = checkup::Environment::Variables;

namespace {

std::vector<Finding> with(Variables variables, int cpus = 8) {
  test::FakeSystem fake;
  fake.variables(std::move(variables));
  fake.file("/sys/devices/system/cpu/online", "0-" + std::to_string(cpus - 1));
  const auto all = checkup::launcher(fake.system);
  CHECK(test::all_say_what_helps(all));
  return all;
}
Variables and_(Variables a, const Variables& b) {
  for (const auto& [name, text] : b) a[name] = text;
  return a;
}

const Variables torchrun{{"RANK", "3"},
                         {"WORLD_SIZE", "8"},
                         {"LOCAL_RANK", "1"},
                         {"LOCAL_WORLD_SIZE", "2"},
                         {"MASTER_ADDR", "10.0.0.1"},
                         {"MASTER_PORT", "29500"}};
const Variables open_mpi{{"OMPI_COMM_WORLD_RANK", "1"},
                         {"OMPI_COMM_WORLD_SIZE", "4"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}};
const Variables batch{{"SLURM_JOB_ID", "77"}, {"SLURM_NTASKS", "16"}, {"SLURM_PROCID", "0"}};

}  // namespace

TEST_CASE("launcher: none, torchrun, Open MPI, one inside Slurm") {
  CHECK(with({}).size() == 1);
  CHECK(found(with({}), "launcher").found == "none: started by hand");
  auto all = with(torchrun);
  CHECK(worst(all) == Verdict::ok);
  CHECK(found(all, "launcher").found == "torchrun: rank 3 of 8, process 1 of 2 on this machine");
  CHECK(contains(found(all, "meeting point").found, "10.0.0.1:29500"));
  all = with(and_(open_mpi, and_(batch, {{"SLURM_STEP_ID", "0"}})));
  CHECK(contains(found(all, "launcher").found, "rank 1 of 4"));
  CHECK(contains(found(all, "launcher").found, "inside srun"));
  CHECK(found(all, "Slurm").found == "no such finding");
}

TEST_CASE("launcher: half of torchrun names what is missing") {
  for (const auto& [set, missing] :
       {std::pair{"RANK", "WORLD_SIZE"}, std::pair{"WORLD_SIZE", "RANK"}}) {
    const auto all = with({{set, "1"}});
    CHECK(all.size() == 1);
    CHECK(all[0].verdict == Verdict::problem);
    CHECK(contains(all[0].found, std::string(set) + " is set but " + missing + " is missing"));
    CHECK(all[0].fix == "Set both, or neither.");
  }
  Variables without = torchrun;
  without.erase("LOCAL_RANK");
  without.erase("LOCAL_WORLD_SIZE");
  const Finding f = found(with(without), "launcher");
  CHECK(f.verdict == Verdict::warning);
  CHECK(contains(f.found, "LOCAL_RANK is missing"));
}

TEST_CASE("launcher: half of a Slurm step, nonsense, and two that disagree") {
  const auto half = with({{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "1"}});
  CHECK(half[0].verdict == Verdict::problem);
  CHECK(contains(half[0].found, "SLURM_NTASKS is missing"));
  const auto nonsense = with({{"RANK", "two"}, {"WORLD_SIZE", "2"}});
  CHECK(contains(nonsense[0].found, "RANK='two' is no whole number from 0 to 1"));
  CHECK(contains(nonsense[0].fix, "unset the variable"));
  const auto two = with(and_(torchrun, open_mpi));
  CHECK(two[0].verdict == Verdict::problem);
  CHECK(contains(two[0].found, "rank 3 of 8 to torchrun but rank 1 of 4 to Open MPI's mpirun"));
  CHECK(contains(two[0].fix, "Use one launcher"));
}

TEST_CASE("launcher: inside sbatch without srun, alone or under mpirun") {
  const Finding f = found(with(batch), "Slurm");
  CHECK(f.verdict == Verdict::warning);
  CHECK(contains(f.found, "job 77 of 16 tasks, but in no step"));
  CHECK(contains(f.fix, "srun"));
  CHECK(found(with(and_(batch, {{"SLURM_NTASKS", "1"}})), "Slurm").verdict == Verdict::note);
  CHECK(found(with(and_(batch, open_mpi)), "Slurm").found == "no such finding");
}

TEST_CASE("launcher: where ranks meet, half of it, or none of it") {
  CHECK(found(with({{"MASTER_ADDR", "a"}}), "meeting point").verdict == Verdict::problem);
  CHECK(contains(found(with({{"MASTER_PORT", "1"}}), "meeting point").found,
                 "MASTER_ADDR is missing"));
  Variables bad = torchrun;
  bad["MASTER_PORT"] = "65536";
  CHECK(found(with(bad), "meeting point").found ==
        "MASTER_PORT='65536' is no whole number from 1 to 65535");
  CHECK(found(with({{"NCCL_COMM_ID", "29500"}}), "meeting point").verdict == Verdict::problem);
  CHECK(contains(found(with({{"NCCL_COMM_ID", "29500"}}), "meeting point").found,
                 "e.g. 10.0.0.1:29500"));
  bad.erase("MASTER_ADDR");
  bad.erase("MASTER_PORT");
  CHECK(found(with(bad), "meeting point").verdict == Verdict::problem);    // torchrun sets them
  CHECK(found(with(open_mpi), "meeting point").verdict == Verdict::note);  // MPI needs none
  const Finding stray = found(with({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}}), "meeting point");
  CHECK(stray.verdict == Verdict::note);
  CHECK(contains(stray.found, "no launcher"));
}

TEST_CASE("launcher: more processes than CPUs; several machines") {
  CHECK(found(with(open_mpi, 2), "launcher").verdict == Verdict::warning);
  CHECK(contains(found(with(open_mpi, 2), "launcher").fix, "at most 2 processes"));
  CHECK(contains(found(with(open_mpi, 1), "launcher").fix, "at most 1 process "));
  CHECK(checkup::several_machines(torchrun));
  CHECK_FALSE(checkup::several_machines(open_mpi));
  CHECK(checkup::several_machines(Variables{{"SLURM_JOB_NUM_NODES", "2"}}));
  CHECK_FALSE(checkup::several_machines(Variables{{"RANK", "1"}}));
}
