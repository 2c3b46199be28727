// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/grad_norm_test.cpp: limb by limb the CPU's sum, for numbers of every size.
#include <cohort/ops/cuda/grad_norm.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using Limbs = std::vector<std::int64_t>;

template <class T> void check(const std::vector<T>& v) {
  CAPTURE(v.size());
  Gpu gpu;
  ops::ExactSum want;
  want.add(1.5);  // something is there before
  GpuArray<std::int64_t> limbs(Limbs(want.limbs().begin(), want.limbs().end()));
  GpuArray<T> g(v);
  ops::add_square_sum(cpu, v.size(), v.data(), want);
  ops::add_square_sum(gpu, v.size(), g.view(), limbs.data());
  CHECK(limbs.get() == Limbs(want.limbs().begin(), want.limbs().end()));
}
}  // namespace

TEST_CASE_TEMPLATE("grad_norm on a GPU: the CPU's limbs", T, double, float, bf16, fp16) {
  for (const std::size_t n : {0, 1, 7, 63, 64, 65, 1000, 64 * 32 * 3 + 40}) check(normal<T>(n, 1));
  check(normal<T>(70000, 2));  // more chunks than a block takes at once
}

TEST_CASE_TEMPLATE("grad_norm on a GPU: sizes from the smallest to the largest number", T, double,
                   float) {
  auto v = normal<T>(64 * 200, 1);
  const int top =
      std::is_same_v<T, double> ? 400 : 100;  // squares and their sum are finite in fp64
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = std::ldexp(v[i], (static_cast<int>(i / 64) * 37) % (2 * top) - top);
  check(v);
  check(std::vector<T>(1000, std::numeric_limits<T>::denorm_min()));
  check(std::vector<T>(1000, T(0)));
  check(std::vector<T>(1000, T(-0.0)));
}

TEST_CASE_TEMPLATE("grad_norm on a GPU: NaN and infinities are counted", T, double, float, bf16,
                   fp16) {
  auto v = normal<T>(640, 1);
  v[70] = T(NAN);
  check(v);
  v[600] = T(-INFINITY);
  check(v);
}

TEST_CASE("grad_norm on a GPU: an array in pieces of whole chunks gives the same limbs") {
  Gpu gpu;
  const auto v = normal<float>(64 * 50, 1);
  GpuArray<float> g(v);
  GpuArray<std::int64_t> whole(Limbs(ops::ExactSum::num_limbs)),
      pieces(Limbs(ops::ExactSum::num_limbs));
  ops::add_square_sum(gpu, v.size(), g.view(), whole.data());
  ops::add_square_sum(gpu, 64 * 7, g.view(), pieces.data());
  ops::add_square_sum(gpu, 64 * 43, g.view() + 64 * 7, pieces.data());
  CHECK(whole.get() == pieces.get());
}

TEST_CASE_TEMPLATE("grad_norm on a GPU: a thread's window moves with the sizes and loses nothing",
                   T, double, float, bf16) {
  Gpu gpu;
  auto v = normal<T>(64 * 500 + 11, 1);
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = T(std::ldexp(value(v[i]), static_cast<int>(i / 64 * 29 % 90) - 60));
  ops::ExactSum want;
  ops::add_square_sum(cpu, v.size(), v.data(), want);
  GpuArray<T> g(v);
  for (const int blocks : {1, 2, 5}) {  // each thread has many chunks
    GpuArray<unsigned long long> limbs(std::vector<unsigned long long>(ops::ExactSum::num_limbs));
    cuda::launch(gpu, blocks, ops::kernels::SquareSum<T>{v.size(), g.view(), limbs.data()});
    const auto got = limbs.get();
    CHECK(Limbs(got.begin(), got.end()) == Limbs(want.limbs().begin(), want.limbs().end()));
  }
}
