// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nvcc/training.hpp: one training, compiled by nvcc and by the C++ compiler into one program.
#pragma once
#include <cohort/cohort.hpp>
#include <cohort/ops/attention.hpp>
#include <cstdint>
#include <vector>

namespace two_compilers {

/// What a unit measures: losses of a training, and attention of 20 features a head, which the two
/// compilers pad to different widths.
struct Results {
  std::vector<double> losses;
  std::vector<float> attention;
};
Results by_nvcc();
Results by_cxx();

/// Internal linkage: each unit has its own.
namespace {

template <int C>
using Block = cohort::nn::Residual<
    cohort::nn::Sequential<cohort::nn::LayerNorm<C>, cohort::nn::Attention<C, 2>,
                           cohort::nn::LinearGelu<C, 4 * C>, cohort::nn::Linear<4 * C, C>>>;
using Model =
    cohort::nn::Sequential<cohort::nn::Embedding<32, 40>, cohort::nn::Repeat<2, Block<40>>,
                           cohort::nn::LayerNorm<40>, cohort::nn::Linear<40, 32>>;
using Run =
    cohort::Trainer<Model, cohort::nn::CrossEntropy, cohort::DataParallel<cohort::FullShard>,
                    cohort::MixedPrecision<cohort::bf16, cohort::fp32>, cohort::ClipGradNorm,
                    cohort::GradAccum<2>, cohort::optim::AdamW>;

Results measure() {
  Results out;
  cohort::Threads::run({.ranks = 2}, [&](auto& world) {
    auto run = Run::on(world, {.seed = 7, .batch = 4, .tokens = 9, .learning_rate = 1e-2});
    std::vector<std::int32_t> x(36), y(36);
    for (int i = 0; i < 36; ++i) x[i] = (i * 5 + world.rank()) % 32, y[i] = (x[i] + 5) % 32;
    for (int step = 0; step < 10; ++step) {
      const double loss = run.step({x.data(), {4, 9}}, {y.data(), {4, 9}}).loss;
      if (world.rank() == 0) out.losses.push_back(loss);
    }
  });
  constexpr int tokens = 37, C = 2 * 20;
  std::vector<float> qkv(tokens * 3 * C), lse(tokens * 2);
  for (std::size_t i = 0; i < qkv.size(); ++i)
    qkv[i] = cohort::normal(1, 2, static_cast<std::uint64_t>(i));
  std::vector<float> scratch(cohort::ops::attention_scratch<20, float>(tokens));
  out.attention.resize(tokens * C);
  cohort::ops::attention_forward<cohort::ops::EqualHeads<2, 20>, true>(
      cohort::DefaultCpu{}, 1, tokens, qkv.data(), out.attention.data(), lse.data(),
      scratch.data());
  return out;
}

}  // namespace
}  // namespace two_compilers
