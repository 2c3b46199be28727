// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/mixed_parity_test.cpp: GPTs trained in bf16 and fp16 over fp32 masters, beside PyTorch's
// (tests/golden/mixed_golden.py wrote the other side).
#include <doctest/doctest.h>

#include "mixed_parity.hpp"

using namespace cohort;
using namespace cohort::test::mixed_parity;
using golden::Golden, golden::GptRows, golden::Tied, golden::Untied;
using test::Overflowing;

namespace {

TEST_CASE("mixed: bf16 compute, fp32 masters and reduction are PyTorch's within fp32 rounding") {
  const Trained tied = check_parity<Tied, MixedPrecision<bf16, fp32, fp32>>("mixed_bf16_tied");
  // Not sums of two bf16 gradients: of those, all but one in a hundred have eight zeros at the end.
  CHECK(share_without(8, tied.first_gradients, is_dense) < 0.1);
}

TEST_CASE("mixed: bf16 compute and reduction, fp32 masters are PyTorch's within fp32 rounding") {
  const Trained ours = check_parity<Tied, MixedPrecision<bf16, fp32>>("mixed_bf16_reduced");
  CHECK(share_without(16, ours.first_gradients, any) == 1);
}

TEST_CASE("mixed: the bounds tell fp32 compute from bf16") {
  const Golden file = golden::load("mixed_bf16_tied");
  const Trained fp32_run = train<Tied>(file, 2, static_cast<int>(file.number("steps")));
  const Relative gradients = gradients_apart<Tied>(fp32_run, file);
  const auto& noise = file.values("noise");
  CHECK(parameters_apart<Tied>(fp32_run, file) > slack * largest(noise, 3, 0));
  CHECK(gradients.worst > slack * largest(noise, 3, 1));
  CHECK(gradients.mean > slack * largest(noise, 3, 2));
  // A bf16 value is off by 2^-8 of itself at most, two thirds of that or less in the mean square: over
  // that lie only the many roundings that follow one another here.
  CHECK(gradients.mean > 0x1p-8);
}

TEST_CASE("mixed: gradients are rounded to the reduced type, added in fp32, rounded once: bits") {
  check_reduction<float, MixedPrecision<bf16, fp32, fp32>, MixedPrecision<bf16, fp32, fp32>>(2, 1);
  check_reduction<bf16, MixedPrecision<bf16, fp32>, MixedPrecision<bf16, fp32, fp32>>(3, 1);
}

using Fp16Run =
    Trainer<Tied::Model, Overflowing, DataParallel<Replicate>, MixedPrecision<fp16, fp32>,
            DynamicLossScale<4096, 2, 2, 4>, ClipGradNorm, optim::AdamW>;

bool equal(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.values == y.values; });
}

/// Step i with an overflow where the script had one: its report, and whether it was GradScaler's.
/// `updates` counts the steps that were not skipped.
template <class Run>
std::pair<StepReport, bool> scaled_step(Run& run, const Golden& file, const GptRows& batch,
                                        std::size_t i, std::int64_t& updates) {
  const bool overflow = file.values("skipped")[i] != 0;
  Overflowing::now = run.rank() == 1 && overflow;
  const auto before = run.gather_parameters();
  const StepReport r = run.step(batch.x(), batch.y());
  updates += !overflow;
  const bool kept = equal(before, run.gather_parameters());
  return {r, r.loss_scale == file.values("scale")[i] && r.skipped == overflow && kept == overflow &&
                 r.step == updates && run.steps_done() == updates &&
                 double(run.loss_scale().good_steps) == file.values("good")[i]};
}

TEST_CASE("mixed: fp16 has the scales and the skipped steps of torch.amp.GradScaler") {
  const Golden file = golden::load("mixed_fp16"), start = golden::load("gpt_tied_start");
  const auto tokens = start.as<int>("tokens");
  const int steps = static_cast<int>(file.number("steps")), given = int(start.number("steps"));
  constexpr int ranks = 3, mine = golden::rows / ranks;
  Trained ours;
  golden::Distance losses, norms;
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    auto run = Fp16Run::on(world, golden::options_of<Fp16Run>(file, ranks));
    golden::set_start<Tied>(run, start);
    std::int64_t updates = 0;
    for (int step = 0; step < steps; ++step) {
      const auto i = static_cast<std::size_t>(step);
      const GptRows batch(tokens, step % given, world.rank() * mine, mine);
      const auto [r, as_theirs] = scaled_step(run, file, batch, i, updates);
      CAPTURE(step);
      CHECK(as_theirs);  // on every rank
      if (world.rank() != 0) continue;
      losses.add(r.loss - file.values("loss")[i]);
      norms.add(r.skipped ? 0 : r.grad_norm - file.values("norm")[i]);
    }
    const auto parameters = run.gather_parameters();
    if (world.rank() == 0) ours.parameters = parameters;
  });
  const auto& noise = file.values("noise");
  CHECK(parameters_apart<Tied>(ours, file) <= slack * largest(noise, 3, 0));
  CHECK(losses.rms() <= slack * largest(noise, 3, 1));
  CHECK(norms.rms() <= slack * largest(noise, 3, 2));
}

}  // namespace
