// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/check_sync_test.cpp: one changed element on one rank is found and named, padding is not; nothing is
// pretended where nothing is held twice.
#include <cohort/run/check_sync.hpp>

#include <doctest/doctest.h>

#include <cohort/cohort.hpp>

#include "in_sync.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace in_sync;

namespace {

using Case = zoo::LittleFrozenCase;  // check_sync_full_test.cpp has zoo::PartlyFrozenCase
template <class How, class... More> using RunOf = SyncRun<Case, How, More...>;

TEST_CASE("check_sync: every strategy stays in sync") {
  for (int ranks : {1, 2, 3, 4}) {
    stays_in_sync<Case, Replicate>(ranks, ranks);
    stays_in_sync<Case, ShardOptimizer>(ranks, ranks);
    stays_in_sync<Case, ShardGradients, Mixed>(ranks, ranks);
    stays_in_sync<Case, FullShard>(ranks, 1);
  }
  stays_in_sync<Case, HybridShard<2>>(4, 2);
}

TEST_CASE("check_sync: what is compared, by strategy; where nothing is held twice it says so") {
  constexpr auto count = [](bool trains) {
    int n = 0;
    for (const ParamInfo& p : RunOf<Replicate>::plan.layout.params) n += p.trains == trains;
    return n;
  };
  constexpr int trained = count(true), frozen = count(false);
  const auto tensors = []<class How, class... More>(int ranks) {
    return parted<RunOf<How, More...>, Case>(ranks, nothing).reports[0].tensors;
  };
  CHECK(tensors.operator()<Replicate>(2) == 3 * trained + frozen);  // and two moments
  CHECK(tensors.operator()<ShardOptimizer>(2) == trained + frozen);
  CHECK(tensors.operator()<ShardGradients, Mixed>(3) == trained + frozen);
  CHECK(tensors.operator()<HybridShard<2>>(4) == 3 * trained + frozen);
  const auto text = parted<RunOf<FullShard>, Case>(2, nothing).reports[0].text();
  CHECK(text ==
        "in sync: step, loss scale and options agree on 2 ranks; no tensor was compared, "
        "this strategy holds none twice");
}

TEST_CASE("check_sync: exactly the parameter, rank and element that were changed") {
  finds_what_was_changed<Case, Replicate>(3, 2);
  finds_what_was_changed<Case, ShardOptimizer>(4, 1);
  finds_what_was_changed<Case, ShardGradients, Mixed>(3, 2);
}

TEST_CASE("check_sync: of two ranks rank 0 is believed, of more the most") {
  const Said two = parted<RunOf<Replicate>, Case>(2, [](auto& run, int rank) {
    if (rank == 0) damage_parameter(run, "7.bias", 10);
  });
  CHECK(two.first().ranks == std::vector<int>{0});
  CHECK(two.first().others[0].rank == 1);
  // Two ranks alike but wrong are one pair against another; three are the most.
  const Said pairs = parted<RunOf<Replicate>, Case>(4, [](auto& run, int rank) {
    if (rank == 1 || rank == 3) damage_parameter(run, "7.bias", 10, 2);
  });
  CHECK(pairs.first().ranks == std::vector<int>{0, 2});
  CHECK((pairs.first().others[0].rank == 1 && pairs.first().others[1].rank == 3));
  const Said many = parted<RunOf<ShardOptimizer>, Case>(4, [](auto& run, int rank) {
    if (rank > 1) damage_parameter(run, "7.bias", static_cast<std::size_t>(rank), rank);
  });
  CHECK(many.same());
  CHECK(many.first().ranks == std::vector<int>{0, 1});
  REQUIRE(many.first().others.size() == 2);
  CHECK((many.first().others[0].rank == 2 && many.first().others[0].first == 2));
  CHECK((many.first().others[1].rank == 3 && many.first().others[1].first == 3));
}

TEST_CASE("check_sync: a moment, a frozen parameter, a shard of HybridShard") {
  CHECK(found<Case, Replicate>(3, moment(0)) == "exp_avg 5.weight 2 1 4");
  CHECK(found<Case, Replicate>(3, moment(1)) == "exp_avg_sq 5.weight 2 1 4");
  const auto frozen = [](auto& run, int rank) {
    if (rank == 1) damage_parameter(run, "0.weight", 65);
  };
  CHECK(found<Case, Replicate>(3, frozen) == "parameter 0.weight 1 1 65");
  CHECK(found<Case, ShardGradients, Mixed>(3, frozen) == "parameter 0.weight 1 1 65");
  // [11, 6] fills two chunks: with two ranks a copy the second half is held by ranks 1 and 3.
  const auto shard = [](int m, int who, std::size_t element) {
    return [=](auto& run, int rank) {
      if (rank == who) damage_shard(run, "7.weight", m, element);
    };
  };
  const auto hybrid = [&](int m, std::size_t element) {
    const std::string a = [&] {
      const Said said = parted<RunOf<HybridShard<2>>, Case>(4, shard(m, 2, element));
      return said.reports[0].in_sync() ? "" : said.first().name;
    }();
    const int who = a.empty() ? 3 : 2;  // whichever of the second copy holds it
    const Said said = parted<RunOf<HybridShard<2>>, Case>(4, shard(m, who, element));
    CHECK(said.same());
    REQUIRE_FALSE(said.reports[3].in_sync());
    CHECK(said.first().ranks == std::vector<int>{who - 2});
    CHECK(said.first().others[0].rank == who);
    CHECK(said.first().others[0].first == element);
    CHECK((said.first().name == "7.weight" && said.reports[0].differing == 1));
    return said.first().what;
  };
  CHECK(hybrid(-1, 3) == "parameter");
  CHECK(hybrid(-1, 65) == "parameter");
  CHECK(hybrid(1, 65) == "exp_avg_sq");
}

TEST_CASE("check_sync: padding is nobody's, and one bit is enough") {
  CHECK(parted<RunOf<Replicate>, Case>(2, padding).reports[1].in_sync());
  CHECK(parted<RunOf<ShardOptimizer>, Case>(3, padding).reports[1].in_sync());
  const Said said = parted<RunOf<Replicate>, Case>(2, [](auto& run, int rank) {
    run.set_parameter("7.bias", std::vector<float>(11, 0.0f));
    if (rank == 1) run.set_parameter("7.bias", std::vector<float>(11, -0.0f));  // equal, and not
  });
  REQUIRE_FALSE(said.reports[0].in_sync());
  CHECK((said.first().name == "7.bias" && said.first().others[0].elements == 11));
  CHECK(said.errors[0].find("-0 instead of 0 ") != std::string::npos);
}

TEST_CASE("check_sync: loss scales that differ; load and set_parameter make ranks equal again") {
  using Run = ShardedRun<zoo::OddMlpCase, FullShard, 1, KeepUnsharded, optim::AdamW,
                         MixedPrecision<fp16, fp32>, DynamicLossScale<>>;
  const Said said = parted<Run, zoo::OddMlpCase>(3, [](auto& run, int rank) {
    if (rank == 1) run.set_loss_scale({1024, 0});
  });
  CHECK(said.same());
  REQUIRE_FALSE(said.reports[2].in_sync());
  CHECK((said.first().what == "loss scale" && said.first().name.empty()));
  CHECK(said.first().others[0].found == 1024);
  CHECK(said.first().others[0].expected == 65536);
  CHECK(said.errors[2].find("rank 1 differs from ranks 0 and 2 in loss scale: 1024 instead of "
                            "65536, after step 2") != std::string::npos);
  std::atomic<int> equal{0};
  launch<Threads>({.ranks = 3}, [&](Threads& world) {
    using Plain = RunOf<Replicate>;
    auto run = Plain::on(world, options_of<Plain, Case>({.ranks = 3}));
    if (world.rank() == 1) damage_parameter(run, "7.bias", 1);
    CHECK_FALSE(check_sync(run).in_sync());
    run.set_parameter("7.bias", std::vector<float>(11, 0.5f));
    equal += check_sync(run).in_sync();
    train_on<Case>(run, 1);
    equal += check_sync(run).in_sync();
  });
  CHECK(equal == 6);
}

TEST_CASE("check_sync: no copy of the model, and the bytes it announces") {
  if (!Allocations::available) return;
  using Big = nn::Sequential<nn::Linear<256, 1024>, nn::ReLU<1024>, nn::Linear<1024, 4>>;
  using Run = Trainer<Big, nn::MeanSquaredError<4>, optim::AdamW>;
  constexpr std::int64_t one = 256 * 1024 * sizeof(float), state = 3 * one;
  launch<Threads>({.ranks = 2}, [&](Threads& threads) {
    Recorder<Threads> world(threads.duplicate(), 64);
    auto run = Run::template on<>(world, {.seed = 1, .batch = 2});
    for (const bool parted : {false, true}) {
      if (parted && world.rank() == 1) damage_parameter(run, "0.weight", 200000);
      world.clear();
      threads.barrier();
      AllocationTotals mine;
      SyncReport report;
      {
        static std::optional<Allocations> count;
        if (world.rank() == 0) count.emplace();
        threads.barrier();
        report = check_sync(run);
        threads.barrier();
        if (world.rank() == 0) {
          count->stop();
          mine = count->all_threads();
          count.reset();
        }
        threads.barrier();
      }
      CHECK(report.in_sync() == !parted);
      CHECK(mine.peak_bytes < (parted ? 2 * one / 2 + 65536 : 65536));  // a block of 256 KiB a rank
      CHECK(mine.peak_bytes < state / 2);
      std::size_t bytes = 0;
      for (const Collective& call : world.log())
        bytes += call.count * (call.dtype == DType::u8 ? 1 : 8);
      // 5 words; 4 parameters of 4 kinds, extents, the tensor, 4 words
      CHECK(bytes == (parted ? 40 + 8 * 4 * 4 + 16 + std::size_t{one} + 32 : 40));
    }
  });
}

}  // namespace
