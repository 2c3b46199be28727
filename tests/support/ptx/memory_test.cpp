// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/ptx/memory_test.cpp: atomics, copies under way, and what a GPU would not forgive.
#include <algorithm>
#include <support/ptx/harness.hpp>

using namespace cohort::ptx;
using namespace cohort::ptx::test;

namespace {
template <class T, class F> void atomic(const std::string& op, const std::string& type, F f) {
  std::vector<T> x, memory, old;
  for (const T a : edges<T>())
    for (const T b : edges<T>()) memory.push_back(a), x.push_back(b);
  memory.resize(512), x.resize(512), old.resize(512);
  const std::vector<T> before = memory;
  const std::string bytes = std::to_string(sizeof(T)), bits = std::to_string(8 * sizeof(T));
  const std::string in = sizeof(T) == 4 ? "%r1" : "%d1", out = sizeof(T) == 4 ? "%r2" : "%d2";
  Launch launch;
  launch.threads = 512;
  run_over(kernel("mad.wide.u32 %d3, %t, " + bytes + ", %a0; mad.wide.u32 %d4, %t, " + bytes +
                      ", %a1; mad.wide.u32 %d5, "
                      "%t, " +
                      bytes + ", %a2; ld.global.b" + bits + " " + in + ", [%d5]; atom.global." +
                      op + "." + type + " " + out + ", [%d4], " + (op == "cas" ? in + ", 77" : in) +
                      "; st.global.b" + bits + " [%d3], " + out + ";",
                  3),
           launch, old, memory, x);
  CHECK_MESSAGE(old == before, op << type);
  for (std::size_t i = 0; i < 512; ++i)
    CHECK_MESSAGE(memory[i] == f(before[i], x[i]), op << "." << type);
}
template <class T> void atomics(const std::string& type) {
  atomic<T>("add", type, [](T a, T b) { return T(u64(a) + u64(b)); });
  atomic<T>("min", type, [](T a, T b) { return std::min(a, b); });
  atomic<T>("max", type, [](T a, T b) { return std::max(a, b); });
  const std::string bits = "b" + type.substr(1);
  atomic<T>("and", bits, [](T a, T b) { return T(~(~u64(a) | ~u64(b))); });
  atomic<T>("or", bits, [](T a, T b) { return T(a | b); });
  atomic<T>("xor", bits, [](T a, T b) { return T(a ^ b); });
  atomic<T>("exch", bits, [](T, T b) { return b; });
  atomic<T>("cas", bits, [](T a, T b) { return a == b ? T(77) : a; });
}
}  // namespace

TEST_CASE("atomics: each operation, and what was there before") {
  atomics<u32>("u32"), atomics<s32>("s32"), atomics<u64>("u64"), atomics<s64>("s64");
}

TEST_CASE("atomics: many on one place, in global and shared memory") {
  std::vector<u32> out(8);
  Launch launch;
  launch.blocks = 3, launch.threads = 100;
  const Counts counts =
      run_over(kernel(".shared .b32 sum;\nsetp.eq.u32 %p0, %t, 0; @%p0 st.shared.u32 [sum], 0; "
                      "bar.sync 0; red.shared.add.u32 [sum], "
                      "%t; red.global.max.u32 [%a0+4], %t; bar.sync 0; @%p0 ld.shared.u32 %r1, "
                      "[sum]; @%p0 red.global.add.u32 "
                      "[%a0], %r1;"),
               launch, out);
  CHECK(out[0] == 3 * 4950);
  CHECK(out[1] == 99);
  CHECK(counts.atomics == 3 * 201);
  // A loop until nobody else was faster: lanes leave it one after another.
  run_over(
      kernel(
          "ld.volatile.global.u32 %r1, [%a0+8]; AGAIN: mov.u32 %r2, %r1; add.u32 %r3, %r2, %t; "
          "atom.global.cas.b32 %r1, [%a0+8], %r2, %r3; setp.ne.u32 %p0, %r1, %r2; @%p0 bra AGAIN;"),
      {}, out);
  CHECK(out[2] == 31 * 16);
}

TEST_CASE("memory: what a GPU would not forgive, and what it would") {
  alignas(128) std::array<u32, 64> out{};
  const auto said = [&](const std::string& body, std::size_t dynamic = 0) {
    Launch launch;
    launch.threads = 64, launch.shared_bytes = dynamic;
    return mistake(
        [&] { run_over(kernel(body, 1, ".extern .shared .align 16 .b8 dyn[];\n"), launch, out); });
  };
  const std::string tile = ".shared .align 16 .b8 tile[64];\n",
                    mine = "mad.lo.u32 %r0, %t, 4, %r1;";
  CHECK(has(said("ld.global.u32 %r0, [%a0+2];"),
            "accesses 4 bytes at an address that is 2 bytes off"));
  CHECK(has(said("ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%a0+8];"),
            "accesses 16 bytes at an address that is 8"));
  CHECK(has(said("ld.global.u32 %r0, [%a0+256];"),
            "reads 4 bytes of global memory outside any allocation"));
  CHECK(has(said("st.global.u8 [%a0+-1], %r0;"),
            "writes 1 bytes of global memory outside any allocation"));
  CHECK(has(said(tile + "ld.shared.u32 %r0, [tile+4];"), "of shared memory, which nothing wrote"));
  CHECK(has(said("mov.u32 %r1, dyn;" + mine + "st.shared.u32 [%r0], %t;", 252),
            "bytes of shared memory"));
  CHECK(
      said(
          "mov.u32 %r1, dyn;" + mine +
              "st.shared.u32 [%r0], %t; bar.sync 0; xor.b32 %r0, %r0, 4; ld.shared.u32 %r2, [%r0];",
          256) == "");
  CHECK(has(said("mov.u32 %r1, dyn;" + mine +
                     "st.shared.u32 [%r0], %t; xor.b32 %r0, %r0, 4; ld.shared.u32 %r2, [%r0];",
                 256),
            "reads what another thread writes without a barrier"));
  CHECK(
      has(said("st.global.u32 [%a0], %t;"), "in global memory, writes what another thread writes"));
  CHECK(has(said("mov.u32 %r0, dyn;" + tile + "mov.u32 %r1, tile;"),
            "shared memory after a use of the launch's own"));
  // Bytes: each thread its own, read by others after a barrier.
  CHECK(said("mov.u32 %r1, dyn; add.u32 %r0, %r1, %t; st.shared.u8 [%r0], %t; bar.sync 0; xor.b32 "
             "%r0, %r0, 1; "
             "ld.shared.u8 %r2, [%r0]; mad.wide.u32 %d0, %t, 4, %a0; st.global.u32 [%d0], %r2;",
             64) == "");
  CHECK(std::equal(out.begin(), out.end(), by_thread(64, [](u32 i) { return i ^ 1; }).begin()));
  // Generic addresses of shared memory, which lies behind the kernel's own.
  CHECK(said(tile + "cvta.shared.u64 %d0, dyn; mad.wide.u32 %d0, %t, 4, %d0; st.u32 [%d0], %t; "
                    "bar.sync 0; cvta.to.shared.u64 "
                    "%d0, %d0; xor.b64 %d0, %d0, 8; ld.shared.u32 %r0, [%d0]; mad.wide.u32 %d1, "
                    "%t, 4, %a0; st.u32 [%d1], %r0;",
             256) == "");
  CHECK(std::equal(out.begin(), out.end(), by_thread(64, [](u32 i) { return i ^ 2; }).begin()));
}

TEST_CASE("cp.async: copies arrive when they are waited for, and zeros fill what is not read") {
  alignas(128) std::array<u32, 32> in{}, out{};
  for (u32 i = 0; i < 32; ++i) in[i] = 100 + i;
  const std::string begin =
      ".shared .align 16 .b8 tile[256];\nmov.u32 %r1, tile; mad.lo.u32 %r0, %t, 16, %r1; "
      "mad.wide.u32 "
      "%d0, %t, 16, %a1;";
  const std::string copy =
      "cp.async.cg.shared.global [%r0], [%d0], 16, %r2; cp.async.commit_group; "
      "cp.async.ca.shared.global "
      "[%r0+128], [%d0+8], 4; cp.async.commit_group;";
  const std::string end =
      "mad.wide.u32 %d1, %t, 16, %a0; ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r0]; ld.shared.u32 "
      "%r8, "
      "[%r0+128]; add.u32 %r4, %r4, %r8; st.global.v4.u32 [%d1], {%r4, %r5, %r6, %r7};";
  Launch launch;
  launch.threads = 8;
  const auto said = [&](const std::string& body) {
    return mistake([&] { run_over(kernel(body, 2), launch, out, in); });
  };
  CHECK(said(begin + "mov.u32 %r2, 8;" + copy + "cp.async.wait_group 0;" + end) == "");
  for (u32 t = 0; t < 8; ++t) {
    CHECK(out[4 * t] == 100 + 4 * t + 102 + 4 * t);
    CHECK(out[4 * t + 1] == 101 + 4 * t);
    CHECK(out[4 * t + 2] == 0);
    CHECK(out[4 * t + 3] == 0);
  }
  const std::string early = "touches shared memory that a copy is under way to";
  CHECK(has(said(begin + "mov.u32 %r2, 16;" + copy + end), early));
  CHECK(has(said(begin + "mov.u32 %r2, 16;" + copy +
                 "cp.async.wait_group 1; ld.shared.u32 %r8, [%r0+128];"),
            early));
  CHECK(said(begin + "mov.u32 %r2, 16;" + copy +
             "cp.async.wait_group 1; ld.shared.u32 %r8, [%r0]; cp.async.wait_group 0;") == "");
  CHECK(has(said(begin + "mov.u32 %r2, 16;" + copy), "a thread ends with copies under way"));
}
