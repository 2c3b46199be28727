// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/cross_entropy_test.cpp: against fp64, extreme logits, ignored rows, faults, scales.
#include <cohort/ops/cuda/cross_entropy.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
struct Exact {
  double sum = 0, weight = 0;
  std::vector<double> gradient;
};
/// Over the first K of V columns.
template <int V, int K>
Exact exact(const std::vector<double>& x, const std::vector<std::int32_t>& targets, double scale) {
  Exact e{0, 0, std::vector<double>(x.size())};
  for (std::size_t r = 0; r < targets.size(); ++r) {
    if (targets[r] == ops::ignored_label) continue;
    const double* row = x.data() + r * V;
    const double top = *std::max_element(row, row + K);
    double sum = 0;
    for (int c = 0; c < K; ++c) sum += std::exp(row[c] - top);
    e.sum += std::log(sum) + top - row[targets[r]], e.weight += 1;
    for (int c = 0; c < K; ++c)
      e.gradient[r * V + c] = scale * (std::exp(row[c] - top) / sum - (c == targets[r] ? 1 : 0));
  }
  return e;
}

/// An exponential of x below 0 is off by 6 units and 2 |x| more, which e^x shrinks: 4 in all (fp64: 4
/// units). Sums of V terms add V units; the quotient three; so does the loss, which is below 100.
template <class A> double relative(int V) { return unit<A> * (2 * V + 40); }

template <int V, class T, int K = V> void check(int rows, double deviation) {
  CAPTURE(V);
  CAPTURE(K);
  using A = accumulator_t<T>;
  Gpu gpu;
  const auto n = static_cast<std::size_t>(rows) * V;
  auto targets = integers(static_cast<std::size_t>(rows), K, 3);
  for (std::size_t r = 2; r < targets.size(); r += 5) targets[r] = ops::ignored_label;
  auto x = normal<T>(n, 1, deviation);
  for (std::size_t i = 0; i < n; ++i)
    if (i % V >= K) x[i] = T(i % 2 == 0 ? NAN : 3e4f);
  const Exact want = exact<V, K>(as<double>(x), targets, 0.25);
  GpuArray<T> logits(x), gradient(n);
  GpuArray<std::int32_t> labels(targets);
  GpuArray<float> scale(std::vector<float>{0.25f});
  const double tolerance = relative<A>(V) * rows * 100;

  ops::cross_entropy<V, K>(gpu, rows, logits.view(), labels.view());
  auto loss = gpu.loss();
  CHECK(std::fabs(loss[0] - want.sum) <= tolerance);
  CHECK(loss[1] == want.weight);

  ops::cross_entropy_gradient<V, K>(gpu, rows, logits.view(), labels.view(), gradient.data(),
                                    ops::ignored_label, A(0.25));
  const auto written = gradient.get();
  CHECK(std::fabs(gpu.loss()[0] - 2 * loss[0]) <= 2 * unit<double> * std::fabs(loss[0]) * 4);
  if (rows > 0) CHECK(once_rounded(written, want.gradient, relative<A>(V)) <= 1);
  for (std::size_t i = 0; i < n; ++i)
    if (i % V >= K) REQUIRE(value(written[i]) == 0);

  const float* in_memory = scale.view();  // in place, and with the scale in the GPU's memory
  ops::cross_entropy_gradient<V, K>(gpu, rows, logits.view(), labels.view(), logits.data(),
                                    ops::ignored_label, in_memory);
  CHECK(same_bits(logits.get(), written));
  CHECK(gpu.loss()[1] == 3 * want.weight);
  CHECK(gpu.fault().kind == cuda::Fault::none);
}
}  // namespace

TEST_CASE_TEMPLATE("cross_entropy on a GPU: near fp64, a warp or a block a row", T, double, float,
                   bf16, fp16) {
  for (const double deviation : {1.0, 10.0}) {
    check<2, T>(9, deviation);
    check<65, T>(0, deviation);
    check<65, T>(13, deviation);
    check<1024, T>(7, deviation);
    check<1030, T>(6, deviation);
    check<20000, T>(3, deviation);
  }
}

TEST_CASE_TEMPLATE("cross_entropy on a GPU: columns behind the K classes do not count", T, double,
                   float, bf16, fp16) {
  check<64, T, 61>(13, 3.0);  // packs with columns of both kinds
  check<64, T, 32>(9, 3.0);
  check<65, T, 61>(9, 3.0);
  check<1024, T, 1>(7, 3.0);
  check<9000, T, 8193>(3, 3.0);
}

TEST_CASE("cross_entropy on a GPU: one row of GPT-2's padded vocabulary") {
  check<50304, bf16>(2, 3.0);
  check<50304, bf16, 50257>(2, 3.0);
}

TEST_CASE("cross_entropy on a GPU: a target in the padding is reported") {
  Gpu gpu;
  GpuArray<float> logits(normal<float>(2 * 12, 1));
  GpuArray<std::int32_t> labels(std::vector<std::int32_t>{9, 10});
  ops::cross_entropy_gradient<12, 10>(gpu, 2, logits.view(), labels.view(), logits.data());
  const cuda::Fault fault = gpu.fault();
  CHECK(fault.kind == cuda::Fault::target);
  CHECK(fault.row == 1);
  CHECK(fault.value == 10);
}

TEST_CASE("cross_entropy on a GPU: far logits neither overflow nor lose the others") {
  constexpr int V = 40;
  Gpu gpu;
  std::vector<float> x(4 * V, -INFINITY);
  x[5] = 0, x[V + 3] = 1e30f, x[V + 7] = -1e30f;             // one class is left; one is far above
  for (std::size_t c = 0; c < V; ++c) x[2 * V + c] = -1e4f;  // all far below 0
  for (std::size_t c = 0; c < V; ++c) x[3 * V + c] = c % 2 == 0 ? -INFINITY : 3e4f;
  const std::vector<std::int32_t> targets = {5, 3, 0, 1};
  GpuArray<float> logits(x), gradient(4 * V);
  GpuArray<std::int32_t> labels(targets);
  ops::cross_entropy_gradient<V>(gpu, 4, logits.view(), labels.view(), gradient.data());
  CHECK(gpu.loss()[0] == doctest::Approx(std::log(40.0) + std::log(20.0)).epsilon(1e-6));
  const auto g = gradient.get();
  CHECK(g[5] == 0);
  CHECK(g[6] == 0);
  CHECK(g[V + 3] == 0);
  CHECK(g[2 * V] == doctest::Approx(1 / 40.0 - 1));
  CHECK(g[3 * V + 3] == doctest::Approx(1 / 20.0));
}

TEST_CASE("cross_entropy on a GPU: NaN and infinity reach the loss") {
  for (const float bad : {NAN, INFINITY}) {
    Gpu gpu;
    auto x = normal<float>(300, 1);
    x[37] = bad;
    GpuArray<float> logits(x);
    GpuArray<std::int32_t> labels(std::vector<std::int32_t>{3});
    ops::cross_entropy<300>(gpu, 1, logits.view(), labels.view());
    CHECK(std::isnan(gpu.loss()[0]));
  }
}

TEST_CASE("cross_entropy on a GPU: a bad target is reported, and memory outside is not touched") {
  constexpr int V = 12;
  for (const std::int32_t bad : {-1, V, 2147483647}) {
    Gpu gpu;
    GpuArray<float> logits(normal<float>(3 * V, 1));
    GpuArray<std::int32_t> labels(std::vector<std::int32_t>{1, bad, 2});
    ops::cross_entropy_gradient<V>(gpu, 3, logits.view(), labels.view(), logits.data());
    const cuda::Fault fault = gpu.fault();
    CHECK(fault.kind == cuda::Fault::target);
    CHECK(fault.row == 1);
    CHECK(fault.value == bad);
    logits.get();
    CHECK(!std::isnan(gpu.loss()[0]));
  }
}

TEST_CASE("cross_entropy on a GPU: the same bits in every order of blocks") {
  constexpr int V = 2000, rows = 50;
  const auto run = [] {
    Gpu gpu;
    GpuArray<bf16> logits(normal<bf16>(V * rows, 1));
    GpuArray<std::int32_t> labels(integers(rows, V, 2));
    ops::cross_entropy_gradient<V>(gpu, rows, logits.view(), labels.view(), logits.data());
    return std::pair(gpu.loss(), logits.get());
  };
  const auto forward = run();
  cuda_double::set_order(cuda_double::Order::backward);
  const auto backward = run();
  cuda_double::reset();
  CHECK(same_bits(forward.first, backward.first));
  CHECK(same_bits(forward.second, backward.second));
}
