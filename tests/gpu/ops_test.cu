// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/ops_test.cu: ops that are bound by memory, on the GPU against float64, at GPT-2's sizes.
//
// To add an op: its arrays, one call for both devices, one check for each result.
#include <cohort/comm/cuda/tree_sum.hpp>
#include <cohort/ops/cuda/activation.hpp>
#include <cohort/ops/cuda/batch_norm.hpp>
#include <cohort/ops/cuda/column_sum.hpp>
#include <cohort/ops/cuda/convert.hpp>
#include <cohort/ops/cuda/dropout.hpp>
#include <cohort/ops/cuda/elementwise.hpp>
#include <cohort/ops/cuda/embedding.hpp>
#include <cohort/ops/cuda/layer_norm.hpp>
#include <cohort/ops/cuda/pair_sums.hpp>
#include <cohort/ops/cuda/position.hpp>
#include <cohort/ops/cuda/rms_norm.hpp>
#include <cohort/ops/cuda/swiglu.hpp>
#include <cohort/ops/gelu.hpp>
#include <cohort/ops/relu.hpp>

#include "support.hpp"

namespace {

using namespace cohort;
using gpu_test::OnBoth;
using gpu_test::size;

constexpr int C = 768, V = 50304, odd = 770;  // odd: no whole number of 16-byte packs
int rows() { return size(4096, 37); }

template <int Columns, class T> void check_layer_norm(int num_rows, bool first) {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  const auto n = static_cast<std::size_t>(num_rows) * Columns, r = std::size_t(num_rows);
  auto x = t.random(n), w = t.random(Columns), b = t.random(Columns), dy = t.random(n);
  auto y = t.poisoned(n), dx = t.poisoned(n), residual = t.random(n), sum = t.poisoned(n);
  auto mean = t.template poisoned<A>(r), rstd = t.template poisoned<A>(r);
  auto dw = first ? t.template poisoned<A>(Columns) : t.template random<A>(Columns);
  auto db = first ? t.template poisoned<A>(Columns) : t.template random<A>(Columns);
  auto dw_too = t.template poisoned<A>(Columns), db_too = t.template poisoned<A>(Columns);
  t.run([&](const auto& device) {
    ops::layer_norm_forward<Columns>(device, num_rows, x.on(device), w.on(device), b.on(device),
                                     y.on(device), mean.on(device), rstd.on(device));
    ops::layer_norm_backward<Columns>(device, num_rows, x.on(device), w.on(device), mean.on(device),
                                      rstd.on(device), dy.on(device), sum.on(device),
                                      dw_too.on(device), db_too.on(device), true,
                                      residual.on(device));
    ops::layer_norm_backward<Columns>(device, num_rows, x.on(device), w.on(device), mean.on(device),
                                      rstd.on(device), dy.on(device), dx.on(device), dw.on(device),
                                      db.on(device), first);
  });
  t.check("mean", mean, {.additions = Columns});
  t.check("rstd", rstd, {.additions = Columns});
  t.check("y", y, {.additions = Columns});
  t.check("dx", dx, {.additions = Columns});
  t.check("dx and a residual", sum, {.additions = Columns, .inner = 1});
  t.check("dweight", dw, {.additions = double(num_rows)});
  t.check("dbias", db, {.additions = double(num_rows)});
}

}  // namespace

TEST_CASE_TEMPLATE("layer_norm: forward and backward", T, COHORT_GPU_TYPES) {
  check_layer_norm<C, T>(rows(), true);
  check_layer_norm<C, T>(rows() - 1, false);
  check_layer_norm<odd, T>(size(129, 5), true);
}

TEST_CASE_TEMPLATE("batch_norm: moments, forward and backward", T, COHORT_GPU_TYPES) {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  const int num_rows = rows();
  const auto n = static_cast<std::size_t>(num_rows) * C;
  auto x = t.random(n), w = t.random(C), b = t.random(C), dy = t.random(n);
  auto y = t.poisoned(n), dx = t.poisoned(n), frozen = t.poisoned(n);
  auto mean = t.template poisoned<A>(C), variance = t.template poisoned<A>(C);
  auto dw = t.template random<A>(C), db = t.template poisoned<A>(C);
  auto mean_sum = t.template random<A>(C), variance_sum = t.template random<A>(C);
  t.run([&](const auto& device) {
    ops::batch_moments<C>(device, num_rows, x.on(device), mean.on(device), variance.on(device));
    ops::normalise_columns<C>(device, num_rows, x.on(device), mean.on(device), variance.on(device),
                              w.on(device), b.on(device), y.on(device));
    ops::batch_norm_backward<C>(device, num_rows, x.on(device), mean.on(device),
                                variance.on(device), w.on(device), dy.on(device), dx.on(device),
                                dw.on(device), db.on(device), true);
    ops::normalise_columns_backward<C>(device, num_rows, variance.on(device), w.on(device),
                                       dy.on(device), frozen.on(device));
    ops::add_moments<C>(device, num_rows, 8, mean.on(device), variance.on(device),
                        mean_sum.on(device), variance_sum.on(device));
  });
  const double sums = num_rows;
  t.check("mean", mean, {.additions = sums});
  t.check("variance", variance, {.additions = sums});
  t.check("y", y, {.additions = sums});
  t.check("dx", dx, {.additions = sums});
  t.check("dx of constant moments", frozen, {.additions = sums});
  t.check("dweight", dw, {.additions = sums});
  t.check("dbias", db, {.additions = sums});
  t.check("sum of means", mean_sum, {.additions = sums});
  t.check("sum of variances", variance_sum, {.additions = sums});
}

TEST_CASE_TEMPLATE("rms_norm: forward and backward", T, COHORT_GPU_TYPES) {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  const int num_rows = rows();
  const auto n = static_cast<std::size_t>(num_rows) * C;
  auto x = t.random(n), w = t.random(C), dy = t.random(n), y = t.poisoned(n), dx = t.poisoned(n);
  auto residual = t.random(n), sum = t.poisoned(n);
  auto rstd = t.template poisoned<A>(std::size_t(num_rows)), dw = t.template poisoned<A>(C),
       dw_too = t.template poisoned<A>(C);
  t.run([&](const auto& device) {
    ops::rms_norm_forward<C>(device, num_rows, x.on(device), w.on(device), y.on(device),
                             rstd.on(device));
    ops::rms_norm_backward<C>(device, num_rows, x.on(device), w.on(device), rstd.on(device),
                              dy.on(device), dx.on(device), dw.on(device), true);
    ops::rms_norm_backward<C>(device, num_rows, x.on(device), w.on(device), rstd.on(device),
                              dy.on(device), sum.on(device), dw_too.on(device), true,
                              residual.on(device));
  });
  t.check("y", y, {.additions = C});
  t.check("rstd", rstd, {.additions = C});
  t.check("dx", dx, {.additions = C});
  t.check("dx and a residual", sum, {.additions = C, .inner = 1});
  t.check("dweight", dw, {.additions = double(num_rows)});
}

TEST_CASE_TEMPLATE("gelu and relu: value, slope and backward", T, COHORT_GPU_TYPES) {
  OnBoth<T> t;
  const std::size_t n = std::size_t(size(1 << 20, 1 << 10)) + 13;
  auto x = t.random(n, 2.0), dy = t.random(n);
  auto erf_y = t.poisoned(n), erf_slope = t.poisoned(n), erf_dx = t.poisoned(n);
  auto tanh_y = t.poisoned(n), tanh_dx = t.poisoned(n), relu_y = t.poisoned(n),
       relu_dx = t.poisoned(n);
  t.run([&](const auto& device) {
    ops::activation_forward<ops::GeluErf>(device, n, x.on(device), erf_y.on(device),
                                          erf_slope.on(device));
    ops::activation_backward<ops::GeluErf>(device, n, x.on(device), dy.on(device),
                                           erf_dx.on(device));
    ops::activation_forward<ops::GeluTanh>(device, n, x.on(device), tanh_y.on(device));
    ops::activation_backward<ops::GeluTanh>(device, n, x.on(device), dy.on(device),
                                            tanh_dx.on(device));
    ops::activation_forward<ops::Relu>(device, n, x.on(device), relu_y.on(device));
    ops::activation_backward<ops::Relu>(device, n, x.on(device), dy.on(device), relu_dx.on(device));
  });
  t.check("gelu erf", erf_y);
  t.check("gelu erf slope", erf_slope);
  t.check("gelu erf dx", erf_dx);
  t.check("gelu tanh", tanh_y);
  t.check("gelu tanh dx", tanh_dx);
  t.check("relu", relu_y, {.additions = 0});
  t.check("relu dx", relu_dx, {.additions = 0});
}

TEST_CASE_TEMPLATE("silu and swiglu: value and backward", T, COHORT_GPU_TYPES) {
  OnBoth<T> t;
  const auto n = std::size_t(rows()) * C;
  auto x = t.random(2 * n, 2.0), dy = t.random(2 * n);
  auto y = t.poisoned(2 * n), dx = t.poisoned(2 * n), gated = t.poisoned(n),
       split = t.poisoned(2 * n);
  t.run([&](const auto& device) {
    ops::activation_forward<ops::Silu>(device, 2 * n, x.on(device), y.on(device));
    ops::activation_backward<ops::Silu>(device, 2 * n, x.on(device), dy.on(device), dx.on(device));
    ops::swiglu_forward<C>(device, rows(), x.on(device), gated.on(device));
    ops::swiglu_backward<C>(device, rows(), x.on(device), dy.on(device), split.on(device));
  });
  t.check("silu", y);
  t.check("silu dx", dx);
  t.check("swiglu", gated);
  t.check("swiglu dx", split);
}

TEST_CASE_TEMPLATE("dropout: the elements that the CPU drops, alone and with a sum", T,
                   COHORT_GPU_TYPES) {
  OnBoth<T> t;
  const auto rate = ops::DropRate::of(1, 10);
  gpu_test::Array<std::int64_t> steps({41});
  const auto check = [&](Rows shape, std::size_t columns) {
    const auto n = static_cast<std::size_t>(shape.count()) * columns;
    auto x = t.random(n), residual = t.random(n), y = t.poisoned(n), sum = t.poisoned(n);
    t.run([&](const auto& device) {
      const Random random({gpu_test::seed(), steps.on(device), 3, 4}, 7);
      ops::dropout(device, shape, columns, rate, random, x.on(device), y.on(device));
      ops::dropout_add(device, shape, columns, rate, random, residual.on(device), x.on(device),
                       sum.on(device));
    });
    t.check("dropout", y, {.additions = 0});
    t.check("dropout and a residual", sum, {.inner = 1});
  };
  check({size(4, 2), size(1024, 17)}, C);
  check({3, 11}, 7);  // no whole packs
}

TEST_CASE_TEMPLATE("elementwise: sums, products, scaling, filling", T, COHORT_GPU_TYPES) {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  const std::size_t n = std::size_t(size(1 << 20, 1 << 10)) + 7;
  auto a = t.random(n), b = t.random(n), sum = t.poisoned(n), product = t.poisoned(n);
  auto scaled = t.random(n), filled = t.poisoned(n);
  auto into = t.template random<A>(n);
  t.run([&](const auto& device) {
    ops::add(device, n, a.on(device), b.on(device), sum.on(device));
    ops::multiply(device, n, a.on(device), b.on(device), product.on(device));
    ops::add_to(device, n, into.on(device), b.on(device));
    ops::scale(device, n, scaled.on(device), A(0.375));
    using E = std::remove_cvref_t<decltype(*filled.on(device))>;
    ops::fill(device, n, filled.on(device), E(0.5f));
  });
  t.check("sum", sum);
  t.check("product", product);
  t.check("add_to", into);
  t.check("scaled", scaled);
  t.check("filled", filled, {.additions = 0});
}

TEST_CASE("add_pairs: four arrays added from the last to the first") {
  OnBoth<float> t;
  const std::size_t n = std::size_t(size(1 << 20, 1 << 10)) + 7, stride = n + 57;
  auto waiting = t.random(3 * stride), newest = t.random(n), sum = t.poisoned(n);
  t.run([&](const auto& device) {
    ops::add_pairs(device, n, waiting.on(device), stride, 3, newest.on(device), sum.on(device));
  });
  t.check("sum", sum, {.additions = 3});
}

TEST_CASE_TEMPLATE("sums over ranks: the tree's bits, from slices", T, COHORT_GPU_TYPES) {
  OnBoth<T> t;
  for (const int ranks : {2, 7, 8, 13}) {
    const std::size_t n = std::size_t(size(1 << 18, 1 << 9)) + 7, stride = (n + 15) / 16 * 16;
    const int rank = ranks / 2;
    const auto others = t.random(std::size_t(ranks) * stride), own = t.random(n);
    const auto sum = t.poisoned(n);
    const auto& device = gpu_test::gpu().device;
    const cuda::SumSlices<T, 4> kernel{
        own.on(device), others.on(device), sum.on(device), stride, n, rank, ranks, true};
    cuda::launch(device, kernel.blocks(), kernel);
    const std::vector<T> got = sum.download(), mine = own.download(), theirs = others.download();
    std::vector<T> expected(n);
    cohort::detail::sum_into(
        [&](int r) { return r == rank ? mine.data() : theirs.data() + std::size_t(r) * stride; },
        ranks, n, expected.data());
    CAPTURE(ranks);
    CHECK(std::memcmp(got.data(), expected.data(), n * sizeof(T)) == 0);
  }
}

TEST_CASE_TEMPLATE("column_sum: overwritten and added to", T, COHORT_GPU_TYPES) {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  const int num_rows = rows();
  auto dy = t.random(static_cast<std::size_t>(num_rows) * C);
  auto db = t.template poisoned<A>(C), more = t.template random<A>(C);
  t.run([&](const auto& device) {
    ops::column_sum<C>(device, num_rows, dy.on(device), db.on(device), true);
    ops::column_sum<C>(device, num_rows, dy.on(device), more.on(device), false);
  });
  t.check("column sum", db, {.additions = double(num_rows)});
  t.check("column sum, added", more, {.additions = double(num_rows)});
}

TEST_CASE_TEMPLATE("embedding: rows of the table, and their gradient", T, COHORT_GPU_TYPES) {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  const int num_rows = size(4096, 50);
  const auto n = static_cast<std::size_t>(num_rows) * C, table = static_cast<std::size_t>(V) * C;
  auto tokens = t.integers(std::size_t(num_rows), size(V, 20));
  auto w = t.random(table), y = t.poisoned(n), dy = t.random(n);
  auto dw = t.template poisoned<A>(table);
  t.run([&](const auto& device) {
    ops::embedding_forward<V, C>(device, num_rows, tokens.on(device), w.on(device), y.on(device));
    ops::embedding_backward<V, C>(device, num_rows, tokens.on(device), dy.on(device), dw.on(device),
                                  true);
    ops::embedding_backward<V, C>(device, num_rows, tokens.on(device), dy.on(device), dw.on(device),
                                  false);
  });
  CHECK(t.fault().kind == cuda::Fault::none);
  t.check("rows", y, {.additions = 0});
  t.check("dweight", dw, {.additions = 64});
}

TEST_CASE_TEMPLATE("embedding: the gradient in a pass for each strip has one pass' bits", T, float,
                   bf16) {
  constexpr int few = 9, wide = 1288;
  using Rows = ops::kernels::TokenRows<wide, T, float>;
  static_assert(Rows::strips == 3 && wide % Rows::strip != 0);
  const int num_rows = size(4096, 700);  // more than a chunk of each token
  OnBoth<T> t;
  auto tokens = t.integers(std::size_t(num_rows), few);
  auto dy = t.random(static_cast<std::size_t>(num_rows) * wide);
  auto in_one = t.template poisoned<float>(few * wide);
  auto in_three = t.template poisoned<float>(few * wide);
  Cuda device = gpu_test::gpu().device;
  ops::embedding_backward<few, wide>(device, num_rows, tokens.on(device), dy.on(device),
                                     in_one.on(device), true);
  // Room for one strip, not for two.
  const std::size_t integers = ops::kernels::sort_rows_integers(num_rows) + few;
  device.workspace_bytes =
      round_up(4 * integers, 64) + sizeof(float) * Rows::strip * std::size_t(num_rows / 64 + 1);
  ops::embedding_backward<few, wide>(device, num_rows, tokens.on(device), dy.on(device),
                                     in_three.on(device), true);
  const auto one = in_one.download(), three = in_three.download();
  CHECK(std::memcmp(one.data(), three.data(), one.size() * sizeof(float)) == 0);
}

TEST_CASE("embedding: a token outside the table is reported, and the first one's row") {
  OnBoth<float> t;
  gpu_test::Array<std::int32_t> tokens({1, 2, V, -1, 3});
  auto w = t.random(static_cast<std::size_t>(V) * C), y = t.poisoned(5 * C);
  const Cuda& device = gpu_test::gpu().device;
  device.zero(device.fault, sizeof(cuda::Fault));
  ops::embedding_forward<V, C>(device, 5, tokens.on(device), w.on(device), y.on(device));
  gpu_test::gpu().stream.synchronize();
  const cuda::Fault fault = t.fault();
  CHECK(fault.kind == cuda::Fault::token);
  CHECK(((fault.row == 2 && fault.value == V) || (fault.row == 3 && fault.value == -1)));
  const std::vector<float> got = y.download();  // the good rows are there, nothing behind them
  for (int c = 0; c < C; ++c)
    CHECK(got[std::size_t(4 * C + c)] == float(w.reference()[std::size_t(3 * C + c)]));
}

TEST_CASE_TEMPLATE("position: added to each sample, and its gradient", T, COHORT_GPU_TYPES) {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  const int samples = size(4, 2), tokens = size(1023, 17);
  constexpr int most = 1024;
  const auto n = static_cast<std::size_t>(samples) * tokens * C;
  auto x = t.random(n), w = t.random(most * C), y = t.poisoned(n), dy = t.random(n);
  auto dw = t.template poisoned<A>(most * C);
  t.run([&](const auto& device) {
    ops::position_forward<C>(device, samples, tokens, x.on(device), w.on(device), y.on(device));
    ops::position_backward<most, C>(device, samples, tokens, dy.on(device), dw.on(device), true);
  });
  t.check("y", y);
  t.check("dw", dw);
}

TEST_CASE_TEMPLATE("convert: to nearest, all kinds of numbers", T, float, bf16, fp16) {
  OnBoth<T> t;
  const std::size_t n = std::size_t(size(1 << 20, 1 << 10)) + 5;
  auto wide = t.template random<float>(n, 100.0);
  auto narrow = t.template poisoned<T>(n);
  auto back = t.template poisoned<float>(n);
  const Cuda& device = gpu_test::gpu().device;
  ops::convert(device, n, static_cast<const float*>(wide.on(device)), narrow.on(device));
  ops::convert(device, n, static_cast<const T*>(narrow.on(device)), back.on(device));
  gpu_test::gpu().stream.synchronize();
  const auto got = narrow.download();
  const auto again = back.download();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const T want = T(float(wide.reference()[i]));  // the host's conversion, tested against Eigen's
    wrong += std::memcmp(&got[i], &want, sizeof want) != 0 || again[i] != float(want);
  }
  CHECK(wrong == 0);
}
