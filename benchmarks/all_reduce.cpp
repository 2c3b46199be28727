// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/all_reduce.cpp: time of a sum over threads, 4 KiB to 64 MiB, beside a memcpy floor.
//
// Prints one JSON object per line. "time": the median time of one all_reduce of fp32, called by every
// rank after it has written its whole array anew, as a backward pass does: no half of it is still in
// the cache of the rank that will add it up. "memcpy_floor": as reduce-scatter + all-gather, S bytes
// take at least S bytes read and S written per rank, so the floor is the time in which as many
// threads each memcpy S bytes. all_reduce_mpi.cpp times the same sizes in the same way.
//
// Usage: all_reduce [--ranks 2] [--milliseconds 200]    the time spent on each size and kind
//        all_reduce --serve                             prints "ready", then answers each line
//        "run BYTES K" or "memcpy BYTES K" with a JSON list of K times in us (peers/protocol.py)
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

enum class What : std::int64_t { all_reduce, memcpy, quit };

/// What every rank does next: rank 0 decides.
struct Order {
  What what = What::quit;
  std::int64_t bytes = 0;
  std::int64_t count = 0;
};

/// The times in us of count all-reduces (or copies) of so many bytes, each after a barrier.
std::vector<double> times_of(cohort::Threads& world, const Order& order) {
  const auto bytes = static_cast<std::size_t>(order.bytes);
  std::vector<float> mine(bytes / sizeof(float)), copy(order.what == What::memcpy ? mine.size() : 0);
  std::vector<double> times;
  for (std::int64_t k = -1; k < order.count; ++k) {  // -1: pages and caches warm up
    if (order.what == What::all_reduce || k < 0) std::fill(mine.begin(), mine.end(), 1.0f);
    world.barrier();
    const auto start = Clock::now();
    if (order.what == What::all_reduce) {
      world.all_reduce(mine.data(), mine.size());
    } else {
      std::memcpy(copy.data(), mine.data(), bytes);
      asm volatile("" : : "r"(copy.data()) : "memory");  // the copy is wanted
    }
    if (k >= 0) times.push_back(us_since(start));
  }
  return times;
}

/// Runs rank 0's order on every rank; the other ranks call this until it returns false.
bool obey(cohort::Threads& world, Order& order, std::vector<double>& times) {
  std::int64_t words[] = {static_cast<std::int64_t>(order.what), order.bytes, order.count};
  world.broadcast(words, 3, 0);
  order = {static_cast<What>(words[0]), words[1], words[2]};
  if (order.what == What::quit) return false;
  times = times_of(world, order);
  return true;
}

double median(std::vector<double> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

/// Rank 0's median over about so many milliseconds.
double median_us(cohort::Threads& world, What what, std::int64_t bytes, double milliseconds) {
  std::vector<double> times;
  Order order{what, bytes, 5};
  obey(world, order, times);
  const double count = 1000 * milliseconds / (3 * median(times) + 1);  // filling takes time too
  order.count = std::clamp(static_cast<std::int64_t>(count), std::int64_t{11}, std::int64_t{20000});
  obey(world, order, times);
  return median(times);
}

void report(cohort::Threads& world, double milliseconds) {
  for (std::int64_t bytes = 4096; bytes <= (64 << 20); bytes *= 4) {
    const double sum = median_us(world, What::all_reduce, bytes, milliseconds);
    const double copy = median_us(world, What::memcpy, bytes, milliseconds);
    const auto size = static_cast<long long>(bytes);
    std::printf("{\"bench\":\"all_reduce\",\"metric\":\"time_%lld\",\"value\":%.3f,\"unit\":\"us\"}\n",
                size, sum);
    std::printf("{\"bench\":\"all_reduce\",\"metric\":\"memcpy_floor_%lld\",\"value\":%.3f,"
                "\"unit\":\"us\",\"peer\":\"memcpy\",\"peer_value\":%.3f,\"ratio\":%.3f}\n",
                size, sum, copy, copy / sum);
    std::fflush(stdout);
  }
}

void serve(cohort::Threads& world) {
  std::printf("ready {\"ranks\":%d}\n", world.size());
  std::fflush(stdout);
  char line[256], word[16];
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    long long bytes = 0, count = 0;
    if (std::sscanf(line, "%15s %lld %lld", word, &bytes, &count) != 3) break;
    Order order{std::string_view(word) == "memcpy" ? What::memcpy : What::all_reduce, bytes, count};
    std::vector<double> times;
    obey(world, order, times);
    const char* separator = "[";
    for (double us : times) {
      std::printf("%s%.3f", separator, us);
      separator = ",";
    }
    std::printf("]\n");
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  double milliseconds = 200;
  bool serves = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--serve") serves = true;
    if (arg == "--milliseconds" && i + 1 < argc) milliseconds = std::atof(argv[i + 1]);
  }
  cohort::LaunchOptions options;
  options.ranks = 2;
  const auto rank_main = [&](cohort::Threads& world) {
    Order order;
    std::vector<double> times;
    if (world.rank() == 0) {
      serves ? serve(world) : report(world, milliseconds);
      obey(world, order, times);  // quit
    } else {
      while (obey(world, order, times)) {
      }
    }
  };
  return cohort::launch<cohort::Threads>(argc, argv, rank_main, options);
}
