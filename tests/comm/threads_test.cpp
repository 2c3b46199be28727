// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/threads_test.cpp: one order of summation, one fate, no wait without an end.
#include <cohort/comm/threads.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>
#include <random>
#include <stdexcept>
#include <vector>

#include "support/allocations.hpp"

using namespace cohort;
using namespace std::chrono_literals;

static_assert(Communicator<Threads>);
static_assert(!std::is_copy_constructible_v<Threads>);

namespace {

using Clock = std::chrono::steady_clock;

/// streams_per_rank that no machine has cores for: ranks block at once instead of spinning.
constexpr int blocking = 1 << 20;

template <class F> void run(const LaunchOptions& options, F f) { Threads::run(options, f); }

/// Values over many magnitudes, so that another order of summation gives other bits.
template <class T> T value(int rank, std::size_t i) {
  std::uint64_t z = (static_cast<std::uint64_t>(rank) << 32) + i + 1;
  z *= 0x9e3779b97f4a7c15u;
  z ^= z >> 29;
  z *= 0xbf58476d1ce4e5b9u;
  z ^= z >> 32;
  if constexpr (std::integral<T>) return static_cast<T>(z % 251);
  return static_cast<T>(
      std::ldexp(static_cast<double>(z % 2000001) - 1e6, static_cast<int>(z % 24)));
}

template <class T> std::vector<T> values(int rank, std::size_t count) {
  std::vector<T> all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = value<T>(rank, i);
  return all;
}

/// The definition of a sum over ranks: stride doubling, in place, element by element.
template <class T> std::vector<T> sum_of(const std::vector<int>& ranks, std::size_t count) {
  std::vector<std::vector<T>> a;
  for (int r : ranks) a.push_back(values<T>(r, count));
  for (std::size_t s = 1; s < a.size(); s *= 2) {
    for (std::size_t r = 0; r + s < a.size(); r += 2 * s) {
      for (std::size_t i = 0; i < count; ++i) a[r][i] += a[r + s][i];
    }
  }
  return a[0];
}

std::vector<int> all_ranks(int ranks) {
  std::vector<int> all;
  for (int r = 0; r < ranks; ++r) all.push_back(r);
  return all;
}

/// Counts ranks whose result was wrong; doctest's own checks stay on the main thread.
struct Wrong {
  std::atomic<int> ranks{0};
  void unless(bool right) {
    if (!right) ++ranks;
  }
};

constexpr int worlds[] = {1, 2, 3, 4, 5, 7, 8, 16, 64};
constexpr std::size_t counts[] = {0, 1, 15, 128, 129, 1000, 4099, 20011};

// ---------------------------------------------------------------- data

TEST_CASE_TEMPLATE("all_reduce: every rank holds the bits of the serial stride-doubling sum", T,
                   float, double, std::int32_t, std::int64_t) {
  for (int ranks : worlds) {
    for (std::size_t count : counts) {
      const auto expected = sum_of<T>(all_ranks(ranks), count);
      Wrong wrong;
      run({.ranks = ranks}, [&](Threads& world) {
        auto mine = values<T>(world.rank(), count);
        world.all_reduce(mine.data(), count);
        wrong.unless(mine == expected);
      });
      CAPTURE(ranks);
      CAPTURE(count);
      CHECK(wrong.ranks == 0);
    }
  }
}

TEST_CASE("all_reduce: an element's bits do not depend on count, offset or bucketing") {
  constexpr std::size_t count = 5003;
  for (int ranks : {2, 3, 5, 8}) {
    const auto expected = sum_of<float>(all_ranks(ranks), count);
    for (std::size_t bucket : {1001, 1, 63, 64, 129, 4097}) {
      const std::size_t first = bucket == 1 ? count - 40 : 0;  // singles: the last 40 will do
      Wrong wrong;
      run({.ranks = ranks}, [&](Threads& world) {
        auto mine = values<float>(world.rank(), count);
        for (std::size_t i = first; i < count; i += bucket) {
          world.all_reduce(mine.data() + i, std::min(bucket, count - i));
        }
        wrong.unless(std::equal(mine.begin() + static_cast<std::ptrdiff_t>(first), mine.end(),
                                expected.begin() + static_cast<std::ptrdiff_t>(first)));
      });
      CAPTURE(ranks);
      CAPTURE(bucket);
      CHECK(wrong.ranks == 0);
    }
  }
}

TEST_CASE_TEMPLATE("reduce_scatter: rank r receives the r-th part of what all_reduce gives", T,
                   float, double, std::int32_t, std::int64_t) {
  for (int ranks : worlds) {
    for (std::size_t count : {0, 1, 100, 1500}) {
      const std::size_t all = count * static_cast<std::size_t>(ranks);
      const auto expected = sum_of<T>(all_ranks(ranks), all);
      Wrong wrong;
      run({.ranks = ranks}, [&](Threads& world) {
        const auto mine = values<T>(world.rank(), all);
        std::vector<T> out(count, T{-1});
        world.reduce_scatter(mine.data(), out.data(), count);
        const auto part = expected.begin() + static_cast<std::ptrdiff_t>(
                                                 static_cast<std::size_t>(world.rank()) * count);
        wrong.unless(std::equal(out.begin(), out.end(), part));
        wrong.unless(mine == values<T>(world.rank(), all));
      });
      CAPTURE(ranks);
      CAPTURE(count);
      CHECK(wrong.ranks == 0);
    }
  }
}

TEST_CASE_TEMPLATE("all_reduce, reduce_scatter: 16-bit types as sum_into has them", T, bf16, fp16) {
  for (int ranks : {2, 3, 4, 8}) {
    for (std::size_t count : {3, 1500}) {  // a part; small and large
      const std::size_t all = count * static_cast<std::size_t>(ranks);
      const auto of = [&](int rank) {
        std::vector<T> mine;
        for (float v : values<float>(rank, all)) mine.push_back(T(v * 0x1p-30f));
        return mine;
      };
      std::vector<std::vector<T>> inputs;
      for (int r = 0; r < ranks; ++r) inputs.push_back(of(r));
      std::vector<T> expected(all), part(count);
      detail::sum_into([&](int r) { return inputs[static_cast<std::size_t>(r)].data(); }, ranks,
                       all, expected.data());
      const auto same = [](const T* a, const T* b, std::size_t n) {
        return std::equal(a, a + n, b, [](T x, T y) { return x.bits == y.bits; });
      };
      Wrong wrong;
      run({.ranks = ranks}, [&](Threads& world) {
        const auto r = static_cast<std::size_t>(world.rank());
        auto mine = inputs[r];
        std::vector<T> out(count);
        world.reduce_scatter(mine.data(), out.data(), count);
        wrong.unless(same(out.data(), expected.data() + r * count, count));
        world.all_reduce(mine.data(), all);
        wrong.unless(same(mine.data(), expected.data(), all));
        std::vector<T> gathered(all);
        world.all_gather(out.data(), gathered.data(), count);
        wrong.unless(same(gathered.data(), expected.data(), all));
      });
      CHECK(wrong.ranks == 0);
    }
  }
}

TEST_CASE_TEMPLATE("all_gather: every rank receives all parts in rank order, also in place", T,
                   float, double, std::int32_t, std::int64_t, std::uint8_t) {
  for (int ranks : worlds) {
    for (std::size_t count : {0, 1, 100, 6000}) {
      Wrong wrong;
      run({.ranks = ranks}, [&](Threads& world) {
        const auto mine = values<T>(world.rank(), count);
        std::vector<T> expected;
        for (int r = 0; r < ranks; ++r) {
          const auto part = values<T>(r, count);
          expected.insert(expected.end(), part.begin(), part.end());
        }
        std::vector<T> apart(expected.size()), in_place(expected.size());
        world.all_gather(mine.data(), apart.data(), count);
        T* slot = in_place.data() + static_cast<std::size_t>(world.rank()) * count;
        std::copy(mine.begin(), mine.end(), slot);
        world.all_gather(slot, in_place.data(), count);
        wrong.unless(apart == expected && in_place == expected);
      });
      CAPTURE(ranks);
      CAPTURE(count);
      CHECK(wrong.ranks == 0);
    }
  }
}

TEST_CASE_TEMPLATE("broadcast: every rank holds the root's array, for every root", T, float, double,
                   std::int32_t, std::int64_t, std::uint8_t) {
  for (int ranks : {1, 2, 3, 8}) {
    Wrong wrong;
    run({.ranks = ranks}, [&](Threads& world) {
      for (int root = 0; root < ranks; ++root) {
        for (std::size_t count : {0, 1, 100, 9000}) {
          auto mine = values<T>(world.rank(), count);
          world.broadcast(mine.data(), count, root);
          wrong.unless(mine == values<T>(root, count));
        }
      }
    });
    CAPTURE(ranks);
    CHECK(wrong.ranks == 0);
  }
}

TEST_CASE("a long mix of small and large calls: every result right, spinning and blocking") {
  for (const auto& options :
       {LaunchOptions{.ranks = 2}, LaunchOptions{.ranks = 2, .streams_per_rank = blocking},
        LaunchOptions{.ranks = 5}}) {
    Wrong wrong;
    run(options, [&](Threads& world) {
      std::mt19937 same_on_all_ranks(7);
      std::vector<std::int64_t> mine(3000), all(3000 * static_cast<std::size_t>(world.size()));
      const std::int64_t ranks = world.size();
      for (std::int64_t k = 0; k < 600; ++k) {
        const std::size_t count = 1 + same_on_all_ranks() % (same_on_all_ranks() % 2 ? 3000 : 60);
        const auto kind = same_on_all_ranks() % 4;
        std::fill(mine.begin(), mine.end(), k + world.rank());
        if (kind == 0) {
          world.all_reduce(mine.data(), count);
          wrong.unless(mine[0] == k * ranks + ranks * (ranks - 1) / 2 &&
                       mine[count - 1] == mine[0]);
        } else if (kind == 1) {
          world.all_gather(mine.data(), all.data(), count);
          for (std::int64_t r = 0; r < ranks; ++r) {
            wrong.unless(all[static_cast<std::size_t>(r) * count] == k + r);
          }
        } else if (kind == 2) {
          const int root = static_cast<int>(k % ranks);
          world.broadcast(mine.data(), count, root);
          wrong.unless(mine[count - 1] == k + root);
        } else {
          world.barrier();
        }
      }
    });
    CHECK(wrong.ranks == 0);
  }
}

TEST_CASE("barrier: nobody leaves before the last one came") {
  for (int ranks : {2, 8}) {
    std::atomic<int> arrived{0};
    Wrong wrong;
    run({.ranks = ranks}, [&](Threads& world) {
      for (int k = 1; k <= 50; ++k) {
        ++arrived;
        world.barrier();
        wrong.unless(arrived.load() >= k * ranks);
        world.barrier();
      }
    });
    CHECK(wrong.ranks == 0);
  }
}

// ---------------------------------------------------------------- groups

TEST_CASE("split: one group per color, ordered by key, then by rank") {
  constexpr int ranks = 7;
  Wrong wrong;
  run({.ranks = ranks}, [&](Threads& world) {
    const int color = world.rank() % 2;
    Threads group = world.split(color, -world.rank());  // reverse order
    const std::vector<int> members = color == 0 ? std::vector{6, 4, 2, 0} : std::vector{5, 3, 1};
    wrong.unless(group.size() == static_cast<int>(members.size()));
    wrong.unless(members[static_cast<std::size_t>(group.rank())] == world.rank());
    auto mine = values<float>(world.rank(), 3000);
    group.all_reduce(mine.data(), 3000);
    wrong.unless(mine == sum_of<float>(members, 3000));
    Threads equal_keys = world.split(0, 0);
    wrong.unless(equal_keys.rank() == world.rank() && equal_keys.size() == ranks);
    Threads pair = group.split(group.rank() / 2, 0);  // groups of a group
    std::int32_t sum = 1;
    pair.all_reduce(&sum, 1);
    wrong.unless(sum == pair.size());
  });
  CHECK(wrong.ranks == 0);
}

TEST_CASE("split: a group may outlive the handle it was split from") {
  Wrong wrong;
  run({.ranks = 4}, [&](Threads& world) {
    Threads inner = [&] {
      Threads outer = world.split(world.rank() / 2, 0);
      return outer.duplicate();
    }();
    std::int32_t sum = 1;
    inner.all_reduce(&sum, 1);
    wrong.unless(sum == 2);
  });
  CHECK(wrong.ranks == 0);
}

TEST_CASE("duplicate: two threads of a rank use their own channels at the same time") {
  Wrong wrong;
  run({.ranks = 3}, [&](Threads& world) {
    Threads other = world.duplicate();
    std::jthread worker([&] {
      for (int k = 0; k < 200; ++k) {
        auto mine = values<double>(other.rank(), 700);
        other.all_reduce(mine.data(), 700);
        wrong.unless(mine == sum_of<double>({0, 1, 2}, 700));
      }
    });
    for (int k = 0; k < 300; ++k) {  // another number of other calls
      std::int32_t sum = k;
      world.all_reduce(&sum, 1);
      wrong.unless(sum == 3 * k);
    }
  });
  CHECK(wrong.ranks == 0);
}

// ---------------------------------------------------------------- cost

TEST_CASE("collectives allocate nothing") {
  if (!test::Allocations::available) return;
  for (const auto& options :
       {LaunchOptions{.ranks = 2}, LaunchOptions{.ranks = 4, .streams_per_rank = blocking}}) {
    std::int64_t allocations = -1;
    std::string report;
    run(options, [&](Threads& world) {
      std::vector<float> mine(4000), all(4000 * static_cast<std::size_t>(world.size()));
      world.barrier();  // all buffers are there
      std::unique_ptr<test::Allocations> counter;
      if (world.rank() == 0) counter = std::make_unique<test::Allocations>();
      world.barrier();
      for (std::size_t count : {1, 4000}) {
        world.all_reduce(mine.data(), count);
        world.all_gather(mine.data(), all.data(), count);
        world.reduce_scatter(all.data(), mine.data(), count);
        world.broadcast(mine.data(), count, 1);
      }
      world.barrier();
      if (counter) {
        counter->stop();
        allocations = counter->all_threads().count;
        report = counter->report();
      }
      world.barrier();
    });
    CAPTURE(report);
    CHECK(allocations == 0);
  }
}

// ---------------------------------------------------------------- failures

/// Runs f on every rank, keeps what each one threw, and how long after the first failure.
struct Outcome {
  std::vector<std::string> texts;
  std::vector<char> kinds;  // 'm'ismatch, 'p'eer failed, 't'imeout, 'o'ther, '-' none
  std::vector<double> ms;   // from the time that f wrote to Outcome::failed_at
  std::string rethrown;
  std::atomic<Clock::rep> failed_at{0};

  /// The first call of all ranks counts.
  void now() {
    Clock::rep none = 0;
    failed_at.compare_exchange_strong(none, Clock::now().time_since_epoch().count());
  }
};

template <class F> void observe(Outcome& seen, const LaunchOptions& options, F f) {
  const auto n = static_cast<std::size_t>(options.ranks);
  seen.texts.assign(n, "");
  seen.kinds.assign(n, '-');
  seen.ms.assign(n, 0);
  try {
    run(options, [&](Threads& world) {
      const auto r = static_cast<std::size_t>(world.rank());
      const auto note = [&](char kind, const char* text) {
        const auto since = Clock::now().time_since_epoch() - Clock::duration(seen.failed_at.load());
        seen.ms[r] = std::chrono::duration<double, std::milli>(since).count();
        seen.kinds[r] = kind;
        seen.texts[r] = text;
      };
      try {
        f(world);
      } catch (const Mismatch& e) {
        note('m', e.what());
        throw;
      } catch (const PeerFailed& e) {
        note('p', e.what());
        throw;
      } catch (const Timeout& e) {
        note('t', e.what());
        throw;
      } catch (const std::exception& e) {
        note('o', e.what());
        throw;
      }
    });
  } catch (const std::exception& e) {
    seen.rethrown = e.what();
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Boom : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST_CASE("a rank that throws at any point ends every rank within 100 ms, with its words [alone]") {
  for (int ranks : {2, 3, 8}) {
    for (int thrower = 0; thrower<ranks; thrower += ranks> 3 ? 3 : 1) {
      for (int point = 0; point < 6; ++point) {
        Outcome seen;
        observe(seen, {.ranks = ranks}, [&](Threads& world) {
          std::vector<float> mine(2000), all(2000 * static_cast<std::size_t>(ranks));
          Threads group = world.split(world.rank() % 2, 0);
          for (int step = 0;; ++step) {
            const auto here = [&](int p) {
              if (world.rank() != thrower || step != 3 || p != point) return;
              std::this_thread::sleep_for(2ms);
              seen.now();
              throw Boom("boom 42");
            };
            here(0);
            world.all_reduce(mine.data(), 2000);
            here(1);
            world.all_gather(mine.data(), all.data(), 2000);
            here(2);
            world.reduce_scatter(all.data(), mine.data(), 10);
            here(3);
            group.all_reduce(mine.data(), 1);
            here(4);
            world.broadcast(mine.data(), 2000, 1);
            here(5);
            world.barrier();
          }
        });
        CAPTURE(ranks);
        CAPTURE(thrower);
        CAPTURE(point);
        CHECK(seen.rethrown == "boom 42");
        for (int r = 0; r < ranks; ++r) {
          const auto i = static_cast<std::size_t>(r);
          CHECK(seen.kinds[i] == (r == thrower ? 'o' : 'p'));
          CHECK(seen.ms[i] < 100);
          if (r != thrower) {
            CHECK(contains(seen.texts[i], detail::phrase("rank ", thrower, " failed: boom 42")));
          }
        }
      }
    }
  }
}

TEST_CASE("abort: another thread of a rank ends all, and no peer touches a freed buffer") {
  for (int trial = 0; trial < 60; ++trial) {
    Outcome seen;
    observe(seen, {.ranks = 4, .streams_per_rank = trial % 2 ? 1 : blocking}, [&](Threads& world) {
      Threads channel = world.duplicate();
      std::exception_ptr stopped;
      std::jthread worker([&] {
        try {
          for (;;) {  // buffers come and go: a peer that is late would hit freed memory
            std::vector<float> mine(1500 + 7 * 64, 1.0f);
            channel.all_reduce(mine.data(), mine.size());
          }
        } catch (const PeerFailed&) {
          stopped = std::current_exception();
        }
      });
      if (world.rank() == trial % 4) {
        std::this_thread::sleep_for(std::chrono::microseconds(37 * trial));
        world.abort(std::make_exception_ptr(Boom("stop")));
      }
      worker.join();
      std::rethrow_exception(stopped);
    });
    CHECK(seen.rethrown == "stop");
    for (char kind : seen.kinds) CHECK(kind == 'p');
  }
}

TEST_CASE("abort: what is thrown need not be a std::exception") {
  std::atomic<bool> heard{false};
  CHECK_THROWS_AS(run({.ranks = 2},
                      [&](Threads& world) {
                        if (world.rank() == 1) throw 42;
                        try {
                          world.barrier();
                        } catch (const PeerFailed& e) {
                          heard = contains(e.what(), "rank 1 failed: an exception that is not");
                          throw;
                        }
                      }),
                  int);
  CHECK(heard);
}

TEST_CASE("a failed world stays failed: catching the error does not revive it") {
  Outcome seen;
  observe(seen, {.ranks = 2}, [&](Threads& world) {
    if (world.rank() == 1) throw Boom("once");
    CHECK_THROWS_AS(world.barrier(), PeerFailed);
    CHECK_THROWS_AS(world.barrier(), PeerFailed);
    CHECK_THROWS_AS(world.duplicate(), PeerFailed);
  });
  CHECK(seen.rethrown == "once");
}

/// Rank 0 makes one call, the last rank another.
template <class First, class Other>
void check_mismatch(First first, Other other, const std::string& one, const std::string& two) {
  for (const auto& options :
       {LaunchOptions{.ranks = 2}, LaunchOptions{.ranks = 2, .streams_per_rank = blocking},
        LaunchOptions{.ranks = 5, .streams_per_rank = blocking}}) {
    Outcome seen;
    Wrong written;
    observe(seen, options, [&](Threads& world) {
      std::vector<double> in(4000 * 5, 1.0), out(4000 * 5, -1.0);
      const auto untouched = [&] {
        for (double x : in) written.unless(x == 1.0);
        for (double x : out) written.unless(x == -1.0);
      };
      world.barrier();
      try {
        if (world.rank() == options.ranks - 1) {
          other(world, in.data(), out.data());
        } else {
          first(world, in.data(), out.data());
        }
      } catch (...) {
        untouched();
        throw;
      }
    });
    CAPTURE(one);
    CAPTURE(two);
    CHECK(written.ranks == 0);
    for (std::size_t r = 0; r < seen.kinds.size(); ++r) {
      CAPTURE(seen.texts[r]);
      CHECK(seen.kinds[r] == 'm');
      CHECK(contains(seen.texts[r], detail::phrase("rank 0 calls ", one, " but rank ",
                                                   options.ranks - 1, " calls ", two)));
    }
    CHECK(contains(seen.rethrown, "#2"));
  }
}

TEST_CASE("Mismatch: kind, type, count and root, seen by every rank before anything is written") {
  using World = Threads&;
  check_mismatch([](World w, double* in, double*) { w.all_reduce(in, 4000); },
                 [](World w, double* in, double*) { w.all_reduce(in, 3999); },
                 "all_reduce(4000 f64)", "all_reduce(3999 f64)");
  check_mismatch([](World w, double* in, double*) { w.all_reduce(in, 4000); },
                 [](World w, double* in, double*) { w.all_reduce(in, 4); }, "all_reduce(4000 f64)",
                 "all_reduce(4 f64)");  // one lends memory, the other copies
  check_mismatch(
      [](World w, double* in, double*) { w.all_reduce(in, 2); },
      [](World w, double* in, double*) { w.all_reduce(reinterpret_cast<std::int64_t*>(in), 2); },
      "all_reduce(2 f64)", "all_reduce(2 i64)");
  check_mismatch([](World w, double* in, double* out) { w.reduce_scatter(in, out, 4000); },
                 [](World w, double* in, double* out) { w.all_gather(in, out, 4000); },
                 "reduce_scatter(4000 f64)", "all_gather(4000 f64)");
  check_mismatch([](World w, double* in, double*) { w.broadcast(in, 3, 0); },
                 [](World w, double* in, double*) { w.broadcast(in, 3, 1); },
                 "broadcast(3 f64, root 0)", "broadcast(3 f64, root 1)");
  check_mismatch([](World w, double*, double*) { w.barrier(); },
                 [](World w, double* in, double*) { w.all_reduce(in, 1); }, "barrier()",
                 "all_reduce(1 f64)");
  check_mismatch([](World w, double*, double*) { w.duplicate(); },
                 [](World w, double*, double*) { w.split(0, 0); }, "duplicate()", "split()");
}

TEST_CASE("broadcast: a root outside the world is refused on the rank that asks") {
  Outcome seen;
  observe(seen, {.ranks = 2}, [&](Threads& world) {
    float x = 0;
    world.broadcast(&x, 1, 2);
  });
  CHECK(contains(seen.rethrown, "the root must be a rank from 0 to 1."));
}

TEST_CASE("a rank that returns early: those who wait hear at once who left, and where [alone]") {
  for (int streams : {1, blocking}) {
    Outcome seen;
    observe(seen, {.ranks = 3, .streams_per_rank = streams}, [&](Threads& world) {
      float x = 1;
      world.barrier();
      world.all_reduce(&x, 1);
      if (world.rank() == 1) {
        std::this_thread::sleep_for(5ms);
        seen.now();
        return;
      }
      world.all_reduce(&x, 1);
    });
    CHECK(seen.kinds == std::vector<char>{'p', '-', 'p'});
    for (std::size_t r : {0, 2}) {
      CAPTURE(seen.texts[r]);
      CHECK(seen.ms[r] < 100);
      CHECK(contains(seen.texts[r], "rank 1 left the world after 2 collectives while rank "));
      CHECK(contains(seen.texts[r], " waits in all_reduce #3."));
    }
    CHECK(contains(seen.rethrown, "rank 1 left"));
  }
}

TEST_CASE("a rank may return as soon as its last collective did: the others finish theirs") {
  for (int trial = 0; trial < 200; ++trial) {
    Wrong wrong;
    run({.ranks = 3, .streams_per_rank = trial % 2 ? 1 : blocking}, [&](Threads& world) {
      std::vector<float> mine(trial % 3 ? 1 : 3000, 1.0f);
      world.all_reduce(mine.data(), mine.size());
      wrong.unless(mine.back() == 3);
    });
    CHECK(wrong.ranks == 0);
  }
}

TEST_CASE("Timeout: at the limit, on every rank, naming who is late and for what [alone]") {
  for (int streams : {1, blocking}) {
    Outcome seen;
    observe(seen, {.ranks = 3, .streams_per_rank = streams, .timeout = 300ms}, [&](Threads& world) {
      float x = 1;
      world.barrier();
      seen.now();
      if (world.rank() == 2) std::this_thread::sleep_for(900ms);
      world.all_reduce(&x, 1);
    });
    CHECK(seen.kinds == std::vector<char>{'t', 't', 't'});
    for (std::size_t r = 0; r < 3; ++r) {
      CAPTURE(seen.texts[r]);
      CHECK(contains(seen.texts[r],
                     "rank 2 (after 1 collectives) did not arrive at all_reduce #2, all_reduce(1 "
                     "f32), within 300 ms."));
      if (r == 2) continue;
      CHECK(seen.ms[r] >= 300);  // the clock is read before any wait begins
      CHECK(seen.ms[r] < 330);
    }
    CHECK(seen.ms[2] >= 899);
  }
}

TEST_CASE("Timeout: a rank that is slow but within the limit never sets it off") {
  run({.ranks = 4, .timeout = 2s}, [&](Threads& world) {
    std::mt19937 random(static_cast<unsigned>(world.rank()));
    for (int k = 0; k < 60; ++k) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
      std::int32_t sum = 1;
      world.all_reduce(&sum, 1);
    }
  });
}

TEST_CASE("64 ranks on few cores: thousands of collectives in seconds [alone]") {
  const auto begin = Clock::now();
  Wrong wrong;
  run({.ranks = 64}, [&](Threads& world) {
    std::vector<float> mine(5000, 1.0f);
    for (int k = 0; k < 100; ++k) {
      std::fill(mine.begin(), mine.end(), 1.0f);
      world.all_reduce(mine.data(), mine.size());
      wrong.unless(mine[77] == 64 && mine.back() == 64);
      world.barrier();
    }
  });
  CHECK(wrong.ranks == 0);
  CHECK(Clock::now() - begin < 20s);  // a sanity bound; benchmarks/all_reduce.cpp has the figures
}

}  // namespace
