// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/ops.cpp: each op of the 4x128 GPT step alone, in fp32 and in 16 bits, and conversions of
// arrays, in ns an element and GB/s, one JSON line each.
#include <algorithm>
#include <chrono>
#include <cohort/core/arena.hpp>
#include <cohort/ops/adamw.hpp>
#include <cohort/ops/attention.hpp>
#include <cohort/ops/column_sum.hpp>
#include <cohort/ops/convert.hpp>
#include <cohort/ops/cross_entropy.hpp>
#include <cohort/ops/elementwise.hpp>
#include <cohort/ops/embedding.hpp>
#include <cohort/ops/gelu.hpp>
#include <cohort/ops/grad_norm.hpp>
#include <cohort/ops/layer_norm.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

using namespace cohort;

struct NoGemm {};
constexpr Cpu<NoGemm> cpu{};

// Legend: R rows = 12 samples of 64 tokens, C wide, F = 4 C, V ids, P parameters.
constexpr int samples = 12, tokens = 64, R = samples * tokens, C = 128, F = 512, V = 65;
constexpr std::size_t P = 802'944;

/// Median of 31 runs, each of `calls` calls, which must be long enough for the clock; ns for one call.
template <class Body> double median_ns(Body body, int calls = 4) {
  using clock = std::chrono::steady_clock;
  std::vector<double> times;
  for (int run = 0; run < 31; ++run) {
    const auto begin = clock::now();
    for (int i = 0; i < calls; ++i) body();
    times.push_back(std::chrono::duration<double, std::nano>(clock::now() - begin).count() / calls);
  }
  std::nth_element(times.begin(), times.begin() + 15, times.end());
  return times[15];
}

void line(const std::string& op, const char* what, double value, const char* unit) {
  std::printf("{\"bench\": \"ops\", \"metric\": \"%s %s\", \"value\": %.4g, \"unit\": \"%s\"}\n",
              op.c_str(), what, value, unit);
}

/// elements and bytes (read and written, each once) of one call.
template <class Body>
void report(const std::string& op, double elements, double bytes, Body body, int calls = 4) {
  const double ns = median_ns(body, calls);
  line(op, "call", ns * 1e-3, "us");
  line(op, "element", ns / elements, "ns");
  line(op, "traffic", bytes / ns, "GB/s");
}

/// "gelu forward" for float, "gelu forward bf16" for bf16.
template <class T> std::string name(const std::string& op) {
  return sizeof(T) == 4 ? op : op + " " + std::string(cohort::name(dtype_of<T>));
}

template <class T = float> std::vector<T> numbers(std::size_t n) {
  std::vector<T> v(n);
  for (std::size_t i = 0; i < n; ++i)
    v[i] = T(static_cast<float>((i * 2654435761u >> 8) & 0xffff) / 16384.0f - 2.0f);
  return v;
}

template <class T> void elementwise() {
  const auto x = numbers<T>(R * F), dy = numbers<T>(R * F);
  std::vector<T> y(R * F);
  constexpr double n = double(R) * F, bytes = sizeof(T);
  report(name<T>("gelu_erf forward"), n, n * 2 * bytes,
         [&] { ops::activation_forward<ops::GeluErf>(cpu, R * F, x.data(), y.data()); });
  report(name<T>("gelu_erf backward"), n, n * 3 * bytes, [&] {
    ops::activation_backward<ops::GeluErf>(cpu, R * F, x.data(), dy.data(), y.data());
  });
  std::vector<T> slope(R * F);
  report(name<T>("gelu_erf forward with slope"), n, n * 3 * bytes, [&] {
    ops::activation_forward<ops::GeluErf>(cpu, R * F, x.data(), y.data(), slope.data());
  });
  report(name<T>("multiply"), n, n * 3 * bytes,
         [&] { ops::multiply(cpu, R * F, slope.data(), dy.data(), y.data()); });
  report(name<T>("gelu_tanh forward"), n, n * 2 * bytes,
         [&] { ops::activation_forward<ops::GeluTanh>(cpu, R * F, x.data(), y.data()); });
  report(name<T>("gelu_tanh backward"), n, n * 3 * bytes, [&] {
    ops::activation_backward<ops::GeluTanh>(cpu, R * F, x.data(), dy.data(), y.data());
  });
  report(name<T>("add"), R * C, R * C * 3 * bytes,
         [&] { ops::add(cpu, R * C, x.data(), dy.data(), y.data()); });
}

template <class T> void rows() {
  const auto x = numbers<T>(R * F), dy = numbers<T>(R * F), w = numbers<T>(F);
  std::vector<T> y(R * F);
  std::vector<float> mean(R), rstd(R), dw(F), db(F);
  constexpr double n = double(R) * C, bytes = sizeof(T);
  report(name<T>("layer_norm forward"), n, n * 2 * bytes, [&] {
    ops::layer_norm_forward<C>(cpu, R, x.data(), w.data(), w.data(), y.data(), mean.data(),
                               rstd.data());
  });
  report(name<T>("layer_norm backward"), n, n * 3 * bytes, [&] {
    ops::layer_norm_backward<C>(cpu, R, x.data(), w.data(), mean.data(), rstd.data(), dy.data(),
                                y.data(), dw.data(), db.data(), true);
  });
  report(name<T>("column_sum 128"), n, n * bytes,
         [&] { ops::column_sum<C>(cpu, R, dy.data(), db.data(), true); });
  report(name<T>("column_sum 512"), n * 4, n * 4 * bytes,
         [&] { ops::column_sum<F>(cpu, R, dy.data(), db.data(), true); });
  std::vector<std::int32_t> ids(R);
  for (int i = 0; i < R; ++i) ids[static_cast<std::size_t>(i)] = i * 31 % V;
  std::vector<float> table(V * C);
  report(name<T>("embedding forward"), n, n * 2 * bytes,
         [&] { ops::embedding_forward<V, C>(cpu, R, ids.data(), x.data(), y.data()); });
  report(name<T>("embedding backward"), n, n * (8 + bytes),
         [&] { ops::embedding_backward<V, C>(cpu, R, ids.data(), dy.data(), table.data(), true); });
  report(name<T>("cross_entropy gradient"), double(R) * V, double(R) * V * 2 * bytes,
         [&] { ops::cross_entropy_gradient<V>(cpu, R, x.data(), ids.data(), y.data()); });
}

template <class T, int Tokens>
void attention(int num_samples, const char* forward, const char* backward) {
  constexpr int heads = 4, width = 32;
  const std::size_t n = static_cast<std::size_t>(num_samples) * Tokens;
  const auto qkv = numbers<T>(n * 3 * C), dy = numbers<T>(n * C);
  std::vector<T> y(n * C), dqkv(n * 3 * C);
  std::vector<float> lse(n * heads), scratch(ops::attention_scratch<width, T>(Tokens));
  const double scores = double(n) * heads * Tokens;  // of the dense square
  report(name<T>(forward), scores, double(n) * C * 4 * sizeof(T), [&] {
    ops::attention_forward<ops::EqualHeads<heads, width>, true>(
        cpu, num_samples, Tokens, qkv.data(), y.data(), lse.data(), scratch.data());
  });
  report(name<T>(backward), scores, double(n) * C * 7 * sizeof(T), [&] {
    ops::attention_backward<ops::EqualHeads<heads, width>, true>(
        cpu, num_samples, Tokens, qkv.data(), y.data(), dy.data(), lse.data(), dqkv.data(),
        scratch.data());
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

/// An array converted there and back, beside memcpy of as many bytes as the floats are.
template <class T> void conversions(std::size_t float_bytes, int calls) {
  const std::size_t n = float_bytes / sizeof(float);
  const std::string size = std::to_string(float_bytes >> 10) + " KiB";
  HostMemory wide(float_bytes), narrow(n * sizeof(T));
  float* x = wide.as<float>();
  T* y = narrow.as<T>();
  const auto values = numbers(n);
  std::copy(values.begin(), values.end(), x);
  report(
      "convert " + size + " to " + std::string(name(dtype_of<T>)), double(n), double(n) * 6,
      [&] { ops::convert(cpu, n, static_cast<const float*>(x), y); }, calls);
  report(
      "convert " + size + " from " + std::string(name(dtype_of<T>)), double(n), double(n) * 6,
      [&] { ops::convert(cpu, n, static_cast<const T*>(y), x); }, calls);
  if constexpr (std::is_same_v<T, bf16>) {
    report(
        "convert " + size + " to bf16 at random", double(n), double(n) * 6,
        [&] { ops::convert_at_random(cpu, n, x, y, 1, 2, 0); }, calls);
    HostMemory copy(float_bytes);
    report(
        "memcpy " + size, double(n), double(n) * 8,
        [&] { std::memcpy(copy.as<char>(), wide.as<char>(), float_bytes); }, calls);
  }
}

template <class T> void all() {
  elementwise<T>();
  rows<T>();
  attention<T, tokens>(samples, "attention_64 forward", "attention_64 backward");
  attention<T, 1024>(1, "attention_1024 forward", "attention_1024 backward");
}

}  // namespace

int main() {
  all<float>();
  update();
  all<bf16>();
  all<fp16>();
  for (const auto& [bytes, calls] : {std::pair{std::size_t{64} << 10, 256},
                                     {std::size_t{2} << 20, 8},
                                     {std::size_t{64} << 20, 1}}) {
    conversions<bf16>(bytes, calls);
    conversions<fp16>(bytes, calls);
  }
}
