// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/ptx/machine_test.cpp: where lanes go, and what kernels are given. Their memory: memory_test.cpp
// and counts_test.cpp.
#include <algorithm>
#include <support/ptx/harness.hpp>

using namespace cohort::ptx;
using namespace cohort::ptx::test;

namespace {

/// What each of n threads of one block leaves in d, x being its number.
std::vector<u32> each(u32 n, const std::string& body) {
  return results<u32>(body, by_thread(n, [](u32 i) { return i; }));
}

}  // namespace

TEST_CASE("branches: lanes that part meet again") {
  // The shuffle names all lanes: it can only run once both sides have come.
  const auto got = each(
      32,
      "and.b32 %r0, x, 1; setp.eq.u32 %p0, %r0, 0; @%p0 bra EVEN; add.u32 %r2, x, 1000; bra.uni "
      "MEET; EVEN: mul.lo.u32 %r2, x, 3; MEET: shfl.sync.bfly.b32 d, %r2, 1, 31, -1;");
  CHECK(got == by_thread(32, [](u32 i) { return i % 2 == 0 ? i + 1001 : (i - 1) * 3; }));
}

TEST_CASE("branches: loops of a different length in each lane") {
  const auto got = each(
      70,
      "mov.u32 d, 0; mov.u32 %r2, 0; LOOP: setp.ge.u32 %p0, %r2, x; @%p0 bra DONE; add.u32 d, d, "
      "%r2; add.u32 %r2, %r2, 1; bra.uni LOOP; DONE: vote.sync.ballot.b32 %r3, %p0, -1; "
      "popc.b32 %r3, %r3; mad.lo.u32 d, %r3, 10000, d;");
  CHECK(got == by_thread(70, [](u32 i) {
          return (i < 64 ? 32u : 6u) * 10000 + (i == 0 ? 0 : i * (i - 1) / 2);
        }));
}

TEST_CASE("branches: nested, with loops inside of one side and a way out of the middle") {
  const auto got = each(
      32,
      "mov.u32 d, 0; setp.lt.u32 %p0, x, 20; @!%p0 bra REST; setp.lt.u32 %p1, x, 7; @%p1 bra LOW; "
      "and.b32 %r2, x, 3; setp.eq.u32 %p2, %r2, 0; @%p2 bra OUT; add.u32 d, d, 100; bra.uni JOIN; "
      "LOW: add.u32 d, d, 1; setp.lt.u32 %p3, d, x; @%p3 bra LOW; JOIN: add.u32 d, d, 1000; "
      "bra.uni "
      "MEET; OUT: mov.u32 d, 77; bra.uni MEET; REST: mov.u32 d, 5; MEET: shfl.sync.idx.b32 %r4, d, "
      "19, 31, -1; add.u32 d, d, %r4;");
  CHECK(got == by_thread(32, [](u32 i) {
          const u32 own = i >= 20 ? 5 : i < 7 ? std::max(i, 1u) + 1000 : i % 4 == 0 ? 77 : 1100;
          return own + 1100;
        }));
}

TEST_CASE("guards: an instruction only where its predicate says so, or does not") {
  const auto got =
      each(40,
           "setp.gt.u32 %p0, x, 9; mov.u32 d, 1; @%p0 add.u32 d, d, x; @!%p0 mov.u32 d, 500; @%p0 "
           "setp.gt.u32 %p0, x, 19; @%p0 add.u32 d, d, 1000;");
  CHECK(got == by_thread(40, [](u32 i) { return i <= 9 ? 500 : i + 1 + (i > 19 ? 1000 : 0); }));
}

TEST_CASE("ret: lanes that have ended are not waited for") {
  std::vector<u32> out(64, 9);
  Launch launch;
  launch.threads = 64;
  run_over(
      kernel("setp.eq.u32 %p0, %t, 3; @%p0 ret; setp.ge.u32 %p0, %t, 40; @%p0 exit; bar.sync 0;\n"
             "vote.sync.ballot.b32 %r0, %p0, -1; not.pred %p0, %p0; vote.sync.ballot.b32 %r1, %p0, "
             "-1;\n"
             "add.u32 %r1, %r1, %r0; mad.wide.u32 %d0, %t, 4, %a0; st.global.u32 [%d0], %r1;"),
      launch, out);
  CHECK(out == by_thread(64, [](u32 i) {
          return i == 3 || i >= 40 ? 9 : i < 32 ? 0xfffffff7 : 0xff;
        }));
}

TEST_CASE("bar.sync: a warp whose predicate is false goes on, and half a warp may not wait") {
  std::vector<u32> out(64);
  Launch launch;
  launch.threads = 64;
  CHECK(mistake([&] {
          run_over(kernel("setp.eq.u32 %p0, %t, 77; @%p0 bar.sync 0;"), launch, out);
        }) == "");
  const std::string half = "a part of the warp waits at a barrier that the others do not come to";
  CHECK(has(
      mistake([&] { run_over(kernel("setp.lt.u32 %p0, %t, 16; @%p0 bar.sync 0;"), launch, out); }),
      half));
  CHECK(has(mistake([&] {
              run_over(
                  kernel("setp.lt.u32 %p0, %t, 16; @%p0 bra L; bar.sync 0; ret; L: bar.sync 0;"),
                  launch, out);
            }),
            half));
}

TEST_CASE("registers that say who a thread is") {
  const char* names[] = {"%tid.x",    "%tid.y",    "%tid.z",   "%ntid.x",  "%ntid.y",
                         "%ntid.z",   "%ctaid.x",  "%ctaid.y", "%ctaid.z", "%nctaid.x",
                         "%nctaid.y", "%nctaid.z", "%laneid",  "%warpid"};
  std::string body =
      "mov.u32 %r1, %ctaid.x; mad.lo.u32 %r1, %r1, 70, %t; mad.wide.u32 %d0, %r1, 56, %a0;\n";
  for (int i = 0; i < 14; ++i)
    body += std::string("mov.u32 %r0, ") + names[i] + "; st.global.u32 [%d0+" +
            std::to_string(4 * i) + "], %r0;\n";
  std::vector<u32> out(3 * 70 * 14);
  Launch launch;
  launch.blocks = 3, launch.threads = 70;
  run_over(kernel(body), launch, out);
  for (u32 block = 0; block < 3; ++block)
    for (u32 t = 0; t < 70; ++t) {
      const std::vector<u32> wanted = {t, 0, 0, 70, 1, 1, block, 0, 0, 3, 1, 1, t % 32, t / 32};
      CHECK(std::equal(wanted.begin(), wanted.end(), &out[(block * 70 + t) * 14]));
    }
}

TEST_CASE("arguments: each at a multiple of its own alignment") {
  const std::string text =
      ".visible .entry k(.param .u8 a, .param .align 8 .b8 b[20], .param .u16 c, .param .f64 d, "
      ".param .s8 e,\n"
      ".param .u64 .ptr .global .align 16 out)\n.maxntid 64, 1, 1\n{\n.reg .b32 %r<8>;\n.reg .b64 "
      "%d<4>;\n"
      ".reg .b16 %h<4>;\nld.param.u8 %h0, [a];\ncvt.u32.u16 %r0, %h0;\nld.param.u32 %r1, "
      "[b+16];\nld.param.u16 %h1, [c];\n"
      "cvt.u32.u16 %r2, %h1;\nld.param.f64 %d0, [d];\nmov.b64 {%r3, %r4}, %d0;\nld.param.s8 %r5, "
      "[e];\n"
      "ld.param.u64 %d1, [out];\nst.global.v4.u32 [%d1], {%r0, %r1, %r2, %r4};\nst.global.u32 "
      "[%d1+16], %r5;\n"
      "mov.u64 %d2, b;\nld.param.v2.u32 {%r6, %r7}, [%d2+8];\nadd.u32 %r6, %r6, "
      "%r7;\nst.global.u32 [%d1+20], %r6;\nret;\n}\n";
  struct {
    u8 a = 200;
    alignas(8) u32 b[5] = {1, 2, 3, 4, 55};
    u16 c = 60000;
    double d = 1.5;
    s8 e = -3;
    u32* out;
  } given{};
  alignas(16) u32 out[8] = {};
  given.out = out;
  Module module(text);
  const Program& program = module.program("k");
  std::vector<std::size_t> offsets;
  for (const Parameter& p : program.parameters) offsets.push_back(p.offset);
  CHECK(offsets == std::vector<std::size_t>{0, 8, 28, 32, 40, 48});
  CHECK(program.parameter_bytes == 56);
  CHECK(program.most_threads == 64);
  Launch launch;
  launch.threads = 1;
  launch.params = std::as_bytes(std::span(&given, 1));
  launch.allocation = [&](u64) {
    return std::pair<u64, u64>{reinterpret_cast<std::uintptr_t>(out), sizeof out};
  };
  run(program, launch);
  CHECK(std::vector<u32>(out, out + 6) == std::vector<u32>{200, 55, 60000, 0x3ff80000, u32(-3), 7});
  launch.threads = 65;
  CHECK(has(mistake([&] { run(program, launch); }),
            "more threads in a block than its launch bounds say"));
  launch.threads = 1, launch.params = launch.params.first(48);
  CHECK(has(mistake([&] { run(program, launch); }), "arguments are missing"));
  std::vector<u32> any(1);
  CHECK(has(mistake([&] { run_over(kernel("ld.param.u32 %r0, [k0+8];"), {}, any); }),
            "outside the kernel's arguments"));
}

TEST_CASE("launches backwards: the last block and the last warp first") {
  const std::string body =
      "setp.eq.u32 %p0, %laneid, 0; @!%p0 ret; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %warpid; "
      "mad.lo.u32 %r1, %r1, 2, %r2; atom.global.add.u32 %r0, [%a1], 1; mad.wide.u32 %d0, %r1, 4, "
      "%a0; st.global.u32 [%d0], %r0;";
  for (const bool backwards : {false, true}) {
    std::vector<u32> turn(6), next(1);
    Launch launch;
    launch.blocks = 3, launch.threads = 64, launch.backwards = backwards;
    run_over(kernel(body, 2), launch, turn, next);
    CHECK(turn == by_thread(6, [&](u32 i) { return backwards ? 5 - i : i; }));
  }
}
