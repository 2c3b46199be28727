// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/machine.hpp: runs a kernel's PTX on the CPU, and watches it as closely as it can.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <support/ptx/module.hpp>
#include <support/ptx/program.hpp>
#include <support/ptx/shadow.hpp>
#include <support/ptx/warp.hpp>
#include <utility>
#include <vector>

namespace cohort::ptx {

/// What a launch did, counted as profilers of GPUs count it.
struct Counts {
  std::array<std::uint64_t, pipes> instructions{};  // by Pipe, of warps
  std::uint64_t lanes = 0;                          // that were active, over all instructions
  // Global memory: bytes that lanes asked for, and 32-byte sectors that their requests touch.
  std::uint64_t load_bytes = 0, load_sectors = 0, store_bytes = 0, store_sectors = 0;
  // Shared memory: times that it is busy, and how often it would be without bank conflicts.
  std::uint64_t shared_passes = 0, shared_least = 0;
  std::uint64_t local_bytes = 0;  // loads and stores that registers had no place for
  std::uint64_t atomics = 0;
  std::uint64_t unwatched = 0;  // accesses that the search for races left out

  std::uint64_t all_instructions() const;
  Counts& operator+=(const Counts& other);
};

/// Of a grid in one dimension.
struct Launch {
  int blocks = 1, threads = 32;
  std::size_t shared_bytes = 0;       // dynamic
  std::span<const std::byte> params;  // the arguments, laid out as the kernel's parameters
  bool backwards = false;             // the last block and warp first
  /// The allocation around an address: where it begins, and its bytes (0: none).
  std::function<std::pair<std::uint64_t, std::uint64_t>(std::uint64_t)> allocation;
};

/// Runs blocks one after another, the warps of a block in turns between barriers.
///
/// Errors   Mistake: an instruction it does not know; an access outside allocations or shared memory, or
///          not aligned to its bytes; shared memory read before it was written; two threads that touch
///          the same bytes (one writing) with no barrier between, or a copy that has not arrived; a
///          barrier, shuffle, vote, ldmatrix or mma that not all named lanes reach. With the kernel, the
///          instruction, and its line of the source where nvcc was asked for it (-lineinfo).
Counts run(const Program& program, const Launch& launch);

/// One block. Public for warps.
class Block {
 public:
  Block(const Program& program, const Launch& launch, std::uint32_t index, Watched& watched,
        Counts& counts);
  void run();

  const Launch& launch() const { return launch_; }
  std::uint32_t index() const { return index_; }
  Counts& counts() { return counts_; }
  Moment moment(const Warp& warp, int lane) const {
    return {index_, static_cast<std::uint16_t>(warp.thread(lane)),
            static_cast<std::uint16_t>(barriers_), static_cast<std::uint16_t>(warp.syncs())};
  }
  /// Host memory behind an address, after all checks; notes the access.
  std::byte* memory(const Warp& warp, int lane, Space space, std::uint64_t address, int bytes,
                    Accesses::How how);
  void arrive(const Warp& warp, const AsyncCopy& copy);
  void begin(const Warp& warp, const AsyncCopy& copy);
  std::byte* parameter(std::uint64_t address, int bytes);
  void count_global(std::span<const std::uint64_t> addresses, int bytes, bool store);
  void count_shared(std::span<const std::uint64_t> addresses, int bytes);

 private:
  std::byte* shared(const Warp& warp, int lane, std::uint64_t offset, int bytes, Accesses::How how);

  const Program& program_;
  const Launch& launch_;
  std::uint32_t index_, barriers_ = 0;
  Watched& watched_;
  Counts& counts_;
  std::vector<std::byte> shared_;
  std::vector<Accesses> shared_accesses_;
  std::vector<bool> arriving_;  // two bytes of shared memory that a copy is under way to
  std::pair<std::uint64_t, std::uint64_t> allocation_{};  // the one last asked for
  std::vector<Warp> warps_;
};

}  // namespace cohort::ptx
