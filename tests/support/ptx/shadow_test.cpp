// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/ptx/shadow_test.cpp: which two accesses to the same bytes are a race.
#include <doctest/doctest.h>

#include <string>
#include <support/ptx/shadow.hpp>

using namespace cohort::ptx;
using How = Accesses::How;

namespace {

constexpr How hows[] = {How::read, How::write, How::atomic};
constexpr Moment first = {3, 40, 5,
                          7};  // block 3, lane 8 of warp 1, after 5 barriers and 7 of the warp

struct Later {
  const char* what;
  Moment now;
  bool ordered;
};
constexpr Later laters[] = {
    {"the same thread", {3, 40, 5, 7}, true},
    {"the same thread, after its warp's barrier", {3, 40, 5, 8}, true},
    {"the same thread, after a barrier", {3, 40, 6, 7}, true},
    {"its warp", {3, 41, 5, 7}, false},
    {"its warp, after its barrier", {3, 63, 5, 8}, true},
    {"its warp, after a barrier of the block", {3, 32, 6, 7}, true},
    {"another warp", {3, 64, 5, 7}, false},
    {"another warp, after a barrier of that warp only", {3, 8, 5, 8}, false},
    {"another warp, after a barrier", {3, 8, 6, 7}, true},
    {"another warp, after many barriers", {3, 1023, 65535, 0}, true},
    {"another block", {4, 40, 5, 7}, false},
    {"another block, after barriers", {2, 40, 6, 8}, false},
};
std::string said(Accesses& accesses, How how, Moment now) {
  const char* wrong = accesses.note(how, now);
  return wrong == nullptr ? "" : wrong;
}

}  // namespace

TEST_CASE("Accesses: two that nothing orders are a race, unless both read or both are atomic") {
  for (const How one : hows)
    for (const How other : hows)
      for (const Later& later : laters) {
        Accesses accesses;
        CHECK(said(accesses, one, first) == "");
        const std::string got = said(accesses, other, later.now);
        const bool harmless = one == other && one != How::write;
        CAPTURE(later.what);
        CAPTURE(int(one));
        CAPTURE(int(other));
        if (later.ordered || harmless)
          CHECK(got == "");
        else if (other == How::read)
          CHECK(got == "reads what another thread writes");
        else
          CHECK(got == (one == How::read ? "writes what another thread reads"
                                         : "writes what another thread writes"));
      }
}

TEST_CASE("Accesses: only what is written counts as written") {
  Accesses accesses;
  CHECK(!accesses.written());
  accesses.note(How::read, first);
  CHECK(!accesses.written());
  accesses.note(How::write, first);
  CHECK(accesses.written());
}

TEST_CASE("Accesses: a write after reads by several threads needs what orders all of them") {
  const auto after = [](std::initializer_list<Moment> reads, Moment write) {
    Accesses accesses;
    for (const Moment m : reads) CHECK(said(accesses, How::read, m) == "");
    return said(accesses, How::write, write);
  };
  const std::string race = "writes what another thread reads";
  const Moment a = {0, 1, 2, 3}, b = {0, 2, 2, 3}, other_warp = {0, 70, 2, 3},
               other_block = {1, 1, 2, 3};
  CHECK(after({a, a}, a) == "");
  CHECK(after({a, b}, a) == race);  // one of the readers is not enough
  CHECK(after({a, b}, b) == race);
  CHECK(after({a, b, a}, a) == race);
  CHECK(after({a, b}, {0, 3, 2, 4}) == "");  // the warp's barrier
  CHECK(after({a, b}, {0, 70, 2, 4}) == race);
  CHECK(after({a, b}, {0, 70, 3, 3}) == "");
  CHECK(after({a, other_warp}, {0, 1, 2, 4}) == race);
  CHECK(after({a, other_warp}, {0, 70, 2, 4}) == race);
  CHECK(after({a, b, other_warp}, {0, 5, 3, 0}) == "");
  CHECK(after({other_warp, a, b}, a) == race);
  CHECK(after({a, other_block}, {0, 1, 9, 9}) == race);
  CHECK(after({a, other_block}, {1, 1, 9, 9}) == race);
  CHECK(after({a, other_block, {1, 1, 3, 3}}, {1, 1, 4, 4}) ==
        race);  // not even later reads by one
  // Reads that were ordered before a later one need no more order than it.
  CHECK(after({a, {0, 2, 3, 3}}, {0, 2, 3, 3}) == "");
  CHECK(after({a, {0, 2, 2, 4}}, {0, 2, 2, 4}) == "");
  CHECK(after({a, other_warp, {0, 5, 3, 3}}, {0, 5, 3, 3}) == "");
}

TEST_CASE("Accesses: a write in between does not hide a race with the next access") {
  Accesses accesses;
  CHECK(said(accesses, How::write, {0, 0, 0, 0}) == "");
  CHECK(said(accesses, How::write, {0, 1, 1, 0}) == "");
  CHECK(said(accesses, How::read, {0, 33, 1, 0}) == "reads what another thread writes");
  CHECK(said(accesses, How::read, {0, 33, 2, 0}) == "");
  CHECK(said(accesses, How::atomic, {0, 2, 2, 0}) == "writes what another thread reads");
}

TEST_CASE("Accesses: any number of threads may be atomic, and a plain access waits for them") {
  Accesses accesses;
  for (std::uint16_t thread = 0; thread < 1024; ++thread)
    CHECK(accesses.note(How::atomic, {std::uint32_t{thread} % 5, thread, 0, 0}) == nullptr);
  CHECK(said(accesses, How::read, {0, 1, 0, 0}) == "reads what another thread writes");
  CHECK(said(accesses, How::write, {0, 1, 0, 0}) == "writes what another thread writes");
}

TEST_CASE("Watched: one Accesses for each two bytes, up to so many pages") {
  Watched watched(2);
  Accesses* const at = watched.at(0x10000);
  CHECK(at != nullptr);
  CHECK(watched.at(0x10001) == at);
  CHECK(watched.at(0x10002) == at + 1);
  CHECK(watched.at(0x10ffe) == at + 2047);
  CHECK(watched.at(0x20000) != nullptr);
  CHECK(watched.left_out() == 0);
  CHECK(watched.at(0x30000) == nullptr);
  CHECK(watched.at(0x30002) == nullptr);
  CHECK(watched.left_out() == 2);
  CHECK(watched.at(0x10000) == at);  // those that are watched stay so
}
