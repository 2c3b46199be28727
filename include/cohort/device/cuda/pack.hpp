// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cuda/pack.hpp: neighbouring elements that a thread moves in one access of 16 bytes.
#pragma once
#include <bit>
#include <cohort/core/dtype.hpp>
#include <cohort/core/host_device.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(__CUDACC__)
#include <cuda_runtime.h>
#endif

namespace cohort::cuda {

/// The most elements, a power of two, that divide C and of which the widest of T... takes 16 bytes:
/// rows of C elements are then whole packs, wherever they begin.
template <std::size_t C, class... T> consteval int pack_size() {
  int n = 16;
  while (C % static_cast<std::size_t>(n) != 0 || ((n * sizeof(T) > 16) || ...)) n /= 2;
  return n;
}

/// N neighbouring elements, N a power of two.
template <class T, int N = 16 / static_cast<int>(sizeof(T))>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Pack {
  static constexpr int size = N;
  T at[N];
  constexpr T& operator[](int i) { return at[i]; }
  constexpr const T& operator[](int i) const { return at[i]; }
};

/// f(0), ..., f(N - 1) with the index as a constant: register arrays stay in registers.
template <int N, class F> COHORT_DEVICE inline void unrolled(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) { (f(std::integral_constant<int, I>{}), ...); }
  (std::make_integer_sequence<int, N>{});
}

namespace detail {
#if defined(__CUDA_ARCH__)
template <std::size_t Bytes> struct word { using type = uint4; };
template <> struct word<8> { using type = uint2; };
template <> struct word<4> { using type = unsigned; };
template <> struct word<2> { using type = unsigned short; };

/// The registers of a Pack<T, N>, as the processor moves them.
template <class T, int N> struct Words {
  using Word = typename word<(N * sizeof(T))>::type;
  static constexpr int num = static_cast<int>(N * sizeof(T) / sizeof(Word));
  Word at[num];
};
#endif

/// Reads with read(word address); Read and Write are empty types.
template <int N, class T, class Read>
COHORT_DEVICE inline Pack<T, N> load_with(const T* from, Read read) {
#if defined(__CUDA_ARCH__)
  using W = Words<T, N>;
  W words;
  unrolled<W::num>(
      [&](auto k) { words.at[k] = read(reinterpret_cast<const typename W::Word*>(from) + k); });
  return std::bit_cast<Pack<T, N>>(words);
#else
  (void)read;
  Pack<T, N> out;
  std::memcpy(static_cast<void*>(&out), from, sizeof out);
  return out;
#endif
}
template <class T, int N, class Write>
COHORT_DEVICE inline void store_with(T* to, const Pack<T, N>& pack, Write write) {
#if defined(__CUDA_ARCH__)
  using W = Words<T, N>;
  const W words = std::bit_cast<W>(pack);
  unrolled<W::num>(
      [&](auto k) { write(reinterpret_cast<typename W::Word*>(to) + k, words.at[k]); });
#else
  (void)write;
  std::memcpy(static_cast<void*>(to), &pack, sizeof pack);
#endif
}

struct Plainly {
  template <class W> COHORT_DEVICE W operator()(const W* from) const { return *from; }
  template <class W> COHORT_DEVICE void operator()(W* to, W word) const { *to = word; }
};
/// For data that nothing reads again soon: first to leave the caches.
struct Streaming {
#if defined(__CUDA_ARCH__)
  template <class W> COHORT_DEVICE W operator()(const W* from) const { return __ldcs(from); }
  template <class W> COHORT_DEVICE void operator()(W* to, W word) const { __stcs(to, word); }
#endif
};
/// To a GPU's memory, not a block's shared one.
struct Global {
#if defined(__CUDA_ARCH__)
  template <class W> COHORT_DEVICE void operator()(W* to, W word) const { __stwb(to, word); }
#endif
};
}  // namespace detail

/// N elements from an address that is a multiple of a pack's bytes (of 16 at most).
template <int N, class T> COHORT_DEVICE inline Pack<T, N> load(const T* from) {
  return detail::load_with<N>(from, detail::Plainly{});
}
/// N elements to an aligned place.
template <class T, int N> COHORT_DEVICE inline void store(T* to, const Pack<T, N>& pack) {
  detail::store_with(to, pack, detail::Plainly{});
}

/// The same in whole accesses, to a GPU's memory: nvcc 13.0 cuts some stores of loops that it unrolls into
/// single elements.
template <class T, int N> COHORT_DEVICE inline void store_whole(T* to, const Pack<T, N>& pack) {
  detail::store_with(to, pack, detail::Global{});
}

/// The same for data that is not used again before the caches have seen much else.
template <int N, class T> COHORT_DEVICE inline Pack<T, N> load_once(const T* from) {
  return detail::load_with<N>(from, detail::Streaming{});
}
/// The same for what is not read again soon.
template <class T, int N> COHORT_DEVICE inline void store_once(T* to, const Pack<T, N>& pack) {
  detail::store_with(to, pack, detail::Streaming{});
}

/// The first `count` elements of a pack, the others 0; any address. The end of an array.
template <int N, class T>
COHORT_DEVICE inline Pack<T, N> load_first(const T* from, std::size_t count) {
  Pack<T, N> out;
  unrolled<N>([&](auto i) { out[i] = std::size_t(i) < count ? from[i] : T{}; });
  return out;
}
/// The first `count` elements, to any place.
template <class T, int N>
COHORT_DEVICE inline void store_first(T* to, const Pack<T, N>& pack, std::size_t count) {
  unrolled<N>([&](auto i) {
    if (std::size_t(i) < count) to[i] = pack[i];
  });
}

namespace detail {
template <class T> COHORT_DEVICE inline accumulator_t<T> widened(T x) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, fp16>) {
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
    return wide;
  }
#endif
  return static_cast<accumulator_t<T>>(x);
}
template <class T> COHORT_DEVICE inline T narrowed(accumulator_t<T> x) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, fp16>) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return fp16::from_bits(bits);
  }
#if __CUDA_ARCH__ >= 800
  if constexpr (std::is_same_v<T, bf16>) {
    unsigned short bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bf16::from_bits(bits);
  }
#endif
#endif
  return static_cast<T>(x);
}

/// Two at once where the processor can.
template <class T> COHORT_DEVICE inline void narrow_pair(float low, float high, T* to) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint32_t both;
  if constexpr (std::is_same_v<T, bf16>)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  to[0] = T::from_bits(static_cast<std::uint16_t>(both));
  to[1] = T::from_bits(static_cast<std::uint16_t>(both >> 16));
#else
  to[0] = narrowed<T>(low);
  to[1] = narrowed<T>(high);
#endif
}
}  // namespace detail

/// The elements in the type of the arithmetic: exact.
template <class T, int N>
COHORT_DEVICE inline Pack<accumulator_t<T>, N> widen(const Pack<T, N>& pack) {
  Pack<accumulator_t<T>, N> wide;
  unrolled<N>([&](auto i) { wide[i] = detail::widened(pack[i]); });
  return wide;
}

/// Rounded to nearest, ties to even, as T(x) does. On a GPU a NaN becomes the processor's own.
template <class T, class A, int N> COHORT_DEVICE inline Pack<T, N> narrow(const Pack<A, N>& wide) {
  using W = accumulator_t<T>;
  Pack<T, N> pack;
  if constexpr (Float16<T> && N > 1)
    unrolled<N / 2>([&](auto i) {
      detail::narrow_pair<T>(static_cast<W>(wide[2 * i]), static_cast<W>(wide[2 * i + 1]),
                             pack.at + 2 * i);
    });
  else
    unrolled<N>([&](auto i) { pack[i] = detail::narrowed<T>(static_cast<W>(wide[i])); });
  return pack;
}

static_assert(sizeof(Pack<bf16>) == 16 && alignof(Pack<bf16>) == 16 && Pack<bf16>::size == 8);
static_assert(sizeof(Pack<float, 8>) == 32 && alignof(Pack<bf16, 2>) == 4);
static_assert(pack_size<768, bf16>() == 8 && pack_size<768, bf16, float>() == 4);
static_assert(pack_size<12, bf16>() == 4 && pack_size<7, double>() == 1);

}  // namespace cohort::cuda
