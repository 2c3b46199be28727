// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/loader_test.cpp: order, errors, shutdown and timing of the prefetching loader.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cohort/core/rng.hpp>
#include <cohort/data/loader.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using cohort::data::BatchFill;
using cohort::data::Loader;
using cohort::data::LoaderOptions;
using namespace std::chrono_literals;

namespace {
struct Batch {
  std::vector<std::int64_t> values;
};

/// Batch i holds i, i, ...; a third of the batches take a while, which ones depends on `seed`.
struct Numbers {
  std::uint64_t seed = 0;
  void operator()(std::int64_t index, Batch& batch) const {
    const auto pause = cohort::uniform_below(3, seed, 0, std::uint64_t(index));
    if (pause == 0) std::this_thread::sleep_for(50us);
    if (pause == 1) std::this_thread::yield();
    for (auto& v : batch.values) v = index;
  }
};
struct Shaped : Numbers {
  Batch batch() const { return {std::vector<std::int64_t>(5)}; }
};

// Near misses of BatchFill: changes itself, takes no index, takes another batch.
struct Mutable {
  void operator()(std::int64_t, Batch&) {}
};
struct NoIndex {
  void operator()(Batch&) const {}
};
struct Other {
  void operator()(std::int64_t, std::string&) const {}
};
static_assert(BatchFill<Numbers, Batch>);
static_assert(!BatchFill<Mutable, Batch> && !BatchFill<NoIndex, Batch> && !BatchFill<Other, Batch>);

const Batch prototype{std::vector<std::int64_t>(3)};
}  // namespace

TEST_CASE("Loader: hands out every batch once and in order, for any workers and depth") {
  for (const int workers : {0, 1, 2, 5}) {
    for (const int depth : {1, 2, 7}) {
      Loader loader(Numbers{std::uint64_t(workers)}, prototype, {workers, depth, 10, 60});
      for (std::int64_t i = 10; i < 70; ++i) {
        REQUIRE(!loader.done());
        REQUIRE(loader.position() == i);
        const Batch& batch = loader.next();
        if (i % 7 == 0)
          std::this_thread::sleep_for(100us);  // workers must not touch a batch in use
        REQUIRE(batch.values == std::vector<std::int64_t>{i, i, i});
      }
      CHECK(loader.done());
    }
  }
}

TEST_CASE("Loader: is a range, and takes its batches from fill.batch()") {
  Loader loader(Shaped{}, {.workers = 2, .count = 9});
  std::int64_t expected = 0;
  for (auto& batch : loader) {
    REQUIRE(batch.values == std::vector<std::int64_t>(5, expected));
    ++expected;
  }
  CHECK(expected == 9);
  Loader none(Shaped{}, {.count = 0});
  for (auto& batch : none) FAIL("handed out batch of ", batch.values.size());
}

TEST_CASE("Loader: reuses depth + 1 sets of buffers and never resizes one") {
  for (const int workers : {0, 3}) {
    std::set<const void*> buffers;
    Loader loader(Numbers{}, prototype, {.workers = workers, .depth = 4, .count = 200});
    for (auto& batch : loader) buffers.insert(batch.values.data());
    CHECK(buffers.size() == (workers == 0 ? 1u : 5u));
  }
}

TEST_CASE("Loader: workers run ahead by depth batches and no further") {
  std::atomic<std::int64_t> highest{-1};
  const auto fill = [&](std::int64_t index, Batch&) {
    auto seen = highest.load();
    while (seen < index && !highest.compare_exchange_weak(seen, index)) {
    }
  };
  Loader loader(fill, prototype, {.workers = 2, .depth = 3});
  for (int i = 0; i < 50; ++i) {
    loader.next();  // batch i is in use, i + 1 .. i + 3 may be ready
    REQUIRE(highest.load() <= i + 3);
  }
  while (highest.load() < 52) std::this_thread::sleep_for(1ms);  // they do use the whole depth
}

TEST_CASE("Loader: an exception of a worker comes out when its batch is due, and stays") {
  const auto fill = [](std::int64_t index, Batch& batch) {
    if (index == 4) throw std::runtime_error("batch 4 is damaged");
    batch.values[0] = index;
  };
  for (const int workers : {0, 1, 3}) {
    Loader loader(fill, prototype, {.workers = workers, .depth = 6});
    for (std::int64_t i = 0; i < 4; ++i) REQUIRE(loader.next().values[0] == i);
    CHECK_THROWS_WITH_AS(loader.next(), "batch 4 is damaged", std::runtime_error);
    CHECK_THROWS_WITH_AS(loader.next(), "batch 4 is damaged", std::runtime_error);
    CHECK(loader.position() == 4);
    loader.restart(5);
    CHECK(loader.next().values[0] == 5);
  }
}

TEST_CASE("Loader: restart runs its change while no worker is filling") {
  std::int64_t epoch = 0;  // plain: a race here is a finding of ThreadSanitizer
  const auto fill = [&](std::int64_t index, Batch& batch) {
    batch.values[0] = 1000 * epoch + index;
  };
  for (const int workers : {0, 1, 4}) {
    epoch = 0;
    Loader loader(fill, prototype, {.workers = workers, .depth = 3, .count = 6});
    for (std::int64_t e = 0; e < 20; ++e) {
      const std::int64_t take = e % 7;  // also leaves in the middle of an epoch
      for (std::int64_t i = 0; i < take; ++i) REQUIRE(loader.next().values[0] == 1000 * e + i);
      loader.restart(0, 6, [&] { ++epoch; });
    }
  }
}

TEST_CASE("Loader: restart by a change that says how many batches there are") {
  std::int64_t epoch = 0;
  const auto fill = [&](std::int64_t index, Batch& batch) {
    batch.values[0] = 1000 * epoch + index;
  };
  for (const int workers : {0, 3}) {
    epoch = 0;
    Loader loader(fill, prototype, {.workers = workers, .depth = 2, .count = 5});
    loader.next();
    for (std::int64_t e = 1; e < 8; ++e) {
      loader.restart(e, [&] { return ++epoch + 10; });
      for (std::int64_t i = e; i < 2 * e + 10; ++i)
        REQUIRE(loader.next().values[0] == 1000 * e + i);
      CHECK(loader.done());
    }
    CHECK_THROWS_AS(loader.restart(0, [] { return -1; }), cohort::InvalidInput);
  }
}

TEST_CASE("Loader: ends at once at any time") {
  for (int workers = 0; workers < 4; ++workers) {
    for (int taken = 0; taken < 30; ++taken) {
      Loader loader(Numbers{std::uint64_t(taken)}, prototype, {.workers = workers, .depth = 3});
      for (int i = 0; i < taken; ++i) loader.next();
    }
  }
}

TEST_CASE("Loader: seconds_waiting counts the time spent in next() and nothing else") {
  using seconds = std::chrono::duration<double>;
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto slow = [](std::int64_t, Batch&) { std::this_thread::sleep_for(5ms); };
  for (const int workers : {0, 1}) {
    const auto begin = now();
    Loader loader(slow, prototype, {.workers = workers});
    CHECK(loader.seconds_waiting() == 0);
    seconds inside{};
    for (int i = 0; i < 10; ++i) {
      const auto before = now();
      loader.next();
      inside += now() - before;
    }
    // One filler sleeps 10 times 5 ms; what did not pass outside next() passed inside. The two
    // clocks bracket the same calls; 5 ms allow for a lost time slice between them.
    const seconds outside = seconds(now() - begin) - inside;
    CHECK(loader.seconds_waiting() <= inside.count());
    CHECK(loader.seconds_waiting() >= 0.050 - outside.count() - 0.005);
  }
}

TEST_CASE("Loader: refuses options and calls that make no sense, naming them") {
  const auto make = [](LoaderOptions o) { Loader loader(Numbers{}, prototype, o); };
  CHECK_THROWS_WITH_AS(make({.workers = -1}),
                       "cohort: Loader: workers is -1; give 0 (no threads) or more",
                       cohort::InvalidInput);
  CHECK_THROWS_WITH_AS(make({.depth = 0}),
                       "cohort: Loader: depth is 0; give at least 1 batch ahead",
                       cohort::InvalidInput);
  CHECK_THROWS_AS(make({.first = -1}), cohort::InvalidInput);
  CHECK_THROWS_AS(make({.count = -1}), cohort::InvalidInput);
  for (const int workers : {0, 2}) {
    Loader loader(Numbers{}, prototype, {.workers = workers, .count = 2});
    loader.next();
    loader.next();
    for (int again = 0; again < 2; ++again) {
      CHECK_THROWS_WITH_AS(
          loader.next(),
          "cohort: Loader: all batches up to number 2 are used; ask done() first, or "
          "restart()",
          cohort::ContractBroken);
    }
    CHECK_THROWS_AS(loader.restart(-1), cohort::InvalidInput);
  }
}
