// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/support.hpp: what tests under mpirun share: values, and the same ranks as threads.
#pragma once
#include <cohort/comm/mpi.hpp>
#include <cohort/comm/threads.hpp>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace cohort::test {

/// Processes of this test's mpirun.
inline int num_processes() {
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

/// Hides a variable of the environment for one scope.
class Hidden {
 public:
  explicit Hidden(const char* name) : name_(name) {
    if (const char* text = std::getenv(name)) text_ = text;
    unsetenv(name);
  }
  ~Hidden() {
    if (text_) setenv(name_, text_->c_str(), 1);
  }

 private:
  const char* name_;
  std::optional<std::string> text_;
};

/// Runs f on as many threads of this process, which Threads refuses under a launcher.
template <class F> void on_threads(int ranks, F f) {
  const Hidden ompi("OMPI_COMM_WORLD_SIZE"), pmi("PMI_SIZE");
  Threads::run({.ranks = ranks}, f);
}
template <class F> void on_processes(F f, const LaunchOptions& options = {}) {
  Mpi::run(options, f);
}

/// Values over many magnitudes, so that another order of summation gives other bits.
template <class T> T value(int rank, std::size_t i) {
  std::uint64_t z = (static_cast<std::uint64_t>(rank) << 32) + i + 1;
  z *= 0x9e3779b97f4a7c15u;
  z ^= z >> 29;
  z *= 0xbf58476d1ce4e5b9u;
  z ^= z >> 32;
  if constexpr (std::integral<T>) return static_cast<T>(z % 251);
  constexpr int most = sizeof(T) == 2 ? -8 : 23;  // sums of fp16 stay below its largest, 65504
  return static_cast<T>(
      std::ldexp(static_cast<double>(z % 2000001) - 1e6, most - static_cast<int>(z % 24)));
}
template <class T> std::vector<T> values(int rank, std::size_t count) {
  std::vector<T> all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = value<T>(rank, i);
  return all;
}

/// What f(world) returns on each of so many threads.
template <class Result, class F> std::vector<Result> by_threads(int ranks, F f) {
  std::vector<Result> results(static_cast<std::size_t>(ranks));
  on_threads(ranks,
             [&](Threads& world) { results[static_cast<std::size_t>(world.rank())] = f(world); });
  return results;
}

}  // namespace cohort::test
