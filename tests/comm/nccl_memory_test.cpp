// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_memory_test.cpp: registered with every communicator that uses it, and gone before they are.
#include <cohort/comm/nccl_memory.hpp>

#include <doctest/doctest.h>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<NcclMemory> &&
              !std::is_move_constructible_v<NcclMemory>);

namespace {
/// Adds up 100 numbers of each rank in the memory; true when the sum is right.
bool adds_up(NcclStream& comm, const NcclMemory& memory) {
  const float mine = static_cast<float>(1 + comm.rank()),
              all = comm.size() * (comm.size() + 1) / 2.0f;
  const std::vector<float> values(100, mine);
  cuda::check(cudaMemcpyAsync(memory.as<float>(), values.data(), 400, cudaMemcpyHostToDevice,
                              comm.stream()));
  comm.all_reduce(memory.as<float>(), 100);
  std::vector<float> sums(100);
  cuda::check(
      cudaMemcpyAsync(sums.data(), memory.as<float>(), 400, cudaMemcpyDeviceToHost, comm.stream()));
  comm.synchronize();
  return sums == std::vector<float>(100, all);
}
}  // namespace

TEST_CASE("NcclMemory: zeroed, of whole pieces of 64 bytes; none takes nothing") {
  Machine machine;
  {
    NcclMemory none, memory(100);
    CHECK(none.bytes() == 0);
    CHECK(memory.bytes() == 128);
    std::vector<unsigned char> bytes(128, 1);
    cuda::check(cudaMemcpy(bytes.data(), memory.as<void>(), 128, cudaMemcpyDeviceToHost));
    CHECK(bytes == std::vector<unsigned char>(128, 0));
    CHECK(nccl_double::live_memory() == 1);
    CHECK(NcclMemory(0).bytes() == 0);
  }
  CHECK(nccl_double::live_memory() == 0);
}

TEST_CASE("NcclMemory: collectives of a communicator that it was shared with find it registered") {
  Machine machine;
  for (int ranks : {1, 2, 3}) {
    Wrong wrong;
    on_gpus(ranks, [&](Nccl& world) {
      cuda::Stream stream;
      NcclStream comm = world.on(stream.native());
      NcclMemory memory(4096), other(4096);
      memory.share(comm);
      wrong.unless(adds_up(comm, memory));
      wrong.unless(adds_up(comm, other));
      const auto calls = nccl_double::calls(ranks, world.rank());
      const std::size_t n = calls.size();
      wrong.unless(n >= 2 && calls[n - 2].registered && !calls[n - 1].registered);
    });
    CHECK(wrong.ranks == 0);
    nccl_double::reset();
  }
}

TEST_CASE("NcclMemory: shared with the two communicators of a grid") {
  Machine machine;
  Wrong wrong;
  on_gpus(4, [&](Nccl& world) {
    cuda::Stream stream;
    NcclStream comm = world.on(stream.native());
    NcclStream row = comm.split(world.rank() / 2, 0), column = comm.split(world.rank() % 2, 0);
    NcclMemory memory(4096);
    memory.share(row);
    memory.share(column);
    wrong.unless(adds_up(row, memory));
    wrong.unless(adds_up(column, memory));
  });
  CHECK(wrong.ranks == 0);
  int registered = 0;
  for (const auto& call : nccl_double::calls(2, 0)) registered += call.registered;
  CHECK(registered == 2 * 2);  // the first of each pair, of two rows and two columns
}

TEST_CASE("NcclMemory: several in a row; each registration is done when share() returns") {
  Machine machine;
  for (int polls : {0, 1, 7, 40}) {
    Wrong wrong;
    nccl_double::set_polls(polls);
    nccl_double::set_version(polls % 2 == 0 ? 22809 : 22907);
    on_gpus(2, [&](Nccl& world) {
      cuda::Stream stream;
      NcclStream comm = world.on(stream.native());
      NcclMemory first(4096), second(8192), third(4096);
      for (NcclMemory* memory : {&first, &second, &third}) memory->share(comm);
      for (NcclMemory* memory : {&first, &second, &third}) wrong.unless(adds_up(comm, *memory));
      const auto calls = nccl_double::calls(2, world.rank());
      for (std::size_t i = calls.size() - 3; i < calls.size(); ++i)
        wrong.unless(calls[i].registered);
    });  // the double reports windows that are left when a communicator is destroyed
    CHECK(wrong.ranks == 0);
    CHECK(cuda_double::take_failure() == "");
    nccl_double::reset();
  }
}

TEST_CASE("NcclMemory: work under way ends before it is given back") {
  Machine machine;
  on_gpus(2, [&](Nccl& world) {
    cuda::Stream stream;
    NcclStream comm = world.on(stream.native());
    cuda_double::delay(stream.native(), 200us);
    NcclMemory memory(4096);
    memory.share(comm);
    for (int i = 0; i < 5; ++i) comm.all_reduce(memory.as<float>(), 1000);
  });  // the doubles report what is freed too early
}

TEST_CASE("NcclMemory: a registration that NCCL refuses is an error on every rank") {
  Machine machine;
  for (const char* function : {"ncclCommWindowRegister", "ncclCommRegister"}) {
    nccl_double::reset();
    nccl_double::set_version(function[8] == 'W' ? 22907 : 22809);
    nccl_double::fail(function, ncclInternalError);
    Outcome seen;
    observe(seen, 3, [&](Nccl& world) {
      cuda::Stream stream;
      NcclStream comm = world.on(stream.native());
      NcclMemory memory(4096);
      seen.mark();
      memory.share(comm);
      comm.barrier();
      comm.synchronize();
    });
    CHECK(contains(seen.rethrown, "registration of 4096 bytes"));
    CHECK(contains(seen.rethrown, "internal error"));
    for (int r = 0; r < 3; ++r) {
      CHECK(seen.kinds[std::size_t(r)] != '-');
      CHECK(seen.ms[std::size_t(r)] < 1000);
    }
  }
}

TEST_CASE("NcclMemory: a rank that does not share a window is waited for until the limit") {
  Machine machine;
  nccl_double::set_version(22907);
  Outcome seen;
  observe(
      seen, 2,
      [&](Nccl& world) {
        cuda::Stream stream;
        NcclStream comm = world.on(stream.native());
        NcclMemory memory(4096);
        if (world.rank() == 0)
          memory.share(comm);
        else
          std::this_thread::sleep_for(600ms);
        comm.barrier();
      },
      200ms);
  CHECK(seen.kinds == std::vector<char>{'t', 't'});
  CHECK(contains(seen.texts[0], "registration of 4096 bytes was not done within 200 ms"));
}

TEST_CASE("NcclMemory: an exception lets go of memory that a collective without end would hold") {
  Machine machine;
  nccl_double::hang(2, 0, 1);
  Outcome seen;
  observe(seen, 2, [&](Nccl& world) {
    cuda::Stream stream;
    NcclStream comm = world.on(stream.native());
    NcclMemory memory(4096);
    memory.share(comm);
    comm.all_reduce(memory.as<float>(), 100);
    if (world.rank() == 0) throw Boom("the roof is on fire");
    comm.synchronize();
  });
  CHECK(seen.rethrown == "the roof is on fire");
  CHECK(seen.kinds == std::vector<char>{'o', 'p'});
}

TEST_CASE("NcclMemory: symmetric from the version on whose kernels look at aborts, else a buffer") {
  Machine machine;
  for (const int version : {22703, 22809, 22903, 22907, 23007}) {
    for (const auto most : {nccl_double::Registration::none, nccl_double::Registration::buffers,
                            nccl_double::Registration::windows}) {
      Wrong wrong;
      nccl_double::reset();
      nccl_double::set_version(version);
      nccl_double::set_registration(most);
      on_gpus(2, [&](Nccl& world) {
        cuda::Stream stream;
        NcclStream comm = world.on(stream.native());
        NcclMemory memory(4096);
        memory.share(comm);
        wrong.unless(adds_up(comm, memory));
      });
      CHECK(wrong.ranks == 0);
      const auto call = nccl_double::calls(2, 1).back();
      CAPTURE(version);
      CHECK(call.registered == (most != nccl_double::Registration::none));
      CHECK(call.in_windows == (most == nccl_double::Registration::windows && version >= 22907));
    }
  }
}

TEST_CASE("NcclMemory: a rank whose peer's process is gone ends, whatever NCCL's version") {
  Machine machine;
  for (const int version : {22703, 22809, 22903, 22907}) {
    nccl_double::reset();
    nccl_double::set_version(version);
    Outcome seen;
    as_processes(
        seen, 2,
        [&](Nccl& world) {
          cuda::Stream stream;
          NcclStream comm = world.on(stream.native());
          NcclMemory memory(4096);
          memory.share(comm);
          world.barrier();
          if (world.rank() == 1) throw Boom("gone");
          comm.all_reduce(memory.as<float>(), 100);
          comm.synchronize();
        },
        200ms);
    CAPTURE(version);
    CHECK(seen.kinds == std::vector<char>{'t', 'o'});
    CHECK(nccl_double::live() == 0);
    CHECK(cuda_double::take_failure() == "");
  }
}

TEST_CASE("NcclMemory: too much is refused with the bytes and what to do") {
  Machine machine;
  nccl_double::fail("ncclMemAlloc", ncclUnhandledCudaError);
  CHECK_THROWS_WITH_AS(NcclMemory(1 << 20), doctest::Contains("NCCL refused 1048576 bytes"), Error);
}
