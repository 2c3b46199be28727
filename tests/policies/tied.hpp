// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/tied.hpp: trainings of zoo::TiedGpt with other buckets and groups, each compiled in
// grad_accum_test.cpp alone: there the model costs the compiler once.
#pragma once
#include "../run/support.hpp"

namespace cohort::test {
namespace tied {

using Case = zoo::TiedGptCase;
template <class B> using BucketsRun = Trainer<Case::Model, Case::Loss, B, optim::Sgd>;
using OneBucket = BucketsRun<Buckets<>>;
using SomeBuckets = BucketsRun<Buckets<1024, 4096>>;
using OneEach = BucketsRun<Buckets<1, 1>>;

template <class... Ps>
using GroupsRun = Trainer<Case::Model, Case::Loss, Buckets<256, 1024>, Ps...>;
using Default = GroupsRun<>;
using Linears = GroupsRun<Groups<Each<nn::Linear<8, 32>, nn::Linear<32, 8>>>>;
using Small = GroupsRun<Groups<BySize<1, 4_KiB>>>;
using Root = GroupsRun<Groups<One>>;

}  // namespace tied

#define COHORT_TIED_TRAININGS(X) \
  X(OneBucket)                   \
  X(SomeBuckets)                 \
  X(OneEach)                     \
  X(Default)                     \
  X(Linears)                     \
  X(Small)                       \
  X(Root)
#define COHORT_TIED_TRAINING(RUN) \
  template std::vector<Trace> train<tied::RUN, tied::Case>(const Setup&);
#define COHORT_EXTERN_TIED_TRAINING(RUN) extern COHORT_TIED_TRAINING(RUN)
COHORT_TIED_TRAININGS(COHORT_EXTERN_TIED_TRAINING)

}  // namespace cohort::test
