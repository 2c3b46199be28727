// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/ptx/operations_lanes_test.cpp: what lanes do together: shuffles, votes, matrix products and
// loads of matrices.
#include <array>
#include <support/ptx/harness.hpp>

using namespace cohort::ptx;
using namespace cohort::ptx::test;

namespace {

using Lanes = std::vector<u32>;
Lanes per_lane(u32 (*of)(u32)) {
  Lanes all(32);
  for (u32 i = 0; i < 32; ++i) all[i] = of(i);
  return all;
}

struct Shuffled {
  Lanes value;
  std::vector<Flag> there;
};
/// Each lane gives 100 + its number; a flag says whether it got another lane's.
Shuffled shuffled(const std::string& mode, const Lanes& b, u32 c) {
  const std::string name = "add.u32 %r2, %t, 100; shfl.sync." + mode + ".b32 %r3|%p1, %r2, x, " +
                           std::to_string(c) + ", -1;";
  return {results<u32>(name + "mov.u32 d, %r3;", b), results<Flag>(name + "mov.pred d, %p1;", b)};
}
void takes(const Shuffled& got, const std::array<int, 32>& source) {  // -1: none is there, its own
  for (std::size_t i = 0; i < 32; ++i) {
    CHECK(got.value[i] == 100 + u32(source[i] < 0 ? int(i) : source[i]));
    CHECK(got.there[i] == Flag(source[i] >= 0));
  }
}
template <class F> std::array<int, 32> sources(F f) {
  std::array<int, 32> all{};
  for (int i = 0; i < 32; ++i) all[std::size_t(i)] = f(i);
  return all;
}

}  // namespace

TEST_CASE("shfl: over the whole warp, as CUDA's __shfl_*_sync ask for it") {
  const Lanes three(32, 3), any = per_lane([](u32 i) { return 7 * i + 33; });
  takes(shuffled("up", three, 0), sources([](int i) { return i < 3 ? -1 : i - 3; }));
  takes(shuffled("down", three, 31), sources([](int i) { return i + 3 > 31 ? -1 : i + 3; }));
  takes(shuffled("bfly", three, 31), sources([](int i) { return i ^ 3; }));
  takes(shuffled("idx", any, 31), sources([](int i) { return (7 * i + 33) % 32; }));
}

TEST_CASE("shfl: in segments of 8 lanes, c = 0x1800 and a clamp of 7 or 0") {
  const Lanes three(32, 3), any = per_lane([](u32 i) { return 5 * i; });
  takes(shuffled("up", three, 0x1800), sources([](int i) { return i % 8 < 3 ? -1 : i - 3; }));
  takes(shuffled("down", three, 0x1807), sources([](int i) { return i % 8 + 3 > 7 ? -1 : i + 3; }));
  takes(shuffled("bfly", three, 0x1807), sources([](int i) { return i ^ 3; }));
  takes(shuffled("idx", any, 0x1807), sources([](int i) { return i / 8 * 8 + 5 * i % 8; }));
  // A partner in a later segment is out of reach, one in an earlier segment is not.
  takes(shuffled("bfly", Lanes(32, 8), 0x1807),
        sources([](int i) { return i / 8 % 2 == 0 ? -1 : i - 8; }));
}

TEST_CASE("shfl: a clamp inside of the warp, and offsets modulo 32") {
  takes(shuffled("down", Lanes(32, 2), 9), sources([](int i) { return i + 2 > 9 ? -1 : i + 2; }));
  takes(shuffled("up", Lanes(32, 2), 9), sources([](int i) { return i - 2 < 9 ? -1 : i - 2; }));
  takes(shuffled("idx", per_lane([](u32 i) { return i; }), 9),
        sources([](int i) { return i > 9 ? -1 : i; }));
  takes(shuffled("down", Lanes(32, 34), 31),
        sources([](int i) { return i + 2 > 31 ? -1 : i + 2; }));
}

TEST_CASE("shfl: a lane that does not take part is not read") {
  const std::string half =
      "setp.lt.u32 %p1, %t, 16; mov.u32 d, 0; @%p1 bra GO; bra.uni END; GO: "
      "shfl.sync.idx.b32 d, x, 20, 31, 0xffff; END: mov.u32 d, d;";
  CHECK(has(mistake([&] { results<u32>(half, Lanes(32, 1)); }),
            "a shuffle reads a lane that does not take part"));
  const std::string strange = "shfl.sync.idx.b32 d, x, 1, 31, 0xfffe;";
  CHECK(has(mistake([&] { results<u32>(strange, Lanes(32, 1)); }), "a lane does not name itself"));
}

TEST_CASE("vote: among the lanes that are named") {
  std::vector<Flag> x(32, Flag::no);
  x[0] = x[5] = x[16] = x[31] = Flag::yes;
  CHECK(results<u32>("vote.sync.ballot.b32 d, x, -1;", x) == Lanes(32, 0x80010021));
  CHECK(results<Flag>("vote.sync.any.pred d, x, -1;", x) == std::vector<Flag>(32, Flag::yes));
  CHECK(results<Flag>("vote.sync.all.pred d, x, -1;", x) == std::vector<Flag>(32, Flag::no));
  CHECK(results<Flag>("vote.sync.all.pred d, x, -1;", std::vector<Flag>(32, Flag::yes))[9] ==
        Flag::yes);
  CHECK(results<Flag>("vote.sync.any.pred d, x, -1;", std::vector<Flag>(32, Flag::no))[9] ==
        Flag::no);
  // Two halves of a warp, each with a vote of its own at the same instruction.
  const Lanes halves = per_lane([](u32 i) { return i < 16 ? 0x0000ffffu : 0xffff0000u; });
  CHECK(results<u32>("vote.sync.ballot.b32 d, x, y;", x, halves) ==
        per_lane([](u32 i) { return i < 16 ? 0x21u : 0x80010000u; }));
  std::vector<Flag> high(32, Flag::no);
  for (std::size_t i = 16; i < 32; ++i) high[i] = Flag::yes;
  CHECK(results<Flag>("vote.sync.all.pred d, x, y;", high, halves) == high);
  CHECK(results<Flag>("vote.sync.any.pred d, x, y;", high, halves) == high);
  // Of 20 live lanes: those that have never been are not waited for.
  x.resize(20);
  CHECK(results<u32>("vote.sync.ballot.b32 d, x, -1;", x) == Lanes(20, 0x00010021));
}

namespace {

/// Small whole numbers as 16-bit floats: f16 and bf16 have the same sign and a mantissa of 10 or 7 bits.
u32 small(int value, bool bf16) {
  const u32 whole = std::bit_cast<u32>(float(value));
  if (value == 0) return 0;
  if (bf16) return whole >> 16;
  return (whole >> 16 & 0x8000) | (((whole >> 23 & 255) - 127 + 15) << 10) | (whole >> 13 & 1023);
}
/// The tables of the ISA: where a fragment's element e of a lane stands. Rows and columns of a are [16][K], of
/// b [K][8], of c and d [16][8].
struct At {
  int row, column;
};
At in_a(int lane, int e, int k) {
  if (k == 8) return {lane / 4 + (e < 2 ? 0 : 8), lane % 4 * 2 + e % 2};
  return {lane / 4 + (e < 2 || (e >= 4 && e < 6) ? 0 : 8), lane % 4 * 2 + e % 2 + (e < 4 ? 0 : 8)};
}
At in_b(int lane, int e) { return {lane % 4 * 2 + e % 2 + (e < 2 ? 0 : 8), lane / 4}; }
At in_c(int lane, int e) { return {lane / 4 + (e < 2 ? 0 : 8), lane % 4 * 2 + e % 2}; }

void multiplies(bool bf16, int k) {
  std::minstd_rand random(u32(k) + bf16);
  int a[16][16], b[16][8], c[16][8];
  const auto fill = [&](auto& matrix) {
    for (auto& row : matrix)
      for (int& x : row) x = int(random() % 31) - 15;
  };
  fill(a), fill(b), fill(c);
  const int na = k / 4, nb = k / 8;
  std::vector<u32> in(std::size_t(32 * (na + nb + 4))), out(32 * 4);
  for (int lane = 0; lane < 32; ++lane) {
    u32* to = &in[std::size_t(lane * (na + nb + 4))];
    for (int e = 0; e < 2 * na; ++e) {
      const At at = in_a(lane, e, k);
      to[e / 2] |= small(a[at.row][at.column], bf16) << (16 * (e % 2));
    }
    for (int e = 0; e < 2 * nb; ++e) {
      const At at = in_b(lane, e);
      to[na + e / 2] |= small(b[at.row][at.column], bf16) << (16 * (e % 2));
    }
    for (int e = 0; e < 4; ++e)
      to[na + nb + e] = std::bit_cast<u32>(float(c[in_c(lane, e).row][in_c(lane, e).column]));
  }
  std::string body = "mad.wide.u32 %d0, %t, " + std::to_string(4 * (na + nb + 4)) + ", %a1;\n";
  const auto registers = [](int from, int n) {
    std::string list = "{%r" + std::to_string(from);
    for (int i = 1; i < n; ++i) list += ", %r" + std::to_string(from + i);
    return list + "}";
  };
  for (int i = 0; i < na + nb + 4; ++i)
    body += "ld.global.u32 %r" + std::to_string(i) + ", [%d0+" + std::to_string(4 * i) + "];\n";
  const std::string type = bf16 ? "bf16" : "f16";
  body += "mma.sync.aligned.m16n8k" + std::to_string(k) + ".row.col.f32." + type + "." + type +
          ".f32 " + registers(12, 4) + ", " + registers(0, na) + ", " + registers(na, nb) + ", " +
          registers(na + nb, 4) +
          ";\nmad.wide.u32 %d0, %t, 16, %a0; st.global.v4.u32 [%d0], {%r12, %r13, %r14, %r15};";
  run_over(kernel(body, 2), {}, out, in);
  for (int lane = 0; lane < 32; ++lane)
    for (int e = 0; e < 4; ++e) {
      const At at = in_c(lane, e);
      int sum = c[at.row][at.column];
      for (int i = 0; i < k; ++i) sum += a[at.row][i] * b[i][at.column];
      CHECK(std::bit_cast<float>(out[std::size_t(4 * lane + e)]) == float(sum));
    }
}

/// Lane i gives the address of row i of 32 rows of 8 halves, whose values are their numbers.
Lanes loaded(int matrices, bool transposed, int lanes = 32) {
  std::vector<u32> out(std::size_t(lanes * matrices));
  std::string list = "{%r2", stores;
  for (int m = 0; m < matrices; ++m) {
    if (m > 0) list += ", %r" + std::to_string(2 + m);
    stores +=
        "st.global.u32 [%d0+" + std::to_string(4 * m) + "], %r" + std::to_string(2 + m) + ";\n";
  }
  std::string body =
      ".shared .align 16 .b8 tile[512];\nmov.u32 %r0, tile;\nmad.lo.u32 %r0, %t, 16, %r0;\n";
  for (int i = 0; i < 4; ++i)  // two halves a time
    body += "mad.lo.u32 %r1, %t, 8, " + std::to_string(2 * i) +
            ";\nmad.lo.u32 %r1, %r1, 0x10001, 0x10000;\n" + "st.shared.u32 [%r0+" +
            std::to_string(4 * i) + "], %r1;\n";
  body += "bar.warp.sync -1;\nldmatrix.sync.aligned.m8n8.x" + std::to_string(matrices) +
          (transposed ? ".trans" : "") + ".shared.b16 " + list +
          "}, [%r0];\nmad.wide.u32 %d0, %t, " + std::to_string(4 * matrices) + ", %a0;\n" + stores;
  Launch launch;
  launch.threads = lanes;
  run_over(kernel(body), launch, out);
  return out;
}

}  // namespace

TEST_CASE("mma: products of matrices of small whole numbers are exact") {
  for (const bool bf16 : {false, true})
    for (const int k : {8, 16}) multiplies(bf16, k);
}

TEST_CASE("mma: all lanes of a warp take part") {
  const std::string mma =
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {d, %r1, %r2, %r3}, {x, x}, {x}, {x, x, x, "
      "x};";
  CHECK(mistake([&] { results<u32>(mma, Lanes(32)); }) == "");
  CHECK(has(mistake([&] { results<u32>("setp.ne.s32 %p1, %t, 7; @%p1 " + mma, Lanes(32)); }),
            "not all lanes that it names come to it"));
}

TEST_CASE("ldmatrix: a lane gets two neighbours of one row, or transposed of one column") {
  for (const int matrices : {1, 2, 4})
    for (const bool transposed : {false, true}) {
      const Lanes got = loaded(matrices, transposed);
      for (u32 lane = 0; lane < 32; ++lane)
        for (u32 m = 0; m < u32(matrices); ++m) {
          const auto value = [&](u32 row, u32 column) { return (8 * m + row) * 8 + column; };
          const u32 line = lane / 4, first = lane % 4 * 2;
          const u32 low = transposed ? value(first, line) : value(line, first);
          const u32 high = transposed ? value(first + 1, line) : value(line, first + 1);
          CHECK(got[lane * u32(matrices) + m] == (high << 16 | low));
        }
    }
  CHECK(has(mistake([] { loaded(1, false, 24); }), "ldmatrix without some of the warp's lanes"));
}
