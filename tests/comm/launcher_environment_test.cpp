// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/launcher_environment_test.cpp: launchers are known, half of one is refused.
#include <cohort/comm/launcher_environment.hpp>

#include <doctest/doctest.h>

#include <map>
#include <string>

using namespace cohort;

namespace {

using Variables = std::map<std::string, std::string>;

std::vector<Launcher> found(const Variables& variables) {
  return launchers([&](const char* name) {
    const auto at = variables.find(name);
    return at == variables.end() ? nullptr : at->second.c_str();
  });
}
std::string refusal(const Variables& variables) {
  try {
    found(variables);
  } catch (const InvalidInput& e) {
    return e.what();
  }
  return "accepted";
}

const Variables torchrun{
    {"RANK", "3"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "2"}};
const Variables open_mpi{{"OMPI_COMM_WORLD_RANK", "3"},
                         {"OMPI_COMM_WORLD_SIZE", "8"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}};
const Variables hydra{
    {"PMI_RANK", "3"}, {"PMI_SIZE", "8"}, {"MPI_LOCALRANKID", "1"}, {"MPI_LOCALNRANKS", "2"}};
const Variables slurm{{"SLURM_PROCID", "3"}, {"SLURM_NTASKS", "8"}, {"SLURM_LOCALID", "0"}};

Variables with(Variables a, const Variables& b) {
  for (const auto& [name, text] : b) a[name] = text;
  return a;
}

TEST_CASE("launchers: each one's rank, size and place on its machine") {
  CHECK(found({}).empty());
  CHECK(found(torchrun) == std::vector<Launcher>{{LauncherKind::torchrun, 3, 8, 1, 2}});
  CHECK(found(open_mpi) == std::vector<Launcher>{{LauncherKind::open_mpi, 3, 8, 1, 4}});
  CHECK(found(hydra) == std::vector<Launcher>{{LauncherKind::hydra, 3, 8, 1, 2}});
  CHECK(found({{"PMI_RANK", "0"}, {"PMI_SIZE", "1"}}) ==
        std::vector<Launcher>{{LauncherKind::hydra, 0, 1, -1, -1}});
}

TEST_CASE("launchers: Slurm counts inside a step only, where sbatch has not set PROCID alone") {
  CHECK(found(slurm).empty());
  CHECK(found(with(slurm, {{"SLURM_STEP_ID", "0"}})) ==
        std::vector<Launcher>{{LauncherKind::slurm, 3, 8, 0, -1}});
}

TEST_CASE("launchers: one inside another's allocation comes first; its numbers are its own") {
  const Variables step =
      with(slurm, {{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}});
  const auto both = found(with(open_mpi, step));
  REQUIRE(both.size() == 2);
  CHECK(both[0].kind == LauncherKind::open_mpi);
  CHECK(both[1].kind == LauncherKind::slurm);
}

TEST_CASE("launchers: half of a pair is refused with what is set and what is missing") {
  const std::pair<const Variables*, const char*> all[] = {
      {&torchrun, "torchrun"}, {&open_mpi, "Open MPI's mpirun"}, {&hydra, "mpiexec"}};
  for (const auto& [whole, launcher] : all) {
    for (const auto& names : detail::launcher_variables) {
      if (!whole->count(names.rank)) continue;
      for (const char* missing : {names.rank, names.size}) {
        Variables half = *whole;
        half.erase(missing);
        const char* set = missing == std::string(names.rank) ? names.size : names.rank;
        CHECK(refusal(half) == detail::phrase("cohort: launch: ", set, " is set but ", missing,
                                              " is missing: that is half of what ", launcher,
                                              " sets. Set both, or neither."));
      }
    }
  }
}

TEST_CASE("launchers: what is no number in its range is refused by variable, value and range") {
  for (const char* bad : {"", "abc", "-1", "8", "1e0", " 1", "1 ", "0x1", "99999999999999999999"}) {
    CAPTURE(bad);
    CHECK(refusal(with(torchrun, {{"RANK", bad}})) ==
          detail::phrase("cohort: launch: RANK='", bad,
                         "' is no whole number from 0 to 7. Start "
                         "this program through its launcher, or unset the variable."));
  }
  CHECK(refusal(with(open_mpi, {{"OMPI_COMM_WORLD_SIZE", "0"}}))
            .find("OMPI_COMM_WORLD_SIZE='0' is no whole number from 1 to 1048576") !=
        std::string::npos);
  CHECK(refusal(with(open_mpi, {{"OMPI_COMM_WORLD_LOCAL_RANK", "4"}}))
            .find("OMPI_COMM_WORLD_LOCAL_RANK='4' is no whole number from 0 to 3") !=
        std::string::npos);
  CHECK(refusal(with(hydra, {{"MPI_LOCALNRANKS", "9"}})).find("from 1 to 8") != std::string::npos);
}

TEST_CASE("launchers: two that disagree are refused with both views") {
  CHECK(found(with(torchrun, open_mpi)).size() == 2);
  const std::string sentence = refusal(with(open_mpi, {{"RANK", "0"}, {"WORLD_SIZE", "2"}}));
  CHECK(sentence ==
        "cohort: launch: this process is rank 0 of 2 to torchrun but rank 3 of 8 to Open MPI's "
        "mpirun. Use one launcher, or unset OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE.");
}

TEST_CASE("launcher: the process's own environment; without any, a world of one") {
  if (!launchers().empty()) return;  // this test itself runs under a launcher
  CHECK(launcher() == Launcher{});
  CHECK(std::string(name(LauncherKind::none)) == "no launcher");
  CHECK(std::string(name(LauncherKind::slurm)) == "srun");
}

}  // namespace
