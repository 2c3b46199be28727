// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/operations.cpp: arithmetic, comparisons, conversions, tensor cores and exchanges between lanes.
//
// Semantics from NVIDIA's PTX ISA 9.0. Where it leaves an error to the chip (approx, mma), the machine
// errs as far as it may, so that a test's tolerance holds on a GPU too.
#include <cfenv>
#include <cmath>
#include <cohort/core/float16.hpp>
#include <limits>
#include <map>
#include <string>
#include <support/ptx/operations.hpp>
#include <support/ptx/warp.hpp>
#include <tuple>
#include <type_traits>
#include <utility>

namespace cohort::ptx {

namespace {

using s16 = std::int16_t;
using u16 = std::uint16_t;
using s32 = std::int32_t;
using u32 = std::uint32_t;
using s64 = std::int64_t;
using u64 = std::uint64_t;
__extension__ typedef __int128 s128;
__extension__ typedef unsigned __int128 u128;

// ---- lane by lane --------------------------------------------------------------------------------
template <class T> constexpr std::uint8_t width = sizeof(T);
template <> constexpr std::uint8_t width<bool> = 0;

template <class T> struct In {
  In(const Warp& warp, const Operand& o) : bytes(warp.from(o)) {}
  T operator[](int lane) const {
    T value;
    std::memcpy(&value, bytes + static_cast<std::size_t>(lane) * sizeof(T), sizeof(T));
    return value;
  }
  const std::byte* bytes;
};
template <> struct In<bool> {
  In(const Warp& warp, const Operand& o) : bits(warp.predicate(o)) {}
  bool operator[](int lane) const { return (bits >> lane & 1u) != 0; }
  Mask bits;
};

template <auto F, class D, class... S, std::size_t... Is>
void lanewise(Warp& warp, const Instruction& i, Mask mask, std::index_sequence<Is...>) {
  const std::tuple<In<S>...> in{In<S>(warp, i.from[Is])...};
  if constexpr (std::is_same_v<D, bool>) {
    Mask bits = 0;
    for (int l = 0; l < lanes; ++l) bits |= Mask{F(std::get<Is>(in)[l]...)} << l;
    warp.set_predicate(i.to[0], bits, mask);
  } else {
    std::byte* out = warp.to(i.to[0]);
    const auto one = [&](int l) {
      const D value = F(std::get<Is>(in)[l]...);
      std::memcpy(out + static_cast<std::size_t>(l) * sizeof(D), &value, sizeof(D));
    };
    if (mask == all_lanes)
      for (int l = 0; l < lanes; ++l) one(l);
    else
      for (Mask left = mask; left != 0; left &= left - 1) one(std::countr_zero(left));
  }
}
template <auto F, class D, class... S> void lanewise(Warp& warp, const Instruction& i, Mask mask) {
  lanewise<F, D, S...>(warp, i, mask, std::index_sequence_for<S...>{});
}
template <auto F, class D, class... S> Operation made(D (*)(S...), Pipe pipe) {
  return {.execute = &lanewise<F, D, S...>, .pipe = pipe, .to = {width<D>}, .from = {width<S>...}};
}

using Table = std::map<std::string, Operation, std::less<>>;
template <auto F> void add(Table& table, const std::string& name, Pipe pipe) {
  table[name] = made<F>(+F, pipe);
}

// ---- integers ------------------------------------------------------------------------------------
template <class T, class U = std::make_unsigned_t<T>>
void whole(Table& t, const std::string& type) {
  constexpr Pipe p = Pipe::integer;
  add<[](T a, T b) { return T(U(U(a) + U(b))); }>(t, "add." + type, p);
  add<[](T a, T b) { return T(U(U(a) - U(b))); }>(t, "sub." + type, p);
  add<[](T a, T b) { return T(U(u64(U(a)) * u64(U(b)))); }>(t, "mul.lo." + type, p);
  add<[](T a, T b, T c) { return T(U(u64(U(a)) * u64(U(b)) + u64(U(c)))); }>(t, "mad.lo." + type,
                                                                             p);
  add<[](T a, T b) {
    using W = std::conditional_t<std::is_signed_v<T>, s128, u128>;
    return T((W(a) * W(b)) >> (8 * sizeof(T)));
  }>(t, "mul.hi." + type, p);
  add<[](T a, T b) {
    if (b == 0) return T(-1);  // unspecified, and no trap
    if constexpr (std::is_signed_v<T>)
      if (a == std::numeric_limits<T>::min() && b == T(-1)) return a;
    return T(a / b);
  }>(t, "div." + type, p);
  add<[](T a, T b) {
    if (b == 0) return a;
    if constexpr (std::is_signed_v<T>)
      if (b == T(-1)) return T(0);
    return T(a % b);
  }>(t, "rem." + type, p);
  add<[](T a, T b) { return a < b ? a : b; }>(t, "min." + type, p);
  add<[](T a, T b) { return a < b ? b : a; }>(t, "max." + type, p);
  add<[](T a, u32 n) { return n >= 8 * sizeof(T) ? T(a < 0 ? -1 : 0) : T(a >> n); }>(
      t, "shr." + type, p);
  if constexpr (std::is_signed_v<T>) {
    add<[](T a) { return T(U(0) - U(a)); }>(t, "neg." + type, p);
    add<[](T a) { return a < 0 ? T(U(0) - U(a)) : a; }>(t, "abs." + type, p);
  }
  add<[](T a, T b) { return a < b; }>(t, "setp.lt." + type, p);
  add<[](T a, T b) { return a <= b; }>(t, "setp.le." + type, p);
  add<[](T a, T b) { return (a > b); }>(t, "setp.gt." + type, p);
  add<[](T a, T b) { return a >= b; }>(t, "setp.ge." + type, p);
  add<[](T a, T b) { return a == b; }>(t, "setp.eq." + type, p);
  add<[](T a, T b) { return a != b; }>(t, "setp.ne." + type, p);
  add<[](T a, T b, bool c) { return c ? a : b; }>(t, "selp." + type, p);
  add<[](T a) { return a; }>(t, "mov." + type, p);
}
template <class T> void bits(Table& t, const std::string& type) {
  constexpr Pipe p = Pipe::integer;
  add<[](T a, T b) { return T(a & b); }>(t, "and." + type, p);
  add<[](T a, T b) { return T(a | b); }>(t, "or." + type, p);
  add<[](T a, T b) { return T(a ^ b); }>(t, "xor." + type, p);
  add<[](T a) { return T(~a); }>(t, "not." + type, p);
  add<[](T a, u32 n) { return n >= 8 * sizeof(T) ? T(0) : T(a << n); }>(t, "shl." + type, p);
  add<[](T a, u32 n) { return n >= 8 * sizeof(T) ? T(0) : T(a >> n); }>(t, "shr." + type, p);
  add<[](T a, T b) { return a == b; }>(t, "setp.eq." + type, p);
  add<[](T a, T b) { return a != b; }>(t, "setp.ne." + type, p);
  add<[](T a, T b, bool c) { return c ? a : b; }>(t, "selp." + type, p);
  add<[](T a) { return a; }>(t, "mov." + type, p);
}
template <class T, class W> void wide(Table& t, const std::string& type) {
  add<[](T a, T b) { return W(W(a) * W(b)); }>(t, "mul.wide." + type, Pipe::integer);
  add<[](T a, T b, W c) { return W(u64(W(a) * W(b)) + u64(c)); }>(t, "mad.wide." + type,
                                                                  Pipe::integer);
}
template <class T> T extracted(T a, u32 from, u32 n) {
  from &= 255, n &= 255;
  if (n == 0 || from >= 8 * sizeof(T)) return 0;
  const T shifted = T(a >> from);
  return n >= 8 * sizeof(T) ? shifted : T(shifted & ((T(1) << n) - 1));
}
template <class T> T inserted(T a, T b, u32 to, u32 n) {
  to &= 255, n &= 255;
  if (n == 0 || to >= 8 * sizeof(T)) return b;
  const T ones = n >= 8 * sizeof(T) ? T(~T(0)) : T((T(1) << n) - 1);
  return T((b & ~T(ones << to)) | T((a & ones) << to));
}
u32 permuted(u32 a, u32 b, u32 selector) {
  const u64 bytes = u64{b} << 32 | a;
  u32 out = 0;
  for (int i = 0; i < 4; ++i) {
    const u32 nibble = selector >> (4 * i) & 15u;
    u32 byte = static_cast<u32>(bytes >> (8 * (nibble & 7u))) & 255u;
    if ((nibble & 8u) != 0) byte = (byte & 128u) != 0 ? 255u : 0u;
    out |= byte << (8 * i);
  }
  return out;
}
u32 looked_up(u32 a, u32 b, u32 c, u32 table) {
  u32 out = 0;
  for (int i = 0; i < 32; ++i)
    out |= (table >> ((a >> i & 1u) << 2 | (b >> i & 1u) << 1 | (c >> i & 1u)) & 1u) << i;
  return out;
}

/// Additions that take a carry, leave one, or both: mad's product is the lower or upper half of a b.
enum class Product { none, low, high };
template <class U, Product P, bool Subtracts, bool Takes, bool Leaves>
void carried(Warp& warp, const Instruction& i, Mask mask) {
  constexpr Operand flag{Fixed::carry, 0, nullptr};
  const Mask before = warp.predicate(flag);
  Mask after = 0;
  for (Mask left = mask; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const auto value = [&](std::size_t k) { return U(warp.word(i.from[k], lane)); };
    U a = value(0), b = value(1);
    if constexpr (P != Product::none) {
      const u128 product = u128(a) * b;
      a = U(P == Product::low ? product : product >> (8 * sizeof(U)));
      b = value(2);
    }
    const U carry = Takes && (before >> lane & 1u) != 0 ? 1 : 0;
    const u128 sum = Subtracts ? u128(a) - b - carry : u128(a) + b + carry;
    warp.set_word(i.to[0], lane, U(sum));
    if ((sum >> (8 * sizeof(U))) != 0) after |= Mask{1} << lane;
  }
  if constexpr (Leaves) warp.set_predicate(flag, after, mask);
}
template <class U, Product P, bool Subtracts>
void with_carry(Table& t, const std::string& name, const std::string& half,
                const std::string& type) {
  const std::vector<std::uint8_t> from(P == Product::none ? 2 : 3, width<U>);
  const auto put = [&](const std::string& full, Execute execute) {
    t[full] = {.execute = execute, .pipe = Pipe::integer, .to = {width<U>}, .from = from};
  };
  put(name + half + ".cc." + type, &carried<U, P, Subtracts, false, true>);
  put(name + "c" + half + ".cc." + type, &carried<U, P, Subtracts, true, true>);
  put(name + "c" + half + "." + type, &carried<U, P, Subtracts, true, false>);
}
template <class U> void carries(Table& t, const std::string& type) {
  with_carry<U, Product::none, false>(t, "add", "", type);
  with_carry<U, Product::none, true>(t, "sub", "", type);
  with_carry<U, Product::low, false>(t, "mad", ".lo", type);
  with_carry<U, Product::high, false>(t, "mad", ".hi", type);
}

void integers(Table& t) {
  carries<u32>(t, "u32"), carries<u64>(t, "u64");
  // A sum's bits and carry are the same with a sign; those of a product's upper half are not.
  with_carry<u32, Product::none, false>(t, "add", "", "s32"),
      with_carry<u32, Product::none, true>(t, "sub", "", "s32");

  whole<s16>(t, "s16"), whole<u16>(t, "u16"), whole<s32>(t, "s32");
  whole<u32>(t, "u32"), whole<s64>(t, "s64"), whole<u64>(t, "u64");
  bits<u16>(t, "b16"), bits<u32>(t, "b32"), bits<u64>(t, "b64");
  wide<s16, s32>(t, "s16"), wide<u16, u32>(t, "u16"), wide<s32, s64>(t, "s32"),
      wide<u32, u64>(t, "u32");
  constexpr Pipe p = Pipe::integer;
  add<[](bool a, bool b) { return a && b; }>(t, "and.pred", p);
  add<[](bool a, bool b) { return a || b; }>(t, "or.pred", p);
  add<[](bool a, bool b) { return a != b; }>(t, "xor.pred", p);
  add<[](bool a) { return !a; }>(t, "not.pred", p);
  add<[](bool a) { return a; }>(t, "mov.pred", p);
  add<[](u32 a) { return u32(std::popcount(a)); }>(t, "popc.b32", p);
  add<[](u64 a) { return u32(std::popcount(a)); }>(t, "popc.b64", p);
  add<[](u32 a) { return u32(std::countl_zero(a)); }>(t, "clz.b32", p);
  add<[](u64 a) { return u32(std::countl_zero(a)); }>(t, "clz.b64", p);
  add<[](u32 a, u32 b, u32 c) { return extracted(a, b, c); }>(t, "bfe.u32", p);
  add<[](u64 a, u32 b, u32 c) { return extracted(a, b, c); }>(t, "bfe.u64", p);
  add<[](u32 a, u32 b, u32 c, u32 d) { return inserted(a, b, c, d); }>(t, "bfi.b32", p);
  add<[](u64 a, u64 b, u32 c, u32 d) { return inserted(a, b, c, d); }>(t, "bfi.b64", p);
  add<[](u32 a, u32 b, u32 c) { return permuted(a, b, c); }>(t, "prmt.b32", p);
  add<[](u32 a, u32 b, u32 c, u32 d) { return looked_up(a, b, c, d); }>(t, "lop3.b32", p);
  add<[](u32 low, u32 high, u32 n) { return u32((u64{high} << 32 | low) << (n & 31u) >> 32); }>(
      t, "shf.l.wrap.b32", p);
  add<[](u32 low, u32 high, u32 n) { return u32((u64{high} << 32 | low) >> (n & 31u)); }>(
      t, "shf.r.wrap.b32", p);
}

// ---- floating point ------------------------------------------------------------------------------
template <class T> __attribute__((noinline)) T fused(int mode, T a, T b, T c) {
  const int before = std::fegetround();
  std::fesetround(mode);
  volatile T x = a, y = b, z = c;
  const volatile T sum = std::fma(T(x), T(y), T(z));
  std::fesetround(before);
  return sum;
}
template <class T> void floating(Table& t, const std::string& type, Pipe p) {
  for (const char* rounding : {"", "rn."}) {
    add<[](T a, T b) { return a + b; }>(t, std::string("add.") + rounding + type, p);
    add<[](T a, T b) { return a - b; }>(t, std::string("sub.") + rounding + type, p);
    add<[](T a, T b) { return a * b; }>(t, std::string("mul.") + rounding + type, p);
  }
  add<[](T a, T b, T c) { return std::fma(a, b, c); }>(t, "fma.rn." + type, p);
  add<[](T a, T b, T c) { return fused(FE_DOWNWARD, a, b, c); }>(t, "fma.rm." + type, p);
  add<[](T a, T b, T c) { return fused(FE_UPWARD, a, b, c); }>(t, "fma.rp." + type, p);
  add<[](T a, T b, T c) { return fused(FE_TOWARDZERO, a, b, c); }>(t, "fma.rz." + type, p);
  add<[](T a, T b, T c) { return std::fma(a, b, -c); }>(t, "(fms)." + type, p);  // of contract()
  add<[](T a, T b, T c) { return std::fma(-a, b, c); }>(t, "(fnma)." + type, p);
  add<[](T a, T b) { return a / b; }>(t, "div.rn." + type, p);
  add<[](T a) { return T(1) / a; }>(t, "rcp.rn." + type, p);
  add<[](T a) { return std::sqrt(a); }>(t, "sqrt.rn." + type, p);
  // Of a NaN and a number the number, and -0 below 0, of which C says nothing.
  add<[](T a, T b) { return a == b ? (std::signbit(a) ? a : b) : std::fmin(a, b); }>(
      t, "min." + type, p);
  add<[](T a, T b) { return a == b ? (std::signbit(a) ? b : a) : std::fmax(a, b); }>(
      t, "max." + type, p);
  add<[](T a) { return -a; }>(t, "neg." + type, p);
  add<[](T a) { return std::fabs(a); }>(t, "abs." + type, p);
  add<[](T sign, T a) { return std::copysign(a, sign); }>(t, "copysign." + type, p);
  add<[](T a) { return a; }>(t, "mov." + type, Pipe::integer);
  add<[](T a, T b, bool c) { return c ? a : b; }>(t, "selp." + type, Pipe::integer);
  add<[](T a, T b) { return a < b; }>(t, "setp.lt." + type, p);
  add<[](T a, T b) { return a <= b; }>(t, "setp.le." + type, p);
  add<[](T a, T b) { return (a > b); }>(t, "setp.gt." + type, p);
  add<[](T a, T b) { return a >= b; }>(t, "setp.ge." + type, p);
  add<[](T a, T b) { return a == b; }>(t, "setp.eq." + type, p);
  add<[](T a, T b) { return (a < b) || (a > b); }>(t, "setp.ne." + type, p);
  add<[](T a, T b) { return !(a >= b); }>(t, "setp.ltu." + type, p);
  add<[](T a, T b) { return !(a > b); }>(t, "setp.leu." + type, p);
  add<[](T a, T b) { return !(a <= b); }>(t, "setp.gtu." + type, p);
  add<[](T a, T b) { return !(a < b); }>(t, "setp.geu." + type, p);
  add<[](T a, T b) { return !((a < b) || (a > b)); }>(t, "setp.equ." + type, p);
  add<[](T a, T b) { return a != b; }>(t, "setp.neu." + type, p);
  add<[](T a, T b) { return !std::isnan(a) && !std::isnan(b); }>(t, "setp.num." + type, p);
  add<[](T a, T b) { return std::isnan(a) || std::isnan(b); }>(t, "setp.nan." + type, p);
}
float without_subnormals(float x) {
  return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
}
/// A float whose distance from the exact value is at most `ulps`, on a side that depends on the argument; the
/// value itself where a float has it, as chips do for powers of two.
float erring(double exact, float argument, int ulps) {
  const float nearest = static_cast<float>(exact);
  if (double(nearest) == exact || nearest == 0 || !std::isfinite(nearest)) return nearest;
  const u32 h = std::bit_cast<u32>(argument) * 2654435761u;
  const float towards = (h >> 31) != 0 ? std::numeric_limits<float>::infinity()
                                       : -std::numeric_limits<float>::infinity();
  const double most = ulps * std::ldexp(1.0, std::ilogb(nearest) - 23);
  float y = nearest;
  for (;;) {
    const float next = std::nextafter(y, towards);
    if (!(std::fabs(double(next) - exact) <= most)) return y;
    y = next;
  }
}
void floats(Table& t) {
  floating<float>(t, "f32", Pipe::fp32);
  floating<double>(t, "f64", Pipe::fp64);
  constexpr Pipe p = Pipe::special;
  add<[](float x) {
    const float y = without_subnormals(x);
    return without_subnormals(y == 0 ? 1.0f : erring(std::exp2(double(y)), x, 2));
  }>(t, "ex2.approx.ftz.f32", p);
  add<[](float x) {
    return without_subnormals(erring(1.0 / double(without_subnormals(x)), x, 1));
  }>(t, "rcp.approx.ftz.f32", p);
  add<[](float x) {
    return without_subnormals(erring(1.0 / std::sqrt(double(without_subnormals(x))), x, 1));
  }>(t, "rsqrt.approx.ftz.f32", p);
  add<[](float x) { return erring(1.0 / std::sqrt(double(x)), x, 1); }>(t, "rsqrt.approx.f32", p);
  add<[](double x) {  // the upper half of the bits, right to 20 of them
    const auto without_subnormals = [](double v) {
      return std::fabs(v) < std::numeric_limits<double>::min() ? std::copysign(0.0, v) : v;
    };
    x = without_subnormals(x);
    u64 y = std::bit_cast<u64>(1.0 / x) & ~u64{0xffffffff};
    if (std::isfinite(1.0 / x) && (std::bit_cast<u64>(x) >> 33 & 1u) != 0) y ^= u64{1} << 32;
    return without_subnormals(std::bit_cast<double>(y));
  }>(t, "rcp.approx.ftz.f64", p);
}

// ---- conversions ---------------------------------------------------------------------------------
enum class Rounding {
  none,
  nearest,
  zero,
  down,
  up,
  nearest_whole,
  zero_whole,
  down_whole,
  up_whole
};

template <class T> T raised(const Warp& warp, const Operand& o, int lane) {
  if constexpr (std::is_same_v<T, fp16> || std::is_same_v<T, bf16>)
    return T::from_bits(static_cast<u16>(warp.word(o, lane)));
  else if constexpr (sizeof(T) == 8)
    return std::bit_cast<T>(warp.word(o, lane));
  else if constexpr (std::is_floating_point_v<T>)
    return std::bit_cast<T>(static_cast<u32>(warp.word(o, lane)));
  else
    return static_cast<T>(warp.word(o, lane));
}
template <class T> u64 lowered(T value) {
  if constexpr (std::is_same_v<T, fp16> || std::is_same_v<T, bf16>)
    return value.bits;
  else if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<u64>(value);
  else if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<u32>(value);
  else
    return static_cast<u64>(static_cast<s64>(value));  // a sign fills a wider register
}
template <class T> constexpr bool is_half = std::is_same_v<T, fp16> || std::is_same_v<T, bf16>;
template <class T> constexpr bool is_float = is_half<T> || std::is_floating_point_v<T>;

template <class D, class S> D whole_of(double x) {  // saturates
  if (std::isnan(x))  // 0, or where one of the types has 64 bits the highest bit alone
    return sizeof(D) == 8 || sizeof(S) == 8 ? D(u64{1} << (8 * sizeof(D) - 1)) : D(0);
  const double low = double(std::numeric_limits<D>::min());
  const double high = std::ldexp(1.0, std::numeric_limits<D>::digits);
  if (x < low) return std::numeric_limits<D>::min();
  return x >= high ? std::numeric_limits<D>::max() : static_cast<D>(x);
}
double rounded(double x, Rounding how) {
  switch (how) {
    case Rounding::nearest_whole:
      return std::nearbyint(x);
    case Rounding::zero_whole:
      return std::trunc(x);
    case Rounding::down_whole:
      return std::floor(x);
    case Rounding::up_whole:
      return std::ceil(x);
    default:
      return x;
  }
}
template <class D, class S, Rounding R, bool Saturates> D converted(S value) {
  if constexpr (is_float<S> && is_float<D>) {
    D y;
    if constexpr (is_half<S>)
      y = D(float(value));
    else if constexpr (is_half<D>)
      y = D(static_cast<float>(value));
    else
      y = static_cast<D>(rounded(double(value), R));
    if constexpr (Saturates) y = std::isnan(y) ? D(0) : std::fmin(std::fmax(y, D(0)), D(1));
    return y;
  } else if constexpr (is_float<S>) {
    if constexpr (is_half<S>)
      return whole_of<D, S>(rounded(double(float(value)), R));
    else
      return whole_of<D, S>(rounded(double(value), R));
  } else if constexpr (is_half<D>) {
    return D(static_cast<float>(value));
  } else {
    return static_cast<D>(value);
  }
}
template <class D, class S, Rounding R, bool Saturates>
void convert(Warp& warp, const Instruction& i, Mask mask) {
  for (Mask left = mask; left != 0; left &= left - 1) {
    const int l = std::countr_zero(left);
    warp.set_word(i.to[0], l,
                  lowered(converted<D, S, R, Saturates>(raised<S>(warp, i.from[0], l))));
  }
}
template <class D, class S, Rounding R = Rounding::none, bool Saturates = false>
void conversion(Table& t, const std::string& how, const std::string& to, const std::string& from) {
  const Pipe pipe =
      std::is_same_v<D, double> || std::is_same_v<S, double> ? Pipe::fp64 : Pipe::integer;
  t["cvt." + how + to + "." + from] = {.execute = &convert<D, S, R, Saturates>,
                                       .pipe = pipe,
                                       .to = {width<D>},
                                       .from = {width<S>},
                                       .flexible = true};
}
template <class D, class S>
void from_whole(Table& t, const std::string& to, const std::string& from) {
  conversion<D, S>(t, "", to, from);
}
template <class D> void to_whole(Table& t, const std::string& to) {
  from_whole<D, std::int8_t>(t, to, "s8"), from_whole<D, std::uint8_t>(t, to, "u8");
  from_whole<D, s16>(t, to, "s16"), from_whole<D, u16>(t, to, "u16");
  from_whole<D, s32>(t, to, "s32"), from_whole<D, u32>(t, to, "u32");
  from_whole<D, s64>(t, to, "s64"), from_whole<D, u64>(t, to, "u64");
  conversion<D, float, Rounding::zero_whole>(t, "rzi.", to, "f32");
  conversion<D, float, Rounding::nearest_whole>(t, "rni.", to, "f32");
  conversion<D, float, Rounding::down_whole>(t, "rmi.", to, "f32");
  conversion<D, float, Rounding::up_whole>(t, "rpi.", to, "f32");
  conversion<D, double, Rounding::zero_whole>(t, "rzi.", to, "f64");
  conversion<D, double, Rounding::nearest_whole>(t, "rni.", to, "f64");
}
template <class D> void from_any_whole(Table& t, const std::string& to) {
  conversion<D, s32>(t, "rn.", to, "s32"), conversion<D, u32>(t, "rn.", to, "u32");
  conversion<D, s64>(t, "rn.", to, "s64"), conversion<D, u64>(t, "rn.", to, "u64");
  conversion<D, s16>(t, "rn.", to, "s16"), conversion<D, u16>(t, "rn.", to, "u16");
}
template <class T> void to_itself(Table& t, const std::string& type) {
  conversion<T, T, Rounding::nearest_whole>(t, "rni.", type, type);
  conversion<T, T, Rounding::zero_whole>(t, "rzi.", type, type);
  conversion<T, T, Rounding::down_whole>(t, "rmi.", type, type);
  conversion<T, T, Rounding::up_whole>(t, "rpi.", type, type);
  conversion<T, T, Rounding::none, true>(t, "sat.", type, type);
}
template <class T> u32 both(float high, float low) {
  return u32{T(high).bits} << 16 | u32{T(low).bits};
}
void conversions(Table& t) {
  to_whole<std::int8_t>(t, "s8"), to_whole<std::uint8_t>(t, "u8"), to_whole<s16>(t, "s16");
  to_whole<u16>(t, "u16"), to_whole<s32>(t, "s32"), to_whole<u32>(t, "u32");
  to_whole<s64>(t, "s64"), to_whole<u64>(t, "u64");
  from_any_whole<float>(t, "f32"), from_any_whole<double>(t, "f64");
  to_itself<float>(t, "f32"), to_itself<double>(t, "f64");
  conversion<double, float>(t, "", "f64", "f32");
  conversion<float, double>(t, "rn.", "f32", "f64");
  conversion<float, fp16>(t, "", "f32", "f16"), conversion<fp16, float>(t, "rn.", "f16", "f32");
  conversion<float, bf16>(t, "", "f32", "bf16"), conversion<bf16, float>(t, "rn.", "bf16", "f32");
  add<[](float high, float low) { return both<bf16>(high, low); }>(t, "cvt.rn.bf16x2.f32",
                                                                   Pipe::integer);
  add<[](float high, float low) { return both<fp16>(high, low); }>(t, "cvt.rn.f16x2.f32",
                                                                   Pipe::integer);
}

// ---- tensor cores --------------------------------------------------------------------------------
/// d = a b + c of one element: terms are cut off below the largest one's 24 bits, and so is their sum.
float accumulated(const double* products, int n, double c) {
  double largest = std::fabs(c);
  double special = c;
  for (int k = 0; k < n; ++k)
    largest = std::fmax(largest, std::fabs(products[k])), special += products[k];
  if (!std::isfinite(special)) return static_cast<float>(special);
  if (largest == 0) return 0.0f;
  const double quantum = std::ldexp(1.0, std::ilogb(largest) - 24);
  double sum = std::trunc(c / quantum);
  for (int k = 0; k < n; ++k) sum += std::trunc(products[k] / quantum);
  sum *= quantum;
  const float near = static_cast<float>(sum);
  return std::fabs(double(near)) > std::fabs(sum) ? std::nextafter(near, 0.0f) : near;
}
/// mma.m16n8kK.row.col, fragments as the tables of the ISA place them: K is 8 or 16.
template <class T, int K> void multiply(Warp& warp, const Instruction& i, Mask) {
  double a[16][K], b[K][8], c[16][8];
  const auto half = [&](const Operand& o, int lane, int which) {
    return double(float(T::from_bits(static_cast<u16>(warp.word(o, lane) >> (16 * which)))));
  };
  constexpr int regs_a = K / 4, regs_b = K / 8;
  for (int lane = 0; lane < lanes; ++lane) {
    const int group = lane >> 2, in_group = lane & 3;
    for (int e = 0; e < 2 * regs_a; ++e) {
      const int row = (e / 2) % 2 == 0 ? group : group + 8;
      a[row][in_group * 2 + e % 2 + (e >= 4 ? 8 : 0)] =
          half(i.from[std::size_t(e / 2)], lane, e % 2);
    }
    for (int e = 0; e < 2 * regs_b; ++e)
      b[in_group * 2 + e % 2 + (e >= 2 ? 8 : 0)][group] =
          half(i.from[std::size_t(regs_a + e / 2)], lane, e % 2);
    for (int e = 0; e < 4; ++e)
      c[e < 2 ? group : group + 8][in_group * 2 + e % 2] = std::bit_cast<float>(
          static_cast<u32>(warp.word(i.from[std::size_t(regs_a + regs_b + e)], lane)));
  }
  float d[16][8];
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      double products[K];
      for (int k = 0; k < K; ++k) products[k] = a[row][k] * b[k][column];
      d[row][column] = accumulated(products, K, c[row][column]);
    }
  for (int lane = 0; lane < lanes; ++lane)
    for (int e = 0; e < 4; ++e)
      warp.set_word(i.to[std::size_t(e)], lane,
                    std::bit_cast<u32>(d[(lane >> 2) + (e < 2 ? 0 : 8)][(lane & 3) * 2 + e % 2]));
}
void tensor_cores(Table& t) {
  const auto add_mma = [&](const char* name, Execute execute, std::size_t inputs) {
    t[name] = {.execute = execute,
               .kind = Kind::together,
               .pipe = Pipe::tensor,
               .to = std::vector<std::uint8_t>(4, 4),
               .from = std::vector<std::uint8_t>(inputs, 4)};
  };
  add_mma("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", &multiply<bf16, 16>, 10);
  add_mma("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", &multiply<fp16, 16>, 10);
  add_mma("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32", &multiply<bf16, 8>, 7);
  add_mma("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32", &multiply<fp16, 8>, 7);
}

// ---- between lanes -------------------------------------------------------------------------------
enum class Shuffle { up, down, butterfly, index };

template <Shuffle How> void shuffle(Warp& warp, const Instruction& i, Mask mask) {
  std::array<u64, lanes> before{};
  for (int l = 0; l < lanes; ++l) before[std::size_t(l)] = warp.word(i.from[0], l);
  Mask in_range = 0;
  for (Mask left = mask; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const int b = static_cast<int>(warp.word(i.from[1], lane) & 31u);
    const auto c = static_cast<u32>(warp.word(i.from[2], lane));
    const int clamp = static_cast<int>(c & 31u), segments = static_cast<int>(c >> 8 & 31u);
    const int most = (lane & segments) | (clamp & ~segments), least = lane & segments;
    int source = 0;
    bool there = false;
    if constexpr (How == Shuffle::up) source = lane - b, there = source >= most;
    if constexpr (How == Shuffle::down) source = lane + b, there = source <= most;
    if constexpr (How == Shuffle::butterfly) source = lane ^ b, there = source <= most;
    if constexpr (How == Shuffle::index) source = least | (b & ~segments), there = source <= most;
    if (!there) source = lane;
    if ((mask >> source & 1u) == 0) throw Mistake("a shuffle reads a lane that does not take part");
    warp.set_word(i.to[0], lane, before[std::size_t(source)]);
    if (there) in_range |= Mask{1} << lane;
  }
  if (i.outputs == 2) warp.set_predicate(i.to[1], in_range, mask);
}
// Votes are counted among the lanes that a lane names: others may be at the same instruction with a vote
// of their own.
void ballot(Warp& warp, const Instruction& i, Mask mask) {
  const Mask votes = warp.predicate(i.from[0]) & mask;
  for (Mask left = mask; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    warp.set_word(i.to[0], lane, votes & warp.word(i.from[1], lane));
  }
}
template <bool All> void vote(Warp& warp, const Instruction& i, Mask mask) {
  const Mask votes = warp.predicate(i.from[0]) & mask;
  Mask results = 0;
  for (Mask left = mask; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const Mask named = static_cast<Mask>(warp.word(i.from[1], lane)) & mask;
    if (All ? (votes & named) == named : (votes & named) != 0) results |= Mask{1} << lane;
  }
  warp.set_predicate(i.to[0], results, mask);
}
void exchanges(Table& t) {
  const auto add_shuffle = [&](const std::string& name, Execute execute) {
    t["shfl.sync." + name + ".b32"] = {.execute = execute,
                                       .kind = Kind::together,
                                       .pipe = Pipe::memory,
                                       .to = {4, 0},
                                       .from = {4, 4, 4, 4}};
  };
  add_shuffle("up", &shuffle<Shuffle::up>), add_shuffle("down", &shuffle<Shuffle::down>);
  add_shuffle("bfly", &shuffle<Shuffle::butterfly>), add_shuffle("idx", &shuffle<Shuffle::index>);
  t["vote.sync.ballot.b32"] = {
      .execute = &ballot, .kind = Kind::together, .pipe = Pipe::integer, .to = {4}, .from = {0, 4}};
  t["vote.sync.all.pred"] = {.execute = &vote<true>,
                             .kind = Kind::together,
                             .pipe = Pipe::integer,
                             .to = {0},
                             .from = {0, 4}};
  t["vote.sync.any.pred"] = {.execute = &vote<false>,
                             .kind = Kind::together,
                             .pipe = Pipe::integer,
                             .to = {0},
                             .from = {0, 4}};
}

}  // namespace

const Operation* operation(std::string_view name) {
  static const Table table = [] {
    Table t;
    integers(t), floats(t), conversions(t), tensor_cores(t), exchanges(t);
    return t;
  }();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace cohort::ptx
