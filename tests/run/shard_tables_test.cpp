// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/shard_tables_test.cpp: every chunk of every shard knows whether it decays and which one it is.
#include <cohort/run/shard_tables.hpp>

#include <doctest/doctest.h>

#include "support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using zoo::GptCase;
using Run = Trainer<GptCase::Model, GptCase::Loss, DataParallel<FullShard>,
                    MixedPrecision<bf16, bf16>, StochasticRounding>;
using Plan = Run::plan_type;

TEST_CASE("ShardTableMemory: the ranks' tables together are the layout's") {
  std::array<std::array<int, 3>, 2> seen{};  // by rank: chunks, those that decay, sum of numbers
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = Run::on(world, options_of<Run, GptCase>({.ranks = 2}));
    const std::size_t bytes = run.memory().tables, chunks = run.storage().size() / chunk;
    const detail::ShardTableMemory<Plan, DefaultCpu> memory(bytes, DefaultCpu{}, run.storage());
    const detail::ShardTables tables = memory.tables();
    CHECK(reinterpret_cast<const std::uint8_t*>(tables.chunk_numbers) >= tables.decays + chunks);
    auto& mine = seen[static_cast<std::size_t>(world.rank())];
    for (std::size_t i = 0; i < chunks; ++i) {
      mine[0] += 1;
      mine[1] += tables.decays[i];
      mine[2] += static_cast<int>(tables.chunk_numbers[i]);
    }
  });
  int chunks = 0, decaying = 0, numbers = 0;
  for (const ParamInfo& p : Plan::layout.params) {
    for (std::size_t at = p.offset; at < p.offset + p.padded; at += chunk) {
      ++chunks;
      decaying += p.decays;
      numbers += static_cast<int>(at / chunk);
    }
  }
  CHECK(seen[0][0] + seen[1][0] >= chunks);  // shards are padded
  CHECK(seen[0][1] + seen[1][1] == decaying);
  CHECK(seen[0][2] + seen[1][2] == numbers);
  CHECK(decaying > 0);
  CHECK(decaying < chunks);
}

}  // namespace
