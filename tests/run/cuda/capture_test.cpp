// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/capture_test.cpp: a step that is replayed has the bits of one that is launched.
#include <cohort/run/cuda/capture.hpp>

#include <doctest/doctest.h>

#include "support.hpp"
#include "support/cuda_double/double.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

/// With dropout: a step that is replayed must draw anew.
using Case = zoo::DroppingGptCase;
template <class... Ps>
using RunOf = Trainer<Case::Model, Case::Loss, DataParallel<FullShard>, GradAccum<2>, ClipGradNorm,
                      MixedPrecision<bf16, fp32>, Ps...>;

TEST_CASE("CudaGraph: the bits of Eager, step by step") {
  const Setup setup{.ranks = 1, .each = 4, .steps = 5};
  const auto eager = train_on_gpu<RunOf<Eager>, Case>(setup);
  const auto replayed = train_on_gpu<RunOf<CudaGraph>, Case>(setup);
  CHECK(same_bits(replayed[0], eager[0]));
}

TEST_CASE("CudaGraph: running averages too, also where steps have fewer rows in between") {
  using Averaging = zoo::NormedCase;
  const auto trained = []<class Capture>(std::type_identity<Capture>) {
    using Run = Trainer<Averaging::Model, Averaging::Loss, Capture>;
    std::vector<NamedTensor> parameters;
    on_gpu<Run>(1, options_of<Run, Averaging>({.each = 6}), [&](auto& run, GpuWorld&) {
      for (int step = 0; step < 8; ++step) {
        const auto batch = batch_of<Averaging>({.each = 6}, step);
        const int samples = step == 4 ? 2 : 6;
        run.step(batch.x().samples(0, samples), batch.y().samples(0, samples));
      }
      parameters = run.gather_parameters();
    });
    return parameters;
  };
  CHECK(same_bits(trained(std::type_identity<CudaGraph>{}), trained(std::type_identity<Eager>{})));
}

TEST_CASE(
    "CudaGraph: from the third step on the host launches one graph; other rows are launched") {
  using Run = RunOf<CudaGraph>;
  const Setup setup{.ranks = 1, .each = 4};
  on_gpu<Run>(1, options_of<Run, Case>(setup), [&](auto& run, GpuWorld&) {
    const auto batch = batch_of<Case>(setup, 0);
    const auto launches = [&](int samples) {
      const int kernels = cuda_double::calls("launch"),
                graphs = cuda_double::calls("cudaGraphLaunch");
      run.step(batch.x().samples(0, samples), batch.y().samples(0, samples));
      return std::pair{cuda_double::calls("launch") - kernels,
                       cuda_double::calls("cudaGraphLaunch") - graphs};
    };
    const auto first = launches(4), second = launches(4), third = launches(4), other = launches(2);
    CHECK((first.first > 20 && first.second == 0));
    CHECK((second.first == first.first && second.second == 1));  // captured, then launched
    CHECK((third.first == 0 && third.second == 1));
    CHECK((other.first == first.first && other.second == 0));
    CHECK(launches(4).second == 1);
    // Else a replay would run collectives at the priority of compute.
    CHECK(cuda_double::graph_flags() == cudaGraphInstantiateFlagUseNodePriority);
  });
}

TEST_CASE("tune_products: measured in the memory of activations; a graph is captured anew") {
  using Run = RunOf<CudaGraph>;
  const Setup setup{.ranks = 1, .each = 4};
  on_gpu<Run>(1, options_of<Run, Case>(setup), [&](auto& run, GpuWorld&) {
    const auto batch = batch_of<Case>(setup, 0);
    const auto step = [&] { return run.step(batch.x(), batch.y()); };
    step(), step(), step();
    const auto parameters = run.gather_parameters();
    cuda_double::slow_algorithm(0, std::chrono::milliseconds(1));
    const int memory = cuda_double::calls("cudaMalloc");
    const auto measured = run.tune_products();
    CHECK(cuda_double::calls("cudaMalloc") == memory);
    cuda_double::slow_algorithm(0, {});
    CHECK(measured.size() > 10);
    for (const auto& p : measured) {
      CAPTURE(to_string(p));
      CHECK(p.chosen > 0);
    }
    CHECK(same_bits(run.gather_parameters(), parameters));
    cuda_double::record(true);
    step();  // captured, then launched
    int products = 0, other = 0;
    for (const auto& r : cuda_double::take_log()) {
      products += r.kind == cuda_double::Record::product;
      other += r.name.find("algorithm") != std::string::npos;
    }
    cuda_double::record(false);
    CHECK(products > 20);
    CHECK(other == products);
    const int graphs = cuda_double::calls("cudaGraphLaunch");
    step();
    CHECK(cuda_double::calls("cudaGraphLaunch") == graphs + 1);
  });
}

TEST_CASE("CudaGraph: ranks that share a GPU are refused on every rank, with what to do") {
  using Run = RunOf<CudaGraph>;
  const auto form = [](Threads& world) {
    CHECK_THROWS_WITH_AS(Run::on<Cuda>(world, {.batch = 4, .tokens = 4}),
                         doctest::Contains("Start one rank"), InvalidInput);
    Recorder<Threads> watched(world.duplicate(), 64);
    CHECK_THROWS_WITH_AS(Run::on<Cuda>(watched, {.batch = 4, .tokens = 4}),
                         doctest::Contains("Start one rank"), InvalidInput);
  };
  launch<Threads>({.ranks = 2}, form);
}

}  // namespace
