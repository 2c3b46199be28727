// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/losses_test.cu: losses and the gradient's norm on the GPU against float64.
#include <cohort/ops/cuda/cross_entropy.hpp>
#include <cohort/ops/cuda/grad_norm.hpp>
#include <cohort/ops/cuda/mean_squared_error.hpp>
#include <cohort/ops/exact_sum.hpp>

#include "support.hpp"

namespace {

using namespace cohort;
using gpu_test::OnBoth;
using gpu_test::size;

constexpr int V = 50304;

/// The loss of the CPU's body; nothing for the GPU, which adds to its own.
inline void keep(ops::LossSum& to, ops::LossSum from) { to += from; }
inline void keep(ops::LossSum&, ops::LossOnDevice) {}

/// A sum of `rows` terms, each an fp32 exponential sum over `columns` (or in double): to 1e-5, and the
/// weights, which are integers, exactly.
template <class T> void check_loss(const ops::LossSum& want) {
  const auto [sum, weight] = OnBoth<T>::loss();
  INFO("sum " << sum << ", should be " << want.sum << "; seed " << gpu_test::seed());
  // fp32: the sum of exponentials, its logarithm and the maximum are good to some units each.
  const double each = std::is_same_v<T, double> ? 0x1p-44 : 64 * 0x1p-24;
  CHECK(std::fabs(sum - want.sum) <= each * std::fabs(want.sum));
  CHECK(weight == want.weight);
}

/// The first K of V columns are classes.
template <class T, int K> void check_cross_entropy() {
  OnBoth<T> t;
  const int rows = size(256, 9);
  const auto n = static_cast<std::size_t>(rows) * V;
  auto logits = t.random(n, 3.0), dlogits = t.poisoned(n);
  std::vector<std::int32_t> labels = t.integers(std::size_t(rows), K).reference();
  for (std::size_t i = 0; i < labels.size(); i += 5) labels[i] = ops::ignored_label;
  gpu_test::Array<std::int32_t> targets(labels);
  ops::LossSum want;
  t.run([&](const auto& device) {
    keep(want, ops::cross_entropy<V, K>(device, rows, logits.on(device), targets.on(device)));
    keep(want,
         ops::cross_entropy_gradient<V, K>(device, rows, logits.on(device), targets.on(device),
                                           dlogits.on(device), ops::ignored_label, 0.5f));
  });
  CHECK(t.fault().kind == cuda::Fault::none);
  check_loss<T>(want);
  t.check("dlogits", dlogits, {.additions = V});
}

}  // namespace

TEST_CASE_TEMPLATE("cross_entropy: 50304 classes, loss and gradient, some rows ignored", T,
                   COHORT_GPU_TYPES) {
  check_cross_entropy<T, V>();
}

TEST_CASE_TEMPLATE("cross_entropy: 50257 classes of 50304 columns", T, COHORT_GPU_TYPES) {
  check_cross_entropy<T, 50257>();
}

TEST_CASE("cross_entropy: a target outside the classes is reported") {
  OnBoth<bf16> t;
  auto logits = t.random(3 * std::size_t{V}), dlogits = t.poisoned(3 * std::size_t{V});
  gpu_test::Array<std::int32_t> targets({0, V, 1});
  const Cuda& device = gpu_test::gpu().device;
  device.zero(device.fault, sizeof(cuda::Fault));
  ops::cross_entropy_gradient<V>(device, 3, logits.on(device), targets.on(device),
                                 dlogits.on(device));
  gpu_test::gpu().stream.synchronize();
  CHECK(t.fault().kind == cuda::Fault::target);
  CHECK(t.fault().row == 1);
  CHECK(t.fault().value == V);
  dlogits.download();  // looks at the guard
}

TEST_CASE_TEMPLATE("mean_squared_error: loss and gradient", T, COHORT_GPU_TYPES) {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  constexpr int C = 37;
  const int rows = size(10000, 21);
  const auto n = static_cast<std::size_t>(rows) * C;
  auto y = t.random(n), dy = t.poisoned(n);
  auto target = t.template random<A>(n);
  ops::LossSum want;
  t.run([&](const auto& device) {
    keep(want, ops::mean_squared_error<C>(device, rows, y.on(device), target.on(device)));
    keep(want, ops::mean_squared_error_gradient<C>(device, rows, y.on(device), target.on(device),
                                                   dy.on(device), 0.25f));
  });
  check_loss<T>(want);
  t.check("dy", dy);
}

TEST_CASE_TEMPLATE("add_square_sum: the CPU's limbs, bit for bit", T, float, bf16, fp16) {
  OnBoth<T> t;
  for (const std::size_t n :
       {std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t(size(3000017, 1000))}) {
    auto g = t.random(n, 1e-3);
    gpu_test::Array<std::int64_t> limbs(std::vector<std::int64_t>(ops::ExactSum::num_limbs, 0));
    const Cuda& device = gpu_test::gpu().device;
    ops::add_square_sum(device, n, static_cast<const T*>(g.on(device)), limbs.on(device));
    gpu_test::gpu().stream.synchronize();
    ops::ExactSum got, want;
    const auto values = limbs.download();
    std::copy(values.begin(), values.end(), got.limbs().begin());
    const auto host = g.download();
    ops::add_square_sum(gpu_test::cpu, n, host.data(), want);
    CHECK(got.value() == want.value());
  }
}
