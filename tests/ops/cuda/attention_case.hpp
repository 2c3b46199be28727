// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/attention_case.hpp: attention in fp64 from its definition, with what roundings may move.
#pragma once
#include <cohort/ops/attention_heads.hpp>

#include "support.hpp"

namespace cohort::testing {

/// Values, and for each of them the error that roundings to T and sums in accumulator_t<T> may leave
/// before the result itself is rounded.
struct Bounded {
  std::vector<double> value, error;
  explicit Bounded(std::size_t n) : value(n), error(n) {}
  /// The largest error of `got` as a share of what is allowed.
  template <class T> double share(const std::vector<T>& got) const {
    double worst = got.size() == value.size() ? 0 : INFINITY;
    for (std::size_t i = 0; i < got.size() && i < value.size(); ++i) {
      const double off = std::fabs(testing::value(got[i]) - value[i]);
      const double part = off / (error[i] + half_ulp<T>(std::fabs(value[i]) + error[i]));
      if (!(part <= worst)) worst = part;
    }
    return worst;
  }
};

/// inside: relative error of p and ds (unit<T> where they are rounded for their product, else 0).
template <int H, int D, bool Causal, class T, int KvHeads = H> struct ExactAttention {
  static constexpr int C = H * D, row_size = C + 2 * KvHeads * D;
  int samples, tokens;
  double inside;
  std::vector<double> qkv, dy;
  Bounded y, lse, dqkv;

  ExactAttention(int samples, int tokens, double inside, const std::vector<T>& qkv_T,
                 const std::vector<T>& dy_T)
      : samples(samples),
        tokens(tokens),
        inside(inside),
        qkv(as_double(qkv_T)),
        dy(as_double(dy_T)),
        y(dy.size()),
        lse(static_cast<std::size_t>(samples * H * tokens)),
        dqkv(qkv.size()) {
    for (int s = 0; s < samples; ++s)
      for (int h = 0; h < H; ++h)
        for (int i = 0; i < tokens; ++i) row(s, h, i);
  }

 private:
  static std::vector<double> as_double(const std::vector<T>& v) {
    std::vector<double> out;
    for (const T x : v) out.push_back(testing::value(x));
    return out;
  }
  /// A score is a sum of D products, below 10 after scaling, and so is dp: each is good to D + 10
  /// units of 10, which is the relative error that exp makes of it; a sum over tokens adds as many, of dk
  /// and dv over those of each query head that shares them.
  double arithmetic() const {
    return unit<accumulator_t<T>> * (10 * (D + 10) + tokens * H / KvHeads);
  }
  std::size_t q_at(int s, int t, int h, int d) const {
    return static_cast<std::size_t>((s * tokens + t) * row_size + h * D + d);
  }
  std::size_t k_at(int s, int t, int h, int d) const {  // of query head h
    return q_at(s, t, H + h * KvHeads / H, d);
  }
  std::size_t v_at(int s, int t, int h, int d) const { return k_at(s, t, h, d + KvHeads * D); }
  std::size_t y_at(int s, int t, int h, int d) const {
    return static_cast<std::size_t>((s * tokens + t) * C + h * D + d);
  }

  void row(int s, int h, int i) {
    const int keys = Causal ? i + 1 : tokens;
    std::vector<double> p(static_cast<std::size_t>(keys)), dp(p);
    double sum = 0, top = -INFINITY;
    for (int j = 0; j < keys; ++j) {
      for (int d = 0; d < D; ++d) {
        p[j] += qkv[q_at(s, i, h, d)] * qkv[k_at(s, j, h, d)] / std::sqrt(double(D));
        dp[j] += dy[y_at(s, i, h, d)] * qkv[v_at(s, j, h, d)];
      }
      top = std::max(top, p[j]);
    }
    for (double& x : p) sum += x = std::exp(x - top);
    for (double& x : p) x /= sum;
    const auto l = static_cast<std::size_t>((s * H + h) * tokens + i);
    lse.value[l] = top + std::log(sum);
    lse.error[l] = 10 * arithmetic();
    add(s, h, i, p, dp);
  }
  void add(int s, int h, int i, const std::vector<double>& p, const std::vector<double>& dp) {
    const double relative = inside + arithmetic();
    double delta = 0, delta_error = 0;
    for (int d = 0; d < D; ++d) {
      const std::size_t o = y_at(s, i, h, d);
      double size = 0;
      for (std::size_t j = 0; j < p.size(); ++j) {
        const double v = qkv[v_at(s, int(j), h, d)];
        y.value[o] += p[j] * v, size += p[j] * std::fabs(v);
      }
      y.error[o] = relative * size;
      delta += dy[o] * y.value[o];
      const double rounded = y.error[o] + half_ulp<T>(std::fabs(y.value[o]) + y.error[o]);
      delta_error += std::fabs(dy[o]) * (rounded + arithmetic() * std::fabs(y.value[o]));
    }
    for (std::size_t j = 0; j < p.size(); ++j) {
      const double ds = p[j] * (dp[j] - delta);
      const double ds_error = inside * std::fabs(ds) + p[j] * (delta_error + 10 * arithmetic()) +
                              arithmetic() * p[j] * (std::fabs(dp[j]) + std::fabs(delta));
      for (int d = 0; d < D; ++d) gradients(s, h, i, int(j), d, p[j], ds, ds_error, relative);
    }
  }
  void gradients(int s, int h, int i, int j, int d, double p, double ds, double ds_error,
                 double relative) {
    const double scale = 1 / std::sqrt(double(D));
    const double g = dy[y_at(s, i, h, d)];
    const auto one = [&](std::size_t to, double weight, double error, double x) {
      dqkv.value[to] += weight * x;
      dqkv.error[to] += error * std::fabs(x);
    };
    one(q_at(s, i, h, d), scale * ds, scale * ds_error, qkv[k_at(s, j, h, d)]);
    one(k_at(s, j, h, d), scale * ds, scale * ds_error, qkv[q_at(s, i, h, d)]);
    one(v_at(s, j, h, d), p, relative * p, g);
  }
};

/// A stream of the GPU, without a workspace.
struct BareStream {
  Cuda device;
  BareStream() { cuda::check(cudaStreamCreate(&device.stream)); }
  ~BareStream() { cudaStreamDestroy(device.stream); }
  BareStream(const BareStream&) = delete;
  BareStream& operator=(const BareStream&) = delete;
};

}  // namespace cohort::testing
