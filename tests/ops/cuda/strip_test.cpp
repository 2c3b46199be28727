// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/strip_test.cpp: every element is met once, by its part; warps' sums reach every column once.
#include <cohort/ops/cuda/strip.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
/// to[part, c] = the sum of x's and y's columns c over the part's rows.
template <int C> struct SumOfTwo {
  using Strip = ops::kernels::Strip<C, float>;
  static constexpr int N = Strip::N, threads = Strip::threads;
  struct Shared {
    typename Strip::Sums of_warp;
  };
  int rows, each;
  const float *x, *y;
  float* to;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const Strip own(block, rows, each);
    cuda::Pack<float, N> sum{};
    own.for_rows(block, {x, y}, [&](int, const auto& packs) {
      for (int i = 0; i < N; ++i) sum[i] += packs[0][i] + packs[1][i];
    });
    own.over_warps(block, sum, shared.of_warp,
                   [&](int c, float total) { to[own.part * C + c] = total; });
  }
};

template <int C> void check(int rows, int each) {
  CAPTURE(C);
  Gpu gpu;
  const int parts = ops::kernels::ceil_div(rows, each);
  std::vector<float> x(static_cast<std::size_t>(rows * C)), y(x.size(), 1.0f);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = float(i % 1000);  // sums are exact
  GpuArray<float> x_there(x), y_there(y), to(static_cast<std::size_t>(parts * C));
  ops::kernels::launch_strips(gpu, parts,
                              SumOfTwo<C>{rows, each, x_there.view(), y_there.view(), to.data()});
  std::vector<float> want(static_cast<std::size_t>(parts * C));
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < C; ++c)
      want[static_cast<std::size_t>(r / each * C + c)] +=
          x[static_cast<std::size_t>(r * C + c)] + 1;
  CHECK(to.get() == want);
}
}  // namespace

TEST_CASE("Strip: all rows of a part, all columns, once each") {
  for (const int each : {1, 37, 64})
    for (const int rows : {1, 64, 131}) {
      check<1>(rows, each);
      check<36>(rows, each);
      check<264>(rows, each);  // three strips of packs, the last not whole
    }
}
