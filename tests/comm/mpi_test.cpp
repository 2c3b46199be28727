// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/mpi_test.cpp: the bits that threads get, one fate, no wait without an end.
#include <cohort/comm/mpi.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <random>
#include <stdexcept>
#include <thread>
#include <type_traits>

#include "mpi/support.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

static_assert(Communicator<Mpi>);
static_assert(!std::is_copy_constructible_v<Mpi>);

namespace {

using Clock = std::chrono::steady_clock;

// One round, several, one block, several: see comm/rounds.hpp.
constexpr std::size_t counts[] = {0, 1, 15, 129, 1000, 2048, 2049, 4099, 20011, 70001, 300007};

/// Calls body(world) on every rank of both worlds and compares what this process's rank gets.
template <class T, class Body> void same_as_threads(Body body) {
  const auto expected = by_threads<std::vector<T>>(num_processes(), body);
  on_processes([&](Mpi& world) {
    const std::vector<T> mine = body(world);
    const std::vector<T>& theirs = expected[static_cast<std::size_t>(world.rank())];
    REQUIRE(mine.size() == theirs.size());
    CHECK((mine.empty() || std::memcmp(mine.data(), theirs.data(), mine.size() * sizeof(T)) == 0));
  });
}

// ---------------------------------------------------------------- data

TEST_CASE_TEMPLATE("all_reduce: processes hold the bits of threads", T, float, double, bf16, fp16,
                   std::int32_t, std::int64_t) {
  for (std::size_t count : counts) {
    CAPTURE(count);
    same_as_threads<T>([&](auto& world) {
      auto mine = values<T>(world.rank(), count);
      world.all_reduce(mine.data(), count);
      return mine;
    });
  }
}

TEST_CASE("all_reduce: an element's bits do not depend on count, offset or bucketing") {
  constexpr std::size_t count = 90001;
  on_processes([&](Mpi& world) {
    auto whole = values<float>(world.rank(), count);
    world.all_reduce(whole.data(), count);
    for (std::size_t bucket : {1001, 4097, 33000}) {
      auto mine = values<float>(world.rank(), count);
      for (std::size_t i = 0; i < count; i += bucket) {
        world.all_reduce(mine.data() + i, std::min(bucket, count - i));
      }
      CAPTURE(bucket);
      CHECK(mine == whole);
    }
  });
}

TEST_CASE_TEMPLATE("reduce_scatter: processes hold the bits of threads", T, float, double, bf16,
                   fp16, std::int32_t, std::int64_t) {
  for (std::size_t count : {0, 1, 100, 1500, 100003}) {
    CAPTURE(count);
    same_as_threads<T>([&](auto& world) {
      const auto mine = values<T>(world.rank(), count * static_cast<std::size_t>(world.size()));
      std::vector<T> out(count, static_cast<T>(-1.0f));
      world.reduce_scatter(mine.data(), out.data(), count);
      return out;
    });
  }
}

TEST_CASE_TEMPLATE("all_gather: every rank receives all parts in rank order, also in place", T,
                   float, double, std::int32_t, std::int64_t, std::uint8_t) {
  for (std::size_t count : {0, 1, 100, 6000, 200003}) {
    on_processes([&](Mpi& world) {
      const auto mine = values<T>(world.rank(), count);
      std::vector<T> expected;
      for (int r = 0; r < world.size(); ++r) {
        const auto part = values<T>(r, count);
        expected.insert(expected.end(), part.begin(), part.end());
      }
      std::vector<T> apart(expected.size()), in_place(expected.size());
      world.all_gather(mine.data(), apart.data(), count);
      T* slot = in_place.data() + static_cast<std::size_t>(world.rank()) * count;
      std::copy(mine.begin(), mine.end(), slot);
      world.all_gather(slot, in_place.data(), count);
      CAPTURE(count);
      CHECK(apart == expected);
      CHECK(in_place == expected);
    });
  }
}

TEST_CASE_TEMPLATE("broadcast: every rank holds the root's array, for every root", T, float, double,
                   std::int32_t, std::int64_t, std::uint8_t) {
  on_processes([&](Mpi& world) {
    for (int root = 0; root < world.size(); ++root) {
      for (std::size_t count : {0, 1, 100, 9000, 300007}) {
        auto mine = values<T>(world.rank(), count);
        world.broadcast(mine.data(), count, root);
        CAPTURE(root);
        CAPTURE(count);
        CHECK(mine == values<T>(root, count));
      }
    }
  });
}

TEST_CASE("a long mix of small and large calls: every result right") {
  on_processes([&](Mpi& world) {
    std::mt19937 same_on_all_ranks(7);
    const std::int64_t ranks = world.size();
    std::vector<std::int64_t> mine(60000), all(60000 * static_cast<std::size_t>(ranks));
    int wrong = 0;
    for (std::int64_t k = 0; k < 400; ++k) {
      const std::size_t count = 1 + same_on_all_ranks() % (same_on_all_ranks() % 4 ? 60 : 60000);
      const auto kind = same_on_all_ranks() % 4;
      std::fill(mine.begin(), mine.end(), k + world.rank());
      if (kind == 0) {
        world.all_reduce(mine.data(), count);
        wrong += mine[0] != k * ranks + ranks * (ranks - 1) / 2 || mine[count - 1] != mine[0];
      } else if (kind == 1) {
        world.all_gather(mine.data(), all.data(), count);
        for (std::int64_t r = 0; r < ranks; ++r) {
          wrong += all[static_cast<std::size_t>(r + 1) * count - 1] != k + r;
        }
      } else if (kind == 2) {
        const int root = static_cast<int>(k % ranks);
        world.broadcast(mine.data(), count, root);
        wrong += mine[count - 1] != k + root;
      } else {
        world.barrier();
      }
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("a delay before any call, on any rank, changes no bit") {
  std::vector<float> expected;
  for (int late = -1; late < num_processes(); ++late) {
    on_processes([&](Mpi& world) {
      std::vector<float> sums = values<float>(world.rank(), 50000);
      for (int k = 0; k < 4; ++k) {
        if (world.rank() == late) std::this_thread::sleep_for(3ms);
        world.all_reduce(sums.data(), sums.size());
      }
      if (late < 0) expected = sums;
      CHECK(sums == expected);
    });
  }
}

// ---------------------------------------------------------------- groups

TEST_CASE("split: one group per color, ordered by key, then by rank; groups of groups") {
  on_processes([&](Mpi& world) {
    Mpi group = world.split(world.rank() % 2, -world.rank());  // reverse order
    const int members = (world.size() + 1 - world.rank() % 2) / 2;
    CHECK(group.size() == members);
    CHECK(group.rank() == members - 1 - world.rank() / 2);
    std::int32_t sum = world.rank();
    group.all_reduce(&sum, 1);
    std::int32_t expected = 0;
    for (int r = world.rank() % 2; r < world.size(); r += 2) expected += r;
    CHECK(sum == expected);
    Mpi equal_keys = world.split(0, 0);
    CHECK(equal_keys.rank() == world.rank());
    Mpi alone = group.split(group.rank(), 0);
    CHECK(alone.size() == 1);
    alone.all_reduce(&sum, 1);
    CHECK(sum == expected);
    Mpi again = equal_keys.duplicate();
    again.barrier();
  });
}

TEST_CASE("split: hundreds of groups cost MPI nothing that runs out") {
  on_processes([&](Mpi& world) {
    std::int32_t sum = 0;
    for (int k = 0; k < 300; ++k) {
      std::int32_t one = 1;
      world.duplicate().all_reduce(&one, 1);
      sum += one;
    }
    CHECK(sum == 300 * world.size());
  });
}

TEST_CASE("duplicate: two threads of a rank use their own channels at the same time") {
  on_processes([&](Mpi& world) {
    const int ranks = world.size();
    Mpi other = world.duplicate();
    int wrong = 0;
    {
      std::jthread worker([&] {
        for (int k = 0; k < 100; ++k) {
          std::vector<std::int64_t> mine(700, other.rank() + k);
          other.all_reduce(mine.data(), 700);
          wrong += mine[699] != ranks * k + ranks * (ranks - 1) / 2;
        }
      });
      for (int k = 0; k < 150; ++k) {  // another number of other calls
        std::int32_t sum = k;
        world.all_reduce(&sum, 1);
        if (sum != ranks * k) FAIL("wrong sum");
      }
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("stage_bytes: bounded, whatever the number of ranks") {
  CHECK(Mpi::stage_bytes(1) == 0);
  for (int ranks : {2, 3, 8, 64, 512, 1000}) CHECK(Mpi::stage_bytes(ranks) <= (17u << 20));
}

// ---------------------------------------------------------------- failures

struct Boom : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What this process's rank threw: 'm'ismatch, 'p'eer failed, 't'imeout, 'o'ther, '-' none.
struct Outcome {
  char kind = '-';
  std::string text;
  double seconds = 0;
};
template <class F> Outcome observe(F f, const LaunchOptions& options = {}) {
  Outcome seen;
  const auto note = [&](char kind, const std::exception& e) {
    seen.kind = kind;
    seen.text = e.what();
  };
  const auto start = Clock::now();
  try {
    Mpi::run(options, f);
  } catch (const Mismatch& e) {
    note('m', e);
  } catch (const PeerFailed& e) {
    note('p', e);
  } catch (const Timeout& e) {
    note('t', e);
  } catch (const std::exception& e) {
    note('o', e);
  }
  seen.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return seen;
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
int my_rank() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

TEST_CASE("a rank that throws at any point ends every rank soon, with its words") {
  if (num_processes() == 1) return;
  for (int thrower = 0; thrower < num_processes(); ++thrower) {
    for (int point = 0; point < 5; ++point) {
      const Outcome seen = observe([&](Mpi& world) {
        std::vector<float> mine(100000), all(100000 * static_cast<std::size_t>(world.size()));
        Mpi group = world.split(world.rank() % 2, 0);
        for (int step = 0;; ++step) {
          const auto here = [&](int p) {
            if (world.rank() == thrower && step == 3 && p == point) throw Boom("boom 42");
          };
          here(0);
          world.all_reduce(mine.data(), mine.size());
          here(1);
          world.all_gather(mine.data(), all.data(), mine.size());
          here(2);
          group.all_reduce(mine.data(), 1);
          here(3);
          world.broadcast(mine.data(), mine.size(), 1);
          here(4);
          world.barrier();
        }
      });
      CAPTURE(thrower);
      CAPTURE(point);
      if (my_rank() == thrower) {
        CHECK(seen.text == "boom 42");
      } else {
        CHECK(seen.kind == 'p');
        CHECK(contains(seen.text, detail::phrase("rank ", thrower, " failed: boom 42")));
      }
      CHECK(seen.seconds < 2);
    }
  }
}

TEST_CASE("mismatch: every rank sees both sides, and nothing is written") {
  if (num_processes() == 1) return;
  const auto odd = [&](auto normal, auto strange) {
    return observe([&](Mpi& world) {
      std::vector<float> mine(60000, 7), all(60000 * static_cast<std::size_t>(world.size()), 7);
      std::vector<double> wide(60000, 7);
      try {
        if (world.rank() == 1) {
          strange(world, mine, all, wide);
        } else {
          normal(world, mine, all, wide);
        }
      } catch (...) {
        CHECK(mine == std::vector<float>(mine.size(), 7));
        CHECK(all == std::vector<float>(all.size(), 7));
        CHECK(wide == std::vector<double>(wide.size(), 7));
        throw;
      }
    });
  };
  const auto reduce = [](Mpi& w, auto& mine, auto&, auto&) { w.all_reduce(mine.data(), 60000); };
  const auto short_reduce = [](Mpi& w, auto& mine, auto&, auto&) { w.all_reduce(mine.data(), 5); };
  const auto reduce_wide = [](Mpi& w, auto&, auto&, auto& wide) {
    w.all_reduce(wide.data(), 60000);
  };
  const auto gather = [](Mpi& w, auto& mine, auto& all, auto&) {
    w.all_gather(mine.data(), all.data(), 60000);
  };
  const auto from_0 = [](Mpi& w, auto& mine, auto&, auto&) { w.broadcast(mine.data(), 60000, 0); };
  const auto from_1 = [](Mpi& w, auto& mine, auto&, auto&) { w.broadcast(mine.data(), 60000, 1); };
  const auto wait = [](Mpi& w, auto&, auto&, auto&) { w.barrier(); };
  const auto says = [&](const Outcome& seen, const char* normal, const char* strange) {
    CHECK(seen.kind == 'm');
    CHECK(contains(seen.text,
                   detail::phrase("rank 0 calls ", normal, " but rank 1 calls ", strange)));
    CHECK(seen.seconds < 2);
  };
  says(odd(reduce, short_reduce), "all_reduce(60000 f32)", "all_reduce(5 f32)");
  says(odd(short_reduce, reduce), "all_reduce(5 f32)", "all_reduce(60000 f32)");
  says(odd(reduce, reduce_wide), "all_reduce(60000 f32)", "all_reduce(60000 f64)");
  says(odd(reduce, gather), "all_reduce(60000 f32)", "all_gather(60000 f32)");
  says(odd(reduce, from_0), "all_reduce(60000 f32)", "broadcast(60000 f32, root 0)");
  says(odd(from_0, from_1), "broadcast(60000 f32, root 0)", "broadcast(60000 f32, root 1)");
  says(odd(wait, gather), "barrier()", "all_gather(60000 f32)");
}

TEST_CASE("timeout: the late rank is named on every rank, near the limit") {
  if (num_processes() == 1) return;
  for (std::size_t count : {1, 100000}) {
    const Outcome seen = observe(
        [&](Mpi& world) {
          std::vector<float> mine(count);
          if (world.rank() == 1) std::this_thread::sleep_for(900ms);
          world.all_reduce(mine.data(), count);
        },
        {.timeout = 300ms});
    CHECK(seen.kind == 't');
    CHECK(contains(seen.text, "rank 1 did not arrive at all_reduce #1"));
    CHECK(contains(seen.text, "within 300 ms"));
    CHECK(seen.seconds < 2);
  }
}

TEST_CASE("a rank that leaves early is named by those who wait for it") {
  if (num_processes() == 1) return;
  const Outcome seen = observe([&](Mpi& world) {
    world.barrier();
    if (world.rank() != 1) world.barrier();
  });
  CHECK(seen.kind == 'p');
  CHECK(contains(seen.text, "rank 1 left the world"));
  CHECK(seen.seconds < 2);
}

TEST_CASE("abort: another thread of a rank ends all ranks; later calls throw too") {
  if (num_processes() == 1) return;
  const Outcome seen = observe([&](Mpi& world) {
    Mpi other = world.duplicate();
    std::jthread helper([&] {
      if (other.rank() != 0) return;
      std::this_thread::sleep_for(20ms);
      other.abort(std::make_exception_ptr(Boom("boom 7")));
    });
    std::vector<float> mine(5000);
    try {
      for (;;) world.all_reduce(mine.data(), mine.size());
    } catch (const PeerFailed&) {
      world.barrier();
    }
  });
  CHECK(seen.kind == 'p');
  CHECK(contains(seen.text, "rank 0 failed: boom 7"));
  CHECK(contains(seen.text, "barrier #"));
}

TEST_CASE("broadcast: a root that is no rank is refused on this rank, by name") {
  const Outcome seen = observe([&](Mpi& world) {
    float x = 0;
    world.broadcast(&x, 1, world.size());
  });
  CHECK(contains(seen.text, "the root must be a rank from 0 to"));
}

TEST_CASE("launch options: another number of ranks than the launcher's is refused") {
  const int ranks = num_processes() + 1;
  const Outcome seen = observe([](Mpi&) {}, {.ranks = ranks});
  CHECK(contains(seen.text,
                 detail::phrase(ranks, " ranks were asked for but MPI started ", ranks - 1)));
  CHECK(contains(seen.text, detail::phrase("mpirun -n ", ranks)));
  CHECK(observe([](Mpi&) {}, {.ranks = num_processes()}).kind == '-');
}

}  // namespace
