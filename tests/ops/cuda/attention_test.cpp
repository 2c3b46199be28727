// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/attention_test.cpp: attention on a GPU against fp64: every type, head and GPU that there is.
#include <cohort/ops/cuda/attention.hpp>

#include "attention_case.hpp"
#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
/// Which kernels ran, as letters: T tiles, D delta, R rows.
std::string kernels_of(const std::vector<cuda_double::Record>& log) {
  std::string out;
  for (const auto& r : log) {
    if (r.kind != cuda_double::Record::kernel) continue;
    const bool tiles = r.name.find("Tiled") != std::string::npos;
    out += tiles ? 'T' : r.name.find("Delta") != std::string::npos ? 'D' : 'R';
  }
  return out;
}

template <int H, int D, bool Causal, class T, int KvHeads = H>
void check(int samples, int tokens, const std::string& kernels) {
  CAPTURE(D);
  CAPTURE(tokens);
  using A = accumulator_t<T>;
  using Heads = ops::AttentionHeads<H, KvHeads, D>;
  cuda::Context context{0};
  Gpu gpu;
  gpu.device().context = &context;
  const std::size_t rows = static_cast<std::size_t>(samples) * tokens, n = rows * H * D;
  const auto qkv = normal<T>(rows * Heads::row, 1), dy = normal<T>(n, 2);
  GpuArray<T> qkv_there(qkv), dy_there(dy), y(n), dqkv(qkv.size());
  GpuArray<A> lse(rows * H), scratch(ops::attention_scratch_on_cuda<Heads>(samples, tokens));
  A* const none = nullptr;
  cuda_double::record(true);
  ops::attention_forward<Heads, Causal>(gpu.device(), samples, tokens, qkv_there.view(), y.data(),
                                        lse.data(), none);
  ops::attention_backward<Heads, Causal>(gpu.device(), samples, tokens, qkv_there.view(), y.view(),
                                         dy_there.view(), lse.view(), dqkv.data(), scratch.data());
  CHECK(kernels_of(cuda_double::take_log()) == kernels);
  cuda_double::record(false);
  const double inside = kernels[0] == 'T' ? unit<T> : 0;  // tiles round p and ds to T
  const ExactAttention<H, D, Causal, T, KvHeads> exact(samples, tokens, inside, qkv, dy);
  CHECK(exact.y.share(y.get()) <= 1);
  CHECK(exact.lse.share(lse.get()) <= 1);
  CHECK(exact.dqkv.share(dqkv.get()) <= 1);
}
}  // namespace

TEST_CASE("attention on a GPU: 16-bit heads of 64 and 128 go through tiles, others by rows") {
  cuda_double::reset();
  check<2, 64, true, bf16>(2, 70, "TDTT");
  check<1, 64, false, fp16>(1, 130, "TDTT");
  check<1, 128, true, bf16>(1, 65, "TDTT");
  check<4, 64, true, bf16, 2>(2, 70, "TDTT");
  check<2, 20, true, bf16>(1, 40, "RDRR");
  check<1, 64, true, float>(1, 40, "RDRR");
  check<2, 16, false, double>(2, 33, "RDRR");
}

TEST_CASE("attention on a GPU: sm_75 runs fp16 in the tiles it has room for, and refuses bf16") {
  cuda_double::set_properties(40, 7, 5);
  check<1, 64, true, fp16>(1, 20, "TDTT");
  check<1, 128, true, fp16>(1, 20, "TDRR");
  CHECK_THROWS_WITH_AS((check<1, 64, true, bf16>(1, 4, "")), doctest::Contains("DynamicLossScale"),
                       InvalidInput);
  cuda_double::reset();
}

TEST_CASE("attention on a GPU: no samples queue nothing") {
  cuda::Context context{0};
  Gpu gpu;
  gpu.device().context = &context;
  bf16* const none = nullptr;
  float* const no_lse = nullptr;
  const int before = cuda_double::calls("launch");
  ops::attention_forward<ops::EqualHeads<1, 64>, true>(
      gpu.device(), 0, 8, static_cast<const bf16*>(none), none, no_lse, no_lse);
  CHECK(cuda_double::calls("launch") == before);
}
