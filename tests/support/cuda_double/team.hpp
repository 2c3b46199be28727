// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/team.hpp: the threads of one block as fibers that meet in barriers.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <support/cuda_double/double.hpp>
#include <vector>

namespace cohort::cuda_double {

struct Fiber;

/// Runs kernels, block after block. A block's threads run one at a time: each until it waits in a
/// collective or returns. A kernel without collectives costs one fiber switch per block.
///
/// Errors   a collective that some threads never reach, that lanes of a warp call with another place or
///          operation, or that is asked for a lane that is none: the kernel ends and report_failure()
///          names its type, block, and the places.
class Team {
 public:
  enum class What : std::uint8_t { sync, sync_warp, shuffle, shuffle_xor, ballot };
  using Words = std::array<std::uint64_t, 32>;

  /// watched: ThreadSanitizer sees a block's threads as threads.
  explicit Team(bool watched);
  Team(const Team&) = delete;
  ~Team();
  void run(const KernelType& type, const void* kernel, int blocks);

  int threads() const { return type_->threads; }
  int blocks() const { return blocks_; }
  /// All threads of the block meet.
  void meet(std::source_location place);
  /// All lanes of the thread's warp meet; each brings a word and sees everybody's until its next call.
  const Words& meet_warp(int thread, What what, std::uint64_t word, std::source_location place);
  /// Ends the kernel with a report; does not return.
  [[noreturn]] void refuse(const char* mistake);

 private:
  friend struct Fiber;
  struct Barrier {
    int arrived = 0;
    unsigned generation = 0;
    What what{};
    std::source_location place;
    std::vector<Fiber*> waiting;
    std::array<char, 2> clock{};  // addresses for ThreadSanitizer, one per parity of generations
  };
  struct Warp : Barrier {
    std::array<Words, 2> words{};  // a lane is at most one generation ahead of another
  };

  void run_blocks(const KernelType& type, const void* kernel, int blocks);
  void run_block(int block);
  void run_thread(int thread);
  void arrive(Barrier& barrier, int needed, What what, std::source_location place);
  void suspend();
  [[noreturn]] void stop();  // the stack of the caller is left as it is: it must own nothing
  void run_threads(Fiber& fiber);
  void watch(bool on);
  void tell(void* clock);
  void ask(void* clock);
  Fiber* add_fiber();
  Fiber* fresh_fiber();
  Fiber* next_ready();
  void switch_to(Fiber* fiber);
  std::string stuck() const;
  void forget_block();

  const bool watched_;
  const KernelType* type_ = nullptr;
  const void* kernel_ = nullptr;
  void* shared_ = nullptr;
  int blocks_ = 0, block_ = 0, started_ = 0, returned_ = 0;
  bool backward_ = false;
  std::string mistake_;
  Barrier all_;
  std::vector<Warp> warps_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> free_, ready_;  // taken from the back
  std::unique_ptr<Fiber> main_;
  Fiber* current_ = nullptr;
  char start_clock_ = 0, end_clock_ = 0;
};

}  // namespace cohort::cuda_double
