// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/ptx/operations_test.cpp: whole numbers, bits and predicates, against arithmetic done bit by
// bit or in wider numbers.
#include <support/ptx/harness.hpp>
#include <support/ptx/operations.hpp>

using namespace cohort::ptx;
using namespace cohort::ptx::test;

namespace {

__extension__ typedef __int128 s128;

template <class T> struct Named;
template <> struct Named<s16> { static constexpr const char* type = "s16"; };
template <> struct Named<u16> { static constexpr const char *type = "u16", *bits = "b16"; };
template <> struct Named<s32> { static constexpr const char* type = "s32"; };
template <> struct Named<u32> { static constexpr const char *type = "u32", *bits = "b32"; };
template <> struct Named<s64> { static constexpr const char* type = "s64"; };
template <> struct Named<u64> { static constexpr const char *type = "u64", *bits = "b64"; };
template <class T> std::string two(const std::string& name) {
  return name + "." + Named<T>::type + " d, x, y;";
}
template <class T> bool bit(T value, u32 i) { return (u64(value) >> i & 1) != 0; }

/// The upper half of a product, from products of half as many bits.
u64 high_of(u64 a, u64 b) {
  const u64 al = a & 0xffffffff, ah = a >> 32, bl = b & 0xffffffff, bh = b >> 32;
  const u64 middle = ah * bl + (al * bl >> 32), other = al * bh + (middle & 0xffffffff);
  return ah * bh + (middle >> 32) + (other >> 32);
}
template <class T> T high_of(T a, T b) {
  if constexpr (sizeof(T) == 8) {
    const u64 high = high_of(u64(a), u64(b));
    return T(high - (a < 0 ? u64(b) : 0) - (b < 0 ? u64(a) : 0));
  } else {
    return T((s64(a) * s64(b)) >> (8 * sizeof(T)));
  }
}

}  // namespace

#define INTEGERS s16, u16, s32, u32, s64, u64

TEST_CASE_TEMPLATE("operations: sums and products keep the low bits", T, INTEGERS) {
  CHECK(differs(
            two<T>("add"), +[](T x, T y) -> T { return T(s128(x) + s128(y)); }) == "");
  CHECK(differs(
            two<T>("sub"), +[](T x, T y) -> T { return T(s128(x) - s128(y)); }) == "");
  CHECK(differs(
            two<T>("mul.lo"), +[](T x, T y) -> T { return T(u64(x) * u64(y)); }) == "");
  CHECK(differs(
            std::string("mad.lo.") + Named<T>::type + " d, x, y, z;",
            +[](T x, T y, T z) -> T { return T(u64(x) * u64(y) + u64(z)); }) == "");
}

TEST_CASE_TEMPLATE("operations: mul.hi is the upper half", T, INTEGERS) {
  CHECK(differs(
            two<T>("mul.hi"), +[](T x, T y) -> T {
              if constexpr (std::is_same_v<T, u32>) return T(u64(x) * u64(y) >> 32);
              return std::is_same_v<T, u64> ? T(high_of(u64(x), u64(y))) : high_of(x, y);
            }) == "");
}

TEST_CASE("operations: wide products have twice the bits") {
  CHECK(differs(
            "mul.wide.s16 d, x, y;", +[](s16 x, s16 y) -> s32 { return s32(x) * y; }) == "");
  CHECK(differs(
            "mul.wide.u16 d, x, y;", +[](u16 x, u16 y) -> u32 { return u32(x) * y; }) == "");
  CHECK(differs(
            "mul.wide.s32 d, x, y;", +[](s32 x, s32 y) -> s64 { return s64(x) * y; }) == "");
  CHECK(differs(
            "mul.wide.u32 d, x, y;", +[](u32 x, u32 y) -> u64 { return u64(x) * y; }) == "");
  CHECK(differs(
            "mad.wide.s16 d, x, y, z;",
            +[](s16 x, s16 y, s32 z) -> s32 { return s32(s64(x) * y + z); }) == "");
  CHECK(differs(
            "mad.wide.u16 d, x, y, z;",
            +[](u16 x, u16 y, u32 z) -> u32 { return u32(u64(x) * y + z); }) == "");
  CHECK(differs(
            "mad.wide.s32 d, x, y, z;",
            +[](s32 x, s32 y, s64 z) -> s64 { return s64(s128(x) * y + z); }) == "");
  CHECK(differs(
            "mad.wide.u32 d, x, y, z;",
            +[](u32 x, u32 y, u64 z) -> u64 { return u64(x) * y + z; }) == "");
}

TEST_CASE_TEMPLATE("operations: quotients go towards zero, and remainders follow them", T,
                   INTEGERS) {
  std::vector<T> divisors;  // (a division by zero has no defined value)
  for (const T t : edges<T>())
    if (t != 0) divisors.push_back(t);
  CHECK(differs(
            two<T>("div"), +[](T x, T y) -> T { return T(s128(x) / s128(y)); }, edges<T>(),
            divisors) == "");
  CHECK(differs(
            two<T>("rem"), +[](T x, T y) -> T { return T(s128(x) - s128(x) / s128(y) * s128(y)); },
            edges<T>(), divisors) == "");
  CHECK(results<T>(two<T>("div"), edges<T>(), std::vector<T>(edges<T>().size())).size() >
        1);  // no trap
  CHECK(results<T>(two<T>("rem"), edges<T>(), std::vector<T>(edges<T>().size())).size() > 1);
}

TEST_CASE_TEMPLATE("operations: order and choice", T, INTEGERS) {
  CHECK(differs(
            two<T>("min"), +[](T x, T y) -> T { return s128(x) - s128(y) < 0 ? x : y; }) == "");
  CHECK(differs(
            two<T>("max"), +[](T x, T y) -> T { return s128(x) - s128(y) < 0 ? y : x; }) == "");
  using F = Flag;
  CHECK(differs(
            two<T>("setp.lt"), +[](T x, T y) { return F(s128(x) - s128(y) < 0); }) == "");
  CHECK(differs(
            two<T>("setp.le"), +[](T x, T y) { return F(s128(x) - s128(y) <= 0); }) == "");
  CHECK(differs(
            two<T>("setp.gt"), +[](T x, T y) { return F(s128(y) - s128(x) < 0); }) == "");
  CHECK(differs(
            two<T>("setp.ge"), +[](T x, T y) { return F(s128(y) - s128(x) <= 0); }) == "");
  CHECK(differs(
            two<T>("setp.eq"), +[](T x, T y) { return F((x ^ y) == 0); }) == "");
  CHECK(differs(
            two<T>("setp.ne"), +[](T x, T y) { return F((x ^ y) != 0); }) == "");
  CHECK(differs(
            std::string("selp.") + Named<T>::type + " d, x, y, z;",
            +[](T x, T y, F z) -> T { return z == F::yes ? x : y; }) == "");
  CHECK(differs(
            std::string("mov.") + Named<T>::type + " d, x;", +[](T x) -> T { return x; }) == "");
  if constexpr (std::is_signed_v<T>) {
    CHECK(differs(
              std::string("neg.") + Named<T>::type + " d, x;",
              +[](T x) -> T { return T(-s128(x)); }) == "");
    CHECK(differs(
              std::string("abs.") + Named<T>::type + " d, x;",
              +[](T x) -> T { return T(x < 0 ? -s128(x) : s128(x)); }) == "");
  }
}

TEST_CASE_TEMPLATE("operations: a shift beyond the width leaves nothing but the sign", T,
                   INTEGERS) {
  constexpr u32 width = 8 * sizeof(T);
  const std::vector<u32> by = {0, 1, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 0xffffffff};
  CHECK(differs(
            two<T>("shr"),
            +[](T x, u32 n) -> T {
              u64 out = 0;
              for (u32 i = 0; i < width; ++i) {
                const bool inside = u64(i) + n < width;
                out |= u64(inside ? bit(x, i + n) : x < 0) << i;
              }
              return T(out);
            },
            edges<T>(), by) == "");
  if constexpr (std::is_unsigned_v<T>) {
    const std::string type = Named<T>::bits;
    const auto right =
        +[](T x, u32 n) -> T { return n < width ? T(s128(x) / (s128(1) << n)) : T(0); };
    const auto left =
        +[](T x, u32 n) -> T { return n < width ? T(s128(x) * (s128(1) << n)) : T(0); };
    CHECK(differs("shr." + type + " d, x, y;", right, edges<T>(), by) == "");
    CHECK(differs("shl." + type + " d, x, y;", left, edges<T>(), by) == "");
  }
}

TEST_CASE_TEMPLATE("operations: bits", T, u16, u32, u64) {
  using F = Flag;
  const auto two = [](const char* name) {
    return std::string(name) + "." + Named<T>::bits + " d, x, y;";
  };
  CHECK(differs(
            two("and"), +[](T x, T y) -> T { return T(~(~u64(x) | ~u64(y))); }) == "");
  CHECK(differs(
            two("or"), +[](T x, T y) -> T { return T(~(~u64(x) & ~u64(y))); }) == "");
  CHECK(differs(
            two("xor"), +[](T x, T y) -> T { return T((x | y) - (x & y)); }) == "");
  CHECK(differs(
            std::string("not.") + Named<T>::bits + " d, x;",
            +[](T x) -> T { return T(-s128(x) - 1); }) == "");
  CHECK(differs(
            two("setp.eq"), +[](T x, T y) { return F(s128(x) - s128(y) == 0); }) == "");
  CHECK(differs(
            two("setp.ne"), +[](T x, T y) { return F(s128(x) - s128(y) != 0); }) == "");
  CHECK(differs(
            std::string("selp.") + Named<T>::bits + " d, x, y, z;",
            +[](T x, T y, F z) -> T { return z == F::yes ? x : y; }) == "");
  if constexpr (sizeof(T) > 2) {
    const std::string type = Named<T>::bits;
    CHECK(differs(
              "popc." + type + " d, x;", +[](T x) {
                u32 n = 0;
                for (u32 i = 0; i < 8 * sizeof(T); ++i) n += bit(x, i);
                return n;
              }) == "");
    CHECK(differs(
              "clz." + type + " d, x;", +[](T x) {
                u32 n = 0;
                while (n < 8 * sizeof(T) && !bit(x, 8 * sizeof(T) - 1 - n)) ++n;
                return n;
              }) == "");
    const std::vector<u32> places = {0, 1, 7, 30, 31, 32, 33, 40, 63, 64, 200, 256, 257};
    CHECK(differs(
              std::string("bfe.") + Named<T>::type + " d, x, y, z;",
              +[](T x, u32 from, u32 n) {
                T out = 0;  // starts and lengths count modulo 256
                for (u32 i = 0; i < n % 256 && from % 256 + i < 8 * sizeof(T); ++i)
                  out = T(out | T(bit(x, from % 256 + i)) << i);
                return out;
              },
              edges<T>(), places, places) == "");
    CHECK(differs(
              "bfi." + type + " d, x, y, z, w;",
              +[](T x, T y, u32 to, u32 n) {
                for (u32 i = 0; i < n % 256 && to % 256 + i < 8 * sizeof(T); ++i) {
                  const T one = T(T(1) << (to % 256 + i));
                  y = bit(x, i) ? T(y | one) : T(y & ~one);
                }
                return y;
              },
              {T(0x123456789abcdef5), T(-1), 0}, {T(0xfedcba9876543210), T(-1), 0}, places,
              places) == "");
  }
}

TEST_CASE("operations: prmt picks bytes, and bit 3 of a selector spreads a byte's sign") {
  const auto prmt = [](u32 x, u32 y, u32 how) {
    return results<u32>("prmt.b32 d, x, y, z;", std::vector{x}, std::vector{y},
                        std::vector{how})[0];
  };
  CHECK(prmt(0x33221100, 0x77665544, 0x3210) == 0x33221100);
  CHECK(prmt(0x33221100, 0x77665544, 0x7654) == 0x77665544);
  CHECK(prmt(0x33221100, 0x77665544, 0x0146) == 0x00114466);
  CHECK(prmt(0x33221100, 0x77665544, 0xabcd7632) == 0x77663322);  // only four selectors count
  CHECK(prmt(0x80ff7f01, 0xfe000000, 0x8bfa) == 0x00ffffff);      // of bytes 01, 80, fe and ff
  CHECK(prmt(0x80ff7f01, 0xfe000000, 0x98ab) == 0x0000ffff);      // of 7f, 01, ff and 80
}

TEST_CASE("operations: lop3 looks three bits up in a table that 0xf0, 0xcc and 0xaa would make") {
  for (u32 table = 0; table < 256; table += 5) {
    const std::string name = "lop3.b32 d, x, y, z, " + std::to_string(table) + ";";
    // Inputs that hold each combination of three bits: the low byte of the result is the table.
    CHECK((results<u32>(name, std::vector<u32>{0xf0}, std::vector<u32>{0xcc},
                        std::vector<u32>{0xaa})[0] &
           0xff) == table);
  }
  CHECK(differs(
            "lop3.b32 d, x, y, z, 0x96;", +[](u32 x, u32 y, u32 z) { return x ^ y ^ z; }) == "");
  CHECK(differs(
            "lop3.b32 d, x, y, z, 0x1a;", +[](u32 x, u32 y, u32 z) { return ((x & y) | z) ^ x; }) ==
        "");
}

TEST_CASE("operations: shf shifts x and y as one number whose upper half is y") {
  const std::vector<u32> by = {0, 1, 8, 31, 32, 33, 64, 0xffffffff};
  CHECK(differs(
            "shf.l.wrap.b32 d, x, y, z;",
            +[](u32 x, u32 y, u32 n) {
              n %= 32;
              return n == 0 ? y : y << n | x >> (32 - n);
            },
            edges<u32>(), edges<u32>(), by) == "");
  CHECK(differs(
            "shf.r.wrap.b32 d, x, y, z;",
            +[](u32 x, u32 y, u32 n) {
              n %= 32;
              return n == 0 ? x : x >> n | y << (32 - n);
            },
            edges<u32>(), edges<u32>(), by) == "");
}

TEST_CASE("operations: predicates") {
  using F = Flag;
  CHECK(differs(
            "and.pred d, x, y;", +[](F x, F y) { return F(u32(x) * u32(y)); }) == "");
  CHECK(differs(
            "or.pred d, x, y;", +[](F x, F y) { return F(u32(x) + u32(y) > 0); }) == "");
  CHECK(differs(
            "xor.pred d, x, y;", +[](F x, F y) { return F(u32(x) + u32(y) == 1); }) == "");
  CHECK(differs(
            "not.pred d, x;", +[](F x) { return F(1 - u32(x)); }) == "");
  CHECK(differs(
            "mov.pred d, x;", +[](F x) { return x; }) == "");
}

TEST_CASE("operations: mov joins registers, the first one lowest, and parts them again") {
  const std::vector<u64> x = edges<u64>();
  CHECK(differs(
            "mov.b64 {%r0, %r1}, x; sub.u32 d, %r1, %r0;",
            +[](u64 v) { return u32(v >> 32) - u32(v); }) == "");
  CHECK(differs(
            "mov.b64 {%h0, %h1, %h2, %h3}, x; mov.u16 d, %h2;",
            +[](u64 v) { return u16(v >> 32); }) == "");
  CHECK(differs(
            "mov.b32 {%h0, %h1}, x; mov.u16 d, %h1;", +[](u32 v) { return u16(v >> 16); }) == "");
  CHECK(differs(
            "mov.b64 d, {x, y};", +[](u32 l, u32 h) { return u64(h) << 32 | l; }) == "");
  CHECK(differs(
            "mov.b32 d, {x, y};", +[](u16 l, u16 h) { return u32(h) << 16 | l; }) == "");
  CHECK(differs("mov.b64 d, {x, y, z, w};",
                +[](u16 a, u16 b, u16 c, u16 e) {
                  return u64(e) << 48 | u64(c) << 32 | u64(b) << 16 | a;
                },
                {1, 0xffff}, {2, 0x8000}, {3}, {4, 0xfffe}) == "");
}

TEST_CASE("operations: names that are not known have no operation") {
  for (const char* name :
       {"", "add", "add.b32", "add.sat.s32", "add.rz.f32", "mul.f16", "setp.lt.and.s32",
        "cvt.f32.f64", "mad.hi.s32", "shf.l.clamp.b32", "fma.rn.ftz.f32"})
    CHECK_MESSAGE(operation(name) == nullptr, name);
}
