// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/shards_test.cpp: groups as flat ranges: sizes by hand, and what must hold for any world.
#include <cohort/plan/shards.hpp>

#include <doctest/doctest.h>

#include "support/models.hpp"

using namespace cohort;

namespace {

// Units: 64 | 128 | 128 | 128 | 128 elements with padding; the first and the last are the root's.
using Chain =
    nn::Sequential<nn::Linear<8, 8, nn::NoBias>, nn::Repeat<3, nn::Linear<8, 8>>, nn::Linear<8, 3>>;

template <class How, class Model> constexpr auto shards_of() {
  constexpr Layout<Model, typename How::cut> layout;
  return make_shards(layout, How::assign(layout, sizeof(float)));
}

constexpr auto chain = shards_of<ByRepeat, Chain>();
static_assert(chunk == 64);
static_assert(chain.groups == 4);
static_assert(chain.size[0] == 64 + 128 && chain.size[1] == 128 && chain.size[3] == 128);
static_assert(chain.first_unit[0] == 0 && chain.last_unit[0] == 4);  // the root is cut in two
static_assert(chain.first_unit[2] == 2 && chain.last_unit[2] == 2);
static_assert(chain.offset[0] == 0 && chain.offset[4] == 64 && chain.offset[1] == 0);

}  // namespace

TEST_CASE("shards: sizes of a chain of five units, against a table made by hand") {
  struct Row {
    int ranks;
    std::size_t root, element, shard, slot;
  };
  constexpr Row rows[] = {
      {1, 192, 128, 576, 128}, {2, 128, 64, 320, 128}, {3, 64, 64, 256, 192},
      {4, 64, 64, 256, 256},   {5, 64, 64, 256, 320},  {16, 64, 64, 256, 1024},
  };
  for (const Row& row : rows) {
    CAPTURE(row.ranks);
    CHECK(chain.per_rank(0, row.ranks) == row.root);
    CHECK(chain.per_rank(2, row.ranks) == row.element);
    CHECK(chain.padded(0, row.ranks) == row.root * static_cast<std::size_t>(row.ranks));
    CHECK(chain.shard(row.ranks) == row.shard);
    CHECK(chain.slot(row.ranks) == row.slot);
  }
}

TEST_CASE("shards: only a root has no slot") {
  constexpr auto one = shards_of<One, Chain>();
  static_assert(one.groups == 1 && one.size[0] == 576 && one.slot(7) == 0);
  static_assert(one.offset[3] == 64 + 2 * 128 && one.last_unit[0] == 4);
}

TEST_CASE(
    "shards: units tile their group in order; shards are whole chunks, padding less than one a "
    "rank") {
  zoo::for_each_case([]<class Case>() {
    INFO(Case::name());
    constexpr Layout<typename Case::Model, CutAtRepeat> layout;
    constexpr auto groups = ByRepeat::assign(layout, sizeof(float));
    constexpr auto shards = make_shards(layout, groups);
    std::size_t all = 0;
    for (int g = 0; g < shards.groups; ++g) {
      std::size_t at = 0;
      for (int u = 0; u < layout.num_units; ++u) {
        if (groups.of[u] != g) continue;
        CHECK(shards.offset[u] == at);
        CHECK(shards.first_unit[g] <= u);
        CHECK(shards.last_unit[g] >= u);
        at += layout.units[u].size;
      }
      CHECK(shards.size[g] == at);
      all += at;
      for (int ranks : {1, 2, 3, 4, 5, 7, 8, 16, 64, 512}) {
        CHECK(shards.per_rank(g, ranks) % chunk == 0);
        CHECK(shards.padded(g, ranks) >= at);
        CHECK(shards.padded(g, ranks) < at + chunk * static_cast<std::size_t>(ranks));
      }
    }
    CHECK(all == layout.size);
    CHECK(shards.shard(1) == layout.size);
  });
}
