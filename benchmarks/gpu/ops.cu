// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/gpu/ops.cu: ops that move memory, and GPT-2's matrix products, against their floors. JSON lines.
#include "measure.hpp"

using namespace bench;

namespace {

/// One update of n parameters: fp32 gradient, moments and masters, and bf16 copies where asked.
void adamw(Gpu& gpu, const Ceilings& c, const std::string& metric, std::size_t n, bool copies) {
  using Step = ops::DeviceStep<ops::AdamStep<float>>;
  const auto p = gpu.random<float>(1, n), g = gpu.random<float>(1, n, 1e-3f);
  const auto m = gpu.random<float>(1, n, 1e-4f), v = gpu.random<float>(1, n, 0, 1e-6f);
  const auto copy = gpu.outputs<bf16>(1, copies ? n : 8);
  const cuda::Memory flags(n / chunk + 1), step(sizeof(Step));
  const Step host{ops::AdamStep<float>::make({6e-4, 0.9, 0.95, 1e-8, 0.1}, 1000, 1.0), 1000, 0};
  gpu.device().upload(step.as<std::byte>(), &host, sizeof host);
  cuda::check(cudaMemset(flags.as<std::byte>(), 1, flags.bytes()));
  const double us = gpu.median_us(
      [&](int) {
        ops::adamw(gpu.device(), n, p[0], g[0], m[0], v[0], flags.as<std::uint8_t>(),
                   step.as<Step>(), copies ? copy[0] : static_cast<bf16*>(nullptr));
      },
      1);
  gpu.require_written(p, metric);
  if (copies) gpu.require_written(copy, metric);
  report(c, metric, us, (copies ? 30.0 : 28.0) * double(n), 0);
}

template <int C> void layer_norm(Gpu& gpu, const Ceilings& c, int rows) {
  const std::size_t n = std::size_t(rows) * C;
  const int copies = Gpu::copies(4.0 * double(n));
  const auto x = gpu.random<bf16>(copies, n), dy = gpu.random<bf16>(copies, n);
  const auto w = gpu.random<bf16>(1, C, 0.1f, 1), b = gpu.random<bf16>(1, C);
  const auto y = gpu.outputs<bf16>(copies, n), dx = gpu.outputs<bf16>(copies, n);
  const auto mean = gpu.outputs<float>(copies, std::size_t(rows));
  const auto rstd = gpu.outputs<float>(copies, std::size_t(rows));
  const auto dw = gpu.outputs<float>(1, C), db = gpu.outputs<float>(1, C);
  const double forward = gpu.median_us(
      [&](int t) {
        ops::layer_norm_forward<C>(gpu.device(), rows, static_cast<const bf16*>(x[t]),
                                   static_cast<const bf16*>(w[0]), static_cast<const bf16*>(b[0]),
                                   y[t], mean[t], rstd[t]);
      },
      copies);
  gpu.require_written(y, "layer_norm");
  report(c, named("layer_norm_forward", C), forward, 4.0 * double(n) + 8.0 * rows, 0);
  const double backward = gpu.median_us(
      [&](int t) {
        ops::layer_norm_backward<C>(gpu.device(), rows, static_cast<const bf16*>(x[t]),
                                    static_cast<const bf16*>(w[0]), mean[t], rstd[t],
                                    static_cast<const bf16*>(dy[t]), dx[t], dw[0], db[0], true);
      },
      copies);
  gpu.require_written(dx, "layer_norm");
  gpu.require_written(dw, "layer_norm");
  report(c, named("layer_norm_backward", C), backward, 6.0 * double(n) + 8.0 * rows, 0);
}

/// Loss and gradient: logits are read once, gradients written once.
void cross_entropy(Gpu& gpu, const Ceilings& c, int rows) {
  constexpr int V = 50304;
  const std::size_t n = std::size_t(rows) * V;
  const int copies = Gpu::copies(4.0 * double(n));
  const auto logits = gpu.random<bf16>(copies, n, 2.0f);
  const auto targets = gpu.tokens(copies, std::size_t(rows), 50257);
  const auto dlogits = gpu.outputs<bf16>(copies, n);
  const double us = gpu.median_us(
      [&](int t) {
        ops::cross_entropy_gradient<V>(gpu.device(), rows, static_cast<const bf16*>(logits[t]),
                                       targets[t], dlogits[t]);
      },
      copies);
  gpu.require_written(dlogits, "cross_entropy");
  report(c, "cross_entropy_50304", us, 4.0 * double(n), 0);
}

void grad_norm(Gpu& gpu, const Ceilings& c, std::size_t n) {
  const auto g = gpu.random<float>(1, n, 1e-3f);
  const cuda::Memory limbs(sizeof(std::int64_t) * ops::ExactSum::num_limbs);
  const double us = gpu.median_us(
      [&](int) {
        ops::add_square_sum(gpu.device(), n, static_cast<const float*>(g[0]),
                            limbs.as<std::int64_t>());
      },
      1);
  report(c, "grad_norm_124m", us, 4.0 * double(n), 0);
}

/// A Linear of GPT-2: y = x W^T + b, then dx, dW and db. Weight gradients are fp32.
template <int In, int Out> void linear(Gpu& gpu, const Ceilings& c, int rows) {
  const std::size_t nx = std::size_t(rows) * In, ny = std::size_t(rows) * Out;
  const double product = 2.0 * rows * In * Out;
  const int copies = Gpu::copies(2.0 * double(nx + ny));
  const auto x = gpu.random<bf16>(copies, nx), dy = gpu.random<bf16>(copies, ny);
  const auto w = gpu.random<bf16>(1, std::size_t(In) * Out, 0.02f), b = gpu.random<bf16>(1, Out);
  const auto y = gpu.outputs<bf16>(copies, ny), dx = gpu.outputs<bf16>(copies, nx);
  const auto dw = gpu.outputs<float>(1, std::size_t(In) * Out), db = gpu.outputs<float>(1, Out);
  const double forward = gpu.median_us(
      [&](int t) {
        ops::linear_forward<In, Out>(gpu.device(), rows, static_cast<const bf16*>(x[t]),
                                     static_cast<const bf16*>(w[0]), static_cast<const bf16*>(b[0]),
                                     y[t]);
      },
      copies);
  gpu.require_written(y, "linear");
  report(c, named("linear_forward", In, Out), forward, 2.0 * double(nx + ny), product);
  const double backward = gpu.median_us(
      [&](int t) {
        ops::linear_backward<In, Out>(gpu.device(), rows, static_cast<const bf16*>(x[t]),
                                      static_cast<const bf16*>(w[0]),
                                      static_cast<const bf16*>(dy[t]), dw[0], db[0], true, dx[t]);
      },
      copies);
  gpu.require_written(dx, "linear");
  gpu.require_written(dw, "linear");
  gpu.require_written(db, "linear");
  report(c, named("linear_backward", In, Out), backward, 4.0 * double(nx + ny), 2 * product);
}

}  // namespace

int main() {
  return guarded([] {
    Gpu gpu;
    describe(gpu);
    const Ceilings c = measure_ceilings(gpu);
    constexpr std::size_t gpt2 = 124475904, eighth = 1557686400 / 8;
    adamw(gpu, c, "adamw_124m", gpt2, false);
    adamw(gpu, c, "adamw_124m_copies", gpt2, true);
    adamw(gpu, c, "adamw_1558m_eighth_copies", eighth, true);
    grad_norm(gpu, c, gpt2);
    layer_norm<768>(gpu, c, 32 * 1024);
    layer_norm<1600>(gpu, c, 16 * 1024);
    cross_entropy(gpu, c, 16 * 1024);
    linear<768, 2304>(gpu, c, 32 * 1024);
    linear<768, 768>(gpu, c, 32 * 1024);
    linear<768, 3072>(gpu, c, 32 * 1024);
    linear<3072, 768>(gpu, c, 32 * 1024);
  });
}
