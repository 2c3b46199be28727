// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/held_test.cpp: what all ranks hold together is everything, once.
#include <cohort/plan/held.hpp>

#include <doctest/doctest.h>

#include "../support/models.hpp"

using namespace cohort;

namespace {

// Two copies share 130 elements: 128 and 2. The last two of five have nothing to do.
static_assert(Copies{2, 0}.end(130) == 128 && Copies{2, 1}.end(130) == 130);
static_assert(Copies{5, 2}.end(130) == 130 && Copies{5, 4}.begin(130) == 130);
static_assert(clipped({3, 10, 20, 100, 1}, 105, 112) == HeldRun{3, 15, 7, 105, 1});
static_assert(clipped({3, 10, 20, 100, 1}, 0, 100).count == 0);
static_assert(clipped({3, 10, 20, 100, 1}, 120, 500).count == 0);

/// How often each element of each parameter was seen.
template <class Layout> struct Seen {
  const Layout& layout;
  std::vector<std::vector<int>> times;

  explicit Seen(const Layout& l) : layout(l) {
    for (const ParamInfo& p : layout.params) times.emplace_back(p.numel, 0);
  }
  void add(const HeldRun& run) {
    auto& of = times[static_cast<std::size_t>(run.param)];
    REQUIRE(run.first + run.count <= of.size());
    for (std::size_t k = 0; k < run.count; ++k) ++of[run.first + k];
  }
  /// Was everything of this kind seen once, and nothing of the other kind?
  bool all_once(bool trained) const {
    bool all = true;
    for (std::size_t i = 0; i < times.size(); ++i)
      for (const int n : times[i])
        all = all && n == (layout.params[i].trains == trained && !layout.params[i].averages());
    return all;
  }
};

/// Calls f(layout, groups, shards) for every model of the zoo, cut into groups in two ways.
template <class F> void for_each_cut(F f) {
  zoo::for_each_case([&]<class Case>() {
    INFO(Case::name());
    constexpr Layout<typename Case::Model, CutAtRepeat> layout;
    constexpr auto one = One::assign(layout, sizeof(float));
    constexpr auto by_repeat = ByRepeat::assign(layout, sizeof(float));
    f(layout, one, make_shards(layout, one));
    f(layout, by_repeat, make_shards(layout, by_repeat));
  });
}

TEST_CASE(
    "for_each_averaged_run: averages whole, and nothing else; the other loops leave them out") {
  constexpr Layout<zoo::Averaging, CutAtRepeat> layout;
  Seen averages(layout), others(layout);
  std::size_t at = 0;
  for_each_averaged_run(layout, [&](const HeldRun& run) {
    averages.add(run);
    CHECK(
        (run.local == at && run.count == layout.params[static_cast<std::size_t>(run.param)].numel));
    at += chunk;
  });
  CHECK(at == layout.averaged);
  for (const bool trained : {true, false})
    for_each_whole_run(layout, trained, [&](const HeldRun& run) { others.add(run); });
  for (std::size_t i = 0; i < averages.times.size(); ++i)
    for (std::size_t k = 0; k < averages.times[i].size(); ++k) {
      CHECK(averages.times[i][k] == layout.params[i].averages());
      CHECK(others.times[i][k] == !layout.params[i].averages());
    }
}

TEST_CASE("for_each_sharded_run: all ranks' runs are every element of every parameter, once") {
  for_each_cut([](const auto& layout, const auto& groups, const auto& shards) {
    for (int ranks = 1; ranks <= 9; ++ranks) {
      for (const bool trained : {true, false}) {
        CAPTURE(ranks);
        Seen seen(layout);
        for (int rank = 0; rank < ranks; ++rank) {
          int last = -1;
          for_each_sharded_run(layout, groups, shards, trained, ranks, rank, [&](HeldRun run) {
            seen.add(run);
            CHECK(run.count > 0);
            CHECK(run.param > last);  // forward order, one run a parameter
            last = run.param;
          });
        }
        CHECK(seen.all_once(trained));
      }
    }
  });
}

TEST_CASE("for_each_sharded_run: a rank's runs stand where its slices of the groups are") {
  for_each_cut([](const auto& layout, const auto& groups, const auto& shards) {
    for (int ranks : {1, 2, 3, 7}) {
      for (int rank = 0; rank < ranks; ++rank) {
        CAPTURE(ranks);
        CAPTURE(rank);
        std::size_t wrong = 0;
        for_each_sharded_run(layout, groups, shards, true, ranks, rank, [&](const HeldRun& run) {
          const ParamInfo& p = layout.params[static_cast<std::size_t>(run.param)];
          const auto unit = static_cast<std::size_t>(p.unit);
          wrong += run.group != groups.of[unit];
          std::size_t before = 0;
          for (int g = 0; g < run.group; ++g) before += shards.per_rank(g, ranks);
          for (std::size_t k = 0; k < run.count; ++k) {
            const std::size_t at =
                shards.offset[unit] + p.offset - layout.units[unit].offset + run.first + k;
            const std::size_t per = shards.per_rank(run.group, ranks);
            wrong += at / per != static_cast<std::size_t>(rank);
            wrong += before + at % per != run.local + k;
          }
        });
        CHECK(wrong == 0);
      }
    }
  });
}

TEST_CASE("for_each_whole_run: one run a parameter, where the layout has it") {
  for_each_cut([](const auto& layout, const auto&, const auto&) {
    for (const bool trained : {true, false}) {
      Seen seen(layout);
      for_each_whole_run(layout, trained, [&](const HeldRun& run) {
        seen.add(run);
        const ParamInfo& p = layout.params[static_cast<std::size_t>(run.param)];
        CHECK(run.local + (trained ? 0 : layout.size) == p.offset);
      });
      CHECK(seen.all_once(trained));
    }
  });
}

TEST_CASE("Copies: together they answer for every element once, each for whole chunks") {
  for (const std::size_t size : {0, 1, 63, 64, 65, 128, 1000, 9000})
    for (int count = 1; count <= 40; ++count) {
      CAPTURE(size);
      CAPTURE(count);
      std::size_t at = 0;
      for (int i = 0; i < count; ++i) {
        const Copies copies{count, i};
        CHECK(copies.begin(size) == at);
        CHECK((at % chunk == 0 || at == size));
        at = copies.end(size);
      }
      CHECK(at == size);
    }
}

TEST_CASE("clipped: what copies cut out of a rank's runs is every run, once") {
  for_each_cut([](const auto& layout, const auto& groups, const auto& shards) {
    for (int ranks : {1, 3})
      for (int count : {1, 2, 5}) {
        CAPTURE(ranks);
        CAPTURE(count);
        Seen seen(layout);
        for (int rank = 0; rank < ranks; ++rank)
          for (int i = 0; i < count; ++i) {
            const Copies copies{count, i};
            const std::size_t size = shards.shard(ranks);
            const auto add = [&](const HeldRun& run) {
              const HeldRun part = clipped(run, copies.begin(size), copies.end(size));
              CHECK(part.first - run.first == part.local - run.local);
              seen.add(part);
            };
            for_each_sharded_run(layout, groups, shards, true, ranks, rank, add);
          }
        CHECK(seen.all_once(true));
      }
  });
}

}  // namespace
