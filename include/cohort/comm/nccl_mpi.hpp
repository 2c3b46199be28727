// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_mpi.hpp: worlds of GPUs whose processes an MPI launcher started: launch<NcclMpi>.
#pragma once
#include <cohort/comm/mpi.hpp>
#include <cohort/comm/nccl.hpp>
#include <cohort/core/function_ref.hpp>

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace cohort {

/// Starts the world of Nccl under MPI: f receives an Nccl&. MPI tells the ranks of each other, passes
/// NCCL's id on, numbers the processes of a machine, and ends the job when a rank fails. Link cohort::mpi.
///
/// Comm     of MPI: a broadcast of 128 bytes and an all_gather of host names; nothing after that.
/// Errors   as Mpi and Nccl. A rank that throws ends its job within Mpi::failure_grace, also ranks that
///          wait for it in NCCL.
/// Laws     tests/comm/nccl_mpi_test.cpp.
struct NcclMpi {
  static void run(const LaunchOptions& options, detail::FunctionRef<void(Nccl&)> f,
                  FailureReport& report) {
    const auto live = [&](Mpi& mpi) {
      const detail::NcclSeat seat = seat_of(mpi, options);
      ncclUniqueId id{};
      if (mpi.rank() == 0) id = detail::nccl_unique_id("");
      mpi.broadcast(reinterpret_cast<std::uint8_t*>(id.internal), sizeof id.internal, 0);
      const auto fate = std::make_shared<detail::Fate>(mpi.size(), mpi.spins(), options.timeout);
      {
        Nccl world = Nccl::join(fate, seat, id);
        f(world);
      }
      if (fate->failed()) std::rethrow_exception(fate->first());
    };
    LaunchOptions for_mpi = options;
    for_mpi.gpus.clear();
    Mpi::run(for_mpi, live, report);
  }
  static void run(const LaunchOptions& options, detail::FunctionRef<void(Nccl&)> f) {
    FailureReport unread;
    unread.settle();
    run(options, f, unread);
  }

 private:
  /// This process's number among those of its machine chooses the GPU.
  static detail::NcclSeat seat_of(Mpi& mpi, const LaunchOptions& options) {
    std::array<char, 256> name{};
    gethostname(name.data(), name.size() - 1);
    std::vector<std::array<char, 256>> names(static_cast<std::size_t>(mpi.size()));
    mpi.all_gather(reinterpret_cast<const std::uint8_t*>(name.data()),
                   reinterpret_cast<std::uint8_t*>(names.data()), name.size());
    Launcher launcher = detail::mpi_launcher(launchers());
    launcher.rank = mpi.rank();
    launcher.size = mpi.size();
    launcher.local_rank = 0;
    for (int r = 0; r < mpi.rank(); ++r) {
      launcher.local_rank += names[static_cast<std::size_t>(r)] == name ? 1 : 0;
    }
    return detail::nccl_seat(options, launcher, cuda::num_gpus(),
                             [](const char* variable) { return std::getenv(variable); });
  }
};

}  // namespace cohort
