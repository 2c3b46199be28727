// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/ops.cpp: each op of the 4x128 GPT step alone, in ns an element and GB/s, one JSON line each.
#include <algorithm>
#include <chrono>
#include <cohort/ops/adamw.hpp>
#include <cohort/ops/attention.hpp>
#include <cohort/ops/column_sum.hpp>
#include <cohort/ops/cross_entropy.hpp>
#include <cohort/ops/elementwise.hpp>
#include <cohort/ops/embedding.hpp>
#include <cohort/ops/gelu.hpp>
#include <cohort/ops/grad_norm.hpp>
#include <cohort/ops/layer_norm.hpp>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using namespace cohort;

struct NoGemm {};
constexpr Cpu<NoGemm> cpu{};

// Legend: R rows = 12 samples of 64 tokens, C wide, F = 4 C, V ids, P parameters.
constexpr int samples = 12, tokens = 64, R = samples * tokens, C = 128, F = 512, V = 65;
constexpr std::size_t P = 802'944;

/// Median of 31 runs, each long enough for the clock; ns for one call.
template <class Body> double median_ns(Body body) {
  using clock = std::chrono::steady_clock;
  std::vector<double> times;
  for (int run = 0; run < 31; ++run) {
    const auto begin = clock::now();
    for (int i = 0; i < 4; ++i) body();
    times.push_back(std::chrono::duration<double, std::nano>(clock::now() - begin).count() / 4);
  }
  std::nth_element(times.begin(), times.begin() + 15, times.end());
  return times[15];
}

void line(const char* op, const char* what, double value, const char* unit) {
  std::printf("{\"bench\": \"ops\", \"metric\": \"%s %s\", \"value\": %.4g, \"unit\": \"%s\"}\n",
              op, what, value, unit);
}

/// elements and bytes (read and written, each once) of one call.
template <class Body> void report(const char* op, double elements, double bytes, Body body) {
  const double ns = median_ns(body);
  line(op, "call", ns * 1e-3, "us");
  line(op, "element", ns / elements, "ns");
  line(op, "traffic", bytes / ns, "GB/s");
}

std::vector<float> numbers(std::size_t n) {
  std::vector<float> v(n);
  for (std::size_t i = 0; i < n; ++i)
    v[i] = static_cast<float>((i * 2654435761u >> 8) & 0xffff) / 16384.0f - 2.0f;
  return v;
}

void elementwise() {
  const auto x = numbers(R * F), dy = numbers(R * F);
  std::vector<float> y(R * F);
  constexpr double n = double(R) * F;
  report("gelu_erf forward", n, n * 8, [&] { ops::gelu_forward(cpu, R * F, x.data(), y.data()); });
  report("gelu_erf backward", n, n * 12,
         [&] { ops::gelu_backward(cpu, R * F, x.data(), dy.data(), y.data()); });
  std::vector<float> slope(R * F);
  report("gelu_erf forward with slope", n, n * 12,
         [&] { ops::gelu_forward(cpu, R * F, x.data(), y.data(), slope.data()); });
  report("multiply", n, n * 12,
         [&] { ops::multiply(cpu, R * F, slope.data(), dy.data(), y.data()); });
  report("gelu_tanh forward", n, n * 8,
         [&] { ops::gelu_forward<ops::GeluTanh>(cpu, R * F, x.data(), y.data()); });
  report("gelu_tanh backward", n, n * 12,
         [&] { ops::gelu_backward<ops::GeluTanh>(cpu, R * F, x.data(), dy.data(), y.data()); });
  report("add", R * C, R * C * 12.0, [&] { ops::add(cpu, R * C, x.data(), dy.data(), y.data()); });
}

void rows() {
  const auto x = numbers(R * F), dy = numbers(R * F), w = numbers(F);
  std::vector<float> y(R * F), mean(R), rstd(R), dw(F), db(F);
  constexpr double n = double(R) * C;
  report("layer_norm forward", n, n * 8, [&] {
    ops::layer_norm_forward<C>(cpu, R, x.data(), w.data(), w.data(), y.data(), mean.data(),
                               rstd.data());
  });
  report("layer_norm backward", n, n * 12, [&] {
    ops::layer_norm_backward<C>(cpu, R, x.data(), w.data(), mean.data(), rstd.data(), dy.data(),
                                y.data(), dw.data(), db.data(), true);
  });
  report("column_sum 128", n, n * 4,
         [&] { ops::column_sum<C>(cpu, R, dy.data(), db.data(), true); });
  report("column_sum 512", n * 4, n * 16,
         [&] { ops::column_sum<F>(cpu, R, dy.data(), db.data(), true); });
  std::vector<std::int32_t> ids(R);
  for (int i = 0; i < R; ++i) ids[static_cast<std::size_t>(i)] = i * 31 % V;
  std::vector<float> table(V * C);
  report("embedding forward", n, n * 8,
         [&] { ops::embedding_forward<V, C>(cpu, R, ids.data(), x.data(), y.data()); });
  report("embedding backward", n, n * 12,
         [&] { ops::embedding_backward<V, C>(cpu, R, ids.data(), dy.data(), table.data(), true); });
  report("cross_entropy gradient", double(R) * V, double(R) * V * 8,
         [&] { ops::cross_entropy_gradient<V>(cpu, R, x.data(), ids.data(), y.data()); });
}

template <int Tokens> void attention(int num_samples, const char* forward, const char* backward) {
  constexpr int heads = 4, width = 32;
  const std::size_t n = static_cast<std::size_t>(num_samples) * Tokens;
  const auto qkv = numbers(n * 3 * C), dy = numbers(n * C);
  std::vector<float> y(n * C), lse(n * heads), dqkv(n * 3 * C),
      scratch(ops::attention_scratch<width, float>(Tokens));
  const double scores = double(n) * heads * Tokens;  // of the dense square
  report(forward, scores, double(n) * C * 16, [&] {
    ops::attention_forward<heads, width, true>(cpu, num_samples, Tokens, qkv.data(), y.data(),
                                               lse.data(), scratch.data());
  });
  report(backward, scores, double(n) * C * 28, [&] {
    ops::attention_backward<heads, width, true>(cpu, num_samples, Tokens, qkv.data(), dy.data(),
                                                lse.data(), dqkv.data(), scratch.data());
  });
}

void update() {
  auto p = numbers(P), m = std::vector<float>(P), v = std::vector<float>(P);
  const auto g = numbers(P);
  const std::vector<std::uint8_t> decay(P / 64 + 1, 1);
  const auto s = ops::AdamStep<float>::make({}, 10);
  report("adamw", P, P * 28.0,
         [&] { ops::adamw(cpu, P, p.data(), g.data(), m.data(), v.data(), decay.data(), s); });
  ops::ExactSum sum;
  report("grad_norm", P, P * 4.0, [&] { ops::add_square_sum(cpu, P, g.data(), sum); });
  if (!(sum.value() > 0)) std::abort();
}

}  // namespace

int main() {
  elementwise();
  rows();
  attention<tokens>(samples, "attention_64 forward", "attention_64 backward");
  attention<1024>(1, "attention_1024 forward", "attention_1024 backward");
  update();
}
