// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/step_server.hpp: serves "run K" lines on stdin with the times of K steps, as peers/protocol.py does.
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace bench {

inline double now_us() {
  return std::chrono::duration<double, std::micro>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Rank 0 reads "run K" or "quit", all ranks call run(K) together, rank 0 answers with one JSON line of
/// microseconds. Collective.
template <class World, class Run> void serve_runs(World& world, const std::string& info, Run run) {
  const bool speaks = world.rank() == 0;
  if (speaks) std::printf("ready %s\n", info.c_str()), std::fflush(stdout);
  for (;;) {
    std::int64_t count = -1;
    char line[256];
    if (speaks && std::fgets(line, sizeof line, stdin)) {
      long k = 0;
      if (std::sscanf(line, "run %ld", &k) == 1) count = k;
    }
    world.broadcast(&count, 1, 0);
    if (count < 0) return;
    const std::vector<double> times = run(count);
    if (!speaks) continue;
    std::fputs("[", stdout);
    for (std::size_t i = 0; i < times.size(); ++i) std::printf("%s%.1f", i ? ", " : "", times[i]);
    std::fputs("]\n", stdout);
    std::fflush(stdout);
  }
}

/// The same with K steps, each timed by itself.
template <class World, class Step> void serve(World& world, const std::string& info, Step step) {
  serve_runs(world, info, [&](std::int64_t count) {
    std::vector<double> times;
    for (std::int64_t i = 0; i < count; ++i) {
      const double begin = now_us();
      step();
      times.push_back(now_us() - begin);
    }
    return times;
  });
}

/// Ids that look like text: drawn from (rank, step, position), the same in every run.
inline int token(int vocabulary, std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = (a + 1) * 0x9e3779b97f4a7c15ull + b * 0xbf58476d1ce4e5b9ull;
  z ^= z >> 31;
  z *= 0x94d049bb133111ebull;
  return static_cast<int>((z >> 33) % static_cast<std::uint64_t>(vocabulary));
}

}  // namespace bench
