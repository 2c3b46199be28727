// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/launcher_environment.hpp: which launcher started this process, and as what.
#pragma once
#include <cohort/comm/collective.hpp>
#include <cohort/core/error.hpp>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace cohort {

/// Who started this process.
enum class LauncherKind : std::uint8_t { none, torchrun, open_mpi, hydra, slurm };

/// What one launcher said about this process. local_rank and local_size count the processes of the
/// launcher on this machine; -1 where it does not say.
struct Launcher {
  LauncherKind kind = LauncherKind::none;
  int rank = 0;
  int size = 1;
  int local_rank = -1;
  int local_size = -1;

  friend constexpr bool operator==(const Launcher&, const Launcher&) = default;
};

namespace detail {

/// The variables of one launcher; the first two are there together or not at all.
struct LauncherVariables {
  LauncherKind kind;
  const char* name;
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
};

/// In order of precedence: the launcher that was started last comes first.
inline constexpr LauncherVariables launcher_variables[] = {
    {LauncherKind::torchrun, "torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    {LauncherKind::open_mpi, "Open MPI's mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {LauncherKind::hydra, "mpiexec", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
    {LauncherKind::slurm, "srun", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", nullptr},
};

inline constexpr int max_processes = 1 << 20;

/// A whole number from low to high in plain digits, or an error that names the variable.
inline int launcher_number(const char* variable, std::string_view text, int low, int high) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= low && number <= high) {
    return number;
  }
  throw InvalidInput(-1, "launch",
                     phrase(variable, "='", text, "' is no whole number from ", low, " to ", high,
                            ". Start this program through its launcher, or unset the variable."));
}

/// What one launcher's variables say; kind none if they are absent.
template <class Lookup> Launcher launcher_of(const LauncherVariables& names, const Lookup& lookup) {
  const char* rank = lookup(names.rank);
  const char* size = lookup(names.size);
  if (names.kind == LauncherKind::slurm && lookup("SLURM_STEP_ID") == nullptr) return {};
  if (rank == nullptr && size == nullptr) return {};
  if (rank == nullptr || size == nullptr) {
    throw InvalidInput(
        -1, "launch",
        phrase(rank ? names.rank : names.size, " is set but ", rank ? names.size : names.rank,
               " is missing: that is half of what ", names.name, " sets. Set both, or neither."));
  }
  Launcher launcher{names.kind};
  launcher.size = launcher_number(names.size, size, 1, max_processes);
  launcher.rank = launcher_number(names.rank, rank, 0, launcher.size - 1);
  const char* local_size = names.local_size == nullptr ? nullptr : lookup(names.local_size);
  if (local_size != nullptr) {
    launcher.local_size = launcher_number(names.local_size, local_size, 1, launcher.size);
  }
  if (const char* local = lookup(names.local_rank)) {
    const int limit = local_size == nullptr ? launcher.size : launcher.local_size;
    launcher.local_rank = launcher_number(names.local_rank, local, 0, limit - 1);
  }
  return launcher;
}

}  // namespace detail

/// The launcher's name as messages have it.
constexpr const char* name(LauncherKind kind) {
  for (const auto& names : detail::launcher_variables) {
    if (names.kind == kind) return names.name;
  }
  return "no launcher";
}

/// All launchers that left variables, in order of precedence: an mpirun inside an allocation of
/// Slurm leaves two. SLURM_PROCID counts only inside a step (SLURM_STEP_ID): sbatch sets it too.
///
/// Errors   InvalidInput: a variable that is no number or out of range; one of a pair without the
///          other; torchrun, mpirun and mpiexec that name different ranks or sizes. (srun may start
///          another launcher, one process a machine: its numbers are not compared.)
template <class Lookup> std::vector<Launcher> launchers(const Lookup& lookup) {
  std::vector<Launcher> found;
  for (const auto& names : detail::launcher_variables) {
    const Launcher launcher = detail::launcher_of(names, lookup);
    if (launcher.kind == LauncherKind::none) continue;
    if (!found.empty() && launcher.kind != LauncherKind::slurm &&
        (found[0].rank != launcher.rank || found[0].size != launcher.size)) {
      throw InvalidInput(
          -1, "launch",
          detail::phrase("this process is rank ", found[0].rank, " of ", found[0].size, " to ",
                         name(found[0].kind), " but rank ", launcher.rank, " of ", launcher.size,
                         " to ", names.name, ". Use one launcher, or unset ", names.rank, " and ",
                         names.size, "."));
    }
    found.push_back(launcher);
  }
  return found;
}
/// The same, from this process's environment.
inline std::vector<Launcher> launchers() {
  return launchers([](const char* variable) { return std::getenv(variable); });
}

/// The launcher that counts, the first of launchers(); kind none, rank 0 of 1 without any.
inline Launcher launcher() {
  const std::vector<Launcher> found = launchers();
  return found.empty() ? Launcher{} : found.front();
}

}  // namespace cohort
