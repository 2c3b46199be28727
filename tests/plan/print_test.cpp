// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/print_test.cpp: the printed plan, line by line.
#include <doctest/doctest.h>
#include <cohort/plan/print.hpp>
#include <cohort/trainer.hpp>

#include <sstream>
#include <string>

#include "support/models.hpp"

using namespace cohort;

namespace {
template <class Run> std::string printed(Sizes s) {
  std::ostringstream out;
  print(Run::plan, s, out);
  return out.str();
}
}  // namespace

// By hand: bucket 0 is 384 x 4 B, 3/4 of it twice = 2304 B. Activations of 3 x 2 rows: Linear 128;
// each LayerNorm 128 + 64 + 64, and 2 x 48 B (three views) -> 128 for what Repeat keeps; logits
// 6 x 70 x 4 -> 1728 and their gradient: 4224. Backward: dx of the last Linear, of one LayerNorm, of
// the other: 3 x 128.
TEST_CASE("print: a small plan under accumulation, whole") {
  using Model = nn::Sequential<nn::Linear<3, 5>, nn::Repeat<2, nn::LayerNorm<5>>,
                               nn::Linear<5, 70, nn::NoBias>>;
  using Run = Trainer<Model, nn::CrossEntropy, GradAccum<2>, Buckets<256, 600>>;
  // clang-format off
  CHECK(printed<Run>({.ranks = 4, .batch = 6, .tokens = 2}) ==
R"(plan: 390 parameters (768 with padding) in 7 tensors, 4 units, 3 groups
step: 4 ranks x 6 samples x 2 tokens = 24 samples, 2 micro-batches of 3
units (hooks fire here; group 0 is the root)
   unit  group  parameters        elements
      0      0           2             128
      1      1           2             128
      2      2           2             128
      3      0           1             384
collectives of the first micro-batch, in order of issue
   none
collectives of the last micro-batch, in order of issue
   all_reduce     bucket 0             384 f32      2.25 KiB sent   after end of backward of unit 3
   all_reduce     bucket 1             192 f32      1.12 KiB sent   after end of backward of unit 1
   all_reduce     bucket 2             192 f32      1.12 KiB sent   after end of backward of unit 0
   all_reduce     loss                   2 f64          24 B sent   after end of backward of unit 0
wire: 4.52 KiB sent by each rank in a step, 4 collectives
memory on each rank
   parameters                3072 B     3.00 KiB
   gradients                 3072 B     3.00 KiB
   optimizer                 6144 B     6.00 KiB
   tables                      64 B         64 B
   activations               2496 B     2.44 KiB
   backward                   384 B        384 B
   scratch                      0 B          0 B
   total                    15232 B    14.88 KiB
)");
  // clang-format on
}

TEST_CASE("print: long tables show both ends and say how much is between") {
  using Run = Trainer<nn::Repeat<30, nn::Linear<2, 2>>, nn::MeanSquaredError<2>>;
  const std::string text = printed<Run>({});
  CHECK(text.find("     11     12           2             128\n"
                  "    ...  (6 more)\n"
                  "     18     19           2             128\n") != std::string::npos);
}

TEST_CASE("print: own parameters of a divided layer are marked, no collective is said in words") {
  using Run = Trainer<zoo::TiedGpt, nn::CrossEntropy, GradAccum<3>>;
  const std::string text = printed<Run>({.ranks = 1, .batch = 3, .tokens = 5});
  CHECK(text.find(
            "      0      0           1             128  own parameters of a divided layer\n") !=
        std::string::npos);
  CHECK(text.find("collectives of the middle micro-batch, in order of issue\n   none\n") !=
        std::string::npos);
}

TEST_CASE("print: every place where a collective can wait has words") {
  using M = Markers<2>;
  CHECK(cohort::detail::marker_name<M>(M::begin, 2) == "begin");
  CHECK(cohort::detail::marker_name<M>(M::forward(0), 2) == "forward of unit 0");
  CHECK(cohort::detail::marker_name<M>(M::forward(1), 2) == "forward of unit 1");
  CHECK(cohort::detail::marker_name<M>(M::forward_ended, 2) == "end of forward");
  CHECK(cohort::detail::marker_name<M>(M::backward(1), 2) == "begin of backward of unit 1");
  CHECK(cohort::detail::marker_name<M>(M::backward_ended(1), 2) == "end of backward of unit 1");
  CHECK(cohort::detail::marker_name<M>(M::backward_ended(0), 2) == "end of backward of unit 0");
}

TEST_CASE("print: types and the memory of masters are shown where they are not fp32") {
  using Model = nn::Sequential<nn::Linear<3, 5>, nn::Linear<5, 70, nn::NoBias>>;
  using Half = Trainer<Model, nn::CrossEntropy, MixedPrecision<bf16, fp32>>;
  const std::string text = printed<Half>({.ranks = 4, .batch = 6});
  CHECK(text.find("precision: compute bf16, masters f32, gradients f32, reduced in bf16\n") !=
        std::string::npos);
  // 128 + 384 elements: 2 bytes of parameter, 4 of master; the one bucket in bf16.
  CHECK(text.find("   parameters                1024 B") != std::string::npos);
  CHECK(text.find("   masters                   2048 B") != std::string::npos);
  CHECK(text.find("   reduced type              1024 B") != std::string::npos);
  CHECK(text.find("   all_reduce     bucket 0             512 bf16") != std::string::npos);
  using Scaled = Trainer<Model, nn::CrossEntropy, MixedPrecision<fp16, fp32>, DynamicLossScale<>>;
  CHECK(printed<Scaled>({.ranks = 4, .batch = 6}).find("reduced in fp16, loss scaled\n") !=
        std::string::npos);
  using Bare = Trainer<Model, nn::CrossEntropy, MixedPrecision<bf16, bf16>, StochasticRounding>;
  const std::string bare = printed<Bare>({.ranks = 4, .batch = 6});
  CHECK(bare.find(", rounded at random\n") != std::string::npos);
  CHECK(bare.find("masters  ") == std::string::npos);
  using Plain = Trainer<Model, nn::CrossEntropy>;
  CHECK(printed<Plain>({.ranks = 4, .batch = 6}).find("precision") == std::string::npos);
}
