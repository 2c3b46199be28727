// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/gpu/attention.cu: causal attention forward and backward in bf16, against its floor. JSON lines.
#include "measure.hpp"

using namespace bench;

namespace {

/// Operations of a causal product: half of 4 T^2 D for forward, 2.5 times that for backward, which
/// forms the scores again.
template <class H>
void attention(Gpu& gpu, const Ceilings& c, const std::string& metric, int samples, int tokens) {
  const std::size_t rows = std::size_t(samples) * std::size_t(tokens), n = rows * H::width;
  const std::size_t all = rows * H::row;
  const double bytes = 2.0 * double(all + n);
  const int copies = Gpu::copies(bytes);
  const auto qkv = gpu.random<bf16>(copies, all), dy = gpu.random<bf16>(copies, n);
  const auto y = gpu.outputs<bf16>(copies, n), dqkv = gpu.outputs<bf16>(copies, all);
  const auto lse = gpu.outputs<float>(copies, rows * H::heads);
  const cuda::Memory scratch(ops::attention_scratch_on_cuda<H>(samples, tokens) * sizeof(float));
  const double flops = 2.0 * double(rows) * tokens * H::width;
  const double forward = gpu.median_us(
      [&](int t) {
        ops::attention_forward<H, true>(gpu.device(), samples, tokens,
                                        static_cast<const bf16*>(qkv[t]), y[t], lse[t],
                                        scratch.as<float>());
      },
      copies);
  gpu.require_written(y, "attention");
  gpu.require_written(lse, "attention");
  report(c, named(metric + "_forward", H::head_dim, tokens), forward, bytes, flops);
  const double backward = gpu.median_us(
      [&](int t) {
        ops::attention_backward<H, true>(
            gpu.device(), samples, tokens, static_cast<const bf16*>(qkv[t]),
            static_cast<const bf16*>(y[t]), static_cast<const bf16*>(dy[t]), lse[t], dqkv[t],
            scratch.as<float>());
      },
      copies);
  gpu.require_written(dqkv, "attention");
  report(c, named(metric + "_backward", H::head_dim, tokens), backward, 2 * bytes, 2.5 * flops);
}

/// Positions of what attention of these heads reads: queries and keys are read and written.
template <class H> void rope(Gpu& gpu, const Ceilings& c, int samples, int tokens) {
  const std::size_t rows = std::size_t(samples) * std::size_t(tokens);
  const double bytes = 4.0 * double(rows) * (H::heads + H::kv_heads) * H::head_dim;
  const int copies = Gpu::copies(bytes);
  const auto qkv = gpu.random<bf16>(copies, rows * H::row);
  const double us = gpu.median_us(
      [&](int t) {
        ops::rope_forward<H, ops::RotaryAngles<500000>>(gpu.device(), samples, tokens, qkv[t]);
      },
      copies);
  report(c, named("rope", H::head_dim, tokens), us, bytes, 0);
}

}  // namespace

int main(int argc, char** argv) {
  return guarded(argc, argv, [] {
    Gpu gpu;
    describe(gpu);
    const Ceilings c = measure_ceilings(gpu);
    for (const int tokens : {1024, 4096}) {
      attention<ops::EqualHeads<12, 64>>(gpu, c, "attention", size(32 * 1024 / tokens, 1),
                                         size(tokens, tokens / 16));
      attention<ops::EqualHeads<8, 128>>(gpu, c, "attention", size(16 * 1024 / tokens, 1),
                                         size(tokens, tokens / 16));
    }
    using Llama3_8B = ops::AttentionHeads<32, 8, 128>;
    attention<Llama3_8B>(gpu, c, "attention_shared", 1, size(4096, 256));
    rope<Llama3_8B>(gpu, c, 1, size(4096, 256));
  });
}
