// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/raw_twin.cpp: the generated step against its hand-written twin: same bits, same time, same instructions.
//
//   raw_twin [--ranks N]               interleaved medians of both
//   raw_twin --only cohort|raw STEPS   that many steps of one of them, for valgrind --tool=callgrind
#include <algorithm>
#include <cstring>

#include "../examples/gpt_model.hpp"
#include "raw_gpt.hpp"
#include "step_server.hpp"

using namespace cohort;

using Model = example::NanoGpt<raw::V, raw::T, raw::L, raw::C, raw::H>;
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<Replicate>, ClipGradNorm, optim::AdamW>;

struct Batch {
  explicit Batch(int rank) : x(raw::R), y(raw::R) {
    for (int i = 0; i < raw::R; ++i) {
      x[i] = bench::token(raw::V, static_cast<std::uint64_t>(rank), i);
      y[i] = bench::token(raw::V, static_cast<std::uint64_t>(rank), i + 1);
    }
  }
  std::vector<int> x, y;
};

constexpr Rows rows{raw::B, raw::T};
inline auto options() {
  return Run::options{.seed = 1,
                      .batch = raw::B,
                      .tokens = raw::T,
                      .optimizer = {.beta2 = 0.99, .weight_decay = 0.1}};
}

/// Interleaves the two in blocks of five steps and prints the ratio of their medians.
void compare(auto& world) {
  const Batch b(world.rank());
  auto run = Run::on(world, options());
  raw::Gpt<std::remove_reference_t<decltype(world)>> twin(world);
  std::memcpy(twin.parameters(), run.storage().params(), twin.size() * sizeof(float));
  std::vector<double> ours, theirs;
  double loss = 0, twin_loss = 0;
  for (int block = 0; block < 60; ++block) {
    for (int i = 0; i < 10; ++i) {
      const bool first = (i < 5) == (block % 2 == 0);
      const double begin = bench::now_us();
      if (first)
        loss = run.step(Tokens{b.x.data(), rows}, Tokens{b.y.data(), rows}).loss;
      else
        twin_loss = twin.step(b.x.data(), b.y.data(), 1e-3);
      if (i % 5 > 0) (first ? ours : theirs).push_back(bench::now_us() - begin);
    }
  }
  if (world.rank() != 0) return;
  const auto median = [](std::vector<double>& v) {
    std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
    return v[v.size() / 2];
  };
  const double a = median(ours), c = median(theirs);
  const bool same =
      std::memcmp(twin.parameters(), run.storage().params(), twin.size() * sizeof(float)) == 0;
  std::printf(
      "{\"bench\": \"raw_twin\", \"metric\": \"step_us_%dx1\", \"value\": %.1f, \"unit\": \"us\", "
      "\"peer\": "
      "\"hand-written twin\", \"peer_value\": %.1f, \"ratio\": %.4f, \"same_bits\": %s, \"loss\": "
      "%.6f, "
      "\"peer_loss\": %.6f, \"steps\": %zu}\n",
      world.size(), a, c, a / c, same ? "true" : "false", loss, twin_loss, ours.size());
}

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "--only") == 0) {
    return launch<Threads>(1, argv,
                           [&](auto& world) {
                             const Batch b(0);
                             const int steps = std::atoi(argv[3]);
                             if (std::strcmp(argv[2], "raw") == 0) {
                               raw::Gpt<Threads> twin(world);
                               for (int i = 0; i < steps; ++i)
                                 twin.step(b.x.data(), b.y.data(), 1e-3);
                             } else {
                               auto run = Run::on(world, options());
                               for (int i = 0; i < steps; ++i)
                                 run.step(Tokens{b.x.data(), rows}, Tokens{b.y.data(), rows});
                             }
                           },
                           {.ranks = 1});
  }
  return launch<Threads>(argc, argv, [](auto& world) { compare(world); });
}
