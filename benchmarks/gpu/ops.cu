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
  const double with_residual = gpu.median_us(
      [&](int t) {
        ops::layer_norm_backward<C>(gpu.device(), rows, static_cast<const bf16*>(x[t]),
                                    static_cast<const bf16*>(w[0]), mean[t], rstd[t],
                                    static_cast<const bf16*>(dy[t]), dx[t], dw[0], db[0], true,
                                    static_cast<const bf16*>(y[t]));
      },
      copies);
  report(c, named("layer_norm_backward_residual", C), with_residual, 8.0 * double(n) + 8.0 * rows,
         0);
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

/// dw and db of a Linear: db as a by-product of dw's product, against dw alone and a pass over dy.
template <int In, int Out> void weight_gradients(Gpu& gpu, const Ceilings& c, int rows) {
  const std::size_t nx = std::size_t(rows) * In, ny = std::size_t(rows) * Out;
  const double product = 2.0 * rows * In * Out, bytes = 2.0 * double(nx + ny) + 4.0 * In * Out;
  const int copies = Gpu::copies(2.0 * double(nx + ny));
  const auto x = gpu.random<bf16>(copies, nx), dy = gpu.random<bf16>(copies, ny);
  const auto dw = gpu.outputs<float>(1, std::size_t(In) * Out), db = gpu.outputs<float>(1, Out);
  const auto gradients = [&](int t, float* to_w, float* to_b) {
    ops::kernels::linear_gradients<In, Out>(gpu.device(), rows, static_cast<const bf16*>(x[t]),
                                            static_cast<const bf16*>(dy[t]), to_w, to_b, true);
  };
  const double both = gpu.median_us([&](int t) { gradients(t, dw[0], db[0]); }, copies);
  gpu.require_written(dw, "linear_dw_db");
  gpu.require_written(db, "linear_dw_db");
  report(c, named("linear_dw_db", In, Out), both, bytes, product);
  const double alone = gpu.median_us([&](int t) { gradients(t, dw[0], nullptr); }, copies);
  report(c, named("linear_dw", In, Out), alone, bytes, product);
  const double sums = gpu.median_us([&](int t) { gradients(t, nullptr, db[0]); }, copies);
  report(c, named("linear_db", In, Out), sums, 2.0 * double(ny), 0);
}

/// What a block of GPT-2 does beside a Linear that follows gelu: the sum into its output and the slope into its
/// dx, each as part of a product and as a pass of its own.
template <int In, int Out> void fused_linear(Gpu& gpu, const Ceilings& c, int rows) {
  const std::size_t nx = std::size_t(rows) * In, ny = std::size_t(rows) * Out;
  const double product = 2.0 * rows * In * Out;
  const int copies = Gpu::copies(2.0 * double(nx + ny));
  const auto x = gpu.random<bf16>(copies, nx), dy = gpu.random<bf16>(copies, ny);
  const auto w = gpu.random<bf16>(1, std::size_t(In) * Out, 0.02f), b = gpu.random<bf16>(1, Out);
  const auto y = gpu.outputs<bf16>(copies, ny), dx = gpu.outputs<bf16>(copies, nx);
  const auto read = [](const Rotating<bf16>& from, int t) {
    return static_cast<const bf16*>(from[t]);
  };
  const double sum = gpu.median_us(
      [&](int t) {
        ops::linear_forward<In, Out>(gpu.device(), rows, read(x, t), read(w, 0), read(b, 0), y[t],
                                     read(dy, t));
      },
      copies);
  gpu.require_written(y, "linear with a residual");
  report(c, named("linear_forward_residual", In, Out), sum, 2.0 * double(nx + 2 * ny), product);
  const double add = gpu.median_us(
      [&](int t) { ops::add(gpu.device(), ny, read(y, t), read(dy, t), y[t]); }, copies);
  report(c, named("add", Out), add, 6.0 * double(ny), 0);
  float* const none = nullptr;
  const auto dx_alone = [&](int t, auto... slope) {
    ops::linear_backward<In, Out>(gpu.device(), rows, read(x, t), read(w, 0), read(dy, t), none,
                                  none, true, dx[t], slope...);
  };
  const double plain = gpu.median_us([&](int t) { dx_alone(t); }, copies);
  report(c, named("linear_dx", In, Out), plain, 2.0 * double(nx + ny), product);
  const double sloped = gpu.median_us(
      [&](int t) { dx_alone(t, ops::GeluSlope<ops::GeluTanh, bf16>{read(x, t)}); }, copies);
  gpu.require_written(dx, "linear behind gelu");
  report(c, named("linear_dx_gelu_slope", In, Out), sloped, 2.0 * double(2 * nx + ny), product);
  const double slope = gpu.median_us(
      [&](int t) {
        ops::activation_backward<ops::GeluTanh>(gpu.device(), nx, read(x, t), read(dx, t), dx[t]);
      },
      copies);
  report(c, named("gelu_backward", In), slope, 6.0 * double(nx), 0);
}

}  // namespace

int main(int argc, char** argv) {
  return guarded(argc, argv, [] {
    Gpu gpu;
    describe(gpu);
    const Ceilings c = measure_ceilings(gpu);
    const std::size_t gpt2 = size(std::size_t{124475904}, std::size_t{4096});
    const std::size_t eighth = size(std::size_t{1557686400 / 8}, std::size_t{4096});
    const int rows = size(32 * 1024, 16);
    adamw(gpu, c, "adamw_124m", gpt2, false);
    adamw(gpu, c, "adamw_124m_copies", gpt2, true);
    adamw(gpu, c, "adamw_1558m_eighth_copies", eighth, true);
    grad_norm(gpu, c, gpt2);
    layer_norm<768>(gpu, c, rows);
    layer_norm<1600>(gpu, c, rows / 2);
    cross_entropy(gpu, c, rows / 2);
    linear<768, 2304>(gpu, c, rows);
    linear<768, 768>(gpu, c, rows);
    linear<768, 3072>(gpu, c, rows);
    linear<3072, 768>(gpu, c, rows);
    weight_gradients<768, 2304>(gpu, c, rows);
    weight_gradients<768, 768>(gpu, c, rows);
    weight_gradients<768, 3072>(gpu, c, rows);
    weight_gradients<3072, 768>(gpu, c, rows);
    fused_linear<3072, 768>(gpu, c, rows);
    report_lacked(gpu);
  });
}
