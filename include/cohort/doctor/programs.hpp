// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/programs.hpp: compilers, CMake, Eigen, Python, mpirun and nvcc: which are here, and are they new enough.
#pragma once
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cohort/doctor/command.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/system.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::checkup {

/// "Open MPI 4.1.4", "MPICH 4.0.2", "Intel MPI 2021.9" of what `mpirun --version` says, or of what
/// MPI_Get_library_version gives; empty: another one.
inline std::string mpi_in(std::string_view text) {
  const auto has = [&](std::string_view word) { return text.find(word) != text.npos; };
  std::string name;
  if (has("Intel(R) MPI"))
    name = "Intel MPI";
  else if (has("Open MPI") || has("OpenRTE") || has("prterun"))
    name = "Open MPI";
  else if (has("MPICH") || has("HYDRA"))
    name = "MPICH";
  const auto version = version_in(text);
  return name.empty() || !version ? name : name + " " + checkup::text(*version);
}

/// The version of the Eigen whose folder this is; nothing: there is none.
inline std::optional<Version> eigen_in(const System& system, const std::string& folder) {
  for (const char* file : {"/Eigen/Version", "/Eigen/src/Core/util/Macros.h"}) {
    const auto text = read(system, folder + file);
    if (!text) continue;
    Version version;
    int found = 0;
    for (const std::string& line : split(*text, '\n')) {
      constexpr const char* names[] = {"EIGEN_WORLD_VERSION", "EIGEN_MAJOR_VERSION",
                                       "EIGEN_MINOR_VERSION"};
      const auto words = split(line, ' ');
      for (int i = 0; i < 3; ++i)
        if (words.size() >= 3 && words[0] == "#define" && words[1] == names[i])
          if (const auto n = number(words[2])) version.numbers[i] = static_cast<int>(*n), ++found;
    }
    if (found < 3) continue;
    // 3.4.0 calls itself world 3, major 4, minor 0; 5.0.1 world 3, major 5, minor 0, patch 1.
    if (version.numbers[1] >= 5) return Version{{version.numbers[1], version.numbers[2], 0}};
    return version;
  }
  return {};
}

namespace detail {

/// A program that was found and asked.
struct Asked {
  std::string name, path;
  Command command;
};

inline std::vector<Asked> ask(const Environment& environment,
                              std::initializer_list<std::string_view> names,
                              const std::string& option) {
  std::vector<Asked> asked;
  for (const std::string_view name : names) {
    std::string path = name.starts_with('/') ? std::string(name) : find_program(environment, name);
    if (path.empty() || ::access(path.c_str(), X_OK) != 0) continue;
    const bool twice = std::any_of(asked.begin(), asked.end(), [&](const Asked& other) {
      std::error_code ignored;
      return std::filesystem::equivalent(other.path, path, ignored);
    });
    if (!twice) asked.push_back({std::string(name), path, Command({path, option})});
  }
  return asked;
}

using Instant = std::chrono::steady_clock::time_point;

/// All compilers that are new enough, or the newest that is not.
inline void compilers(const Environment& environment, std::vector<Asked> asked, Instant until,
                      Findings& out) {
  const std::string chosen(environment.text("CXX"));
  const char* fix =
      "Install g++ 12 or clang 16 or newer (tools/install-deps does), or name one that is "
      "here: export CXX=...";
  std::vector<std::string> good, old;
  bool chosen_is_old = false;
  const bool chosen_is_here =
      chosen.empty() || chosen.find(' ') != chosen.npos ||  // "ccache g++": not looked into
      std::any_of(asked.begin(), asked.end(), [&](const Asked& a) { return a.name == chosen; });
  for (Asked& each : asked) {
    const auto said = each.command.output(until);
    const auto version = version_in(said.value_or(""));
    if (!version) continue;
    const bool clang = each.name.find("clang") != std::string::npos;
    const std::string text = phrase(each.name, " ", trimmed(*said));
    const bool enough = version->numbers[0] >= (clang ? 16 : 12);
    (enough ? good : old).push_back(text);
    if (!enough && each.name == chosen) chosen_is_old = true;
  }
  if (!chosen_is_here)
    out.problem("C++ compiler", phrase("CXX=", chosen, " is not here"), fix);
  else if (chosen_is_old)
    out.problem("C++ compiler", phrase("CXX=", chosen, " is too old (", listed(old), ")"), fix);
  else if (!good.empty())
    out.ok("C++ compiler", listed(good));
  else if (!old.empty())
    out.warning("C++ compiler", phrase(listed(old), ": too old"), fix);
  else
    out.warning("C++ compiler", "none", fix);
}

/// One program that must have a version.
inline void at_least(const char* name, std::vector<Asked> asked, Version least, Instant until,
                     const char* fix, Findings& out) {
  for (Asked& each : asked) {
    const auto said = each.command.output(until);
    const auto version = version_in(said.value_or(""));
    if (!version)
      out.warning(name, phrase(each.path, " does not tell its version"), fix);
    else if (*version < least)
      out.warning(name, phrase(text(*version), ": ", text(least), " is needed"), fix);
    else
      out.ok(name, phrase(text(*version), ", ", each.path));
    return;
  }
  out.note(name, "none", fix);
}

inline void eigen(const System& system, Findings& out) {
  std::vector<std::string> folders;
  for (const char* variable : {"CPATH", "CPLUS_INCLUDE_PATH"})
    for (std::string& folder : split(system.environment.text(variable), ':'))
      folders.push_back(std::move(folder));
  for (const char* variable : {"Eigen3_ROOT", "CMAKE_PREFIX_PATH"})
    for (const std::string& folder : split(system.environment.text(variable), ':'))
      folders.push_back(folder + "/include/eigen3");
  for (const char* folder : {"/usr/local/include/eigen3", "/usr/include/eigen3",
                             "/usr/local/include", "/usr/include", "/opt/homebrew/include/eigen3"})
    folders.push_back(folder);
  const char* fix =
      "Install Eigen 3.4 or newer (Debian: libeigen3-dev), or say where it is: export "
      "CMAKE_PREFIX_PATH=...";
  for (const std::string& folder : folders) {
    const auto version = eigen_in(system, folder);
    if (!version) continue;
    if (*version < Version{{3, 4, 0}})
      return out.warning("Eigen", phrase(text(*version), " in ", folder, ": 3.4 is needed"), fix);
    return out.ok("Eigen", phrase(text(*version), ", ", folder));
  }
  out.note("Eigen", "not in the usual folders", fix);
}

inline void mpirun(const Environment& environment, std::vector<Asked> asked, Instant until,
                   bool root, Findings& out) {
  if (asked.empty())
    return out.note("mpirun", "none",
                    "Nothing to do for ranks as threads; for processes install Open MPI or MPICH "
                    "(Debian: openmpi-bin libopenmpi-dev).");
  const auto said = asked.front().command.output(until);
  const std::string mpi = mpi_in(said.value_or(""));
  const std::string& path = asked.front().path;
  if (mpi.empty())
    return out.note("mpirun",
                    phrase(path, said ? " of an MPI unknown to cohort" : " does not answer"),
                    "Run mpirun --version; Open MPI and MPICH are what cohort is tested with.");
  const bool allowed = environment("OMPI_ALLOW_RUN_AS_ROOT") != nullptr &&
                       environment("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM") != nullptr;
  if (root && !allowed && mpi.starts_with("Open MPI"))
    return out.note("mpirun", phrase(mpi, ", ", path, ", which refuses root"),
                    "Add --allow-run-as-root, or export OMPI_ALLOW_RUN_AS_ROOT=1 "
                    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1.");
  out.ok("mpirun", phrase(mpi, ", ", path));
}

}  // namespace detail

/// What builds and starts programs. All are asked at once, and 1.5 s are waited for answers.
inline std::vector<Finding> programs(const System& system, bool root = ::geteuid() == 0) {
  Findings out("programs");
  const Environment& e = system.environment;
  const std::string cxx(e.text("CXX").empty() ? "g++" : e.text("CXX"));
  const std::string cuda_home(e.text("CUDA_HOME").empty() ? "/usr/local/cuda"
                                                          : e.text("CUDA_HOME"));
  auto compilers = detail::ask(
      e,
      {cxx == "g++" ? "" : cxx, "g++", "g++-15", "g++-14", "g++-13", "g++-12", "clang++",
       "clang++-21", "clang++-20", "clang++-19", "clang++-18", "clang++-17", "clang++-16"},
      "-dumpversion");
  auto cmake = detail::ask(e, {"cmake"}, "--version");
  auto python = detail::ask(e, {"python3"}, "--version");
  auto mpirun = detail::ask(e, {"mpirun", "mpiexec"}, "--version");
  auto nvcc = detail::ask(e, {"nvcc", cuda_home + "/bin/nvcc"}, "--version");
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
  detail::compilers(e, std::move(compilers), until, out);
  detail::at_least("CMake", std::move(cmake), {{3, 24, 0}}, until,
                   "Install CMake 3.24 or newer (pip install cmake brings one).", out);
  detail::eigen(system, out);
  detail::at_least("Python", std::move(python), {{3, 8, 0}}, until,
                   "Install Python 3.8 or newer if you want to run the tests or tools/report.",
                   out);
  detail::mpirun(e, std::move(mpirun), until, root, out);
  if (!nvcc.empty())
    detail::at_least("nvcc", std::move(nvcc), {{12, 4, 0}}, until,
                     "Install the CUDA toolkit 12.4 or newer, or leave GPUs out.", out);
  else
    out.ok("nvcc", "none; only programs for GPUs need it");
  return out.take();
}

}  // namespace cohort::checkup
