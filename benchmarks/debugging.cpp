// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/debugging.cpp: what looking for errors costs: DetectAnomaly in a step, check_sync after it.
//
//   debugging [--ranks N]              interleaved medians of steps with and without the policy
#include <algorithm>
#include <cohort/run/check_sync.hpp>

#include "../examples/gpt_model.hpp"
#include "step_server.hpp"

using namespace cohort;

namespace {

constexpr int batch = 12, tokens = 64, rows = batch * tokens;  // of cpu_step.cpp
using Model = example::NanoGpt<65, tokens, 4, 128, 4>;
template <class... Ps>
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<Replicate>, optim::AdamW, Ps...>;

double median(std::vector<double>& v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}
void print(int ranks, const char* metric, double value, const char* more) {
  std::printf(
      "{\"bench\": \"debugging\", \"metric\": \"%s_%dx1\", \"value\": %.1f, \"unit\": \"us\"%s}\n",
      metric, ranks, value, more);
}

/// Blocks of five steps of each in turn; the first of a block is not counted.
template <class... Ps> void compare(auto& world, const char* metric) {
  auto plain = Run<Ps...>::on(world, {.seed = 1, .batch = batch, .tokens = tokens});
  auto looks = Run<Ps..., DetectAnomaly>::on(world, {.seed = 1, .batch = batch, .tokens = tokens});
  std::vector<int> x(rows), y(rows);
  for (int i = 0; i < rows; ++i) {
    x[static_cast<std::size_t>(i)] = bench::token(65, static_cast<std::uint64_t>(world.rank()), i);
    y[static_cast<std::size_t>(i)] =
        bench::token(65, static_cast<std::uint64_t>(world.rank()), i + 1);
  }
  std::vector<double> without, with, sync;
  const auto timed = [&](std::vector<double>& times, bool counts, auto f) {
    const double begin = bench::now_us();
    f();
    if (counts) times.push_back(bench::now_us() - begin);
  };
  for (int block = 0; block < 16; ++block) {
    for (int i = 0; i < 10; ++i) {
      const auto step = [&](auto& run) {
        run.step(Tokens{x.data(), {batch, tokens}}, Tokens{y.data(), {batch, tokens}});
      };
      if ((i < 5) == (block % 2 == 0))
        timed(without, i % 5 > 0, [&] { step(plain); });
      else
        timed(with, i % 5 > 0, [&] { step(looks); });
    }
    timed(sync, true, [&] { require_sync(plain); });
  }
  if (world.rank() != 0) return;
  const double a = median(without), b = median(with);
  char more[120];
  std::snprintf(more, sizeof more, ", \"peer\": \"without\", \"peer_value\": %.1f, \"ratio\": %.4f",
                a, b / a);
  print(world.size(), metric, b, more);
  std::snprintf(more, sizeof more, ", \"state_bytes\": %zu",
                3 * Run<>::plan.layout.size * sizeof(float));
  print(world.size(), "check_sync", median(sync), more);
}

}  // namespace

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    compare<>(world, "detect_anomaly");
    compare<GradAccum<4>>(world, "detect_anomaly_accum4");
    compare<MixedPrecision<bf16, fp32>>(world, "detect_anomaly_bf16");
  });
}
