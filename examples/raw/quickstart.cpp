// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/raw/quickstart.cpp: quickstart.cpp without the library: what its type list stands for, by hand.
// Only the random numbers are cohort's, so that both programs learn from the same rows.
#include <Eigen/Core>
#include <barrier>
#include <cmath>
#include <cohort/core/rng.hpp>
#include <cstdio>
#include <cstdlib>
#include <numbers>
#include <thread>
#include <vector>

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using View = Eigen::Map<Matrix>;

// Linear<2, 64> -> GELU -> Scale<64> -> Linear<64, 1>: where each parameter lies in the flat array.
constexpr int wide = 64;
constexpr int w1 = 0, b1 = 2 * wide, scale = 3 * wide, w2 = 4 * wide, b2 = 5 * wide;
constexpr int num_params = 5 * wide + 1;
using Flat = std::vector<float>;

Flat initial_parameters(std::uint64_t seed) {
  Flat p(num_params, 0.0f);
  const auto draw = [&](int at, int count, int fan_in, std::uint64_t stream) {
    const double bound = 1 / std::sqrt(double(fan_in));
    for (int i = 0; i < count; ++i)
      p[at + i] = static_cast<float>(
          bound * (2.0 * cohort::uniform01(seed, stream, static_cast<std::uint64_t>(i)) - 1.0));
  };
  draw(w1, 2 * wide, 2, 0);
  for (int c = 0; c < wide; ++c) p[scale + c] = 1;
  draw(w2, wide, wide, 3);
  return p;
}

/// Adds the gradient of the sum of squared errors to g; returns that sum.
double forward_backward(Flat& p, Flat& g, View x, View target) {
  const auto at = [](Flat& v, int from, int rows, int columns) {
    return View(v.data() + from, rows, columns);
  };
  const Matrix h = (x * at(p, w1, wide, 2).transpose()).rowwise() + at(p, b1, 1, wide).row(0);
  const Matrix phi =
      h.unaryExpr([](float v) { return 0.5f * std::erfc(-v * std::numbers::sqrt2_v<float> / 2); });
  const Matrix a = h.cwiseProduct(phi);
  const Matrix s = a * at(p, scale, 1, wide).row(0).asDiagonal();
  const Matrix y = (s * at(p, w2, 1, wide).transpose()).rowwise() + at(p, b2, 1, 1).row(0);
  const Matrix error = y - target;

  const Matrix dy = 2 * error;
  at(g, w2, 1, wide) += dy.transpose() * s;
  at(g, b2, 1, 1) += dy.colwise().sum();
  const Matrix ds = dy * at(p, w2, 1, wide);
  at(g, scale, 1, wide) += ds.cwiseProduct(a).colwise().sum();
  const Matrix da = ds * at(p, scale, 1, wide).row(0).asDiagonal();
  const Matrix density = h.unaryExpr([](float v) {
    return std::exp(-0.5f * v * v) * std::numbers::inv_sqrtpi_v<float> /
           std::numbers::sqrt2_v<float>;
  });
  const Matrix dh = da.cwiseProduct(phi + h.cwiseProduct(density));
  at(g, w1, wide, 2) += dh.transpose() * x;
  at(g, b1, 1, wide) += dh.colwise().sum();
  return error.squaredNorm();
}

/// Decay applies to the weights of the linear layers only.
void adamw(Flat& p, const Flat& g, Flat& m, Flat& v, double factor, int step) {
  const double learning_rate = 1e-2, beta1 = 0.9, beta2 = 0.999, decay = 0.01;
  const double first = 1 - std::pow(beta1, step), second = 1 - std::pow(beta2, step);
  for (int i = 0; i < num_params; ++i) {
    const double grad = factor * g[i];
    m[i] = static_cast<float>(beta1 * m[i] + (1 - beta1) * grad);
    v[i] = static_cast<float>(beta2 * v[i] + (1 - beta2) * grad * grad);
    const bool decays = i < b1 || (i >= w2 && i < b2);
    const double kept = decays ? p[i] * (1 - learning_rate * decay) : p[i];
    p[i] = static_cast<float>(kept -
                              learning_rate * (m[i] / first) / (std::sqrt(v[i] / second) + 1e-8));
  }
}

int main(int argc, char** argv) {
  const int ranks = argc > 1 ? std::atoi(argv[1]) : 2;
  if (ranks < 1) {
    std::fprintf(stderr, "usage: raw_quickstart [RANKS]\n");
    return 2;
  }
  constexpr int batch = 64, micro_batches = 2, rows = batch / micro_batches;
  std::vector<Flat> shown(static_cast<std::size_t>(ranks),
                          Flat(num_params));  // every rank's gradient
  std::vector<double> shown_loss(static_cast<std::size_t>(ranks));
  std::barrier meet(ranks);

  const auto run = [&](int rank) {
    Flat p = initial_parameters(1337), m(num_params), v(num_params), total(num_params);
    Flat& g = shown[static_cast<std::size_t>(rank)];
    std::vector<float> x(2 * batch), y(batch);
    for (int step = 0; step < 500; ++step) {
      for (int i = 0; i < batch; ++i) {
        const auto row = static_cast<std::uint64_t>((step * ranks + rank) * batch + i);
        x[2 * i] = 2 * cohort::uniform01(1, 0, row) - 1;
        x[2 * i + 1] = 2 * cohort::uniform01(1, 1, row) - 1;
        y[i] = x[2 * i] * x[2 * i + 1];
      }
      std::fill(g.begin(), g.end(), 0.0f);
      double loss = 0;
      for (int k = 0; k < micro_batches; ++k)
        loss += forward_backward(p, g, View(x.data() + 2 * rows * k, rows, 2),
                                 View(y.data() + rows * k, rows, 1));
      shown_loss[static_cast<std::size_t>(rank)] = loss;

      meet.arrive_and_wait();  // all gradients are there: everyone adds them in the same order
      std::fill(total.begin(), total.end(), 0.0f);
      double sum = 0;
      for (int r = 0; r < ranks; ++r) {
        sum += shown_loss[static_cast<std::size_t>(r)];
        for (int i = 0; i < num_params; ++i) total[i] += shown[static_cast<std::size_t>(r)][i];
      }
      meet.arrive_and_wait();  // all have read: the next step may overwrite

      const double weight = double(batch) * ranks;
      double squares = 0;
      for (float one : total) squares += (one / weight) * (one / weight);
      const double coefficient = std::min(1.0, 1.0 / (std::sqrt(squares) + 1e-6));
      adamw(p, total, m, v, coefficient / weight, step + 1);
      if (rank == 0 && (step + 1) % 100 == 0)
        std::printf("step %d  loss %.5f\n", step + 1, sum / weight);
    }
  };
  std::vector<std::jthread> threads;
  for (int r = 0; r < ranks; ++r) threads.emplace_back(run, r);
}
