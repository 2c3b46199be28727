// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/gpu/attention.cu: causal attention forward and backward in bf16, against its floor. JSON lines.
#include "measure.hpp"

using namespace bench;

namespace {

/// Operations of a causal product: half of 4 T^2 D for forward, 2.5 times that for backward, which
/// forms the scores again.
template <int Heads, int HeadDim>
void attention(Gpu& gpu, const Ceilings& c, int samples, int tokens) {
  constexpr int C = Heads * HeadDim;
  const std::size_t rows = std::size_t(samples) * std::size_t(tokens), n = rows * C;
  const int copies = Gpu::copies(8.0 * double(n));
  const auto qkv = gpu.random<bf16>(copies, 3 * n), dy = gpu.random<bf16>(copies, n);
  const auto y = gpu.outputs<bf16>(copies, n), dqkv = gpu.outputs<bf16>(copies, 3 * n);
  const auto lse = gpu.outputs<float>(copies, rows * Heads);
  const cuda::Memory scratch(ops::attention_scratch_on_cuda<Heads>(samples, tokens) *
                             sizeof(float));
  const double flops = 2.0 * double(rows) * tokens * C;
  const double forward = gpu.median_us(
      [&](int t) {
        ops::attention_forward<Heads, HeadDim, true>(gpu.device(), samples, tokens,
                                                     static_cast<const bf16*>(qkv[t]), y[t], lse[t],
                                                     scratch.as<float>());
      },
      copies);
  gpu.require_written(y, "attention");
  gpu.require_written(lse, "attention");
  report(c, named("attention_forward", HeadDim, tokens), forward, 8.0 * double(n), flops);
  const double backward = gpu.median_us(
      [&](int t) {
        ops::attention_backward<Heads, HeadDim, true>(
            gpu.device(), samples, tokens, static_cast<const bf16*>(qkv[t]),
            static_cast<const bf16*>(y[t]), static_cast<const bf16*>(dy[t]), lse[t], dqkv[t],
            scratch.as<float>());
      },
      copies);
  gpu.require_written(dqkv, "attention");
  report(c, named("attention_backward", HeadDim, tokens), backward, 16.0 * double(n), 2.5 * flops);
}

}  // namespace

int main(int argc, char** argv) {
  return guarded(argc, argv, [] {
    Gpu gpu;
    describe(gpu);
    const Ceilings c = measure_ceilings(gpu);
    for (const int tokens : {1024, 4096}) {
      attention<12, 64>(gpu, c, size(32 * 1024 / tokens, 1), size(tokens, tokens / 16));
      attention<8, 128>(gpu, c, size(16 * 1024 / tokens, 1), size(tokens, tokens / 16));
    }
  });
}
