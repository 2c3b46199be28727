// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/norm_test.cpp: the order of sums over rows is that of the rows, whatever the blocks do.
#include <cohort/ops/cuda/norm.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
/// dweight of RMSNorm for rows whose normal values are 1 and whose dy are these.
template <int C> std::vector<float> sums(const std::vector<float>& of_row) {
  Gpu gpu;
  const std::size_t rows = of_row.size();
  std::vector<float> spread(rows * C);
  for (std::size_t i = 0; i < spread.size(); ++i) spread[i] = of_row[i / C];
  GpuArray<float> ones(std::vector<float>(rows * C, 1.0f)), dy(spread), dw(C);
  ops::kernels::norm_backward<C, false, false, float, float>(
      gpu, static_cast<int>(rows), ones.view(), ones.view(), nullptr, ones.view(), dy.view(),
      nullptr, dy.data(), dw.data(), nullptr, true, "norm_backward");
  return dw.get();
}
/// Rows of a part in order of blocks of `of_block`, which take turns; sixteen groups of parts; groups.
float in_order(const std::vector<float>& of_row, int of_block, int parts) {
  const int rows = static_cast<int>(of_row.size());
  float total = 0;
  for (int g = 0; g < 16; ++g) {
    float group = 0;
    for (int part = g; part < parts; part += 16) {
      float sum = 0;
      for (int turn = 0; turn < of_block; ++turn) {
        float mine = 0;
        for (int r = part * of_block + turn; r < rows; r += parts * of_block)
          mine += of_row[static_cast<std::size_t>(r)];
        sum = turn == 0 ? mine : sum + mine;
      }
      group += sum;
    }
    total = g == 0 ? group : total + group;
  }
  return total;
}
}  // namespace

static_assert(ops::kernels::NormBackward<768, bf16, true, true>::blocks_per_processor == 2);
static_assert(ops::kernels::NormBackward<768, float, true, true>::blocks_per_processor == 1);
static_assert(ops::kernels::NormBackward<1600, bf16, true, true>::blocks_per_processor == 4);

TEST_CASE("norm: sums over rows have one order, told by their number alone") {
  cuda_double::reset();
  for (const std::size_t rows : {1, 30, 700}) {
    const auto v = normal<float>(rows, 1);
    const int parts =
        std::min(512, (static_cast<int>(rows) + 31) / 32);  // 4 turns of 8 rows at least
    CHECK(sums<24>(v) == std::vector<float>(24, in_order(v, 8, parts)));
    cuda_double::set_order(cuda_double::Order::backward);
    CHECK(sums<24>(v) == std::vector<float>(24, in_order(v, 8, parts)));
    cuda_double::reset();
  }
  const auto v = normal<float>(13, 1);
  CHECK(sums<1040>(v) == std::vector<float>(1040, in_order(v, 1, 4)));
}
