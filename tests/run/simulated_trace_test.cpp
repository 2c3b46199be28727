// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/simulated_trace_test.cpp: a simulated step on paper: its spans follow one another and add up.
#include <cohort/run/simulated_trace.hpp>

#include <doctest/doctest.h>

#include <cohort/trainer.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "../support/models.hpp"
#include "../support/temporary_directory.hpp"

using namespace cohort;
using namespace cohort::test;
using nlohmann::json;

namespace {

using Case = zoo::NestedRepeatCase;
using Run = Trainer<Case::Model, Case::Loss, DataParallel<FullShard>, GradAccum<2>, ClipGradNorm>;
constexpr Sizes sizes{.ranks = 16, .batch = 8, .tokens = 2};
constexpr Cluster slow{.flops = 1e6,
                       .memory_bandwidth = 1e6,
                       .ranks_per_machine = 8,
                       .inside = {1e6, 1e-4, 1e-3},
                       .across = {1e5, 1e-3, 1e-3}};

TEST_CASE("simulated trace: tracks without overlaps, whose sums are the step's") {
  const TemporaryDirectory directory;
  const auto path = std::filesystem::path(directory.path()) / "trace.json";
  const SimulatedStep step = write_simulated_trace(path, Run::plan, sizes, slow);
  CHECK(step.seconds == simulate(Run::plan, sizes, slow).seconds);
  std::ifstream file(path);
  const json trace = json::parse(file);
  CHECK(trace.at("otherData").at("ranks") == 16);
  double waits = 0, sends = 0, computes = 0, ends[2] = {}, micro_batches = 0;
  int operations = 0;
  for (const json& e : trace.at("traceEvents")) {
    if (e.at("ph") != "X") continue;
    const std::string name = e.at("name");
    const double begin = e.at("ts"), lasts = e.at("dur");
    CAPTURE(name);
    if (name == "step 1") {
      CHECK(lasts == doctest::Approx(1e6 * step.seconds));
    } else if (name.starts_with("micro-batch")) {
      micro_batches += lasts;
    } else {
      const int track = e.at("tid");
      CHECK(begin >= ends[track] - 1e-6 * ends[track]);
      ends[track] = begin + lasts;
      operations += track == 1;
      (track == 1 ? sends : name.starts_with("wait for") ? waits : computes) += lasts;
    }
  }
  CHECK(operations == Run::plan.num_collectives());
  CHECK(sends == doctest::Approx(1e6 * step.communication));
  CHECK(waits == doctest::Approx(1e6 * step.waits));
  CHECK(computes == doctest::Approx(1e6 * (step.forward_backward + step.update)));
  CHECK(micro_batches == doctest::Approx(1e6 * step.seconds));
}

}  // namespace
