// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/recorder_test.cpp: the log is what was asked, in order, and nothing else changes.
#include <cohort/comm/recorder.hpp>
#include <cohort/comm/threads.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <mutex>
#include <vector>

using namespace cohort;
using enum cohort::CollectiveKind;

static_assert(Communicator<Recorder<Threads>>);
static_assert(Communicator<Recorder<Recorder<Threads>>>);

namespace {

template <class F> void on_ranks(int ranks, F f) { Threads::run({.ranks = ranks}, f); }

TEST_CASE("Recorder: logs kind, type, count and root of every collective, in order") {
  const std::vector<Collective> expected = {
      {all_reduce, DType::f32, 8, 0},     {all_reduce, DType::i64, 2, 0},
      {reduce_scatter, DType::f64, 4, 0}, {all_gather, DType::u8, 3, 0},
      {broadcast, DType::f32, 5, 1},      {barrier, DType::u8, 0, 0},
      {split, DType::u8, 0, 0},           {duplicate, DType::u8, 0, 0}};
  std::vector<std::vector<Collective>> logs(2);
  std::vector<float> sums(2);
  on_ranks(2, [&](Threads& world) {
    Recorder<Threads> comm(world.duplicate(), 16);
    float f[8] = {1};
    std::int64_t i[2] = {};
    double in[8] = {}, out[4];
    std::uint8_t mine[3] = {}, all[6];
    comm.all_reduce(f, 8);
    comm.all_reduce(i, 2);
    comm.reduce_scatter(in, out, 4);
    comm.all_gather(mine, all, 3);
    comm.broadcast(f, 5, 1);
    comm.barrier();
    (void)comm.split(0, 0);
    (void)comm.duplicate();
    const auto r = static_cast<std::size_t>(comm.rank());
    logs[r].assign(comm.log().begin(), comm.log().end());
    sums[r] = f[0];
  });
  CHECK(logs[0] == expected);
  CHECK(logs[1] == expected);
  CHECK(sums == std::vector<float>{2, 2});  // the wrapped communicator did its work
}

TEST_CASE("Recorder: groups have logs of their own; clear begins anew") {
  on_ranks(1, [](Threads& world) {
    Recorder<Threads> comm(world.duplicate(), 4);
    Recorder<Threads> other = comm.duplicate();
    float x = 1;
    other.all_reduce(&x, 1);
    CHECK(comm.log().size() == 1);
    CHECK(other.log().size() == 1);
    comm.clear();
    CHECK(comm.log().empty());
    comm.barrier();
    CHECK(comm.log()[0] == Collective{barrier, DType::u8, 0, 0});
    CHECK(comm.spins());  // one rank has a core
  });
}

TEST_CASE("Recorder: a full log is an error before the collective is issued") {
  on_ranks(1, [](Threads& world) {
    Recorder<Threads> comm(world.duplicate(), 2);
    comm.barrier();
    comm.barrier();
    CHECK_THROWS_WITH_AS(comm.barrier(),
                         "cohort: rank 0: barrier(): the recorder's log of 2 collectives is full. "
                         "Give it a larger capacity, or call clear() between steps.",
                         ContractBroken);
    CHECK(comm.log().size() == 2);
  });
}

}  // namespace
