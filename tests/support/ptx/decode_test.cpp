// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/ptx/decode_test.cpp: what is refused, with which sentence, and what calls, variables and blocks
// become.
#include <support/ptx/harness.hpp>

using namespace cohort::ptx;
using namespace cohort::ptx::test;

namespace {

std::string refusal(const std::string& text) {
  return mistake([&] { Module(text).program("k"); });
}
/// The module is refused at the line where `at` stands, in one line.
void refuses(const std::string& text, const std::string& at, const std::string& sentence) {
  const auto line =
      1 + std::count(text.begin(), text.begin() + std::ptrdiff_t(text.find(at)), '\n');
  CHECK(has(text, at));
  CHECK(refusal(text) == "PTX line " + std::to_string(line) + ": " + sentence);
}
void refuses_in_body(const std::string& instruction, const std::string& sentence) {
  refuses(kernel("mov.u32 %r1, 1;\n" + instruction + "\nmov.u32 %r1, 2;"), instruction, sentence);
}
std::string store(const std::string& reg) {
  return "mad.wide.u32 %d7, %t, 4, %a0; st.global.u32 [%d7], " + reg + ";";
}

}  // namespace

TEST_CASE("decode: instructions and modifiers that are not known") {
  refuses_in_body("frob.u32 %r1, %r2;", "the machine does not know the instruction frob.u32");
  refuses_in_body("add.sat.s32 %r1, %r1, %r1;",
                  "the machine does not know the instruction add.sat.s32");
  refuses_in_body("ld.global.L2::128B.u32 %r1, [%a0];",
                  "the machine does not know 'L2::128B' of an access");
  refuses_in_body("st.global.v8.u32 [%a0], %r1;", "the machine does not know 'v8' of an access");
  refuses_in_body("ld.global %r1, [%a0];", "an access without a type");
  refuses_in_body("atom.global.inc.u32 %r1, [%a0], 1;",
                  "the machine does not know 'inc' of an atomic");
  refuses_in_body("atom.global.add.f32 %f1, [%a0], %f1;",
                  "the machine does not know this atomic (floats add in no order)");
  refuses_in_body("ldmatrix.sync.aligned.m8n8.x4.b16 {%r1}, [%r1];",
                  "the machine does not know this ldmatrix");
  refuses_in_body("cp.async.wait_all;",
                  "the machine does not know the instruction cp.async.wait_all");
  refuses_in_body("cp.async.cg.shared.global [%r1], [%a0], 8;", "a copy of so many bytes");
  refuses_in_body("bar.sync 1;", "only barrier 0 of all threads is known");
  refuses_in_body("bar.sync 0, 64;", "only barrier 0 of all threads is known");
  refuses_in_body("cvta.to.global.u32 %r1, %r1;", "an address of other than 64 bits");
  refuses_in_body("cvta.to.nowhere.u64 %d1, %d1;",
                  "a conversion of an address that the machine does not know");
  refuses_in_body("/* as in C */", "the machine does not know the instruction /");
}

TEST_CASE("decode: registers and numbers of another kind") {
  refuses_in_body("add.u32 %r1, %r1, %d1;", "'%d1' has 8 bytes where 4 are expected");
  refuses_in_body("add.u32 %d1, %r1, %r1;", "'%d1' has 8 bytes where 4 are expected");
  refuses_in_body("setp.eq.u32 %r1, %r1, %r1;", "'%r1' has 4 bytes where 0 are expected");
  refuses_in_body("mov.u64 %d1, %tid.x;", "'%tid.x' has 4 bytes where 8 are expected");
  refuses_in_body("ld.global.u64 %r1, [%a0];", "'%r1' has 4 bytes where 8 are expected");
  refuses_in_body("ld.global.u32 %r1, [%h1];", "an address in a register of 2 bytes");
  refuses_in_body("ld.global.v2.u32 {%r1, %r2, %r3}, [%a0];", "another number of registers");
  refuses_in_body("add.u32 %r1, %r1, %r99;", "'%r99' is not known");
  refuses_in_body("add.f32 %f1, %f1, 1.5;", "'1.5' is not known");
  refuses_in_body("add.f64 %d1, %d1, 0f3F800000;", "a number of another width");
  refuses_in_body("add.f32 %f1, %f1, 0d3FF0000000000000;", "a number of another width");
  refuses_in_body("add.f32 %f1, %f1, 1;", "a whole number where one with a point is expected");
  refuses_in_body("add.s32 %r1, %r1, 0f3F800000;",
                  "a number with a point where a whole one is expected");
  refuses_in_body("add.f32 %f1, %f1, -0f3F800000;",
                  "the sign stands before something that is no whole number");
  refuses_in_body("and.pred %p1, %p1, !%p2;",
                  "the sign stands before something that is no whole number");
  refuses_in_body("@%r1 mov.u32 %r2, 1;", "a predicate is expected");
  refuses_in_body("add.u32 5, %r1, %r1;", "'5' is no register to write");
  refuses_in_body("mov.u32 %tid.x, %r1;", "'%tid.x' is no register to write");
  refuses_in_body("ld.global.u32 %laneid, [%a0];", "'%laneid' is no register to write");
  refuses_in_body(".reg .b128 %q;", "a register's type is expected");
  refuses_in_body(".reg .x32 %q;", "a register's type is expected");
  refuses_in_body("add.u32 %r1, %r1;", "',' is missing before ';'");
  refuses_in_body("add.u32 %r1, %r1, %r1, %r1;", "',' where the instruction add.u32 should end");
  CHECK(
      refusal(kernel(
          "mov.b32 %f1, 0f3F800000; mov.f32 %f2, 0f00000000; setp.gt.f32 %p1, %f1, 0f40000000;")) ==
      "");
}

TEST_CASE("decode: labels, blocks and the world outside") {
  refuses_in_body("bra NOWHERE;", "there is no such label");
  refuses(kernel("L: mov.u32 %r1, 1;\n{\nL: mov.u32 %r1, 2;\n}\nbra L;"), "L: mov.u32 %r1, 2",
          "the label L is there twice");
  refuses(".visible .entry k()\n{\nret;\n", "{", "the block that begins here does not end");
  refuses(".visible .entry k()\n{\n{ ret;\n}\n", "{\n{", "the block that begins here does not end");
  refuses("\n.tex t;\n", ".tex", "'.tex' is not known outside functions");
  refuses(".global .b32 x[2] = {1, 2, 3};\n", "3", "more values than the variable holds");
  refuses(".global\n.quad x;\n", ".quad", "a type is expected");
  refuses(".global .u64 x =\nother;\n", "other", "a number is expected");
  refuses(".shared .u32\nx = 4;\n", "x = 4", "shared memory has no first value");
  refuses(".visible .entry k(.reg .u32 a)\n{\nret;\n}\n", ".reg",
          "'.param' is missing before '.reg'");
  CHECK(refusal(".visible .entry other()\n{\nret;\n}\n") == "there is no kernel k in this module");
  CHECK(refusal(".func k()\n{\nret;\n}\n") == "there is no kernel k in this module");
  // What nobody launches may hold what the machine does not know.
  CHECK(refusal(kernel("", 1, ".visible .entry other()\n{\nfrob;\n}\n")) == "");
}

TEST_CASE("decode: calls that cannot be inlined") {
  const std::string again = ".func again()\n{\ncall.uni again;\nret;\n}\n";
  CHECK(
      has(refusal(kernel("call.uni again;", 1, again)), "calls are nested too deep, or recursive"));
  refuses_in_body("call.uni nobody;", "there is no function nobody in this module");
  refuses_in_body("@%p1 call.uni nobody;", "a call under a predicate");
  const std::string f = ".func f(.param .b32 x)\n{\nret;\n}\n";
  refuses(kernel("call.uni\nf;", 1, f), "f;\nret", "a call with another number of arguments");
  refuses(kernel("call.uni f,\n(%r1);", 1, f), "(%r1)", "an argument of a call is no .param");
}

TEST_CASE("decode: a call takes arguments, gives results, and may end early for some lanes") {
  const std::string f =
      ".func (.param .b32 out) f(.param .b32 x, .param .b64 y)\n{\n.reg .b32 %r<4>;\n.reg .b64 "
      "%d;\n.reg .pred %p;\n"
      "ld.param.u32 %r1, [x];\nld.param.u64 %d, [y];\nst.param.b32 [out], %r1;\nsetp.lt.u32 %p, "
      "%r1, 10;\n@%p ret;\n"
      "cvt.u32.u64 %r2, %d;\nadd.u32 %r1, %r1, %r2;\nst.param.b32 [out], %r1;\nret;\n}\n";
  const std::string once =
      "{\n.param .b32 p0;\n.param .b64 p1;\n.param .b32 q;\nst.param.b32 [p0], %r0;\nst.param.b64 "
      "[p1], %d0;\n"
      "call.uni (q), f, (p0, p1);\nld.param.b32 %r0, [q];\n}\n";
  std::vector<u32> out(32);
  run_over(kernel("mov.u32 %r0, %t; mov.u64 %d0, 100; mov.u32 %r1, 7;\n" + once + once +
                      "add.u32 %r0, %r0, %r1;" + store("%r0"),
                  1, f),
           {}, out);
  for (u32 i = 0; i < 32; ++i)
    CHECK(out[i] == (i < 10 ? i : i + 200) + 7);  // %r1 of f is another one
}

TEST_CASE("decode: names of an inner block end with it") {
  std::vector<u32> out(32);
  run_over(kernel(".reg .b32 v;\nmov.u32 v, 5;\n{\n.reg .b32 v;\nmov.u32 v, 9;\n{\n.reg .b64 "
                  "v;\nmov.u64 v, 1;\n}\n"
                  "add.u32 v, v, 1;\n}\n{\n.reg .b32 v;\nmov.u32 v, 11;\n}\n" +
                  store("v")),
           {}, out);
  CHECK(out == std::vector<u32>(32, 5));
  refuses(kernel("{\n.reg .b32 inner;\n}\nmov.u32\ninner, 1;"), "inner, 1", "'inner' is not known");
}

TEST_CASE("decode: local memory is each thread's own") {
  const std::string begin = ".local .align 8 .b8 depot[24];\n.reg .b64 %SP;\nmov.u64 %SP, depot;\n";
  std::vector<u32> out(64);
  Launch launch;
  launch.threads = 64;
  const Counts counts =
      run_over(kernel(begin +
                      "st.local.u32 [%SP+20], %t;\nst.local.u64 [depot], 3;\nbar.sync "
                      "0;\nld.local.u32 %r1, [%SP+20];" +
                      "ld.local.u32 %r2, [depot+4];\nadd.u32 %r1, %r1, %r2;" + store("%r1")),
               launch, out);
  CHECK(out == by_thread(64, [](u32 i) { return i; }));
  CHECK(counts.local_bytes == 64 * (4 + 8 + 4 + 4));
  for (const char* beyond : {"[%SP+24]", "[%SP+-4]", "[depot+4096]"}) {
    CHECK(has(
        mistake([&] { run_over(kernel(begin + "ld.local.u32 %r1, " + beyond + ";"), {}, out); }),
        "outside the thread's own memory"));
    CHECK(has(
        mistake([&] { run_over(kernel(begin + "st.local.u32 " + beyond + ", %r1;"), {}, out); }),
        "outside the thread's own memory"));
  }
}

TEST_CASE("decode: variables begin with their values, and zeros") {
  const std::string variables =
      ".const .align 4 .b32 table[4] = {10, 0x14, 036, -1};\n.global .align 8 .f64 two = "
      "0d4000000000000000;\n"
      ".visible .global .align 16 .b8 bytes[8] = {1, 2, 3};\n.global .u16 short;\n";
  std::vector<u32> out(32);
  run_over(kernel("and.b32 %r1, %t, 3; mul.wide.u32 %d0, %r1, 4; mov.u64 %d1, table; add.s64 %d0, "
                  "%d0, %d1;\n"
                  "ld.const.u32 %r0, [%d0];" +
                      store("%r0"),
                  1, variables),
           {}, out);
  for (u32 i = 0; i < 32; ++i) CHECK(out[i] == std::vector<u32>{10, 20, 30, 0xffffffff}[i % 4]);
  run_over(
      kernel(
          "ld.const.u32 %r0, [table+8]; ld.global.u32 %r1, [two+4]; ld.global.u32 %r2, [bytes];\n"
          "ld.global.u32 %r3, [bytes+4]; ld.global.u16 %r4, [short]; add.u32 %r0, %r0, %r1; "
          "add.u32 %r0, %r0, %r2; add.u32 %r0, %r0, %r3; add.u32 %r0, %r0, %r4;" +
              store("%r0"),
          1, variables),
      {}, out);
  CHECK(out[5] == 30 + 0x40000000 + 0x030201);
  CHECK(has(
      mistake([&] { run_over(kernel("ld.global.u32 %r0, [bytes+8];", 1, variables), {}, out); }),
      "outside any allocation"));
  // What a launch leaves in a variable the next one finds.
  Module module(
      kernel("mov.u32 %r0, 3; setp.eq.u32 %p1, %t, 0; @%p1 red.global.add.u32 [bytes], %r0;", 0,
             variables));
  run(module.program("k"), {});
  run(module.program("k"), {});
  CHECK(std::to_integer<int>(*module.variables().at("bytes").memory) == 1 + 3 + 3);
}

TEST_CASE("decode: a mistake names the instruction and its place in the source") {
  const std::string text =
      ".file 2 \"src/layer.hpp\"\n" +
      kernel(".loc 2 10 3\nmov.u32 %r0, 1;\n.loc 2 12 5\n@%p1 bra L;\n.loc 2 17 1\ntrap;\nL:");
  std::vector<u32> out(32);
  const std::string said =
      mistake([&] { run_over(kernel("setp.eq.u32 %p1, %t, 77;", 1) + "", {}, out); });
  CHECK(said == "");
  Module module(text);
  const Program& program = module.program("k");
  CHECK(program.files.at(2) == "src/layer.hpp");
  CHECK(program.parameters.size() == 1);
  std::vector<int> lines;
  for (const Instruction& i : program.code)
    if (i.line != 0 && (lines.empty() || lines.back() != i.line)) lines.push_back(i.line);
  CHECK(lines == std::vector<int>{10, 12, 17});
  const std::string stopped = mistake([&] {
    std::string always = text;
    run_over(always.replace(always.find("@%p1 bra L;"), 11, "           "), {}, out);
  });
  CHECK(stopped ==
        "the kernel stops here (trap)\n  at trap\n  from src/layer.hpp:17\n  in warp 0 of block 0");
}
