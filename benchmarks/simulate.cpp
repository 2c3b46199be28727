// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/simulate.cpp: simulated steps on H100s beside published ones, every row; what TreeOrder costs there.
//
// The rate that a rank attains is taken from the smallest world with the same micro-batch ("given": true), all else
// is fixed: h100_cluster, the plan. Sources: llm-foundry, scripts/train/benchmarking/README.md, tables "H100 80GB
// BF16" at 2048 tokens (commit 8c8dd48); torchtitan, benchmarks/llama3_h100_202412_torchtitan.md, FSDP.
#include <cohort/cohort.hpp>
#include <cohort/plan/simulate.hpp>
#include <cstdio>
#include <vector>

#include "../examples/llama_model.hpp"

using namespace cohort;

namespace {

/// MPT: GPT-2's layers with biases and heads of 128. Recomputes: blocks, but for their last products.
template <int C, int Layers, bool Recomputes> struct Mpt {
  using Plain =
      nn::Sequential<nn::Residual<nn::Sequential<nn::LayerNorm<C>, nn::Attention<C, C / 128>>>,
                     nn::Residual<nn::Sequential<nn::LayerNorm<C>, nn::Linear<C, 4 * C>,
                                                 nn::Gelu<4 * C>, nn::Linear<4 * C, C>>>>;
  using Block = std::conditional_t<Recomputes, nn::Checkpointed<Plain>, Plain>;
  using Model = nn::TiedEmbedding<
      50368, C,
      nn::Sequential<nn::AddPosition<2048, C>, nn::Repeat<Layers, Block>, nn::LayerNorm<C>>>;
};
/// Parameters gathered in bf16, gradients reduced in fp32.
template <class Model, class How, class... Ps>
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<How>, MixedPrecision<bf16, fp32, fp32>,
                    ClipGradNorm, Ps...>;

struct Row {
  int gpus, micro_batch, micro_batches;
  double published;  // tokens a second and GPU
};

/// A step of all micro-batches: GradAccum<N> with ReduceEach is what FSDP does without no_sync.
template <template <int> class RunOf, class F> void with_micro_batches(int n, F f) {
  if (n == 1) f(RunOf<1>::plan);
  if (n == 2) f(RunOf<2>::plan);
  if (n == 3) f(RunOf<3>::plan);
  if (n == 4) f(RunOf<4>::plan);
  if (n == 16) f(RunOf<16>::plan);
  if (n == 21) f(RunOf<21>::plan);
}

template <template <int> class RunOf>
SimulatedStep step_of(const Row& row, int tokens, const Cluster& cluster) {
  SimulatedStep step;
  with_micro_batches<RunOf>(row.micro_batches, [&](const auto& plan) {
    step = simulate(plan, {row.gpus, row.micro_batch * row.micro_batches, tokens}, cluster);
  });
  return step;
}

/// The rate with which the row's simulated step takes the published time.
template <template <int> class RunOf> double rate_of(const Row& row, int tokens) {
  double low = 1e13, high = 2e15;
  for (int i = 0; i < 60; ++i) {
    Cluster c = h100_cluster;
    c.flops = (low + high) / 2;
    (step_of<RunOf>(row, tokens, c).tokens_per_second() < row.published ? low : high) = c.flops;
  }
  return low;
}

/// The first row gives the rate for the others.
template <template <int> class RunOf>
void compare(const char* model, int tokens, const std::vector<Row>& rows) {
  Cluster c = h100_cluster;
  c.flops = rate_of<RunOf>(rows[0], tokens);
  for (const Row& row : rows) {
    const SimulatedStep step = step_of<RunOf>(row, tokens, c);
    std::printf(
        "{\"bench\": \"simulate\", \"metric\": \"%s_%d_gpus_%dx%d\", \"value\": %.0f, "
        "\"unit\": \"tokens/s\", \"peer\": \"published\", \"peer_value\": %.0f, \"ratio\": %.4f, "
        "\"gives_the_rate\": %s, \"attained_tflops\": %.0f, \"waits_percent\": %.1f, "
        "\"communication_percent\": %.0f}\n",
        model, row.gpus, row.micro_batch, row.micro_batches, step.tokens_per_second(),
        row.published, step.tokens_per_second() / row.published,
        &row == &rows[0] ? "true" : "false", 1e-12 * c.flops, 100 * step.waits / step.seconds,
        100 * step.communication / step.seconds);
  }
}

template <int N> using Accum = std::conditional_t<N == 1, GradAccum<1>, GradAccum<N, ReduceEach>>;
template <int C, int L, bool Recomputes, class How> struct Of {
  template <int N> using run = Run<typename Mpt<C, L, Recomputes>::Model, How, Accum<N>>;
};

struct Titan {
  template <int N>
  using run = Run<example::Llama<128256, 32, 4096, 32, 8, 14336>, FullShard, Accum<N>>;
};

/// A step with TreeOrder beside one without, by what hides collectives and what leaves a machine.
template <class Fast, class Tree> void tree_order(const char* name) {
  for (const int gpus : {8, 64, 512}) {
    for (const double across : {100e9, 200e9, 400e9}) {
      if (gpus == 8 && across != 200e9) continue;
      for (const int micro_batch : {1, 2, 6}) {
        Cluster c = h100_cluster;
        c.across.bandwidth = across;
        const Sizes sizes{gpus, micro_batch, 2048};
        const double fastest = simulate(typename Fast::template plan_on<Cuda>{}, sizes, c).seconds;
        const double tree = simulate(typename Tree::template plan_on<Cuda>{}, sizes, c).seconds;
        std::printf(
            "{\"bench\": \"simulate\", \"metric\": \"%s_tree_order_%d_gpus_%dx2048_%.0fGBs\", "
            "\"value\": %.1f, \"unit\": \"ms\", \"peer\": \"Fastest\", \"peer_value\": %.1f, "
            "\"ratio\": %.4f}\n",
            name, gpus, micro_batch, 1e-9 * across, 1e3 * tree, 1e3 * fastest, tree / fastest);
      }
    }
  }
}

}  // namespace

int main() {
  using Small = Of<1536, 24, false, FullShard>;
  compare<Small::run>("mpt-760m", 2048,
                      {{8, 24, 2, 63147}, {16, 24, 1, 68551}, {32, 24, 1, 67971}});
  using One = Of<2048, 24, false, FullShard>;
  compare<One::run>("mpt-1b", 2048, {{8, 14, 1, 45455}});
  compare<One::run>("mpt-1b", 2048, {{16, 20, 1, 46037}, {32, 20, 1, 45130}, {64, 20, 1, 44402}});
  using OneKept = Of<2048, 24, false, FullShardKeepForward>;
  compare<OneKept::run>("mpt-1b", 2048,
                        {{128, 12, 1, 44123}, {256, 12, 1, 42555}, {512, 12, 1, 39837}});
  using Three = Of<2560, 32, false, FullShard>;
  compare<Three::run>("mpt-3b", 2048, {{16, 10, 3, 24142}});
  compare<Three::run>("mpt-3b", 2048, {{32, 6, 3, 23021}, {64, 6, 3, 22525}});
  using ThreeKept = Of<2560, 32, false, FullShardKeepForward>;
  compare<ThreeKept::run>("mpt-3b", 2048,
                          {{128, 8, 1, 23422}, {256, 8, 1, 22772}, {512, 8, 1, 21664}});
  using Seven = Of<4096, 32, false, FullShard>;
  static_assert(Seven::run<1>::plan.layout.num_elements() == 6'658'859'008);  // theirs
  compare<Seven::run>(
      "mpt-7b", 2048,
      {{8, 6, 1, 10643}, {128, 6, 1, 10475}, {256, 6, 1, 10119}, {512, 6, 1, 9670}});
  using Thirteen = Of<5120, 40, false, FullShard>;
  compare<Thirteen::run>("mpt-13b", 2048,
                         {{8, 2, 1, 4792}, {16, 2, 1, 4767}, {32, 2, 1, 4811}, {64, 2, 1, 4800}});
  using ThirteenAgain = Of<5120, 40, true, FullShard>;
  compare<ThirteenAgain::run>("mpt-13b_recomputed", 2048,
                              {{128, 16, 1, 5080}, {256, 16, 1, 4989}, {512, 16, 1, 4952}});
  using Thirty = Of<7168, 48, true, FullShard>;
  compare<Thirty::run>("mpt-30b_recomputed", 2048, {{8, 3, 21, 2002}});
  compare<Thirty::run>("mpt-30b_recomputed", 2048, {{16, 10, 3, 2263}});
  compare<Thirty::run>("mpt-30b_recomputed", 2048, {{32, 14, 3, 2308}});
  compare<Thirty::run>("mpt-30b_recomputed", 2048,
                       {{128, 8, 1, 2199}, {256, 8, 1, 2148}, {512, 8, 1, 2115}});
  using Seventy = Of<8192, 80, true, FullShard>;
  static_assert(Seventy::run<1>::plan.layout.num_elements() == 64'862'437'376);
  compare<Seventy::run>("mpt-70b_recomputed", 2048, {{32, 2, 16, 882}});
  compare<Seventy::run>(
      "mpt-70b_recomputed", 2048,
      {{64, 8, 4, 1039}, {128, 8, 1, 1058}, {256, 8, 1, 1035}, {512, 8, 1, 1007}});
  compare<Titan::run>("llama-3.1-8b", 8192, {{8, 2, 1, 5762}, {128, 2, 1, 5605}});

  using Model = Mpt<4096, 32, false>::Model;
  using Bf16 = MixedPrecision<bf16, fp32>;
  using Fastest7 = Trainer<Model, nn::CrossEntropy, DataParallel<FullShard>, Bf16>;
  using Tree7 = Trainer<Model, nn::CrossEntropy, DataParallel<FullShard>, Bf16, TreeOrder>;
  using Hybrid7 = Trainer<Model, nn::CrossEntropy, DataParallel<HybridShard<8>>, Bf16>;
  using HybridTree7 =
      Trainer<Model, nn::CrossEntropy, DataParallel<HybridShard<8>>, Bf16, TreeOrder>;
  tree_order<Fastest7, Tree7>("mpt-7b_full_shard");
  tree_order<Hybrid7, HybridTree7>("mpt-7b_hybrid_shard_8");
}
