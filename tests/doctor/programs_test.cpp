// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/programs_test.cpp: compilers and the like, old, new, broken and absent.
#include <cohort/doctor/programs.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using test::FakeSystem, test::contains, test::found;

namespace {

/// A machine with nothing but what a test installs in /bin.
struct Machine : FakeSystem {
  std::vector<Finding> look(checkup::Environment::Variables more = {}, bool root = false) {
    more["PATH"] = (path() / "bin").string();
    more.try_emplace("CUDA_HOME", (path() / "cuda").string());
    variables(std::move(more));
    const auto all = checkup::programs(system, root);
    CHECK(test::all_say_what_helps(all));
    return all;
  }
};

}  // namespace

TEST_CASE("programs: what mpirun and MPI_Get_library_version say of themselves") {
  CHECK(checkup::mpi_in("mpirun (Open MPI) 4.1.4\n\nReport bugs to ...") == "Open MPI 4.1.4");
  CHECK(checkup::mpi_in("mpirun (Open MPI) 5.0.7") == "Open MPI 5.0.7");
  CHECK(checkup::mpi_in(
            "HYDRA build details:\n    Version:                                 4.0.2\n") ==
        "MPICH 4.0.2");
  CHECK(checkup::mpi_in("Intel(R) MPI Library for Linux* OS, Version 2021.9 Build 20230307") ==
        "Intel MPI 2021.9");
  CHECK(checkup::mpi_in("Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4") ==
        "Open MPI 4.1.4");
  CHECK(checkup::mpi_in("something else 1.2") == "");
}

TEST_CASE("programs: all there and new enough") {
  Machine machine;
  machine.program("bin/g++", "12")
      .program("bin/clang++-16", "16.0.6")
      .program("bin/clang++", "14.0.6")
      .program("bin/cmake", "cmake version 3.25.1")
      .program("bin/python3", "Python 3.11.2")
      .program("bin/mpirun", "mpirun (Open MPI) 4.1.4")
      .program("bin/nvcc", "Cuda compilation tools, release 13.0, V13.0.48")
      .file("usr/include/eigen3/Eigen/src/Core/util/Macros.h",
            "#define EIGEN_WORLD_VERSION 3\n#define EIGEN_MAJOR_VERSION 4\n#define "
            "EIGEN_MINOR_VERSION 0\n");
  const auto all = machine.look();
  CHECK(worst(all) == Verdict::ok);
  CHECK(found(all, "C++ compiler").found == "g++ 12, clang++-16 16.0.6");
  CHECK(contains(found(all, "CMake").found, "3.25.1"));
  CHECK(contains(found(all, "Eigen").found, "3.4, /usr/include/eigen3"));
  CHECK(contains(found(all, "mpirun").found, "Open MPI 4.1.4"));
}

TEST_CASE("programs: too old") {
  Machine machine;
  machine.program("bin/g++", "9")
      .program("bin/clang++", "14.0.0")
      .program("bin/cmake", "cmake version 3.18.4")
      .program("bin/nvcc", "release 11.8, V11.8.89")
      .file("usr/include/eigen3/Eigen/src/Core/util/Macros.h",
            "#define EIGEN_WORLD_VERSION 3\n#define EIGEN_MAJOR_VERSION 3\n#define "
            "EIGEN_MINOR_VERSION 7\n");
  const auto all = machine.look();
  for (const char* name : {"C++ compiler", "CMake", "Eigen", "nvcc"}) {
    CAPTURE(name);
    CHECK(found(all, name).verdict == Verdict::warning);
  }
  CHECK(found(all, "C++ compiler").found == "g++ 9, clang++ 14.0.0: too old");
  CHECK(found(all, "CMake").found == "3.18.4: 3.24 is needed");
  CHECK(contains(found(all, "Eigen").found, "3.3.7"));
}

TEST_CASE("programs: a compiler that CXX names and that is too old, or absent, is a problem") {
  Machine machine;
  machine.program("bin/g++", "13").program("bin/g++-9", "9");
  CHECK(found(machine.look({{"CXX", "g++-9"}}), "C++ compiler").verdict == Verdict::problem);
  CHECK(found(machine.look({{"CXX", "g++"}}), "C++ compiler").verdict == Verdict::ok);
  CHECK(found(machine.look({{"CXX", "ccache g++"}}), "C++ compiler").verdict == Verdict::ok);
  CHECK(found(machine.look({{"CXX", "icpx"}}), "C++ compiler").found == "CXX=icpx is not here");
}

TEST_CASE("programs: Eigen 5, and in the folder of CMAKE_PREFIX_PATH") {
  Machine machine;
  machine.file("opt/include/eigen3/Eigen/Version",
               "#define EIGEN_WORLD_VERSION 3\n#define EIGEN_MAJOR_VERSION 5\n#define "
               "EIGEN_MINOR_VERSION 1\n");
  CHECK(found(machine.look(), "Eigen").verdict == Verdict::note);
  CHECK(contains(found(machine.look({{"CMAKE_PREFIX_PATH", "/opt"}}), "Eigen").found, "5.1"));
}

TEST_CASE("programs: Open MPI refuses root unless it is told otherwise; others do not") {
  Machine machine;
  machine.program("bin/mpirun", "mpirun (Open MPI) 4.1.4");
  CHECK(contains(found(machine.look({}, true), "mpirun").fix, "--allow-run-as-root"));
  CHECK(found(machine.look(
                  {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}}, true),
              "mpirun")
            .verdict == Verdict::ok);
  machine.program("bin/mpirun", "HYDRA build details: Version: 4.0.2");
  CHECK(found(machine.look({}, true), "mpirun").verdict == Verdict::ok);
}

TEST_CASE("programs: one that hangs is not waited for") {
  Machine machine;
  machine.file("bin/cmake", "#!/bin/sh\nexec sleep 30\n");
  std::filesystem::permissions(machine.path() / "bin/cmake", std::filesystem::perms::owner_all);
  machine.program("bin/python3", "Python 3.11.2");
  const auto begin = std::chrono::steady_clock::now();
  const auto all = machine.look();
  CHECK(contains(found(all, "CMake").found, "does not tell its version"));
  CHECK(found(all, "Python").verdict == Verdict::ok);  // the others are not lost with it
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}
