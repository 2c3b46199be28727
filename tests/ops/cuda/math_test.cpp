// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/math_test.cpp: the stated errors, and what becomes of the ends of the range.
#include <cohort/ops/cuda/math.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using Maths = ops::kernels::GpuMaths;

struct Evaluate {
  static constexpr int threads = 128;
  struct Shared {};
  int n;
  const float* x;
  float *exps, *reciprocals;
  double* doubles;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int i = block.index() * threads + block.thread();
    if (i == 0) {
      doubles[0] = Maths::exp(-3.0);
      doubles[1] = Maths::exp_flushed(-3.0);
      doubles[2] = Maths::reciprocal(3.0);
    }
    if (i >= n) return;
    exps[i] = Maths::exp(x[i]);
    reciprocals[i] = Maths::reciprocal(x[i]);
  }
};
}  // namespace

TEST_CASE("GpuMaths: exponentials and reciprocals within the stated errors") {
  Gpu gpu;
  std::vector<float> v = {0.0f, -0.0f, -200.0f, 100.0f, INFINITY, -INFINITY, NAN};
  const std::size_t special = v.size();
  for (int i = -8700; i <= 8800; i += 7) v.push_back(static_cast<float>(i) * 0.01f);
  const auto n = static_cast<int>(v.size());
  GpuArray<float> x(v), exps(v.size()), reciprocals(v.size());
  GpuArray<double> doubles(3);
  cuda::launch(gpu, (n + 127) / 128,
               Evaluate{n, x.view(), exps.data(), reciprocals.data(), doubles.data()});
  const auto e = exps.get(), r = reciprocals.get();
  for (std::size_t i = special; i < v.size(); ++i) {
    const double want = std::exp(double(v[i])), error = 3e-7 + 1e-7 * std::fabs(v[i]);
    REQUIRE(std::fabs(double(e[i]) - want) <= error * want);
    if (v[i] != 0) REQUIRE(std::fabs(double(r[i]) * double(v[i]) - 1) <= 1.5e-7);
  }
  CHECK(e[0] == 1);
  CHECK(e[1] == 1);
  CHECK(e[2] <= 0x1p-126f);
  CHECK(e[3] == INFINITY);
  CHECK(e[4] == INFINITY);
  CHECK(e[5] == 0);
  CHECK(std::isnan(e[6]));
  CHECK(r[0] == INFINITY);
  CHECK(r[4] == 0);
  CHECK(std::isnan(r[6]));
  const auto d = doubles.get();  // GPUs have an exponential of their own, good to one unit
  CHECK(std::fabs(d[0] - std::exp(-3.0)) <= 0x1p-57);
  CHECK(d[1] == d[0]);
  CHECK(d[2] == 1.0 / 3.0);
}
