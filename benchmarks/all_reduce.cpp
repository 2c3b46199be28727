// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/all_reduce.cpp: time of a sum over threads, 4 KiB to 64 MiB, beside a memcpy floor.
//
// Prints one JSON object per line. time_S: the median time of one all_reduce of S bytes of fp32,
// called by every rank after it has written its whole array anew, as a backward pass does: no half of
// it is still in the cache of the rank that will add it up. memcpy_floor_S: as reduce-scatter +
// all-gather, S bytes take at least S bytes read and S written per rank, so the floor is the time in
// which as many threads each memcpy S bytes. all_reduce_mpi.cpp times the same sizes in the same way.
//
// Usage: all_reduce [--ranks 2] [--milliseconds 200]    the time spent on each size and kind
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

/// The median time in us of one call of work, each after prepare and a barrier, over about so many
/// milliseconds. All ranks make the same number of calls; each has its own clock.
template <class Prepare, class Work>
double median_us(cohort::Threads& world, double milliseconds, Prepare prepare, Work work) {
  std::vector<double> times;
  const auto begin = Clock::now();
  for (std::uint8_t more = 1; more != 0;) {
    for (int i = 0; i < 10; ++i) {
      prepare();
      world.barrier();
      const auto start = Clock::now();
      work();
      times.push_back(us_since(start));
    }
    more = us_since(begin) < 1000 * milliseconds ? 1 : 0;
    world.broadcast(&more, 1, 0);
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

void report(std::size_t bytes, double sum_us, double memcpy_us) {
  const char* start = "{\"bench\":\"all_reduce\",\"metric\":\"";
  std::printf("%stime_%zu\",\"value\":%.3f,\"unit\":\"us\"}\n", start, bytes, sum_us);
  std::printf("%smemcpy_floor_%zu\",\"value\":%.3f,\"unit\":\"us\",", start, bytes, sum_us);
  std::printf("\"peer\":\"memcpy\",\"peer_value\":%.3f,\"ratio\":%.3f}\n", memcpy_us,
              memcpy_us / sum_us);
  std::fflush(stdout);
}

void measure(cohort::Threads& world, double milliseconds) {
  for (std::size_t bytes = 4096; bytes <= (std::size_t{64} << 20); bytes *= 4) {
    std::vector<float> mine(bytes / sizeof(float)), copy(bytes / sizeof(float));
    const auto write = [&] { std::fill(mine.begin(), mine.end(), 1.0f); };
    const double sum =
        median_us(world, milliseconds, write, [&] { world.all_reduce(mine.data(), mine.size()); });
    const double floor = median_us(
        world, milliseconds, [] {},
        [&] {
          std::memcpy(copy.data(), mine.data(), bytes);
          asm volatile("" : : "r"(copy.data()) : "memory");  // the copy is wanted
        });
    if (world.rank() == 0) report(bytes, sum, floor);
  }
}

}  // namespace

int main(int argc, char** argv) {
  double milliseconds = 200;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--milliseconds") milliseconds = std::atof(argv[i + 1]);
  }
  cohort::LaunchOptions options;
  options.ranks = 2;
  return cohort::launch<cohort::Threads>(
      argc, argv, [&](cohort::Threads& world) { measure(world, milliseconds); }, options);
}
