// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/ptx/counts_test.cpp: sectors of global memory, conflicts in shared memory, instructions.
#include <support/ptx/harness.hpp>

using namespace cohort::ptx;
using namespace cohort::ptx::test;

namespace {

alignas(128) std::array<u32, 1024> memory{};
struct Width {
  const char* type;
  const char* registers;
  u64 bytes;
};
constexpr Width widths[] = {
    {".u8", "%r0", 1},  {".u16", "%r0", 2},           {".u32", "%r0", 4},
    {".u64", "%d1", 8}, {".v2.u32", "{%r0, %r1}", 8}, {".v4.u32", "{%r0, %r1, %r2, %r3}", 16}};
const Width& of(u64 bytes) {
  for (const Width& width : widths)
    if (width.bytes == bytes) return width;
  return widths[0];
}
/// A warp's load and store, lane i at begin + i * stride (from the end where stride is negative).
void sectors(u64 bytes, int begin, int stride, u64 expected) {
  const Width& width = of(bytes);
  const std::string place = "cvt.s64.s32 %d0, %t; mul.lo.s64 %d0, %d0, " + std::to_string(stride) +
                            "; add.s64 %d0, %d0, %a0;\n";
  const std::string at = "[%d0+" + std::to_string(begin) + "]";
  const Counts loads =
      run_over(kernel(place + "ld.global" + width.type + " " + width.registers + ", " + at + ";"),
               {}, memory);
  CAPTURE(bytes);
  CAPTURE(begin);
  CAPTURE(stride);
  CHECK(loads.load_sectors == expected);
  CHECK(loads.load_bytes == 32 * bytes);
  CHECK(loads.store_sectors + loads.store_bytes + loads.shared_passes == 0);
  if (stride == 0) return;  // (32 lanes that write one place are a mistake)
  const Counts stores =
      run_over(kernel(place + "st.global" + width.type + " " + at + ", " + width.registers + ";"),
               {}, memory);
  CHECK(stores.store_sectors == expected);
  CHECK(stores.store_bytes == 32 * bytes);
  CHECK(stores.load_sectors + stores.load_bytes == 0);
}
/// A warp's store to shared memory, lane i at i * stride.
void conflicts(u64 bytes, u32 stride, u64 passes, u64 least) {
  const Width& width = of(bytes);
  const Counts counts = run_over(
      kernel(".shared .align 128 .b8 tile[4608];\nmov.u32 %r4, tile; mad.lo.u32 %r4, %t, " +
             std::to_string(stride) + ", %r4; st.shared" + width.type + " [%r4], " +
             width.registers + ";"),
      {}, memory);
  CAPTURE(bytes);
  CAPTURE(stride);
  CHECK(counts.shared_passes == passes);
  CHECK(counts.shared_least == least);
  CHECK(counts.load_sectors + counts.store_sectors == 0);
}

}  // namespace

TEST_CASE("Counts: sectors of 32 bytes that a warp's access touches") {
  sectors(4, 0, 4, 4);     // side by side
  sectors(4, 128, -4, 5);  // backwards, across a border (the last lane is at 4)
  sectors(4, 4, 4, 5);     // off by one element
  sectors(4, 32, 4, 4);    // off by one sector
  sectors(4, 0, 8, 8);     // every second one
  sectors(4, 28, 32, 32);  // a sector each
  sectors(4, 0, 0, 1);     // all the same
  sectors(1, 0, 1, 1);
  sectors(1, 31, 1, 2);
  sectors(2, 0, 2, 2);
  sectors(2, 2, 2, 3);
  sectors(8, 0, 8, 8);
  sectors(8, 24, 8, 9);
  sectors(16, 0, 16, 16);
  sectors(16, 16, 16, 17);
  sectors(16, 0, 64, 32);
  sectors(16, 0, 0, 1);
}

TEST_CASE("Counts: only lanes that are active, and each access for itself") {
  const Counts counts =
      run_over(kernel("setp.lt.u32 %p0, %t, 8; mad.wide.u32 %d0, %t, 4, %a0; @%p0 ld.global.u32 "
                      "%r0, [%d0]; @!%p0 ld.global.u32 %r0, "
                      "[%d0+1024]; setp.eq.u32 %p1, %t, 99; @%p1 ld.global.u32 %r1, [%d0];"),
               {}, memory);
  CHECK(counts.load_bytes == 128);
  CHECK(counts.load_sectors == 1 + 3);
}

TEST_CASE("Counts: conflicts of 32 banks of 4 bytes") {
  conflicts(4, 4, 1, 1);
  conflicts(4, 8, 2, 1);
  conflicts(4, 12, 1, 1);  // odd strides meet each bank once
  conflicts(4, 16, 4, 1);
  conflicts(4, 64, 16, 1);
  conflicts(4, 128, 32, 1);
  conflicts(4, 132, 1, 1);  // as a row longer by one is there for
  conflicts(1, 1, 1, 1);    // parts of one word
  conflicts(2, 2, 1, 1);
  conflicts(2, 4, 1, 1);
  conflicts(2, 128, 32, 1);
  conflicts(8, 8, 2, 2);  // half a warp at a time
  conflicts(8, 16, 4, 2);
  conflicts(8, 128, 32, 2);
  conflicts(16, 16, 4, 4);  // a quarter of a warp at a time
  conflicts(16, 32, 8, 4);
  conflicts(16, 128, 32, 4);
  conflicts(16, 144, 4, 4);
}

TEST_CASE("Counts: one word for all lanes is no conflict, whatever the kind of address") {
  const std::string begin =
      ".shared .align 16 .b8 tile[256];\nsetp.eq.u32 %p0, %t, 0; @%p0 st.shared.v2.u32 [tile], "
      "{%t, %t}; "
      "bar.warp.sync -1;";
  const Counts shared = run_over(kernel(begin + "ld.shared.u32 %r0, [tile];"), {}, memory);
  CHECK(shared.shared_passes == 2);
  CHECK(shared.shared_least == 2);
  const Counts generic =
      run_over(kernel(begin + "cvta.shared.u64 %d0, tile; ld.u32 %r0, [%d0]; ld.u32 %r0, [%a0];"),
               {}, memory);
  CHECK(generic.shared_passes == 2);
  CHECK(generic.load_sectors == 1);
}

TEST_CASE("Counts: instructions by the unit that they occupy") {
  const auto counted = [](const std::string& body) {
    Counts all = run_over(kernel(body), {}, memory);
    const Counts none = run_over(kernel(""), {}, memory);
    for (std::size_t i = 0; i < pipes; ++i) all.instructions[i] -= none.instructions[i];
    all.lanes -= none.lanes;
    return all;
  };
  const auto in = [](const Counts& counts, Pipe pipe) {
    return counts.instructions[std::size_t(pipe)];
  };
  const Counts one = counted(
      "add.u32 %r0, %r0, 1; add.f32 %f0, %f0, %f0; fma.rn.f32 %f0, %f0, %f0, %f0; add.f64 %d0, "
      "%d0, %d0; "
      "ex2.approx.ftz.f32 %f1, %f0; setp.lt.u32 %p0, %t, 5; @%p0 mov.u32 %r1, 1;");
  CHECK(in(one, Pipe::integer) == 3);
  CHECK(in(one, Pipe::fp32) == 2);
  CHECK(in(one, Pipe::fp64) == 1);
  CHECK(in(one, Pipe::special) == 1);
  CHECK(one.all_instructions() == 7);
  CHECK(one.lanes == 6 * 32 + 5);
  // Two sides of a branch are both run; the vote that waits for the second side counts once.
  const Counts parted = counted(
      "setp.lt.u32 %p0, %t, 5; @%p0 bra BACK; HERE: vote.sync.ballot.b32 %r0, %p0, -1; bra.uni "
      "END; "
      "BACK: bra.uni HERE; END: bar.warp.sync -1;");
  CHECK(in(parted, Pipe::integer) == 2);
  CHECK(in(parted, Pipe::control) == 4);
  CHECK(parted.lanes == 32 + 5 + 5 + 32 + 32 + 32);
}

TEST_CASE("Counts: sums") {
  Counts a, b;
  a.instructions[2] = 3, a.lanes = 5, a.load_bytes = 7, a.unwatched = 1;
  b.instructions[2] = 4, b.lanes = 6, b.load_bytes = 8, b.atomics = 2, b.store_sectors = 9,
  b.shared_passes = 4;
  a += b;
  CHECK(a.instructions[2] == 7);
  CHECK(a.all_instructions() == 7);
  CHECK(a.lanes == 11);
  CHECK(a.load_bytes == 15);
  CHECK(a.atomics == 2);
  CHECK(a.store_sectors == 9);
  CHECK(a.shared_passes == 4);
  CHECK(a.unwatched == 1);
}
