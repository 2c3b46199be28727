// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gemm_vector.hpp: one SIMD register as a value: load, store, multiply-add, transpose.
#pragma once
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(__CUDACC__)
#include <cohort/ops/register.hpp>
#elif defined(__FMA__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#if defined(__CUDACC__)  // which does not know "GCC unroll"
#pragma nv_diagnostic push
#pragma nv_diag_suppress 1675
#endif

namespace cohort::detail {

/// Bytes of the widest register that this translation unit may use and multiply-add in one step.
#if defined(__CUDACC__)
inline constexpr int widest_register = 16;
#elif defined(__AVX512F__)
inline constexpr int widest_register = 64;
#elif defined(__AVX2__) && defined(__FMA__)
inline constexpr int widest_register = 32;
#else
inline constexpr int widest_register = 16;
#endif

/// A register of Bytes / sizeof(T) lanes, through the vector extension of g++ and clang++.
/// Bytes is part of the name, so units compiled for different machines do not share symbols.
template <class T, int Bytes> struct Vector {
  static constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
#if defined(__CUDACC__)
  using Register = typename ops::detail::vector_of<T, Bytes>::type;
#else
  typedef T Register __attribute__((vector_size(Bytes)));
#endif

  Register value;

  [[gnu::always_inline]] static Vector zero() { return {Register{}}; }

  [[gnu::always_inline]] static Vector load(const T* from) {
    Vector out;
    std::memcpy(&out.value, from, Bytes);  // no alignment assumed: one unaligned load
    return out;
  }

  [[gnu::always_inline]] void store(T* to) const { std::memcpy(to, &value, Bytes); }

  [[gnu::always_inline]] static Vector broadcast(T x) {
    return [x]<std::size_t... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
      return Vector{Register{((void)I, x)...}};
    }
    (std::make_index_sequence<lanes>{});
  }

  [[gnu::always_inline]] friend Vector operator+(Vector a, Vector b) { return {a.value + b.value}; }

  /// a * b + c with one rounding where the machine has it. Spelled out: compilers may refuse to
  /// contract long chains (g++ 13 -mtune), and would then differ from tile to tile.
  [[gnu::always_inline]] static Vector multiply_add(Vector a, Vector b, Vector c) {
#if defined(__CUDACC__)
    return {ops::fma(a.value, b.value, c.value)};
#else
#if defined(__AVX512F__)
    if constexpr (Bytes == 64 && std::is_same_v<T, float>)
      return {_mm512_fmadd_ps(a.value, b.value, c.value)};
    if constexpr (Bytes == 64 && std::is_same_v<T, double>)
      return {_mm512_fmadd_pd(a.value, b.value, c.value)};
#endif
#if defined(__FMA__)
    if constexpr (Bytes == 32 && std::is_same_v<T, float>)
      return {_mm256_fmadd_ps(a.value, b.value, c.value)};
    if constexpr (Bytes == 32 && std::is_same_v<T, double>)
      return {_mm256_fmadd_pd(a.value, b.value, c.value)};
    if constexpr (Bytes == 16 && std::is_same_v<T, float>)
      return {_mm_fmadd_ps(a.value, b.value, c.value)};
    if constexpr (Bytes == 16 && std::is_same_v<T, double>)
      return {_mm_fmadd_pd(a.value, b.value, c.value)};
#endif
    return {a.value * b.value + c.value};
#endif
  }

  /// Transposes the lanes x lanes block held in rows[0..lanes), in log2(lanes) exchanges.
  [[gnu::always_inline]] static void transpose(Vector (&rows)[lanes]) { exchange<lanes / 2>(rows); }

 private:
  template <int Distance> [[gnu::always_inline]] static void exchange(Vector (&rows)[lanes]) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) {
      if (i & Distance) continue;
      const Register low = rows[i].value, high = rows[i + Distance].value;
      rows[i].value = mix<Distance, 0>(low, high, std::make_integer_sequence<int, lanes>{});
      rows[i + Distance].value =
          mix<Distance, Distance>(low, high, std::make_integer_sequence<int, lanes>{});
    }
    if constexpr (Distance > 1) exchange<Distance / 2>(rows);
  }

  /// Lane i: lane From + i of low where bit Distance of i is clear; From + i - Distance of high
  /// where it is set.
  template <int Distance, int From, int... I>
  [[gnu::always_inline]] static Register mix(Register low, Register high,
                                             std::integer_sequence<int, I...>) {
#if defined(__CUDACC__)
    return ops::detail::shuffle<(I & Distance ? lanes + I - Distance + From : I + From)...>(low,
                                                                                            high);
#else
    return __builtin_shufflevector(low, high,
                                   (I & Distance ? lanes + I - Distance + From : I + From)...);
#endif
  }
};

}  // namespace cohort::detail

#if defined(__CUDACC__)
#pragma nv_diagnostic pop
#endif
