// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/run_evaluation_test.cpp: evaluation sums over all ranks' rows, and disturbs nothing.
#include <cohort/run/run_evaluation.hpp>

#include <doctest/doctest.h>

#include "errors.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Case = zoo::OddMlpCase;
using Run = Trainer<Case::Model, Case::Loss, ClipGradNorm>;

TEST_CASE("evaluate: the loss of a step's forward, summed over all ranks' rows, also of none") {
  for (int ranks : {1, 2, 3, 4}) {
    std::vector<LossSum> totals(static_cast<std::size_t>(ranks));
    StepReport report, after;
    const zoo::Batch<Case> batch(2 * ranks);
    on_ranks<Run>(ranks, options_of<Run, Case>({.each = 2}), [&](auto& run, World& world) {
      const int r = world.rank();
      const int rows = r % 3 == 1 ? 0 : 2 - r / 3;  // 2, 0, 2, 1
      totals[static_cast<std::size_t>(r)] =
          run.evaluate(batch.x().samples(2 * r, rows), batch.y().samples(2 * r, rows));
      const LossSum whole = run.evaluate(batch.x().samples(2 * r, 2), batch.y().samples(2 * r, 2));
      const StepReport mine = run.step(batch.x().samples(2 * r, 2), batch.y().samples(2 * r, 2));
      if (r == 0) report = {.loss = whole.mean(), .weight = whole.weight};
      if (r == 0) after = mine;
    });
    CHECK(report.loss == after.loss);  // the same rows in the same order: the same bits
    CHECK(report.weight == after.weight);
    double sum = 0, weight = 0;  // rank by rank, alone
    on_ranks<Run>(1, options_of<Run, Case>({.each = 2}), [&](auto& run, World&) {
      for (int r = 0; r < ranks; ++r) {
        const int rows = r % 3 == 1 ? 0 : 2 - r / 3;
        const LossSum part =
            run.evaluate(batch.x().samples(2 * r, rows), batch.y().samples(2 * r, rows));
        sum += part.sum;
        weight += part.weight;
      }
    });
    for (const LossSum& total : totals) {
      CHECK(total.weight == weight);
      CHECK(std::abs(total.sum - sum) <= ranks * std::numeric_limits<double>::epsilon() * sum);
    }
  }
}

TEST_CASE("evaluate and predict: they change no bit of a training") {
  const Setup setup{.ranks = 3, .each = 2, .steps = 4, .stream = StreamMode::worker};
  const auto expected = train<Run, Case>(setup);
  std::vector<std::vector<NamedTensor>> parameters(3);
  on_ranks<Run>(3, options_of<Run, Case>(setup), [&](auto& run, World& world) {
    const int r = world.rank();
    const zoo::Batch<Case> other(6, 99);
    for (int step = 0; step < setup.steps; ++step) {
      const auto batch = batch_of<Case>(setup, step);
      run.evaluate(other.x().samples(2 * r, 2), other.y().samples(2 * r, 2));
      run.step(batch.x().samples(2 * r, 2), batch.y().samples(2 * r, 2));
      run.predict(other.x().samples(0, 1));
    }
    parameters[static_cast<std::size_t>(r)] = run.gather_parameters();
  });
  for (const auto& p : parameters) CHECK(same_bits(p, expected[0].parameters));
}

TEST_CASE("predict: the output whose loss evaluate reports") {
  on_ranks<Run>(1, options_of<Run, Case>({.each = 2}), [](auto& run, World&) {
    const zoo::Batch<Case> batch(2);
    const LossSum total = run.evaluate(batch.x(), batch.y());
    const auto y = run.predict(batch.x());
    CHECK(y.rows == batch.rows());
    double sum = 0;
    for (int row = 0; row < 2; ++row) {  // log of the sum of exponentials, minus the target's
      double exponentials = 0;
      for (int c = 0; c < 3; ++c) exponentials += std::exp(double(y.data[3 * row + c]));
      sum += std::log(exponentials) - double(y.data[3 * row + batch.y().data[row]]);
    }
    // exp and the sum of three in fp32: four roundings at most in a row's logarithm.
    CHECK(std::abs(sum - total.sum) <= 2 * 4 * std::numeric_limits<float>::epsilon());
  });
}

TEST_CASE("evaluate: a failure on one rank reaches every rank") {
  for (StreamMode stream : both) {
    const Errors errors = errors_of<Run, Case, Error>(3, stream, [](auto& run, World& world) {
      zoo::Batch<Case> batch(2);
      if (world.rank() == 1) batch.labels()[0] = 7;
      run.evaluate(batch.x(), batch.y());
    });
    CHECK(contains(errors.launch, "target 7 at row 0"));
    for (const std::string& e : errors.by_rank) CHECK(contains(e, "target 7 at row 0"));
  }
}

}  // namespace
