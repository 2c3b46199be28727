// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/mpi_library.hpp: is the MPI of the headers, of the library, of mpirun and of the launcher the same one?
#pragma once
#include <mpi.h>

#include <array>
#include <chrono>
#include <cohort/comm/launcher_environment.hpp>
#include <cohort/doctor/command.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/launcher.hpp>
#include <cohort/doctor/programs.hpp>
#include <cohort/doctor/system.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::checkup {

/// "Open MPI 4.1.4" and so on; empty where it is none of those that mpi_in knows.
struct MpiNames {
  std::string header, library, mpirun;
};

/// Asks the library without initialising it.
inline MpiNames mpi_names(const System& system) {
  MpiNames names;
#if defined(I_MPI_VERSION)
  names.header = mpi_in("Intel(R) MPI " I_MPI_VERSION);
#elif defined(MPICH_VERSION)
  names.header = mpi_in("MPICH " MPICH_VERSION);
#elif defined(OMPI_MAJOR_VERSION)
  names.header = mpi_in(
      phrase("Open MPI ", OMPI_MAJOR_VERSION, ".", OMPI_MINOR_VERSION, ".", OMPI_RELEASE_VERSION));
#endif
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  if (MPI_Get_library_version(text.data(), &length) == MPI_SUCCESS) {
    const std::string_view version(text.data());
    names.library = mpi_in(version.substr(0, version.find("Date")));
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
  for (const char* program : {"mpirun", "mpiexec"}) {
    const std::string path = find_program(system.environment, program);
    if (path.empty()) continue;
    names.mpirun = mpi_in(Command({path, "--version"}).output(until).value_or(""));
    break;
  }
  return names;
}

namespace detail {

/// "Open MPI 4.1.4" without the version.
inline std::string maker(std::string_view name) {
  return std::string(name.substr(0, name.find_last_of(' ')));
}
inline int major(std::string_view name) {
  const auto version = version_in(name);
  return version ? version->numbers[0] : 0;
}

}  // namespace detail

/// The library that is linked against the one that was compiled with and the mpirun that is found.
inline std::vector<Finding> mpi_findings(const System& system, const MpiNames& names) {
  Findings out("MPI");
  if (names.library.empty()) {
    out.note("library", "an MPI unknown to cohort",
             "Train two ranks for a step: Open MPI and MPICH are what cohort is tested with.");
    return out.take();
  }
  const std::string maker = detail::maker(names.library);
  if (!names.header.empty() && detail::maker(names.header) != maker)
    out.problem(
        "library", phrase(names.library, ", though this program was compiled for ", names.header),
        "Compile and link with one MPI; ldd shows what is loaded, LD_LIBRARY_PATH what comes "
        "first.");
  else if (!names.header.empty() && detail::major(names.header) != detail::major(names.library))
    out.warning("library",
                phrase(names.library, ", though this program was compiled for ", names.header),
                "Compile the program again, or correct LD_LIBRARY_PATH.");
  else
    out.ok("library", names.library);

  const Launcher launcher = launcher_of(system.environment);
  const bool foreign = (launcher.kind == LauncherKind::open_mpi && maker != "Open MPI") ||
                       (launcher.kind == LauncherKind::hydra && maker == "Open MPI");
  const std::string fix = phrase("Use the mpirun of ", maker,
                                 maker == "MPICH"      ? " (Debian: mpiexec.mpich)"
                                 : maker == "Open MPI" ? " (Debian: mpirun.openmpi)"
                                                       : "",
                                 ", or compile with the other MPI's mpicxx.");
  if (foreign)
    out.problem("launcher",
                phrase(name(launcher.kind), " started this program, whose MPI is ", names.library,
                       ": each process would be alone"),
                fix);
  else if (!names.mpirun.empty() && detail::maker(names.mpirun) != maker)
    out.warning("mpirun",
                phrase("that of PATH belongs to ", names.mpirun,
                       ": its processes would be "
                       "alone"),
                fix);
  else if (!names.mpirun.empty())
    out.ok("mpirun", "that of PATH belongs to this library");
  return out.take();
}

/// For doctor(): what this program was compiled and linked with, beside mpirun and the launcher.
inline std::vector<Finding> mpi(const System& system) {
  return mpi_findings(system, mpi_names(system));
}

}  // namespace cohort::checkup
