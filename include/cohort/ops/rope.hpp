// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/rope.hpp: rotary positions: queries and keys turned by angles that grow with the token.
#pragma once
#include <bit>
#include <cmath>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/attention_heads.hpp>
#include <cohort/ops/math.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort::ops {

/// Pair i of a head's `pairs` turns by Base^(-i / pairs) radians a token.
///
/// Source   Su et al. 2021, arXiv:2104.09864.
template <int Base = 10000> struct RotaryAngles {
  static double of_pair(int pair, int pairs) {
    return std::pow(double(Base), -double(pair) / pairs);
  }
};

namespace detail {

template <class A> struct SinCos { A sin, cos; };

/// sin and cos of pi / 2 times token * quarters, which may be many turns: what is left of them beyond whole
/// quarters is exact in fp64. float: errors below 1.2e-7; double: <cmath>.
///
/// Cost     a product below 2^51: adding 1.5 * 2^52 rounds to an integer, whose last bits are the quadrant.
template <class A>
COHORT_HOST_DEVICE constexpr SinCos<A> sin_cos_of_quarters(double token, double quarters) {
  constexpr double magic = 6755399441055744.0;
  const double shifted = fma(token, quarters, magic);
  const auto quadrant = std::bit_cast<std::uint64_t>(shifted) & 3;
  const A x = static_cast<A>(fma(token, quarters, magic - shifted));  // |x| <= 1 / 2
  A s, c;
  if constexpr (std::is_same_v<A, double>) {
    s = std::sin(x * 1.5707963267948966), c = std::cos(x * 1.5707963267948966);
  } else {
    const A x2 = x * x;
    s = x * polynomial(x2, 1.570796371f, -0.64596349f, 0.07968003303f, -0.004601657856f);
    c = polynomial(x2, 1.0f, -1.233700514f, 0.2536691725f, -0.02085993625f, 0.0009033629904f);
  }
  const A sine = quadrant % 2 == 0 ? s : c, cosine = quadrant % 2 == 0 ? c : s;
  return {quadrant < 2 ? sine : -sine, quadrant == 0 || quadrant == 3 ? cosine : -cosine};
}

/// How far each pair of a head's features turns from one token to the next; `back`: the other way.
template <class Angles, int Pairs> struct Turns {
  double quarters[Pairs];
  explicit Turns(bool back) {
    constexpr double of_radians = 0.63661977236758134;
    for (int i = 0; i < Pairs; ++i)
      quarters[i] = (back ? -of_radians : of_radians) * Angles::of_pair(i, Pairs);
  }
};

template <class H, class Angles, class T> void rotate(int samples, int tokens, bool back, T* qkv) {
  using A = accumulator_t<T>;
  static_assert(H::head_dim % 2 == 0);
  constexpr int pairs = H::head_dim / 2;
  const Turns<Angles, pairs> turns(back);
  for (int token = 0; token < tokens; ++token) {
    A sin[pairs], cos[pairs];
    for (int i = 0; i < pairs; ++i) {
      const auto at = sin_cos_of_quarters<A>(token, turns.quarters[i]);
      sin[i] = at.sin, cos[i] = at.cos;
    }
    for (int sample = 0; sample < samples; ++sample) {
      T* x = qkv + (std::ptrdiff_t(sample) * tokens + token) * H::row;
      for (int head = 0; head < H::heads + H::kv_heads; ++head, x += H::head_dim)
        for_vectors<pairs, A>([&](int i, auto count) {
          const auto a = load(x + i, count), b = load(x + pairs + i, count);
          const auto s = load(sin + i, count), c = load(cos + i, count);
          store(x + i, fma(a, c, -(b * s)), count);
          store(x + pairs + i, fma(a, s, b * c), count);
        });
    }
  }
}

}  // namespace detail

/// Turns each pair (i, i + head_dim / 2) of every query and key of token t by t Angles::of_pair(i, head_dim / 2)
/// radians, in place; values stay. A score then depends on how far apart its two tokens are.
///
/// Shapes   H: AttentionHeads of an even head_dim; Angles: RotaryAngles, or a type like it.
///          qkv[samples * tokens, H::row]; tokens count from 0 in each sample.
/// Cost     (heads + kv_heads) head_dim elements a row, read and written; a sine and a cosine a pair and
///          token, on a GPU for every four heads.
/// Laws     angles are exact to 1e-9 of a turn for a million tokens, however long the sequence: they are
///          reduced in fp64. Of 16-bit elements each is computed in fp32, rounded once.
/// Source   Su et al. 2021, arXiv:2104.09864; pairs as in GPT-NeoX and Hugging Face's Llama (rotate_half).
template <class H, class Angles, class G, class T>
void rope_forward(const Cpu<G>&, int samples, int tokens, T* qkv) {
  detail::rotate<H, Angles>(samples, tokens, false, qkv);
}

/// The gradient with respect to what was turned, from that of the result, in place: turned back.
template <class H, class Angles, class G, class T>
void rope_backward(const Cpu<G>&, int samples, int tokens, T* dqkv) {
  detail::rotate<H, Angles>(samples, tokens, true, dqkv);
}

// The same on a GPU: ops/cuda/rope.hpp.
template <class H, class Angles, class T>
void rope_forward(const Cuda&, int samples, int tokens, T* qkv);
template <class H, class Angles, class T>
void rope_backward(const Cuda&, int samples, int tokens, T* dqkv);

}  // namespace cohort::ops
