// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/interrupt.hpp: notices SIGINT and SIGTERM, so that a run can save and leave at the end of a step.
#pragma once
#include <atomic>
#include <cerrno>
#include <cohort/concepts/communicator.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace cohort::io {

namespace detail {

/// What the handlers write and every Interrupt shares: a signal belongs to the process.
struct CaughtSignals {
  static constexpr int numbers[] = {SIGINT, SIGTERM};
  static constexpr std::size_t count = sizeof numbers / sizeof numbers[0];
  static_assert(std::atomic<int>::is_always_lock_free);  // the only thing that a handler may touch

  static inline std::atomic<int> first = 0;
  static inline struct sigaction before[count] = {};
  static inline bool taken[count] = {};
  static inline std::mutex mutex;  // guards taken and users
  static inline int users = 0;

  /// Notes the signal and gives the next of its kind back to who had it before.
  static void note(int number) {
    const int error = errno;
    int none = 0;
    first.compare_exchange_strong(none, number);
    for (std::size_t i = 0; i < count; ++i)
      if (numbers[i] == number) ::sigaction(number, &before[i], nullptr);
    errno = error;
  }
  static void take(std::size_t i) {
    ::sigaction(numbers[i], nullptr, &before[i]);
    taken[i] = (before[i].sa_flags & SA_SIGINFO) != 0 || before[i].sa_handler != SIG_IGN;
    if (!taken[i]) return;
    struct sigaction ours {};
    ours.sa_handler = note;
    ours.sa_flags = SA_RESTART;
    sigemptyset(&ours.sa_mask);
    for (const int other : numbers) sigaddset(&ours.sa_mask, other);
    ::sigaction(numbers[i], &ours, nullptr);
  }
};

}  // namespace detail

/// While one exists, the first SIGINT and the first SIGTERM only leave a note. A second one of the same
/// kind acts as it did before, which ends a program that hangs; the destructor restores both.
///
///   const io::Interrupt interrupt;                 // on every rank, or once before launch()
///   for (auto& batch : loader) {
///     run.step(batch);
///     if (io::agreed(world) != 0) { run.save(directory); break; }
///   }
///
/// Those that exist at the same time, also on several threads, count as one: the first takes the
/// signals, the last one gives them back. A signal that was ignored before (nohup, a job in the
/// background) stays ignored. System calls that a signal interrupts go on by themselves.
///
/// Errors   none.
/// Laws     tests/io/interrupt_test.cpp.
class Interrupt {
 public:
  Interrupt() {
    const std::lock_guard lock(Caught::mutex);
    if (Caught::users++ > 0) return;
    Caught::first = 0;
    for (std::size_t i = 0; i < Caught::count; ++i) Caught::take(i);
  }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt() {
    const std::lock_guard lock(Caught::mutex);
    if (--Caught::users > 0) return;
    for (std::size_t i = 0; i < Caught::count; ++i)
      if (Caught::taken[i]) ::sigaction(Caught::numbers[i], &Caught::before[i], nullptr);
    Caught::first = 0;
  }

  /// The first signal that this process received, 0: none. Ranks look at different instants and may be
  /// told different things: see agreed().
  static int signal() { return Caught::first; }

 private:
  using Caught = detail::CaughtSignals;
};

/// The signal that any rank's process received, 0: none; the same on every rank, so that all leave after
/// the same step. SIGTERM counts more than SIGINT where ranks received both. Collective.
///
/// Comm     one all_reduce of two int32.
template <class World>
requires HasAllReduce<World, std::int32_t>
int agreed(World& world) {
  const int mine = Interrupt::signal();
  std::int32_t ranks[] = {mine == SIGINT, mine == SIGTERM};
  world.all_reduce(ranks, std::size_t{2});
  return ranks[1] > 0 ? SIGTERM : ranks[0] > 0 ? SIGINT : 0;
}

}  // namespace cohort::io
