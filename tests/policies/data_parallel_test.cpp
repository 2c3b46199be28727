// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/data_parallel_test.cpp: the strategy is one template argument, also a user's own.
#include <cohort/policies/data_parallel.hpp>

#include <doctest/doctest.h>

#include "../run/support.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Policy<DataParallel<Replicate>>);
static_assert(std::is_same_v<DataParallel<Replicate>::slot, slots::data>);
static_assert(std::is_same_v<DataParallel<Replicate>::how, Replicate>);

namespace {

using Case = zoo::BranchingCase;
template <class... Ps> using RunOf = Trainer<Case::Model, Case::Loss, Ps...>;

/// A user's strategy: one all-reduce of the whole gradient once backward has ended.
struct AllAtTheEnd : Replicate {
  template <class Plan, MicroBatch M> static constexpr auto program() {
    Program<2> p;
    if constexpr (is_last(M)) {
      constexpr int end = Plan::markers::backward_ended(0);
      p.add({OpKind::all_reduce, 0, end, Plan::layout.size, DType::f32});
      p.add({OpKind::loss, 0, end, 2, DType::f64});
    }
    return p;
  }
  template <class Plan, class Comm> class Storage : public Replicate::Storage<Plan, Comm> {
   public:
    using Replicate::Storage<Plan, Comm>::Storage;
    void run(const Op& op, Comm& comm) const { comm.all_reduce(this->grads(), op.count); }
  };
};

TEST_CASE("DataParallel: Replicate is the default") {
  static_assert(std::is_same_v<RunOf<>::plan_type, RunOf<DataParallel<Replicate>>::plan_type>);
  static_assert(!std::is_same_v<RunOf<>::plan_type, RunOf<DataParallel<AllAtTheEnd>>::plan_type>);
}

TEST_CASE("DataParallel: a strategy of the user's own runs its own program, with the same bits") {
  using Own = RunOf<DataParallel<AllAtTheEnd>>;
  using Buckets = RunOf<cohort::Buckets<256, 256>>;
  static_assert(Own::plan.hash() != Buckets::plan.hash());
  static_assert(Own::plan.num_collectives() == 2 && Buckets::plan.num_collectives() > 4);
  for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
    const Setup setup{.ranks = 3, .each = 2, .steps = 4, .stream = stream};
    const auto own = train<Own, Case>(setup), buckets = train<Buckets, Case>(setup);
    CHECK(all_same(own, buckets[0]));
    CHECK(own[0].calls.size() == 4 * 2);
    CHECK(own[0].calls[0] ==
          Collective{CollectiveKind::all_reduce, DType::f32, Own::plan_type::layout.size, 0});
  }
}

}  // namespace
