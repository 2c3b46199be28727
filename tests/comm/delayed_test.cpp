// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/delayed_test.cpp: a delay costs its time and changes no bit.
#include <cohort/comm/delayed.hpp>
#include <cohort/comm/threads.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <vector>

using namespace cohort;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

/// Sleeps up to half a millisecond, another time on each rank and call.
struct Jitter {
  int rank;
  std::chrono::nanoseconds operator()(CollectiveKind, std::size_t count, std::uint64_t k) const {
    const std::uint64_t z =
        (k * 1000003 + count + static_cast<std::uint64_t>(rank) * 7919) * 0x9e3779b97f4a7c15u;
    return z >> 62 ? 0ns : std::chrono::nanoseconds((z >> 20) % 500000);
  }
};

struct Wire {
  std::chrono::nanoseconds per_call;
  std::chrono::nanoseconds operator()(CollectiveKind kind, std::size_t, std::uint64_t) const {
    return kind == CollectiveKind::all_reduce ? per_call : 0ns;
  }
};

static_assert(Communicator<Delayed<Threads, Jitter>>);
static_assert(Communicator<Delayed<Delayed<Threads, Jitter, When::before>, Jitter>>);
static_assert(WireDelay<Wire>);
struct ReturnsSeconds {  // a bare number: of what?
  double operator()(CollectiveKind, std::size_t, std::uint64_t) const { return 1e-3; }
};
static_assert(!WireDelay<ReturnsSeconds>);

/// A little training loop: what comes out depends on every collective.
template <class Comm> std::vector<float> work(Comm& comm) {
  const auto ranks = static_cast<std::size_t>(comm.size());
  std::vector<float> x(900 * ranks), part(900);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = std::sin(static_cast<float>(i + 31 * static_cast<std::size_t>(comm.rank())));
  }
  Comm other = comm.duplicate();
  for (int k = 0; k < 12; ++k) {
    comm.all_reduce(x.data(), x.size());
    comm.reduce_scatter(x.data(), part.data(), 900);
    for (float& v : part) v *= 0.11f;
    other.all_gather(part.data(), x.data(), 900);
    other.broadcast(x.data() + k, 7, k % comm.size());
    comm.barrier();
  }
  return x;
}

TEST_CASE("Delayed: delays anywhere, before and after, change no bit") {
  for (int ranks : {1, 2, 3, 5}) {
    std::vector<float> plain;
    Threads::run({.ranks = ranks}, [&](Threads& world) {
      const auto x = work(world);
      if (world.rank() == 0) plain = x;
    });
    std::atomic<int> wrong{0};
    const auto delayed = [&](Threads& world) {
      const Jitter jitter{world.rank()};
      Delayed<Delayed<Threads, Jitter, When::before>, Jitter> comm({world.duplicate(), jitter},
                                                                   jitter);
      if (work(comm) != plain) ++wrong;
    };
    Threads::run({.ranks = ranks}, delayed);
    CAPTURE(ranks);
    CHECK(wrong == 0);
  }
}

TEST_CASE("Delayed: each collective takes at least its delay, others take none [alone]") {
  Threads::run({.ranks = 1}, [](Threads& world) {
    Delayed<Threads, Wire> comm(world.duplicate(), Wire{20ms});
    float x = 1;
    auto begin = Clock::now();
    comm.all_reduce(&x, 1);
    comm.all_reduce(&x, 1);
    CHECK(Clock::now() - begin >= 40ms);
    begin = Clock::now();
    for (int k = 0; k < 100; ++k) comm.barrier();
    CHECK(Clock::now() - begin < 20ms);
  });
}

TEST_CASE("Delayed: the delay sees kind, count and the number of the call, counted by channel") {
  struct Seen {
    std::vector<std::uint64_t>* calls;
    std::chrono::nanoseconds operator()(CollectiveKind kind, std::size_t count, std::uint64_t k) {
      calls->insert(calls->end(), {static_cast<std::uint64_t>(kind), count, k});
      return 0ns;
    }
  };
  Threads::run({.ranks = 1}, [](Threads& world) {
    std::vector<std::uint64_t> calls;
    Delayed<Threads, Seen> comm(world.duplicate(), Seen{&calls});
    std::uint8_t byte = 0;
    float x = 1;
    comm.broadcast(&byte, 1, 0);
    comm.all_reduce(&x, 1);
    auto other = comm.duplicate();
    other.barrier();
    using enum CollectiveKind;
    CHECK(calls == std::vector<std::uint64_t>{std::uint64_t(broadcast), 1, 1,
                                              std::uint64_t(all_reduce), 1, 2,
                                              std::uint64_t(barrier), 0, 1});
  });
}

}  // namespace
