// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/overflows.hpp: steps that overflow on one rank and are skipped on all.
#pragma once
#include "../support/overflowing.hpp"
#include "mixed.hpp"

namespace cohort::test::overflows {

using Quick = DynamicLossScale<1024, 2, 2, 3>;

struct OverflowCase : zoo::Case<zoo::Gpt, Overflowing, 4> {
  static constexpr const char* name() { return "Gpt that overflows"; }
};
template <class How, class Clip = ClipGradNorm, class Scale = Quick>
using RunOf = Trainer<zoo::Gpt, Overflowing, DataParallel<How>, Clip, Buckets<256, 1024>,
                      MixedPrecision<fp16, fp32>, Scale, optim::WarmupCosine>;

/// What one rank saw of steps that overflow on rank `late` where `overflows` says so.
struct Steps {
  std::vector<StepReport> reports;
  std::vector<std::vector<NamedTensor>> parameters;  // after each step
  LossScale scale;
};
template <class Run>
std::vector<Steps> train_with(int ranks, int late, const std::vector<bool>& overflows,
                              LossScale start = Quick::start, StreamMode stream = {}) {
  std::vector<Steps> all(static_cast<std::size_t>(ranks));
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    const Setup setup{.ranks = ranks, .stream = stream};
    auto options = options_of<Run, OverflowCase>(setup);
    options.schedule = {.total_steps = 20};
    auto run = Run::on(world, options);
    run.set_loss_scale(start);
    Steps& mine = all[static_cast<std::size_t>(world.rank())];
    int good = 0;
    for (const bool overflow : overflows) {
      const auto batch = batch_of<OverflowCase>(setup, overflow ? 100 : good);
      const int first = world.rank() * setup.each;
      Overflowing::now = overflow && world.rank() == late;
      mine.reports.push_back(
          run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each)));
      mine.parameters.push_back(run.gather_parameters());
      good += !overflow;
    }
    mine.scale = run.loss_scale();
    Overflowing::now = false;
  });
  return all;
}

template <class Run> void check_skips(int ranks, int late, StreamMode stream) {
  CAPTURE(ranks);
  CAPTURE(late);
  const std::vector<bool> overflows{false, true, false, true, true, false, false, false, false};
  const auto all = train_with<Run>(ranks, late, overflows, Quick::start, stream);
  // 1024 -1-> 1024 -overflow-> 512 -1-> -overflow-> 256 -overflow-> 128 -3-> 256 -1->
  const double scales[] = {1024, 1024, 512, 512, 256, 128, 128, 128, 256};
  for (const Steps& mine : all) {
    std::int64_t updates = 0;
    for (std::size_t i = 0; i < overflows.size(); ++i) {
      CAPTURE(i);
      const StepReport& r = mine.reports[i];
      updates += !overflows[i];
      CHECK(r.skipped == overflows[i]);
      CHECK(r.loss_scale == scales[i]);
      CHECK(r.step == updates);
      CHECK(std::isnan(r.grad_norm) == r.skipped);
      CHECK(same_bits(r, all[0].reports[i]));
      CHECK(same_bits(mine.parameters[i], all[0].parameters[i]));
      if (i > 0) CHECK(same_bits(mine.parameters[i], mine.parameters[i - 1]) == bool(overflows[i]));
    }
    CHECK(mine.scale == LossScale{256, 1});
  }
}

}  // namespace cohort::test::overflows
