// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/harness.hpp: short texts of PTX run over given numbers, for the machine's own tests.
#pragma once
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <support/ptx/machine.hpp>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace cohort::ptx::test {

using s8 = std::int8_t;
using u8 = std::uint8_t;
using s16 = std::int16_t;
using u16 = std::uint16_t;
using s32 = std::int32_t;
using u32 = std::uint32_t;
using s64 = std::int64_t;
using u64 = std::uint64_t;
/// What a predicate register holds.
enum class Flag : u32 { no, yes };

/// A kernel's arguments as the driver lays them out: each aligned to its own size.
template <class... T> std::vector<std::byte> arguments(const T&... values) {
  std::vector<std::byte> all;
  const auto add = [&](const auto& value) {
    const std::size_t at = (all.size() + sizeof value - 1) / sizeof value * sizeof value;
    all.resize(at + sizeof value);
    std::memcpy(all.data() + at, &value, sizeof value);
  };
  (add(values), ...);
  return all;
}

/// Runs kernel "k" of a module; its arguments are the addresses of the arrays, each an allocation.
template <class... Arrays>
Counts run_over(const std::string& module, Launch launch, Arrays&... arrays) {
  Module text(module);
  const std::pair<u64, u64> ranges[] = {{reinterpret_cast<std::uintptr_t>(std::data(arrays)),
                                         std::size(arrays) * sizeof arrays[0]}...};
  launch.allocation = [&](u64 address) {
    for (const auto& [begin, bytes] : ranges)
      if (address >= begin && address < begin + bytes) return std::pair{begin, bytes};
    return std::pair<u64, u64>{};
  };
  const auto params = arguments(std::data(arrays)...);
  launch.params = params;
  return run(text.program("k"), launch);
}

/// A module of one kernel. %a0, %a1, ...: its arguments; %t: the thread; registers of each type stand ready.
inline std::string kernel(const std::string& body, int arrays = 1, const std::string& before = "") {
  std::string text =
      ".version 8.0\n.target sm_90\n.address_size 64\n" + before + "\n.visible .entry k(";
  for (int i = 0; i < arrays; ++i)
    text += (i == 0 ? ".param .u64 k" : ", .param .u64 k") + std::to_string(i);
  text += ")\n{\n.reg .pred %p<4>;\n.reg .b16 %h<8>;\n.reg .b32 %r<16>;\n.reg .b64 %d<8>;\n";
  text += ".reg .f32 %f<8>;\n.reg .b32 %t;\n.reg .b64 %a<6>;\nmov.u32 %t, %tid.x;\n";
  for (int i = 0; i < arrays; ++i)
    text += "ld.param.u64 %a" + std::to_string(i) + ", [k" + std::to_string(i) + "];\n";
  return text + body + "\nret;\n}\n";
}

/// A number for each thread.
template <class F> std::vector<u32> by_thread(u32 threads, F f) {
  std::vector<u32> all(threads);
  for (u32 i = 0; i < threads; ++i) all[i] = f(i);
  return all;
}

/// What the machine says when it refuses, "" where it does not.
template <class F> std::string mistake(F f) {
  try {
    f();
  } catch (const Mistake& refused) {
    return refused.what();
  }
  return "";
}
inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

/// What one instruction makes of registers x, y, z and w in d: each thread has one of each of the inputs.
template <class D, class... S>
std::vector<D> results(const std::string& instruction, std::vector<S>... in) {
  const std::size_t n = std::get<0>(std::tie(in...)).size(), threads = n < 256 ? n : 256;
  const std::size_t blocks = (n + threads - 1) / threads;
  std::string declarations, loads, store;
  const auto type = [](auto of, const char* name, std::string& to, std::string& move, bool out,
                       int i) {
    using T = decltype(of);
    constexpr bool flag = std::is_same_v<T, Flag>;
    const std::string bits = std::to_string(8 * sizeof(T)), where = "[%b" + std::to_string(i) + "]";
    to += ".reg ." +
          (flag ? "pred" : "b" + std::to_string(8 * std::max<std::size_t>(2, sizeof(T)))) + " " +
          name + ";\n.reg .b64 %b" + std::to_string(i) + ";\n";
    move += "mad.wide.u32 %b" + std::to_string(i) + ", %t, " + std::to_string(sizeof(T)) + ", %a" +
            std::to_string(i) + ";\n";
    if (out)
      move += (flag ? "selp.b32 %r0, 1, 0, d;\n" : std::string()) + "st.global.b" + bits + " " +
              where + ", " + (flag ? "%r0" : name) + ";\n";
    else
      move += "ld.global.b" + bits + " " + (flag ? "%r0" : name) + ", " + where + ";\n" +
              (flag ? "setp.ne.s32 " + std::string(name) + ", %r0, 0;\n" : "");
  };
  const char* names[] = {"x", "y", "z", "w"};
  int i = 0;
  type(D{}, "d", declarations, store, true, 0);
  ((type(S{}, names[i], declarations, loads, false, i + 1), ++i), ...);
  (in.resize(blocks * threads), ...);
  std::vector<D> out(blocks * threads);
  Launch launch;
  launch.blocks = static_cast<int>(blocks), launch.threads = static_cast<int>(threads);
  run_over(kernel(declarations + "mov.u32 %r0, %ctaid.x;\nmov.u32 %r1, %ntid.x;\n" +
                      "mad.lo.u32 %t, %r0, %r1, %t;\n" + loads + instruction + "\n" + store,
                  1 + sizeof...(S)),
           launch, out, in...);
  out.resize(n);
  return out;
}

/// Numbers at which arithmetic goes wrong.
template <class T> std::vector<T> edges() {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::is_same_v<T, Flag>) {
    return {Flag::no, Flag::yes};
  } else if constexpr (std::is_floating_point_v<T>) {
    const T one = 1, inf = Limits::infinity(), eps = Limits::epsilon();
    return {0,
            -T(0),
            one,
            -one,
            one / 3,
            T(2.5),
            -T(2.5),
            T(3.5),
            T(-7),
            one + eps,
            1 - eps / 2,
            1 / eps + one,
            Limits::min(),
            inf,
            -inf,
            T(1e9),
            T(-3e10),
            Limits::max(),
            Limits::denorm_min(),
            Limits::lowest(),
            Limits::quiet_NaN()};
  } else {
    std::vector<T> all = {0, 1, 2, 3, 7, 16, 31, T(-1), T(-2), T(-31), T(0x5a5a5a5a5a5a5a5a)};
    for (const T t : {Limits::max(), Limits::min()})
      for (const int by : {-1, 0, 1}) all.push_back(T(u64(t) + u64(by)));
    std::minstd_rand random(sizeof(T));
    for (int i = 0; i < 3; ++i)
      all.push_back(T(u64(random()) << 33 ^ u64(random()) << 11 ^ random()));
    return all;
  }
}

template <class T> bool same(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    return a == b && std::signbit(a) == std::signbit(b);
  }
  return a == b;
}
template <class T> std::string shown(T value) {
  std::ostringstream out;
  if constexpr (std::is_floating_point_v<T>)
    out << std::hexfloat << value;
  else
    out << static_cast<s64>(value);
  return out.str();
}

/// "" where the instruction agrees with `expected` for all combinations of the inputs, or the first that differs.
template <class D, class... S>
std::string differs(const std::string& instruction, D (*expected)(S...),
                    const std::type_identity_t<std::vector<S>>&... each) {
  std::tuple<std::vector<S>...> in;
  std::tuple<S...> now;
  const auto combine = [&]<std::size_t I>(auto& self, std::integral_constant<std::size_t, I>) {
    if constexpr (I == sizeof...(S)) {
      [&]<std::size_t... Is>(std::index_sequence<Is...>) {
        (std::get<Is>(in).push_back(std::get<Is>(now)), ...);
      }
      (std::index_sequence_for<S...>{});
    } else {
      for (const auto value : std::get<I>(std::tie(each...)))
        std::get<I>(now) = value, self(self, std::integral_constant<std::size_t, I + 1>{});
    }
  };
  combine(combine, std::integral_constant<std::size_t, 0>{});
  return std::apply(
      [&](const auto&... lists) {
        const std::vector<D> got = results<D>(instruction, lists...);
        for (std::size_t i = 0; i < got.size(); ++i) {
          const D wanted = expected(lists[i]...);
          if (!same(got[i], wanted))
            return instruction + " of" + (... + (" " + shown(lists[i]))) + ": " + shown(got[i]) +
                   " and not " + shown(wanted);
        }
        return std::string();
      },
      in);
}
template <class D, class... S>
requires(sizeof...(S) > 0) std::string
    differs(const std::string& instruction, D (*expected)(S...)) {
  return differs(instruction, expected, edges<S>()...);
}

}  // namespace cohort::ptx::test
