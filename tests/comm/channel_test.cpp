// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/channel_test.cpp: a phase goes through on all ranks or on none.
#include <cohort/comm/channel.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <numeric>
#include <random>
#include <thread>

using namespace std::chrono_literals;
using namespace cohort;
using namespace cohort::detail;

namespace {

const Collective sum{CollectiveKind::all_reduce, DType::f32, 8, 0};

/// A channel of threads without a world around it; spin is what the hardware would not choose.
struct Meeting {
  explicit Meeting(int ranks, bool spin, std::chrono::milliseconds limit = 60s)
      : fate(std::make_shared<Fate>(ranks, spin, limit)), channel(fate, names(ranks)) {}

  static std::vector<int> names(int ranks) {
    std::vector<int> all(static_cast<std::size_t>(ranks));
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  template <class F> void run(F f) {
    std::vector<std::jthread> threads;
    for (int r = 0; r < channel.size(); ++r) threads.emplace_back([&, r] { f(r); });
  }

  std::shared_ptr<Fate> fate;
  Channel channel;
};

TEST_CASE("Channel: open shows every rank every other rank's data of the same call") {
  for (const bool spin : {true, false}) {
    for (int ranks : {1, 2, 3, 6}) {
      Meeting meeting(ranks, spin);
      std::atomic<int> wrong{0};
      meeting.run([&](int rank) {
        std::vector<int> mine(200);
        for (std::uint32_t k = 1; k <= 200; ++k) {  // one phase a call: no close
          mine[k - 1] = rank * 1000 + static_cast<int>(k);
          meeting.channel.open(rank, k, k, sum, &mine[k - 1]);
          for (int r = 0; r < ranks; ++r) {
            const int seen = *static_cast<const int*>(meeting.channel.data(r, k));
            if (seen != r * 1000 + static_cast<int>(k)) ++wrong;
          }
        }
        meeting.channel.close(rank, 201);  // mine was lent until here
      });
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("Channel: a failure lets a phase through on all ranks or on none") {
  int went_through = 0;
  for (int trial = 0; trial < 300; ++trial) {
    constexpr int ranks = 4;
    Meeting meeting(ranks, trial % 2 == 0);
    std::atomic<std::uint32_t> opened[ranks] = {};
    std::jthread bully([&] {
      // Before the ranks begin, or in the middle of their work however slow they are.
      if (trial % 3 != 0) opened[0].wait(0);
      std::this_thread::sleep_for(std::chrono::microseconds(trial));
      meeting.fate->fail(Cause::aborted, nullptr, "stop");
    });
    meeting.run([&](int rank) {
      try {
        for (std::uint32_t k = 1;; ++k) {
          meeting.channel.open(rank, 2 * k - 1, k, sum, nullptr);
          opened[rank] = k;
          if (rank == 0 && k == 1) opened[0].notify_one();
          meeting.channel.close(rank, 2 * k);  // must end: all ranks are inside
        }
      } catch (const PeerFailed&) {
      }
    });
    for (const auto& one : opened) CHECK(one == opened[0]);
    went_through += opened[0] > 0 ? 1 : 0;
  }
  CHECK(went_through >= 200);
}

TEST_CASE("Channel: with delays at random ranks, sleepers and spinners lose no wake-up") {
  for (const bool spin : {true, false}) {
    Meeting meeting(3, spin);
    const auto begin = std::chrono::steady_clock::now();
    meeting.run([&](int rank) {
      std::mt19937 random(static_cast<unsigned>(rank));
      for (std::uint32_t k = 1; k <= 300; ++k) {
        if (random() % 8 == 0)
          std::this_thread::sleep_for(std::chrono::microseconds(random() % 400));
        meeting.channel.open(rank, 2 * k - 1, k, sum, nullptr);
        if (random() % 8 == 0)
          std::this_thread::sleep_for(std::chrono::microseconds(random() % 400));
        meeting.channel.close(rank, 2 * k);
      }
    });
    CHECK(std::chrono::steady_clock::now() - begin < 50s);  // a lost one costs the limit of 60 s
  }
}

TEST_CASE("Channel: a call that differs fails every rank, spinning and blocking") {
  for (const bool spin : {true, false}) {
    constexpr int ranks = 5;
    Meeting meeting(ranks, spin);
    std::atomic<int> mismatches{0};
    meeting.run([&](int rank) {
      Collective call = sum;
      if (rank == 3) call.root = 1;
      meeting.channel.open(rank, 1, 1, sum, nullptr);
      try {
        meeting.channel.open(rank, 2, 2, call, nullptr);
      } catch (const Mismatch& e) {
        if (e.rank() == rank && e.operation() == "all_reduce #2") ++mismatches;
      }
    });
    CHECK(mismatches == ranks);
  }
}

TEST_CASE("reached: phases keep their order across the wrap of the counter") {
  CHECK(reached(5, 5));
  CHECK(reached(6, 5));
  CHECK(!reached(4, 5));
  CHECK(reached(2, 0xfffffffe));  // 2 comes four phases after
  CHECK(!reached(0xfffffffe, 2));
}

TEST_CASE("Channel: small calls are staged, and both stages of a rank are its own") {
  Meeting spinning(2, true), blocking(64, false);
  CHECK(spinning.channel.is_small(512));
  CHECK(!spinning.channel.is_small(513));
  CHECK(blocking.channel.is_small(512));
  CHECK(!blocking.channel.is_small(513));  // 64 ranks would each read 64 times as much
  CHECK(Meeting(2, false).channel.is_small(Channel::stage_bytes));
  CHECK(!Meeting(2, false).channel.is_small(Channel::stage_bytes + 1));
  Channel& channel = spinning.channel;
  CHECK(channel.stage(0, 1) != channel.stage(0, 2));
  CHECK(channel.stage(0, 1) == channel.stage(0, 3));
  CHECK(channel.stage(0, 1) != channel.stage(1, 1));
  CHECK(reinterpret_cast<std::uintptr_t>(channel.stage(1, 1)) % 64 == 0);
}

}  // namespace
