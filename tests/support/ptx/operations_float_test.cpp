// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/ptx/operations_float_test.cpp: floating point, against numbers wide enough to be exact or to
// round only once.
#include <support/ptx/harness.hpp>

using namespace cohort::ptx::test;

namespace {

__extension__ typedef __float128 quad;  // 113 bits: results of f64 are rounded twice without harm
template <class T> using Wider = std::conditional_t<sizeof(T) == 4, double, quad>;

template <class T> constexpr const char* type = sizeof(T) == 4 ? "f32" : "f64";
template <class T> std::string with(const std::string& name, int inputs) {
  const char* operands[] = {" d, x;", " d, x, y;", " d, x, y, z;"};
  return name + type<T> + operands[inputs - 1];
}
template <class T> bool negative(T x) {
  const auto bits = std::bit_cast<std::conditional_t<sizeof(T) == 4, u32, u64>>(x);
  return bits >> (8 * sizeof(T) - 1) != 0;
}
template <class T> bool nan(T x) { return x != x; }

/// Numbers whose products and sums the wider type holds exactly, ones among them that lie half way.
template <class T> std::vector<T> exact() {
  const T eps = std::numeric_limits<T>::epsilon();
  return {1,       1 + eps,  T(1.5),   2 - eps, T(-1), -1 - 3 * eps, T(0.5) + eps,
          eps / 2, -eps / 4, T(1) / 3, T(0)};
}
/// The number beside the exact one: 0 the nearest, -1 below, 1 above, 2 nearer to zero.
template <class T> T rounded(Wider<T> exact, int mode) {
  const T near = T(exact);
  if (mode == 2) mode = exact < 0 ? 1 : -1;
  const T inf = std::numeric_limits<T>::infinity();
  if (mode < 0 && Wider<T>(near) > exact) return std::nextafter(near, -inf);
  if (mode > 0 && Wider<T>(near) < exact) return std::nextafter(near, inf);
  return near;
}
template <class T, int Mode> T fma(T x, T y, T z) {
  const Wider<T> sum = Wider<T>(x) * Wider<T>(y) + Wider<T>(z);
  if (sum == 0 && (x * y != 0 || negative(x * y) != negative(z)))
    return Mode == -1 ? T(-0.0) : T(0);  // opposites cancel to -0 only when rounding down
  return rounded<T>(sum, Mode);
}

}  // namespace

TEST_CASE_TEMPLATE("operations: sums, products, quotients and roots are rounded once", T, float,
                   double) {
  using W = Wider<T>;
  for (const char* rounding : {"", "rn."}) {
    CHECK(differs(
              with<T>(std::string("add.") + rounding, 2),
              +[](T x, T y) { return T(W(x) + W(y)); }) == "");
    CHECK(differs(
              with<T>(std::string("sub.") + rounding, 2),
              +[](T x, T y) { return T(W(x) - W(y)); }) == "");
    CHECK(differs(
              with<T>(std::string("mul.") + rounding, 2),
              +[](T x, T y) { return T(W(x) * W(y)); }) == "");
  }
  std::vector<T> normal;  // (quotients that are subnormal would be rounded twice here)
  for (const T t : edges<T>())
    if (!(t != 0 && std::fabs(t) < 1e-20) && !(std::fabs(t) > 1e20)) normal.push_back(t);
  normal.push_back(std::numeric_limits<T>::infinity());
  CHECK(differs(
            with<T>("div.rn.", 2), +[](T x, T y) { return T(W(x) / W(y)); }, normal, normal) == "");
  CHECK(differs(
            with<T>("rcp.rn.", 1), +[](T x) { return T(W(1) / W(x)); }, normal) == "");
  CHECK(differs(
            with<T>("sqrt.rn.", 1), +[](T x) {
              if (nan(x) || x < 0) return std::numeric_limits<T>::quiet_NaN();
              const T inf = std::numeric_limits<T>::infinity();
              if (x == 0 || x == inf) return x;
              T y = std::sqrt(
                  x);  // right where x lies between the squares of its halves to both neighbours
              while (x > std::numeric_limits<T>::min() &&
                     W(x) < W(y) * W(y) - W(y) * W(y - std::nextafter(y, T(0))))
                y = std::nextafter(y, T(0));
              while (x > std::numeric_limits<T>::min() &&
                     W(x) > W(y) * W(y) + W(y) * W(std::nextafter(y, inf) - y))
                y = std::nextafter(y, inf);
              return y;
            }) == "");
}

TEST_CASE_TEMPLATE("operations: fma rounds the exact sum, in each of four ways", T, float, double) {
  CHECK(differs(with<T>("fma.rn.", 3), &fma<T, 0>, exact<T>(), exact<T>(), exact<T>()) == "");
  CHECK(differs(with<T>("fma.rm.", 3), &fma<T, -1>, exact<T>(), exact<T>(), exact<T>()) == "");
  CHECK(differs(with<T>("fma.rp.", 3), &fma<T, 1>, exact<T>(), exact<T>(), exact<T>()) == "");
  CHECK(differs(with<T>("fma.rz.", 3), &fma<T, 2>, exact<T>(), exact<T>(), exact<T>()) == "");
  // What rounding twice would lose: (1 + e)(1 - e) - 1 = -e^2.
  const T e = std::numeric_limits<T>::epsilon();
  CHECK(results<T>(with<T>("fma.rn.", 3), std::vector<T>{1 + e}, std::vector<T>{1 - e},
                   std::vector<T>{-1})[0] == -e * e);
  // Beyond the largest number lies infinity, or the largest number again.
  const T most = std::numeric_limits<T>::max(), inf = std::numeric_limits<T>::infinity();
  const auto twice = [&](const char* name, T x) {
    return results<T>(with<T>(name, 3), std::vector<T>{x}, std::vector<T>{2}, std::vector<T>{0})[0];
  };
  CHECK(twice("fma.rn.", most) == inf);
  CHECK(twice("fma.rz.", most) == most);
  CHECK(twice("fma.rm.", most) == most);
  CHECK(twice("fma.rp.", most) == inf);
  CHECK(twice("fma.rm.", -most) == -inf);
  CHECK(twice("fma.rp.", -most) == -most);
  CHECK(nan(results<T>(with<T>("fma.rn.", 3), std::vector<T>{inf}, std::vector<T>{0},
                       std::vector<T>{1})[0]));
}

TEST_CASE_TEMPLATE("operations: min and max prefer numbers to NaN, and tell the zeros apart", T,
                   float, double) {
  CHECK(differs(
            with<T>("min.", 2), +[](T x, T y) {
              if (nan(x) || nan(y)) return nan(x) ? y : x;
              if (x == y) return negative(x) ? x : y;
              return x < y ? x : y;
            }) == "");
  CHECK(differs(
            with<T>("max.", 2), +[](T x, T y) {
              if (nan(x) || nan(y)) return nan(x) ? y : x;
              if (x == y) return negative(x) ? y : x;
              return x < y ? y : x;
            }) == "");
}

TEST_CASE_TEMPLATE("operations: signs are single bits", T, float, double) {
  const auto signed_as = +[](T x, bool minus) { return negative(x) == minus ? x : -x; };
  static auto set = signed_as;
  CHECK(differs(
            with<T>("neg.", 1), +[](T x) { return set(x, !negative(x)); }) == "");
  CHECK(differs(
            with<T>("abs.", 1), +[](T x) { return set(x, false); }) == "");
  CHECK(differs(
            with<T>("copysign.", 2), +[](T x, T y) { return set(y, negative(x)); }) == "");
  CHECK(differs(
            with<T>("mov.", 1), +[](T x) { return x; }) == "");
  CHECK(differs(
            with<T>("selp.", 3), +[](T x, T y, Flag z) { return z == Flag::yes ? x : y; }) == "");
}

TEST_CASE_TEMPLATE("operations: comparisons with a NaN are false, and true with a u", T, float,
                   double) {
  using F = Flag;
  static const auto order = [](T x, T y) {  // -1, 0, 1, or 2: none
    return nan(x) || nan(y)                                  ? 2
           : x - y < 0 || (x < 0 && std::isinf(x) && x != y) ? -1
           : x == y                                          ? 0
                                                             : 1;
  };
  const auto agrees = [](const char* name, F (*expected)(T, T)) {
    return differs(with<T>(std::string("setp.") + name + ".", 2), expected) == "";
  };
  CHECK(agrees(
      "lt", +[](T x, T y) { return F(order(x, y) == -1); }));
  CHECK(agrees(
      "le", +[](T x, T y) { return F(order(x, y) == -1 || order(x, y) == 0); }));
  CHECK(agrees(
      "gt", +[](T x, T y) { return F(order(x, y) == 1); }));
  CHECK(agrees(
      "ge", +[](T x, T y) { return F(order(x, y) == 1 || order(x, y) == 0); }));
  CHECK(agrees(
      "eq", +[](T x, T y) { return F(order(x, y) == 0); }));
  CHECK(agrees(
      "ne", +[](T x, T y) { return F(order(x, y) == 1 || order(x, y) == -1); }));
  CHECK(agrees(
      "ltu", +[](T x, T y) { return F(order(x, y) == 2 || order(x, y) == -1); }));
  CHECK(agrees(
      "leu", +[](T x, T y) { return F(order(x, y) != 1); }));
  CHECK(agrees(
      "gtu", +[](T x, T y) { return F(order(x, y) == 2 || order(x, y) == 1); }));
  CHECK(agrees(
      "geu", +[](T x, T y) { return F(order(x, y) != -1); }));
  CHECK(agrees(
      "equ", +[](T x, T y) { return F(order(x, y) == 0 || order(x, y) == 2); }));
  CHECK(agrees(
      "neu", +[](T x, T y) { return F(order(x, y) != 0); }));
  CHECK(agrees(
      "num", +[](T x, T y) { return F(order(x, y) != 2); }));
  CHECK(agrees(
      "nan", +[](T x, T y) { return F(order(x, y) == 2); }));
}

namespace {
struct Point {
  float x, y;
};
void exactly(const std::string& instruction, const std::vector<Point>& points) {
  for (const Point& p : points) {
    const float got = results<float>(instruction, std::vector<float>{p.x})[0];
    CHECK_MESSAGE(same(got, p.y), instruction << " of " << shown(p.x) << " is " << shown(got));
  }
}
/// The largest relative error over arguments from all binades between 2^low and 2^high.
double error_of(const std::string& instruction, double (*f)(double), int low, int high,
                bool negatives = false) {
  std::vector<float> x;
  for (int e = low; e < high; ++e)
    for (int m = 0; m < 16; ++m) {
      x.push_back(std::ldexp(1.0f + float(m) * 0.0627f, e));
      if (negatives) x.push_back(-x.back());
    }
  const std::vector<float> got = results<float>(instruction, x);
  double most = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    most = std::max(most, std::fabs(double(got[i]) / f(double(x[i])) - 1));
  return most;
}
}  // namespace

TEST_CASE(
    "operations: approximations err as little as the ISA allows, and at special numbers not at "
    "all") {
  const float inf = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  const float tiny =
      std::numeric_limits<float>::denorm_min() * 100;  // taken for zero, and made zero
  exactly("ex2.approx.ftz.f32 d, x;", {{-inf, 0.0f},
                                       {-0.0f, 1},
                                       {0.0f, 1},
                                       {tiny, 1},
                                       {-tiny, 1},
                                       {inf, inf},
                                       {nan, nan},
                                       {-140, 0.0f},
                                       {-1000, 0.0f},
                                       {1000, inf}});
  exactly("rcp.approx.ftz.f32 d, x;", {{-inf, -0.0f},
                                       {-0.0f, -inf},
                                       {0.0f, inf},
                                       {tiny, inf},
                                       {-tiny, -inf},
                                       {inf, 0.0f},
                                       {nan, nan},
                                       {0x1p127f, 0.0f},
                                       {-0x1.8p127f, -0.0f}});
  exactly("rsqrt.approx.ftz.f32 d, x;", {{-inf, nan},
                                         {-1, nan},
                                         {-0.0f, -inf},
                                         {0.0f, inf},
                                         {tiny, inf},
                                         {-tiny, -inf},
                                         {inf, 0.0f},
                                         {nan, nan}});
  CHECK(error_of(
            "ex2.approx.ftz.f32 d, x;", +[](double x) { return std::exp2(x); }, -20, 6, true) <=
        0x1p-22);
  CHECK(error_of(
            "rcp.approx.ftz.f32 d, x;", +[](double x) { return 1 / x; }, -120, 120, true) <=
        0x1p-23);
  CHECK(error_of(
            "rsqrt.approx.ftz.f32 d, x;", +[](double x) { return 1 / std::sqrt(x); }, -120, 120) <=
        std::exp2(-22.9));
  exactly("rsqrt.approx.f32 d, x;",
          {{-1, nan}, {-0.0f, -inf}, {0.0f, inf}, {inf, 0.0f}, {nan, nan}});
  CHECK(error_of(
            "rsqrt.approx.f32 d, x;", +[](double x) { return 1 / std::sqrt(x); }, -140, 120) <=
        std::exp2(-22.9));
}

TEST_CASE(
    "operations: rcp.approx.ftz.f64 has the upper half of a number's bits, right to 20 of them") {
  std::vector<double> x;
  for (int e = -1000; e < 1000; e += 37)
    for (const double m : {1.0, 1.25, -1.999, 1.0000001}) x.push_back(std::ldexp(m, e));
  const std::vector<double> y = results<double>("rcp.approx.ftz.f64 d, x;", x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK((std::bit_cast<u64>(y[i]) & 0xffffffff) == 0);
    CHECK(std::fabs(y[i] * x[i] - 1) < 0x1p-19);
  }
  const double inf = std::numeric_limits<double>::infinity(),
               nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> special = {inf,        -inf,       0.0,       -0.0, 0x1p-1023,
                                       -0x1p-1040, 0x1.8p1023, -0x1p1023, nan};
  const std::vector<double> wanted = {0.0, -0.0, inf, -inf, inf, -inf, 0.0, -0.0, nan};
  const std::vector<double> got = results<double>("rcp.approx.ftz.f64 d, x;", special);
  for (std::size_t i = 0; i < got.size(); ++i)
    CHECK_MESSAGE(same(got[i], wanted[i]), shown(special[i]) << ": " << shown(got[i]));
}
