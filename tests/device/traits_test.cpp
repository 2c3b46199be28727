// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/traits_test.cpp: plans know of devices whose headers they do not include.
#include <cohort/device/cpu.hpp>
#include <cohort/device/traits.hpp>

#include <doctest/doctest.h>

#include <cohort/cohort.hpp>

using namespace cohort;

static_assert(on_host<DefaultCpu> && !on_host<Cuda>);
static_assert(workspace_bytes<DefaultCpu> == 0 && state_bytes<DefaultCpu> == 0);
static_assert(workspace_bytes<Cuda> == 32_MiB);

namespace {

using Block = nn::Residual<nn::Sequential<nn::LayerNorm<64>, nn::LinearGelu<64, 64>>>;
using Model = nn::Sequential<nn::Embedding<32, 64>, nn::Repeat<3, Block>, nn::Linear<64, 32>>;
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<FullShard>, ClipGradNorm>;

TEST_CASE("a plan for a GPU is a constexpr value without any of CUDA's headers") {
  constexpr Sizes sizes{.ranks = 4, .batch = 8, .tokens = 16};
  constexpr MemoryBytes host = Run::plan.memory(sizes);
  constexpr MemoryBytes gpu = Run::plan_on<Cuda>::memory(sizes);
  static_assert(gpu.parameters == host.parameters && gpu.gathered == host.gathered);
  static_assert(gpu.activations == host.activations);
  // Two arrays of 8 x 16 int32 for each of two steps, and what ops and the step's state take.
  static_assert(gpu.inputs == 2 * 2 * 8 * 16 * 4 && host.inputs == 0);
  static_assert(gpu.workspace == workspace_bytes<Cuda> + state_bytes<Cuda> && host.workspace == 0);
  static_assert(gpu.total() > host.total());
  CHECK(Run::plan_on<Cuda>::array_bytes % alignment == 0);
  CHECK(Run::plan_on<Cuda>::array_bytes >= 3 * sizeof(void*));  // three elements keep values
  CHECK(Run::plan.array_bytes == 0);
  CHECK(Run::plan_on<Cuda>::num_collectives() == Run::plan.num_collectives());
}

}  // namespace
