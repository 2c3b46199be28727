// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/state_test.cpp: a step is begun and concluded on the GPU as on the host.
#include <cohort/cuda.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "support/cuda_double/double.hpp"

using namespace cohort;

namespace {

using Model = nn::Linear<4, 2>;
using Run = Trainer<Model, nn::MeanSquaredError<2>, ClipGradNorm, optim::WarmupCosine>;
using Plan = Run::plan_on<Cuda>;
using State = detail::CudaState<Plan>;
constexpr Run::options options{.batch = 1,
                               .learning_rate = 0.5,
                               .schedule = {.warmup_steps = 3, .total_steps = 9},
                               .clip = {.max_norm = 2.0}};

/// A state in the GPU's memory, changed and read by the host between kernels.
struct StateOnGpu {
  cuda::Stream stream;
  cuda::Memory memory{sizeof(State)};
  Cuda device{.stream = stream.native()};
  StateOnGpu() {  // as run/cuda/finish.hpp begins
    State s = read();
    s.scaler = detail::LossScaler<Plan>(1, 1);
    write(s);
  }
  State* state() const { return memory.as<State>(); }
  State read() const {
    State s;
    device.download(&s, state(), sizeof s);
    return s;
  }
  void write(const State& s) const { device.upload(state(), &s, sizeof s); }
  void begin() const { cuda::launch(device, 1, detail::BeginStep<Plan>{state()}); }
  void conclude() const { cuda::launch(device, 1, detail::ConcludeStep<Plan>{state(), options}); }
};
void put(State& s, double loss, double weight, double squares) {
  s.loss[0] = loss, s.loss[1] = weight;
  ops::ExactSum sum;
  sum.add(squares);
  for (int i = 0; i < ops::ExactSum::num_limbs; ++i) s.limbs[i] = sum.limbs()[i];
}

static_assert(std::is_trivially_copyable_v<State> && sizeof(State) <= state_bytes<Cuda>);

TEST_CASE("ConcludeStep: the report and the optimizer's constants are the host's") {
  const StateOnGpu gpu;
  State s = gpu.read();
  put(s, 30, 10, 2500);
  s.steps = 4;
  gpu.write(s);
  gpu.conclude();
  s = gpu.read();
  const auto host =
      detail::conclude<Plan>({30, 10}, 2500, detail::LossScaler<Plan>(1, 1), options, 4);
  CHECK(s.outcome.conclusion.report.loss == host.report.loss);
  CHECK(s.outcome.conclusion.report.grad_norm == 5);
  CHECK(s.outcome.conclusion.report.learning_rate == host.report.learning_rate);
  CHECK((s.steps == 5 && s.update.number == 5 && s.update.skip == 0));
  const auto step = optim::AdamW::prepare<float>(host.update, options.optimizer);
  CHECK(s.update.step.step_size == step.step_size);
  CHECK(s.update.step.grad_scale == step.grad_scale);
}

TEST_CASE(
    "ConcludeStep: after a step that is not finite nothing is updated until the host has heard") {
  const StateOnGpu gpu;
  State s = gpu.read();
  put(s, std::numeric_limits<double>::infinity(), 10, 1);
  gpu.write(s);
  gpu.conclude();
  s = gpu.read();
  CHECK(
      (s.outcome.conclusion.broken && s.outcome.halted == 1 && s.update.skip == 1 && s.steps == 0));
  put(s, 1, 10, 1);  // the next step is well, but it was computed before the host knew
  gpu.write(s);
  gpu.conclude();
  s = gpu.read();
  CHECK((s.outcome.conclusion.broken && s.update.skip == 1 && s.steps == 0));
}

TEST_CASE("ConcludeStep: bad data that a kernel found holds the update back") {
  const StateOnGpu gpu;
  State s = gpu.read();
  put(s, 1, 10, 1);
  s.outcome.fault = {cuda::Fault::token, 3, 99};
  gpu.write(s);
  gpu.conclude();
  s = gpu.read();
  CHECK((s.update.skip == 1 && s.outcome.halted == 1 && s.steps == 0));
}

TEST_CASE("BeginStep: sums begin at zero, everything else stays") {
  const StateOnGpu gpu;
  State s = gpu.read();
  put(s, 30, 10, 2500);
  s.evaluated[0] = 7;
  s.steps = 4;
  s.seed = -1;
  gpu.write(s);
  gpu.begin();
  s = gpu.read();
  CHECK((s.loss[0] == 0 && s.loss[1] == 0 && s.evaluated[0] == 7 && s.steps == 4));
  for (std::int64_t limb : s.limbs) CHECK(limb == 0);
  CHECK(s.seed == 1);  // no loss scale
}

}  // namespace
