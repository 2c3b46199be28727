// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/training_full_test.cpp: the whole matrix of strategies and models, of which training_test.cpp has a sample.
#include <doctest/doctest.h>

#include "mpi/as_threads.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("training: threads == processes, the whole matrix [full]") {
  for_each_strategy([]<class How>() {
    same_as_threads<RunOf<zoo::TiedGptCase, DataParallel<How>>, zoo::TiedGptCase>();
    same_as_threads<RunOf<zoo::TiedGptCase, DataParallel<How>, GradAccum<3>>, zoo::TiedGptCase>();
    same_as_threads<RunOf<zoo::HugeAndTinyCase, DataParallel<How>>, zoo::HugeAndTinyCase>();
    same_as_threads<RunOf<zoo::HugeAndTinyCase, DataParallel<How>, GradAccum<3>>,
                    zoo::HugeAndTinyCase>();
  });
}

TEST_CASE("training: gradients reduced in each micro-batch, attention in 16-bit types [full]") {
  using Mlp = zoo::OddMlpCase;
  using Gpt = zoo::GptCase;
  same_as_threads<RunOf<Gpt, DataParallel<FullShard>, MixedPrecision<bf16, fp32>>, Gpt>();
  same_as_threads<
      RunOf<Gpt, DataParallel<ShardOptimizer>, MixedPrecision<fp16, fp32>, DynamicLossScale<>>,
      Gpt>();
  same_as_threads<RunOf<Mlp, Buckets<256, 1024>>, Mlp>();
  same_as_threads<RunOf<Gpt, DataParallel<FullShard>, GradAccum<3, ReduceEach>>, Gpt>();
}

}  // namespace
