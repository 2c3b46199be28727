// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/mpi_process.hpp: MPI's start and end in this process, and what its calls return.
#pragma once
#include <cohort/comm/launcher_environment.hpp>
#include <cohort/core/error.hpp>

#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::detail {

/// Throws what an MPI function returned unless it is success.
///
/// Errors   PeerFailed: with errors returned, not fatal, MPI reports broken connections this way.
inline void check_mpi(int code, int rank, std::string_view operation) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw PeerFailed(rank, operation,
                   phrase("MPI reports: ", static_cast<const char*>(text),
                          ". A peer is gone or cannot be reached; the launcher knows which one."));
}

/// The launcher that speaks MPI: torchrun does not, even where it stands first.
inline Launcher mpi_launcher(const std::vector<Launcher>& found) {
  for (const Launcher& launcher : found) {
    if (launcher.kind != LauncherKind::torchrun) return launcher;
  }
  return {};
}

/// torchrun alone would give as many worlds of one rank as it starts processes.
inline void refuse_torchrun(const std::vector<Launcher>& found) {
  if (found.size() != 1 || found[0].kind != LauncherKind::torchrun || found[0].size == 1) return;
  throw InvalidInput(
      -1, "launch",
      phrase("torchrun started this program (RANK=", found[0].rank, ", WORLD_SIZE=", found[0].size,
             "), which tells MPI nothing of the other processes; "
             "start it with mpirun -n ",
             found[0].size, " instead."));
}

/// A program that was linked with another MPI than the launcher's sees itself alone.
inline void refuse_foreign_launcher(const Launcher& launcher, int mpi_size) {
  if (launcher.kind == LauncherKind::none || launcher.size == mpi_size) return;
  char library[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(library, &length);
  std::string version(library);
  version = version.substr(0, std::min(version.find('\n'), version.find(',')));
  throw InvalidInput(
      -1, "launch",
      phrase(
          name(launcher.kind), " started ", launcher.size, " processes but this program's MPI (",
          version, ") sees ", mpi_size,
          ": the launcher belongs to another MPI. Use the mpirun "
          "of the MPI that the program was linked with (under srun: --mpi=pmix or --mpi=pmi2)."));
}

/// Names the rank whose process ends by std::exit while its world lives: not every launcher does.
struct ExitWatch {
  int rank = -1;  // -1: no world lives
  ~ExitWatch() {
    if (rank < 0) return;
    std::fprintf(stderr,
                 "cohort: rank %d ended its process while the other ranks go on. Return from the "
                 "function given to launch on every rank, or throw.\n",
                 rank);
    std::fflush(stderr);
  }
  static ExitWatch& of_this_process() {
    static ExitWatch watch;
    return watch;
  }
};

/// MPI as long as a world lives: initialised here unless the program did so before, and finalised
/// here only then, and only after a world that ended well: MPI_Finalize waits for every rank.
///
/// Comm     the thread level is MPI_THREAD_SERIALIZED at least: cohort calls MPI from any thread of
///          a rank, under one lock of its own.
/// Errors   InvalidInput: started by torchrun or by another MPI's launcher; MPI was finalised
///          before; a thread level below.
class MpiProcess {
 public:
  MpiProcess() {
    const std::vector<Launcher> found = launchers();
    refuse_torchrun(found);
    int initialized = 0, finalized = 0, level = MPI_THREAD_SINGLE;
    MPI_Finalized(&finalized);
    if (finalized != 0) {
      throw InvalidInput(
          -1, "launch",
          "MPI was finalised before, by an earlier launch perhaps, and cannot start "
          "again. Call MPI_Init_thread and MPI_Finalize in main, around all launches.");
    }
    MPI_Initialized(&initialized);
    if (initialized != 0) {
      MPI_Query_thread(&level);
    } else {
      check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level), -1,
                "MPI_Init_thread");
      owned_ = true;
    }
    if (level < MPI_THREAD_SERIALIZED) {
      throw InvalidInput(-1, "launch",
                         "this MPI allows calls from one thread only; cohort needs "
                         "MPI_THREAD_SERIALIZED: ask MPI_Init_thread for it.");
    }
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    refuse_foreign_launcher(mpi_launcher(found), size_);
    MPI_Comm_rank(MPI_COMM_WORLD, &ExitWatch::of_this_process().rank);
  }
  MpiProcess(const MpiProcess&) = delete;
  MpiProcess& operator=(const MpiProcess&) = delete;
  ~MpiProcess() {
    ExitWatch::of_this_process().rank = -1;
    if (owned_ && ended_well_) MPI_Finalize();
  }

  int size() const { return size_; }

  /// All ranks have left the world and nothing is under way.
  void ended_well() { ended_well_ = true; }

 private:
  int size_ = 0;
  bool owned_ = false, ended_well_ = false;
};

}  // namespace cohort::detail
