// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/load_memory_test.cpp: what loads and saves take of memory beyond the plan, seen from outside.
#include <doctest/doctest.h>

#include <cohort/checkpoint.hpp>
#include <cohort/cohort.hpp>
#include <filesystem>

#include "../support/allocations.hpp"
#include "../support/temporary_directory.hpp"

using namespace cohort;
using test::Allocations;
namespace fs = std::filesystem;

namespace {

/// Four layers of 4 MB: 48 MB of values and moments.
constexpr int width = 1024;
constexpr std::int64_t group = width * (width + 1) * 4, state = 3 * 4 * group;
template <class How>
using Run = Trainer<nn::Repeat<4, nn::Linear<width, width>>, nn::CrossEntropy, DataParallel<How>,
                    optim::AdamW>;

template <class How> void with_run(int ranks, auto f) {
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    auto run = Run<How>::on(world, {.seed = 3, .batch = 1});
    f(world, run);
  });
}
std::int64_t bytes_below(const fs::path& directory) {
  std::int64_t sum = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) sum += static_cast<std::int64_t>(entry.file_size());
  return sum;
}
/// What all ranks together had at most beyond what they had before f.
template <class Run> std::int64_t peak(Threads& world, Run&, auto f) {
  static std::optional<Allocations> count;
  static std::int64_t found;
  world.barrier();
  if (world.rank() == 0) count.emplace();
  world.barrier();
  f();
  world.barrier();
  if (world.rank() == 0) {
    found = count->all_threads().peak_bytes;
    count.reset();
  }
  world.barrier();
  return found;
}

template <class From, class To> void check_load(int ranks_before, int ranks) {
  INFO(ranks_before << " -> " << ranks);
  const test::TemporaryDirectory dir;
  with_run<From>(ranks_before, [&](Threads&, auto& run) { run.save(dir.path()); });
  const std::int64_t files = bytes_below(dir.path());
  CHECK(files > state);
  with_run<To>(ranks, [&](Threads& world, auto& run) {
    // Each rank maps every file to read its header: addresses, of which a page or two is used.
    const std::int64_t above =
        peak(world, run, [&] { run.load(dir.path()); }) - world.size() * files;
    if (world.rank() != 0) return;
    MESSAGE(ranks_before << " -> " << ranks << ": " << above / world.size()
                         << " bytes a rank, a group is " << group);
    CHECK(above <= world.size() * group);
  });
}

}  // namespace

TEST_CASE("load: no rank needs more than one group beyond the plan, whoever saved") {
  if (!Allocations::available) return;
  check_load<FullShard, FullShard>(3, 2);
  check_load<FullShard, Replicate>(2, 1);
  check_load<Replicate, FullShard>(1, 4);
  check_load<ShardOptimizer, ShardGradients>(4, 3);
}

TEST_CASE("save: one block a rank; save_async: its share once, kept for the next") {
  if (!Allocations::available) return;
  const test::TemporaryDirectory dir;
  with_run<FullShard>(2, [&](Threads& world, auto& run) {
    const auto saved = peak(world, run, [&] { run.save(dir.path() / "a"); });
    const auto save_beside = [&](const char* name) {
      run.save_async(dir.path() / name);
      run.wait_for_save();
    };
    const auto first = peak(world, run, [&] { save_beside("b"); });
    const auto second = peak(world, run, [&] { save_beside("c"); });
    if (world.rank() != 0) return;
    MESSAGE("save " << saved << ", save_async " << first << ", then " << second);
    // Rank 0 maps each file once to hash its header; a block is 1 MiB.
    const std::int64_t blocks = 2 * 1'200'000, mapped = state + 200'000;
    CHECK(saved <= blocks + mapped);
    CHECK(first <= state + blocks + mapped + 100'000);
    CHECK(second <= blocks + mapped);
  });
}
