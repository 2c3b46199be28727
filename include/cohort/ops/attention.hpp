// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/attention.hpp: multi-head scaled dot-product attention, O(tokens) memory.
#pragma once
#include <cmath>
#include <cohort/core/dtype.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/attention_heads.hpp>
#include <cohort/ops/attention_panels.hpp>
#include <cohort/ops/math.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>
#include <limits>

// Legend: i a query, j a key, d a feature of one head. A strip is 16 queries. S_ji is stored key by
// key with the strip's queries side by side, so that maxima and sums over keys are lane by lane.
namespace cohort::ops {

namespace detail {

/// The scratch of one head, cut from one array.
template <int HeadDim, class A> struct AttentionScratch {
  static constexpr int width = padded<HeadDim, A>;
  A *k, *v, *s, *q_T, *o;           // forward: K_jd, V_jd, S_ji, Q_di, O_id
  A *q, *dy, *dy_T, *dp, *dk, *dv;  // backward also

  static constexpr std::size_t elements(int tokens) {
    const auto keys = static_cast<std::size_t>(round_up_to_strip(tokens));
    return keys * (4 * width + 2 * strip) + std::size_t{strip} * (3 * width + 2 * HeadDim);
  }
  AttentionScratch(int tokens, A* from) {
    const auto keys = static_cast<std::ptrdiff_t>(round_up_to_strip(tokens));
    const auto take = [&from](std::ptrdiff_t n) { return (from += n) - n; };
    k = take(keys * width), v = take(keys * width);
    s = take(keys * strip), dp = take(keys * strip);
    dk = take(keys * width), dv = take(keys * width);
    o = take(strip * width), q = take(strip * width), dy = take(strip * width);
    q_T = take(strip * HeadDim), dy_T = take(strip * HeadDim);
  }
};

/// f(j, v, mask) for the vectors of S_ji: key j < keys, queries v * lanes of the strip at i0; mask
/// says which queries may see key j. Only the last 16 keys of a causal strip need one.
template <bool Causal, class A, class F>
[[gnu::always_inline]] inline void for_scores(int i0, int keys, F f) {
  constexpr int vectors = strip / lanes<A>;
  const int free = Causal ? (i0 < keys ? i0 : keys) : keys;  // every query of the strip sees these
  for (int j = 0; j < free; ++j)
    repeat<vectors>([&](auto v) { f(j, v, [](Vec<A> x, Vec<A>) { return x; }); });
  for (int j = free; j < keys; ++j)
    repeat<vectors>([&](auto v) {
      const Vec<A> first = broadcast(A(j - i0 - v * lanes<A>));
      f(j, v,
        [first](Vec<A> x, Vec<A> hidden) { return select(lane_index<A>() < first, hidden, x); });
    });
}

/// S_ji becomes exp(scale S_ji - top_i); writes the sums' inverses and log-sum-exps of the strip.
template <bool Causal, class A>
[[gnu::flatten]] void softmax_strip(int i0, int keys, A scale, A* s, A* inverse, A* lse) {
  constexpr int vectors = strip / lanes<A>;
  constexpr A lowest = -std::numeric_limits<A>::infinity();
  Vec<A> top[vectors], sum[vectors] = {};
  repeat<vectors>([&](auto v) { top[v] = broadcast(lowest); });
  for_scores<Causal, A>(i0, keys, [&](int j, auto v, auto mask) {
    const Vec<A> x = mask(load<A>(s + j * strip + v * lanes<A>), broadcast(lowest));
    top[v] = select(top[v] < x, x, top[v]);
  });
  repeat<vectors>([&](auto v) { top[v] *= scale; });
  for_scores<Causal, A>(i0, keys, [&](int j, auto v, auto mask) {
    A* at = s + j * strip + v * lanes<A>;
    const Vec<A> e = mask(ExpFlushed{}(fma(load<A>(at), scale, -top[v])), Vec<A>{});
    sum[v] += e;
    store(at, e);
  });
  repeat<vectors>([&](auto v) {
    store(inverse + v * lanes<A>, A(1) / sum[v]);
    store(lse + v * lanes<A>, fma(top[v], A(1), Log{}(sum[v])));
  });
}

/// From S_ji and dP_ji: S_ji becomes P_ji = exp(scale S_ji - lse_i), dP_ji becomes
/// dS_ji = scale P_ji (dP_ji - sum over j of P_ji dP_ji).
template <bool Causal, class A>
[[gnu::flatten]] void softmax_strip_backward(int i0, int keys, A scale, const A* lse, A* s, A* dp) {
  constexpr int vectors = strip / lanes<A>;
  Vec<A> lse_i[vectors], dot[vectors] = {};
  repeat<vectors>([&](auto v) { lse_i[v] = load(lse + v * lanes<A>); });
  for_scores<Causal, A>(i0, keys, [&](int j, auto v, auto mask) {
    const int at = j * strip + v * lanes<A>;
    const Vec<A> p = mask(ExpFlushed{}(fma(load<A>(s + at), scale, -lse_i[v])), Vec<A>{});
    dot[v] = fma(p, load<A>(dp + at), dot[v]);
    store(s + at, p);
  });
  for (int j = 0; j < keys; ++j)
    repeat<vectors>([&](auto v) {
      const int at = j * strip + v * lanes<A>;
      store(dp + at, (load<A>(dp + at) - dot[v]) * (load<A>(s + at) * scale));
    });
}

/// How many keys the strip of queries at i0 can see, and that number in whole strips.
template <bool Causal> constexpr int keys_of(int i0, int tokens) {
  return Causal && i0 + strip < tokens ? i0 + strip : tokens;
}

/// The keys and values of one head, which all strips of its queries meet.
template <int HeadDim, class T, class A>
void copy_keys(int tokens, int stride, const T* k, const T* v,
               const AttentionScratch<HeadDim, A>& m) {
  copy_rows<HeadDim>(tokens, round_up_to_strip(tokens), k, stride, m.k);
  copy_rows<HeadDim>(tokens, round_up_to_strip(tokens), v, stride, m.v);
}

/// One head of queries, forward, from keys and values that are copied. q points at its query of token 0,
/// rows are `stride` apart.
template <int HeadDim, bool Causal, class T, class A>
void head_forward(int tokens, int stride, int y_stride, const T* q, T* y, A* lse,
                  const AttentionScratch<HeadDim, A>& m) {
  constexpr int width = padded<HeadDim, A>;
  const A scale = A(1) / std::sqrt(A(HeadDim));
  for (int i0 = 0; i0 < tokens; i0 += strip) {
    const int rows = tokens - i0 < strip ? tokens - i0 : strip;
    const int keys = keys_of<Causal>(i0, tokens);
    A inverse[strip], log_sum[strip];
    copy_rows<HeadDim>(rows, strip, q + std::ptrdiff_t(i0) * stride, stride, m.o);
    transpose_strip<HeadDim>(m.o, m.q_T);
    multiply<strip, false>(round_up_to_strip(keys), HeadDim, m.k, width, 1, m.q_T, strip, m.s);
    softmax_strip<Causal>(i0, keys, scale, m.s, inverse, log_sum);
    multiply<width, false>(strip, keys, m.s, 1, strip, m.v, width, m.o);
    for (int i = 0; i < rows; ++i) {
      store_row<HeadDim>(m.o + i * width, inverse[i], y + std::ptrdiff_t(i0 + i) * y_stride);
      lse[i0 + i] = log_sum[i];
    }
  }
}

/// One head of queries, backward: probabilities are computed again from lse; adds to m.dk and m.dv.
template <int HeadDim, bool Causal, class T, class A>
void head_backward(int tokens, int stride, int y_stride, const T* q, const T* dy, const A* lse,
                   T* dq, const AttentionScratch<HeadDim, A>& m) {
  constexpr int width = padded<HeadDim, A>;
  const A scale = A(1) / std::sqrt(A(HeadDim));
  for (int i0 = 0; i0 < tokens; i0 += strip) {
    const int rows = tokens - i0 < strip ? tokens - i0 : strip;
    const int keys = keys_of<Causal>(i0, tokens), padded_keys = round_up_to_strip(keys);
    A log_sum[strip] = {};
    for (int i = 0; i < rows; ++i) log_sum[i] = lse[i0 + i];
    copy_rows<HeadDim>(rows, strip, q + std::ptrdiff_t(i0) * stride, stride, m.q);
    copy_rows<HeadDim>(rows, strip, dy + std::ptrdiff_t(i0) * y_stride, y_stride, m.dy);
    transpose_strip<HeadDim>(m.q, m.q_T);
    transpose_strip<HeadDim>(m.dy, m.dy_T);
    multiply<strip, false>(padded_keys, HeadDim, m.k, width, 1, m.q_T, strip, m.s);
    multiply<strip, false>(padded_keys, HeadDim, m.v, width, 1, m.dy_T, strip, m.dp);
    softmax_strip_backward<Causal>(i0, keys, scale, log_sum, m.s, m.dp);
    multiply<width, false>(strip, keys, m.dp, 1, strip, m.k, width, m.o);
    multiply<width, true>(padded_keys, strip, m.dp, strip, 1, m.q, width, m.dk);
    multiply<width, true>(padded_keys, strip, m.s, strip, 1, m.dy, width, m.dv);
    for (int i = 0; i < rows; ++i)
      store_row<HeadDim>(m.o + i * width, A(1), dq + std::ptrdiff_t(i0 + i) * stride);
  }
}

}  // namespace detail

/// Elements of accumulator_t<T> that forward and backward need as scratch.
template <int HeadDim, class T> constexpr std::size_t attention_scratch(int tokens) {
  return detail::AttentionScratch<HeadDim, accumulator_t<T>>::elements(tokens);
}

/// y = softmax(Q K^T / sqrt(head_dim)) V for each head of each sample; Causal: a query sees no later key.
///
/// Shapes   H: AttentionHeads. qkv[samples * tokens, H::row]; y[samples * tokens, H::width]; saved
///          lse[samples, heads, tokens], the log-sum-exp of each row of scores;
///          scratch[attention_scratch<head_dim, T>(tokens)].
/// Cost     2 products (backward 5, since probabilities are recomputed: at 64 tokens that costs what
///          storing and reading them would, and memory stays O(tokens)); blocks above the diagonal skipped.
/// Laws     a row's bits depend on its own sample only; with Causal, on its own and earlier tokens only.
///          16-bit k and v are widened once a key head, q once: all inside is fp32, y and dqkv are rounded
///          once, dk and dv after the sum over the query heads that share them.
/// Source   Vaswani et al. 2017, arXiv:1706.03762; saving lse: Dao 2023, arXiv:2307.08691.
template <class H, bool Causal, class G, class T>
void attention_forward(const Cpu<G>&, int samples, int tokens, const T* qkv, T* y,
                       accumulator_t<T>* lse, accumulator_t<T>* scratch) {
  const detail::AttentionScratch<H::head_dim, accumulator_t<T>> memory(tokens, scratch);
  for (int sample = 0; sample < samples; ++sample) {
    const std::ptrdiff_t first = std::ptrdiff_t(sample) * tokens;
    const T* x = qkv + first * H::row;
    for (int head = 0; head < H::heads; ++head) {
      const int kv = head / H::group;
      if (head % H::group == 0)
        detail::copy_keys(tokens, H::row, x + H::k(kv), x + H::v(kv), memory);
      detail::head_forward<H::head_dim, Causal>(
          tokens, H::row, H::width, x + H::q(head), y + first * H::width + head * H::head_dim,
          lse + (std::ptrdiff_t(sample) * H::heads + head) * tokens, memory);
    }
  }
}

/// dqkv from dy, qkv, forward's y (which only GPUs read) and lse. dqkv is written whole and must not
/// overlap qkv.
template <class H, bool Causal, class G, class T>
void attention_backward(const Cpu<G>&, int samples, int tokens, const T* qkv, const T* /*y*/,
                        const T* dy, const accumulator_t<T>* lse, T* dqkv,
                        accumulator_t<T>* scratch) {
  using A = accumulator_t<T>;
  constexpr int D = H::head_dim, width = detail::padded<D, A>;
  const detail::AttentionScratch<D, A> memory(tokens, scratch);
  const std::ptrdiff_t panel = std::ptrdiff_t(detail::round_up_to_strip(tokens)) * width;
  for (int sample = 0; sample < samples; ++sample) {
    const std::ptrdiff_t first = std::ptrdiff_t(sample) * tokens;
    const T* x = qkv + first * H::row;
    T* dx = dqkv + first * H::row;
    for (int kv = 0; kv < H::kv_heads; ++kv) {
      detail::copy_keys(tokens, H::row, x + H::k(kv), x + H::v(kv), memory);
      for (std::ptrdiff_t i = 0; i < panel; ++i) memory.dk[i] = memory.dv[i] = 0;
      for (int head = kv * H::group; head < (kv + 1) * H::group; ++head)
        detail::head_backward<D, Causal>(
            tokens, H::row, H::width, x + H::q(head), dy + first * H::width + head * D,
            lse + (std::ptrdiff_t(sample) * H::heads + head) * tokens, dx + H::q(head), memory);
      for (int j = 0; j < tokens; ++j) {
        const std::ptrdiff_t from = std::ptrdiff_t(j) * width, to = std::ptrdiff_t(j) * H::row;
        detail::store_row<D>(memory.dk + from, A(1), dx + H::k(kv) + to);
        detail::store_row<D>(memory.dv + from, A(1), dx + H::v(kv) + to);
      }
    }
  }
}

/// The same on a GPU: ops/cuda/attention.hpp. Forward uses no scratch there.
template <class H, bool Causal, class T>
void attention_forward(const Cuda&, int samples, int tokens, const T* qkv, T* y,
                       accumulator_t<T>* lse, accumulator_t<T>* scratch);
template <class H, bool Causal, class T>
void attention_backward(const Cuda&, int samples, int tokens, const T* qkv, const T* y, const T* dy,
                        const accumulator_t<T>* lse, T* dqkv, accumulator_t<T>* scratch);

/// Elements of accumulator_t<T> that backward needs as scratch on a GPU: sum of dy y of each row and head.
template <class H> constexpr std::size_t attention_scratch_on_cuda(int samples, int tokens) {
  return static_cast<std::size_t>(samples) * static_cast<std::size_t>(tokens) * H::heads;
}

}  // namespace cohort::ops
