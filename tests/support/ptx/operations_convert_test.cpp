// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/ptx/operations_convert_test.cpp: cvt between all widths, with what fills wider registers.
#include <support/ptx/harness.hpp>

using namespace cohort::ptx::test;

namespace {

__extension__ typedef __int128 s128;

template <class T> std::string type() {
  return (std::is_floating_point_v<T> ? "f"
          : std::is_signed_v<T>       ? "s"
                                      : "u") +
         std::to_string(8 * sizeof(T));
}
/// The low bits of a number as T reads them.
template <class T> T cut(s128 value) {
  const s128 size = s128(1) << (8 * sizeof(T));
  s128 low = ((value % size) + size) % size;
  if (std::is_signed_v<T> && low >= size / 2) low -= size;
  return static_cast<T>(low);
}

/// From S to D, into a register R that may be wider than D; the register of S is wider where X is.
template <class R, class D, class X, class S> std::string whole() {
  return differs(
      "cvt." + type<D>() + "." + type<S>() + " d, x;",
      +[](X x) -> R { return R(cut<D>(s128(cut<S>(s128(x))))); });
}
template <class S> void from() {
  CAPTURE(type<S>());
  CHECK(whole<s64, s8, S, S>() == "");  // a sign fills the register
  CHECK(whole<u64, u8, S, S>() == "");
  CHECK(whole<s32, s8, S, S>() == "");
  CHECK(whole<s16, s16, S, S>() == "");
  CHECK(whole<s32, s16, S, S>() == "");
  CHECK(whole<u32, u16, S, S>() == "");
  CHECK(whole<s32, s32, S, S>() == "");
  CHECK(whole<u64, u32, S, S>() == "");
  CHECK(whole<s64, s32, S, S>() == "");
  CHECK(whole<s64, s64, S, S>() == "");
  CHECK(whole<u64, u64, S, S>() == "");
  if constexpr (sizeof(S) < 8)
    CHECK(whole<s64, s64, u64, S>() == "");  // what lies above is not looked at
  if constexpr (sizeof(S) < 4) CHECK(whole<u32, u16, u32, S>() == "");
}

/// A number's whole part in one of four ways, by comparing with its neighbours.
double whole_part(double x, char how) {
  if (!(std::fabs(x) < 0x1p52)) return x;
  const double below = double(s64(x)) - (double(s64(x)) > x ? 1 : 0),
               above = below == x ? below : below + 1;
  if (how == 'm') return below;
  if (how == 'p') return above;
  if (how == 'z') return x < 0 ? above : below;
  if (x - below != above - x) return x - below < above - x ? below : above;
  return std::fmod(below, 2) == 0 ? below : above;
}
template <class D, class S> D clamped(double x, bool is_nan) {
  // Zero, but where one of the types has 64 bits: the highest bit alone.
  if (is_nan) return sizeof(S) == 8 || sizeof(D) == 8 ? D(u64(1) << (8 * sizeof(D) - 1)) : D(0);
  const long double low = std::numeric_limits<D>::min(), high = std::numeric_limits<D>::max(),
                    wide = x;
  return wide < low    ? std::numeric_limits<D>::min()
         : wide > high ? std::numeric_limits<D>::max()
                       : D(wide);
}
template <class D, class S, char How> std::string to_whole() {
  std::vector<S> x = edges<S>();
  for (const double more :
       {0.5, 1.5, -0.5, -1.5, 126.5, 127.5, -128.5, 255.5, 32767.5, 65535.4, 2147483647.0,
        2147483648.0, -2147483649.0, 4294967295.0, 9.3e18, -9.3e18, 1.85e19, 0.999, -0.3})
    x.push_back(S(more));
  return differs(
      std::string("cvt.r") + How + "i." + type<D>() + "." + type<S>() + " d, x;",
      +[](S v) { return clamped<D, S>(whole_part(double(v), How), v != v); }, x);
}
template <class D> void to_whole_of_both() {
  CAPTURE(type<D>());
  CHECK(to_whole<D, float, 'n'>() == "");
  CHECK(to_whole<D, float, 'z'>() == "");
  CHECK(to_whole<D, float, 'm'>() == "");
  CHECK(to_whole<D, float, 'p'>() == "");
  CHECK(to_whole<D, double, 'n'>() == "");
  CHECK(to_whole<D, double, 'z'>() == "");
}

/// The nearest of the numbers that a type has, ties to the one whose last bit is 0.
template <class D, class S> std::string to_float() {
  return differs(
      "cvt.rn." + type<D>() + "." + type<S>() + " d, x;", +[](S v) -> D {
        constexpr int digits = std::numeric_limits<D>::digits;
        const bool minus = s128(v) < 0;
        s128 m = minus ? -s128(v) : s128(v);
        int e = 0;
        for (; m >> digits != 0 && (m >> e) >> digits != 0;) ++e;
        const s128 unit = s128(1) << e, rest = m % unit;
        m -= rest;
        if (rest * 2 > unit || (rest * 2 == unit && (m / unit) % 2 == 1)) m += unit;
        const D y = std::ldexp(D(s64(m / unit)), e);
        return minus ? -y : y;
      });
}

/// A float of 16 bits by its definition; `exponent` of its bits are an exponent.
double value_of(u16 bits, int exponent) {
  const int mantissa = 15 - exponent, bias = (1 << (exponent - 1)) - 1;
  const int e = bits >> mantissa & ((1 << exponent) - 1), m = bits & ((1 << mantissa) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (e == (1 << exponent) - 1) return m != 0 ? NAN : sign * INFINITY;
  return sign * std::ldexp(e == 0 ? m : m + (1 << mantissa), (e == 0 ? 1 : e) - bias - mantissa);
}
/// The nearest by search among all non-negative ones: those are ordered as their bits are.
u16 nearest(float x, int exponent) {
  const u16 sign = std::signbit(x) ? 0x8000 : 0,
            infinity = u16(((1 << exponent) - 1) << (15 - exponent));
  const double a = std::fabs(double(x));
  u16 low = 0;
  for (u16 step = 0x4000; step != 0; step = u16(step / 2))
    if (low + step <= infinity && value_of(u16(low + step), exponent) <= a) low = u16(low + step);
  if (low == infinity) return u16(sign | infinity);
  const double below = value_of(low, exponent);
  // (what would follow the largest number rounds to infinity)
  const double above = low + 1 == infinity ? below + (below - value_of(u16(low - 1), exponent))
                                           : value_of(u16(low + 1), exponent);
  const bool up = a - below > above - a || (a - below == above - a && low % 2 == 1);
  return u16(sign | (up ? low + 1 : low));
}
template <int Exponent> u16 half_of(float x) { return x != x ? u16(0x7fff) : nearest(x, Exponent); }
std::vector<float> floats_near_halves() {
  std::vector<float> all;
  for (const float x : edges<float>())
    if (x == x) all.push_back(x);
  std::minstd_rand random(7);
  for (int i = 0; i < 300; ++i)
    all.push_back(std::ldexp(float(random() % 65536) / 32768 - 1, int(random() % 48) - 28));
  for (const float x :
       {65504.0f, 65519.99f, 65520.0f, 65536.0f, 0x1p-24f, 0x1p-25f, 0x1.8p-25f, 0x1.ffcp-15f,
        0x1.ffep-15f, 0x1.fep127f, 0x1.ffp127f, 0x1p-133f, 0x1p-134f, 1 + 0x1p-11f, 1 + 0x1.8p-10f})
    all.push_back(x), all.push_back(-x);
  return all;
}

}  // namespace

TEST_CASE(
    "cvt: between whole numbers the low bits stay, and the target's type fills the register") {
  from<s8>(), from<u8>(), from<s16>(), from<u16>(), from<s32>(), from<u32>(), from<s64>(),
      from<u64>();
}

TEST_CASE("cvt: to whole numbers in four roundings, clamped; NaN is zero or a highest bit") {
  to_whole_of_both<s16>(), to_whole_of_both<u16>(), to_whole_of_both<s32>();
  to_whole_of_both<u32>(), to_whole_of_both<s64>(), to_whole_of_both<u64>();
  // 8 bits live in wider registers.
  const auto byte = [](const char* name, float x) {
    return results<s32>(std::string("cvt.rzi.") + name + ".f32 d, x;", std::vector<float>{x})[0];
  };
  CHECK(byte("s8", -200.0f) == -128);
  CHECK(byte("s8", 127.9f) == 127);
  CHECK(byte("u8", 300.0f) == 255);
  CHECK(byte("u8", -1.0f) == 0);
}

TEST_CASE("cvt: whole numbers to the nearest floating-point ones") {
  CHECK(to_float<float, s16>() == "");
  CHECK(to_float<float, u16>() == "");
  CHECK(to_float<float, s32>() == "");
  CHECK(to_float<float, u32>() == "");
  CHECK(to_float<float, s64>() == "");
  CHECK(to_float<float, u64>() == "");
  CHECK(to_float<double, s16>() == "");
  CHECK(to_float<double, u16>() == "");
  CHECK(to_float<double, s32>() == "");
  CHECK(to_float<double, u32>() == "");
  CHECK(to_float<double, s64>() == "");
  CHECK(to_float<double, u64>() == "");
  CHECK(results<float>("cvt.rn.f32.s32 d, x;", std::vector<s32>{16777217, 16777219}) ==
        std::vector<float>{16777216.0f, 16777220.0f});
}

TEST_CASE_TEMPLATE("cvt: to whole numbers of its own type, and into [0, 1]", T, float, double) {
  const std::string f = type<T>() + "." + type<T>() + " d, x;";
  std::vector<T> x = edges<T>();
  for (const double more : {0.5, 1.5, 2.4, 2.6, 1e7 + 0.5})
    x.push_back(T(more)), x.push_back(T(-more));
  const auto keeps_sign = [&](char how, T (*expected)(T)) {
    return differs(std::string("cvt.r") + how + "i." + f, expected, x);
  };
  CHECK(keeps_sign(
            'n', +[](T v) { return std::copysign(T(whole_part(double(v), 'n')), v); }) == "");
  CHECK(keeps_sign(
            'z', +[](T v) { return std::copysign(T(whole_part(double(v), 'z')), v); }) == "");
  CHECK(keeps_sign(
            'm', +[](T v) { return std::copysign(T(whole_part(double(v), 'm')), v); }) == "");
  CHECK(keeps_sign(
            'p', +[](T v) { return std::copysign(T(whole_part(double(v), 'p')), v); }) == "");
  std::erase_if(x, [](T v) { return v == 0 && std::signbit(v); });
  CHECK(differs(
            "cvt.sat." + f, +[](T v) { return v > 1   ? T(1)
                                              : v > 0 ? v
                                                      : T(0); }, x) == "");
}

TEST_CASE("cvt: between f32 and f64") {
  CHECK(differs(
            "cvt.f64.f32 d, x;", +[](float x) { return double(x); }) == "");
  CHECK(results<float>("cvt.rn.f32.f64 d, x;",
                       std::vector<double>{1 + 0x1p-24, 1 + 0x1.8p-23, 1 + 0x1p-24 + 0x1p-50, 1e300,
                                           0x1p-150, 0x1.8p-149, -1e-300}) ==
        std::vector<float>{1, 1 + 0x1p-22f, 1 + 0x1p-23f, INFINITY, 0, 0x1p-148f, -0.0f});
}

TEST_CASE("cvt: the floating-point types of 16 bits") {
  std::vector<u16> all;
  for (u32 bits = 0; bits < 65536; bits += 3) all.push_back(u16(bits));
  CHECK(differs(
            "cvt.f32.f16 d, x;", +[](u16 x) { return float(value_of(x, 5)); }, all) == "");
  CHECK(differs(
            "cvt.f32.bf16 d, x;", +[](u16 x) { return float(value_of(x, 8)); }, all) == "");
  const std::vector<float> x = floats_near_halves();
  CHECK(differs("cvt.rn.f16.f32 d, x;", &half_of<5>, x) == "");
  CHECK(differs("cvt.rn.bf16.f32 d, x;", &half_of<8>, x) == "");
  const std::vector<float> few = {1.5f, -0.1f, 70000.0f, 0x1.01p0f};
  // The first of two goes to the upper half.
  CHECK(differs(
            "cvt.rn.f16x2.f32 d, x, y;",
            +[](float h, float l) { return u32(half_of<5>(h)) << 16 | half_of<5>(l); }, few,
            few) == "");
  CHECK(differs(
            "cvt.rn.bf16x2.f32 d, x, y;",
            +[](float h, float l) { return u32(half_of<8>(h)) << 16 | half_of<8>(l); }, few,
            few) == "");
  for (const char* name : {"f16", "bf16"}) {
    const std::string there = std::string("cvt.rn.") + name + ".f32 %h0, x;";
    const std::string back = std::string("cvt.f32.") + name + " d, %h0;";
    CHECK(std::isnan(results<float>(there + back, std::vector<float>{NAN})[0]));
  }
}
