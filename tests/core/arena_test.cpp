// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/arena_test.cpp: memory taken once: zeroed, aligned, a stack with two ends.
#include <doctest/doctest.h>
#include <cohort/core/arena.hpp>

#include <cstdint>
#include <string>

using namespace cohort;

namespace {
static_assert(!std::is_copy_constructible_v<HostMemory> && !std::is_copy_constructible_v<Arena>);
static_assert(std::is_move_constructible_v<HostMemory> && std::is_move_constructible_v<Arena>);

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % alignment == 0; }
std::string overflow_of(Arena& arena, std::size_t count) {
  try {
    arena.take<float>(count);
  } catch (const ContractBroken& e) {
    return e.what();
  }
  return "nothing thrown";
}
}  // namespace

TEST_CASE("host memory: zeroed, aligned, rounded up to whole lines") {
  const HostMemory m(65);
  CHECK(m.bytes() == 128);
  CHECK(aligned(m.as<char>()));
  for (std::size_t i = 0; i < m.bytes(); ++i) CHECK(m.as<unsigned char>()[i] == 0);
  CHECK(HostMemory(0).as<char>() == nullptr);
  CHECK(HostMemory().bytes() == 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they end the program instead
#if !defined(__has_feature)
TEST_CASE("host memory: a refusal says how much was wanted and what to do") {
  std::string text;
  try {
    HostMemory(std::size_t{1} << 60);
  } catch (const Error& e) {
    text = e.what();
  }
  CHECK(text.find("refused 1152921504606846976 bytes") != std::string::npos);
  CHECK(text.find("smaller batch") != std::string::npos);
}
#endif
#endif

TEST_CASE("arena: both ends grow towards each other, every piece aligned") {
  Arena arena("test", 4 * 64);
  CHECK(arena.capacity() == 256);
  float* a = arena.take<float>(1);
  float* b = arena.take<float>(17);  // 68 bytes -> 128
  float* z = arena.take<float>(16, Arena::End::high);
  CHECK(aligned(a));
  CHECK(b == a + 16);
  CHECK(z == a + 48);
  CHECK(arena.used() == 256);
}

TEST_CASE("arena: the last byte can be taken from either end, one more cannot") {
  for (const auto end : {Arena::End::low, Arena::End::high}) {
    Arena arena("test", 128);
    arena.take<float>(16, Arena::End::low);
    arena.take<float>(16, end);
    CHECK_THROWS_AS(arena.take<float>(1, end), ContractBroken);
    CHECK(arena.used() == 128);
  }
}

TEST_CASE("arena: nothing is free of charge but an empty piece") {
  Arena arena("test", 0);
  CHECK_NOTHROW(arena.take<float>(0));
  CHECK_THROWS_AS(arena.take<float>(1), ContractBroken);
}

TEST_CASE("arena: release takes back everything since the mark, or one end of it") {
  Arena arena("test", 640);
  arena.take<float>(16);
  const Arena::Mark mark = arena.mark();
  float* low = arena.take<float>(16);
  float* high = arena.take<float>(32, Arena::End::high);
  arena.release(mark, Arena::End::high);
  CHECK(arena.used() == 128);
  CHECK(arena.take<float>(32, Arena::End::high) == high);
  arena.release(mark, Arena::End::low);
  CHECK(arena.used() == 64 + 128);
  CHECK(arena.take<float>(16) == low);
  arena.release(mark);
  CHECK(arena.used() == 64);
  arena.release({});
  CHECK(arena.used() == 0);
}

TEST_CASE("arena: an overflow names the arena, what it holds, what is taken, what was asked") {
  const auto said = [](const char* purpose) {
    Arena arena(purpose, 256);
    arena.take<float>(16);
    return overflow_of(arena, 64);
  };
  const auto begin = [](const char* purpose) {
    return std::string("cohort: memory: the ") + purpose +
           " arena holds 256 bytes, 64 are taken and a layer asks for 256 more. Either the batch "
           "has "
           "more rows than the options announced, or ";
  };
  CHECK(said("activation") == begin("activation") +
                                  "a layer makes tensors that it neither returns nor keeps: use "
                                  "ctx.scratch and declare scratch_bytes(rows).");
  CHECK(said("scratch") ==
        begin("scratch") +
            "a layer takes more from ctx.scratch than its scratch_bytes(rows) declares.");
  CHECK(said("backward")
            .find("calls a child several times, or makes tensors between its children, "
                  "declares backward_bytes(rows)") != std::string::npos);
}
