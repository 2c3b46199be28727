// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/loss_sum_test.cpp: losses of rows are added in one order, ignored ones not at all.
#include <cohort/ops/cuda/loss_sum.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
/// Threads add rows 1024 apart; lanes meet as lane i and i ^ 16, ...; then warps in order.
double in_order(const std::vector<double>& v) {
  std::vector<double> thread(1024);
  for (std::size_t i = 0; i < v.size(); ++i) thread[i % 1024] += v[i];
  double all = 0;
  for (std::size_t w = 0; w < 1024; w += 32) {
    for (std::size_t half = 16; half > 0; half /= 2)
      for (std::size_t i = w; i < w + half; ++i) thread[i] += thread[i + half];
    all = w == 0 ? thread[0] : all + thread[w];
  }
  return all;
}
struct Scales {
  static constexpr int threads = 32;
  struct Shared {};
  const float* in_memory;
  double* out;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    if (block.thread() != 0) return;
    out[0] = ops::kernels::scale_of<double>(3.0f);
    out[1] = ops::kernels::scale_of<double>(in_memory);
    out[2] = ops::kernels::scale_of<double>(static_cast<const float*>(nullptr));
  }
};
}  // namespace

TEST_CASE("loss_sum: the stated order, added to what is there") {
  Gpu gpu;
  double sum = 0, weight = 0;
  for (const int rows : {0, 1, 31, 1024, 3001}) {
    const auto v = normal<double>(static_cast<std::size_t>(rows), rows);
    GpuArray<double> of_row(v);
    cuda::launch(gpu, 1,
                 ops::kernels::SumLosses{rows, of_row.view(), nullptr, 0, 3.0, gpu.device().loss});
    sum += in_order(v), weight += 3.0 * rows;
    CHECK(gpu.loss() == std::vector<double>{sum, weight});
  }
}

TEST_CASE("loss_sum: ignored rows are not read and weigh nothing") {
  Gpu gpu;
  GpuArray<double> of_row(std::vector<double>{1, NAN, 4, NAN});
  GpuArray<std::int32_t> targets(std::vector<std::int32_t>{0, -100, 7, -100});
  cuda::launch(
      gpu, 1,
      ops::kernels::SumLosses{4, of_row.view(), targets.view(), -100, 1.0, gpu.device().loss});
  CHECK(gpu.loss() == std::vector<double>{5, 2});
}

TEST_CASE("loss_sum: a scale is a number, a number in the GPU's memory, or 1") {
  Gpu gpu;
  GpuArray<float> scale(std::vector<float>{0.25f});
  GpuArray<double> out(3);
  cuda::launch(gpu, 1, Scales{scale.view(), out.data()});
  CHECK(out.get() == std::vector<double>{3, 0.25, 1});
}
