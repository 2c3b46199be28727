// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/raw_gpt.hpp: the demo's training step by hand: cohort's kernels and collectives, plain loops and buffers.
#pragma once
#include <cohort/comm/threads.hpp>
#include <cohort/core/arena.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/ops/adamw.hpp>
#include <cohort/ops/attention.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cohort/ops/elementwise.hpp>
#include <cohort/ops/embedding.hpp>
#include <cohort/ops/grad_norm.hpp>
#include <cohort/ops/layer_norm.hpp>
#include <cohort/ops/linear.hpp>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace raw {

// Legend: B samples, T tokens, R = B * T rows, C wide, H heads, L layers, V ids.
constexpr int V = 65, T = 64, C = 128, H = 4, L = 4, B = 12, R = B * T;
using Heads = cohort::ops::EqualHeads<H, C / H>;

/// Zeroed, aligned floats off one block of huge pages, as the library's arenas are.
inline float* floats(std::size_t n) {
  static thread_local const cohort::HostMemory block(std::size_t{96} << 20);
  static thread_local std::size_t used = 0;
  return block.as<float>() + std::exchange(used, used + (n + 15) / 16 * 16);
}

struct BlockWeights {
  float *ln1, *qkv, *proj, *ln2, *fc, *out;  // (C) (3C,C) (C,C) (C) (4C,C) (C,4C)
};
struct Weights {
  float *wte, *wpe, *lnf;  // (V,C) (T,C) (C)
  BlockWeights block[L];
  float* all;
  std::size_t size = 0;
};

/// Cuts one flat buffer into the tensors of the model; all of these sizes are multiples of 64.
inline Weights cut(float* base) {
  Weights w;
  float* at = base;
  const auto take = [&](int n) { return std::exchange(at, at + n); };
  w.wte = take((V * C + 63) / 64 * 64);
  w.wpe = take(T * C);
  for (BlockWeights& b : w.block) {
    b.ln1 = take(C), b.qkv = take(3 * C * C), b.proj = take(C * C);
    b.ln2 = take(C), b.fc = take(4 * C * C), b.out = take(4 * C * C);
  }
  w.lnf = take(C);
  w.all = base;
  w.size = static_cast<std::size_t>(at - base);
  return w;
}

struct BlockActivations {
  float *ln1, *mean1, *rstd1, *qkv, *att, *lse, *x1, *ln2, *mean2, *rstd2, *slope, *gelu, *x2;
};

/// One rank's whole state and its step.
template <class World> class Gpt {
 public:
  explicit Gpt(World& world) : world_(world) {
    const std::size_t n = cut(nullptr).size;
    p_ = cut(floats(n)), g_ = cut(floats(n));
    m_ = floats(n), v_ = floats(n);
    decay_.assign(n / 64, 1);
    const auto no_decay = [&](const float* at) {
      std::memset(&decay_[(at - p_.all) / 64], 0, C / 64);
    };
    no_decay(p_.lnf);
    for (BlockWeights& b : p_.block) no_decay(b.ln1), no_decay(b.ln2);
    embedded_ = floats(R * C), x0_ = floats(R * C);
    for (BlockActivations& a : act_) {
      a = {floats(R * C),     floats(R),         floats(R),     floats(3 * R * C), floats(R * C),
           floats(R * H),     floats(R * C),     floats(R * C), floats(R),         floats(R),
           floats(4 * R * C), floats(4 * R * C), floats(R * C)};
    }
    lnf_ = floats(R * C), meanf_ = floats(R), rstdf_ = floats(R), logits_ = floats(R * V),
    dlogits_ = floats(R * V);
    for (float** d : {&d0_, &d1_, &d2_}) *d = floats(4 * R * C);
    scratch_ = floats(cohort::ops::attention_scratch<C / H, float>(T));
  }
  float* parameters() { return p_.all; }
  std::size_t size() const { return p_.size; }

  double step(const int* x, const int* y, double learning_rate) {
    forward(x);
    const auto loss = cohort::ops::cross_entropy_gradient<V>(cpu_, R, logits_, y, dlogits_);
    backward(x);
    return update(loss, learning_rate);
  }

 private:
  void forward(const int* x) {
    namespace ops = cohort::ops;
    ops::embedding_forward<V, C>(cpu_, R, x, p_.wte, embedded_);
    for (int b = 0; b < B; ++b)
      ops::add(cpu_, T * C, embedded_ + b * T * C, p_.wpe, x0_ + b * T * C);
    const float *in = x0_, *none = nullptr;
    for (int l = 0; l < L; ++l) {
      const BlockWeights& w = p_.block[l];
      const BlockActivations& a = act_[l];
      ops::layer_norm_forward<C>(cpu_, R, in, w.ln1, static_cast<const float*>(nullptr), a.ln1,
                                 a.mean1, a.rstd1);
      product<false, true>(R, 3 * C, C, a.ln1, C, w.qkv, C, 0, a.qkv, 3 * C);
      ops::attention_forward<Heads, true>(cpu_, B, T, a.qkv, a.att, a.lse, scratch_);
      ops::linear_forward<C, C>(cpu_, R, a.att, w.proj, none, a.x1, in);
      ops::layer_norm_forward<C>(cpu_, R, a.x1, w.ln2, static_cast<const float*>(nullptr), a.ln2,
                                 a.mean2, a.rstd2);
      ops::linear_gelu_forward<ops::GeluErf, C, 4 * C>(cpu_, R, a.ln2, w.fc, none, a.gelu, a.slope);
      ops::linear_forward<4 * C, C>(cpu_, R, a.gelu, w.out, none, a.x2,
                                    static_cast<const float*>(a.x1));
      in = a.x2;
    }
    ops::layer_norm_forward<C>(cpu_, R, in, p_.lnf, static_cast<const float*>(nullptr), lnf_,
                               meanf_, rstdf_);
    product<false, true>(R, V, C, lnf_, C, p_.wte, C, 0, logits_, V);
  }

  void backward(const int* x) {
    namespace ops = cohort::ops;
    float* const none = nullptr;
    product<true, false>(V, C, R, dlogits_, V, lnf_, C, 0, g_.wte, C);
    product<false, false>(R, C, V, dlogits_, V, p_.wte, C, 0, d0_, C);
    ops::layer_norm_backward<C>(cpu_, R, act_[L - 1].x2, p_.lnf, meanf_, rstdf_, d0_, d1_, g_.lnf,
                                none, true);
    float *d = d1_, *s = d0_, *t = d2_;  // d: gradient of the block's output; s, t: temporaries
    for (int l = L; l-- > 0;) {
      const BlockWeights &w = p_.block[l], &g = g_.block[l];
      const BlockActivations& a = act_[l];
      const float* in = l > 0 ? act_[l - 1].x2 : x0_;
      ops::linear_backward<4 * C, C>(cpu_, R, a.gelu, w.out, d, g.out, none, true, s,
                                     ops::GeluSlope<ops::GeluErf, float>{a.slope});
      ops::linear_backward<C, 4 * C>(cpu_, R, a.ln2, w.fc, s, g.fc, none, true, t);
      std::swap(s, t);
      ops::layer_norm_backward<C>(cpu_, R, a.x1, w.ln2, a.mean2, a.rstd2, s, t, g.ln2, none, true,
                                  static_cast<const float*>(d));  // t: gradient of x1
      ops::linear_backward<C, C>(cpu_, R, a.att, w.proj, t, g.proj, none, true, s);
      ops::attention_backward<Heads, true>(cpu_, B, T, a.qkv, a.att, s, a.lse, d, scratch_);
      ops::linear_backward<C, 3 * C>(cpu_, R, a.ln1, w.qkv, d, g.qkv, none, true, s);
      ops::layer_norm_backward<C>(cpu_, R, in, w.ln1, a.mean1, a.rstd1, s, d, g.ln1, none, true,
                                  static_cast<const float*>(t));
      reduce(l == L - 1 ? g_.size : offset(l + 1),
             offset(l));  // the 4 MiB of gradient leave in pieces
    }
    std::memset(g_.wpe, 0, T * C * sizeof(float));
    for (int b = 0; b < B; ++b) ops::add_to(cpu_, T * C, g_.wpe, d + b * T * C);
    ops::embedding_backward<V, C>(cpu_, R, x, d, g_.wte, false);
    reduce(offset(0), 0);
    flush();
  }

  double update(cohort::ops::LossSum loss, double learning_rate) {
    namespace ops = cohort::ops;
    double total[2] = {loss.sum, loss.weight};
    world_.all_reduce(total, std::size_t{2});
    ops::ExactSum squares;
    ops::add_square_sum(cpu_, g_.size, g_.all, squares);
    const double norm = std::sqrt(squares.value()) / total[1];
    const double scale = ops::clip_coefficient(norm, 1.0) / total[1];
    const auto s =
        ops::AdamStep<float>::make({learning_rate, 0.9, 0.99, 1e-8, 0.1}, ++steps_, scale);
    ops::adamw(cpu_, p_.size, p_.all, static_cast<const float*>(g_.all), m_, v_, decay_.data(), s);
    return total[0] / total[1];
  }

  /// Sums [begin, end) over ranks once a bucket is full: 1 MiB first, then 25 MiB, as cohort's default.
  void reduce(std::size_t end, std::size_t begin) {
    if (pending_end_ == 0) pending_end_ = end;
    pending_begin_ = begin;
    if ((pending_end_ - pending_begin_) * sizeof(float) >= (sent_ ? 25u << 20 : 1u << 20)) flush();
  }
  void flush() {
    if (pending_end_ > pending_begin_)
      world_.all_reduce(g_.all + pending_begin_, pending_end_ - pending_begin_);
    sent_ = pending_begin_ > 0;
    pending_end_ = pending_begin_ = 0;
  }
  std::size_t offset(int l) const { return static_cast<std::size_t>(g_.block[l].ln1 - g_.all); }

  template <bool TransA, bool TransB>
  void product(int m, int n, int k, const float* a, int lda, const float* b, int ldb, float beta,
               float* c, int ldc) {
    cohort::ops::matmul<TransA, TransB>(cpu_, m, n, k, a, lda, b, ldb, beta, c, ldc);
  }

  World& world_;
  cohort::DefaultCpu cpu_;
  Weights p_, g_;
  float *m_, *v_, *embedded_, *x0_, *lnf_, *meanf_, *rstdf_, *logits_, *dlogits_, *d0_, *d1_, *d2_,
      *scratch_;
  BlockActivations act_[L];
  std::vector<std::uint8_t> decay_;
  std::size_t pending_end_ = 0, pending_begin_ = 0;
  bool sent_ = false;
  std::int64_t steps_ = 0;
};

}  // namespace raw
