// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/finish_test.cpp: steps are queued without waiting; what they found is told later, and nothing
// is lost.
#include <cohort/run/cuda/finish.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "support.hpp"
#include "support/cuda_double/double.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using zoo::GptCase;
template <class... Ps>
using RunOf = Trainer<GptCase::Model, GptCase::Loss, DataParallel<FullShard>, ClipGradNorm, Ps...>;
using Run = RunOf<>;
using Replicated = Trainer<GptCase::Model, GptCase::Loss, ClipGradNorm>;
/// The parameters as they lie on the GPU: a world that has failed gathers nothing.
std::vector<float> on_device(auto& run) {
  using Plan = typename std::remove_reference_t<decltype(run)>::plan_type;
  std::vector<float> values(Plan::layout.size);
  cuda::check(cudaDeviceSynchronize());
  cuda::check(cudaMemcpy(values.data(), run.storage().params(), values.size() * sizeof(float),
                         cudaMemcpyDeviceToHost));
  return values;
}
const Setup setup{.ranks = 1, .each = 2};
template <class R> typename R::options options() { return options_of<R, GptCase>(setup); }

TEST_CASE("enqueue: six steps queued at once have the bits of six steps waited for") {
  std::vector<NamedTensor> waited, queued;
  on_gpu<Run>(1, options<Run>(), [&](auto& run, GpuWorld&) {
    for (int s = 0; s < 6; ++s) {
      const auto batch = batch_of<GptCase>(setup, s);
      run.step(batch.x(), batch.y());
    }
    waited = run.gather_parameters();
  });
  on_gpu<Run>(1, options<Run>(), [&](auto& run, GpuWorld&) {
    for (int s = 0; s < 6; ++s) {
      const auto batch = batch_of<GptCase>(setup, s);
      run.enqueue(batch.x(), batch.y());
    }
    CHECK(run.wait().step == 6);
    CHECK(run.steps_done() == 6);
    queued = run.gather_parameters();
  });
  CHECK(same_bits(waited, queued));
}

TEST_CASE("enqueue: the host does not wait for the GPU") {
  on_gpu<Run>(1, options<Run>(), [&](auto& run, GpuWorld&) {
    const auto batch = batch_of<GptCase>(setup, 0);
    run.step(batch.x(), batch.y());
    const int synchronised = cuda_double::calls("cudaStreamSynchronize");
    const int allocated = cuda_double::device_memory().allocations;
    for (int s = 0; s < 3; ++s) run.enqueue(batch.x(), batch.y());
    CHECK(cuda_double::calls("cudaStreamSynchronize") == synchronised);
    CHECK(cuda_double::calls("cudaDeviceSynchronize") == 0);
    run.wait();
    CHECK(cuda_double::device_memory().allocations == allocated);
  });
}

TEST_CASE("memory: the GPU's peak is the plan's, to the byte") {
  const auto check = [](auto type, int ranks) {
    using R = typename decltype(type)::type;
    const auto before = cuda_double::device_memory();
    cuda_double::reset_peaks();
    const Setup many{.ranks = ranks, .each = 4};
    on_gpu<R>(ranks, options_of<R, GptCase>(many), [&](auto& run, GpuWorld& world) {
      const auto batch = batch_of<GptCase>(many, 0);
      const int first = world.rank() * 4;
      for (int s = 0; s < 2; ++s)
        run.step(batch.x().samples(first, 4), batch.y().samples(first, 4));
      world.barrier();
      const std::size_t planned = static_cast<std::size_t>(ranks) * run.memory().total();
      CHECK(cuda_double::device_memory().peak_bytes - before.live_bytes == planned);
      world.barrier();
    });
  };
  check(std::type_identity<RunOf<GradAccum<2>>>{}, 1);
  check(std::type_identity<RunOf<MixedPrecision<bf16, fp32>>>{}, 3);
  check(
      std::type_identity<
          Trainer<GptCase::Model, GptCase::Loss, MixedPrecision<bf16, bf16>, StochasticRounding>>{},
      2);
}

TEST_CASE("a token outside the vocabulary is told with its row, and nothing was updated") {
  const auto train = [](Threads& threads) {
    auto run = Replicated::on<Cuda>(threads, options<Replicated>());
    const auto before = on_device(run);
    std::vector<int> x(8, 1), y(8, 2);
    x[5] = 4711;
    CHECK_THROWS_WITH_AS(run.step(Tokens{x.data(), {2, 4}}, Tokens{y.data(), {2, 4}}),
                         doctest::Contains("token 4711 at row 5"), InvalidInput);
    CHECK_THROWS_AS(run.step(Tokens{y.data(), {2, 4}}, Tokens{y.data(), {2, 4}}), ContractBroken);
    CHECK(on_device(run) == before);
  };
  CHECK_THROWS_AS(launch<Threads>({.ranks = 1}, train), InvalidInput);
}

TEST_CASE(
    "an average that would not be finite ends the run, launched or replayed; nothing changed") {
  using Case = zoo::NormedCase;
  const auto fails = []<class Capture>(std::type_identity<Capture>, int ranks) {
    using R = Trainer<Case::Model, Case::Loss, Capture>;
    const auto everything = [](auto& run) {
      auto values = on_device(run);
      std::vector<float> averages(R::plan_type::layout.averaged);
      cuda::check(cudaMemcpy(averages.data(), run.storage().average(0),
                             averages.size() * sizeof(float), cudaMemcpyDeviceToHost));
      values.insert(values.end(), averages.begin(), averages.end());
      return values;
    };
    const auto train = [&](Threads& threads) {
      auto run = R::template on<Cuda>(threads, options_of<R, Case>({.ranks = ranks, .each = 6}));
      const auto batch = batch_of<Case>({.each = 6}, 0);
      for (int step = 0; step < 4; ++step) run.step(batch.x(), batch.y());
      const auto before = everything(run);
      std::vector<float> x(batch.x().size(), 1.0f);
      if (threads.rank() == ranks - 1) x[7] = 1e20f;  // of no harm to the loss
      CHECK_THROWS_WITH_AS(run.step({x.data(), batch.x().rows}, batch.y()),
                           doctest::Contains("running average of an Averaged"), NonFinite);
      CHECK(everything(run) == before);
    };
    CHECK_THROWS_AS(launch<Threads>({.ranks = ranks}, train), NonFinite);
  };
  fails(std::type_identity<Eager>{}, 1);
  fails(std::type_identity<Eager>{}, 2);
  fails(std::type_identity<CudaGraph>{}, 1);
}

TEST_CASE("a bad label in the second of three queued steps: the first counts, the others do not") {
  const auto train = [](Threads& threads) {
    auto run = Replicated::on<Cuda>(threads, options<Replicated>());
    std::vector<int> x(8, 1), y(8, 2);
    run.step(Tokens{x.data(), {2, 4}}, Tokens{y.data(), {2, 4}});
    const auto after_one = on_device(run);
    y[0] = -7;
    run.enqueue(Tokens{x.data(), {2, 4}}, Tokens{y.data(), {2, 4}});
    y[0] = 2;
    run.enqueue(Tokens{x.data(), {2, 4}}, Tokens{y.data(), {2, 4}});
    CHECK_THROWS_WITH_AS(run.wait(), doctest::Contains("target -7 at row 0"), InvalidInput);
    CHECK(on_device(run) == after_one);
  };
  CHECK_THROWS_AS(launch<Threads>({.ranks = 1}, train), InvalidInput);
}

TEST_CASE("evaluate and predict give what the CPU gives, and leave the training alone") {
  const auto batch = batch_of<GptCase>(setup, 3);
  LossSum cpu_loss, gpu_loss;
  std::vector<float> cpu_logits, gpu_logits;
  const auto watch = [&](auto& run, LossSum& loss, std::vector<float>& logits) {
    run.step(batch.x(), batch.y());
    loss = run.evaluate(batch.x(), batch.y());
    const auto y = run.predict(batch.x());
    logits.assign(y.data, y.data + y.size());
    CHECK(run.wait().step == 1);
    CHECK(run.step(batch.x(), batch.y()).step == 2);
  };
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    auto run = Run::on(world, options<Run>());
    watch(run, cpu_loss, cpu_logits);
  });
  on_gpu<Run>(1, options<Run>(), [&](auto& run, GpuWorld&) { watch(run, gpu_loss, gpu_logits); });
  CHECK(gpu_loss.weight == cpu_loss.weight);
  CHECK(gpu_loss.sum == doctest::Approx(cpu_loss.sum).epsilon(1e-5));
  REQUIRE(gpu_logits.size() == cpu_logits.size());
  for (std::size_t i = 0; i < gpu_logits.size(); ++i)
    CHECK(std::abs(gpu_logits[i] - cpu_logits[i]) <= 1e-4 * (1 + std::abs(cpu_logits[i])));
}

TEST_CASE("fp16: scales and skipped steps are the CPU's, decided on the GPU") {
  using Scaled = RunOf<MixedPrecision<fp16>, DynamicLossScale<65536, 2, 2, 2>>;
  const Setup six{.ranks = 1, .each = 2, .steps = 6};
  const auto cpu = train<Scaled, GptCase>(six), gpu = train_on_gpu<Scaled, GptCase>(six);
  for (std::size_t s = 0; s < 6; ++s) {
    CHECK(gpu[0].reports[s].loss_scale == cpu[0].reports[s].loss_scale);
    CHECK(gpu[0].reports[s].skipped == cpu[0].reports[s].skipped);
    CHECK(gpu[0].reports[s].step == cpu[0].reports[s].step);
  }
  on_gpu<Scaled>(1, options<Scaled>(), [&](auto& run, GpuWorld&) {
    run.set_loss_scale({0x1p30, 1});  // overflows
    const auto batch = batch_of<GptCase>(setup, 0);
    const auto before = run.gather_parameters();
    const StepReport r = run.step(batch.x(), batch.y());
    CHECK((r.skipped && r.step == 0));
    CHECK(run.loss_scale() == LossScale{0x1p29, 0});
    CHECK(same_bits(run.gather_parameters(), before));
  });
}

}  // namespace
