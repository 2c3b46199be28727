// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/concepts/communicator_test.cpp: the smallest communicator, and one near miss per demand.
#include <cohort/concepts/communicator.hpp>

#include <doctest/doctest.h>

#include <cstring>

namespace {

using namespace cohort;

/// A world of one rank: every sum is its only summand.
struct Alone {
  int rank() const { return 0; }
  int size() const { return 1; }
  template <class T> void all_reduce(T*, std::size_t) {}
  template <class T> void reduce_scatter(const T* in, T* out, std::size_t count) {
    std::memcpy(out, in, count * sizeof(T));
  }
  template <class T> void all_gather(const T* in, T* out, std::size_t count) {
    std::memcpy(out, in, count * sizeof(T));
  }
  template <class T> void broadcast(T*, std::size_t, int) {}
  void barrier() {}
  Alone split(int, int) { return {}; }
  Alone duplicate() { return {}; }
  void abort(std::exception_ptr) {}
};
static_assert(Communicator<Alone>);

struct NoRank : Alone {
  void rank() const {}
  NoRank split(int, int);
  NoRank duplicate();
};
static_assert(!HasRank<NoRank> && !Communicator<NoRank>);

struct SizeIsUnsigned : Alone {
  unsigned size() const { return 1; }
  SizeIsUnsigned split(int, int);
  SizeIsUnsigned duplicate();
};
static_assert(!HasRank<SizeIsUnsigned> && !Communicator<SizeIsUnsigned>);

struct AllReduceOfFloatOnly : Alone {
  void all_reduce(float*, std::size_t) {}
  AllReduceOfFloatOnly split(int, int);
  AllReduceOfFloatOnly duplicate();
};
static_assert(HasAllReduce<AllReduceOfFloatOnly, float>);
static_assert(!HasAllReduce<AllReduceOfFloatOnly, double> && !Communicator<AllReduceOfFloatOnly>);

struct AllReduceReturnsInt : Alone {
  template <class T> int all_reduce(T*, std::size_t) {
    return 0;
  }  // an error code that nobody would read
  AllReduceReturnsInt split(int, int);
  AllReduceReturnsInt duplicate();
};
static_assert(!HasAllReduce<AllReduceReturnsInt, float> && !Communicator<AllReduceReturnsInt>);

struct ReduceScatterChangesItsInput : Alone {
  template <class T> void reduce_scatter(T*, T*, std::size_t) {}
  ReduceScatterChangesItsInput split(int, int);
  ReduceScatterChangesItsInput duplicate();
};
static_assert(!HasReduceScatter<ReduceScatterChangesItsInput, float>);
static_assert(!Communicator<ReduceScatterChangesItsInput>);

struct NoAllGather : Alone {
  void all_gather() {}
  NoAllGather split(int, int);
  NoAllGather duplicate();
};
static_assert(!HasAllGather<NoAllGather, float> && !Communicator<NoAllGather>);

struct BroadcastWithoutRoot : Alone {
  template <class T> void broadcast(T*, std::size_t) {}
  BroadcastWithoutRoot split(int, int);
  BroadcastWithoutRoot duplicate();
};
static_assert(!HasBroadcast<BroadcastWithoutRoot, float> && !Communicator<BroadcastWithoutRoot>);

struct NoBarrier : Alone {
  void barrier(int) {}
  NoBarrier split(int, int);
  NoBarrier duplicate();
};
static_assert(!HasBarrier<NoBarrier> && !Communicator<NoBarrier>);

struct SplitGivesAnotherType : Alone {};  // inherits Alone's split
static_assert(!HasGroups<SplitGivesAnotherType> && !Communicator<SplitGivesAnotherType>);

struct AbortWithoutReason : Alone {
  void abort() {}
  AbortWithoutReason split(int, int);
  AbortWithoutReason duplicate();
};
static_assert(!HasAbort<AbortWithoutReason> && !Communicator<AbortWithoutReason>);

TEST_CASE("Communicator: a world of one rank is a communicator") {
  Alone world;
  float in[] = {1, 2}, out[] = {0, 0};
  world.all_gather(in, out, 2);
  CHECK(out[1] == 2);
}

}  // namespace
