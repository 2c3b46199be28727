// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/dropout.hpp: elements dropped at random on a GPU.
#pragma once
#include <cohort/ops/cuda/elementwise.hpp>
#include <cohort/ops/dropout.hpp>

namespace cohort::ops {

namespace kernels {

/// Elements part N, ..., part N + N - 1 of the eight whose 16 random bits are a block of Philox.
template <int N>
COHORT_DEVICE inline Pack<std::uint32_t, N> halves_of(const Philox::Counter& words,
                                                      std::uint32_t part) {
  Pack<std::uint32_t, N> halves;
  unrolled<N>([&](auto k) {
    std::uint32_t word = words[k / 2];
    unrolled<8 / N - 1>([&](auto p) {
      if (part == p + 1) word = words[((p + 1) * N + k) / 2];
    });
    halves[k] = word >> (16 * (k % 2)) & 0xffff;
  });
  return halves;
}

/// i / d for 32-bit numbers, of one d known before the kernel is launched: two products instead of a division.
///
/// Source   Lemire, Kaser, Kurz: Faster remainder by direct computation, 2019, arXiv:1902.01961.
class DividedBy {
 public:
  explicit constexpr DividedBy(std::uint32_t d)
      : inverse_(d == 0 ? 0 : ~std::uint64_t{0} / d + 1) {}
  COHORT_HOST_DEVICE constexpr std::uint32_t operator()(std::uint32_t i) const {
    if (inverse_ == 0) return i;  // d is 1
    const std::uint64_t low = i * (inverse_ & 0xffffffff), high = i * (inverse_ >> 32);
    return static_cast<std::uint32_t>((high + (low >> 32)) >> 32);
  }

 private:
  std::uint64_t inverse_;
};

/// A thread has the elements of 16 bytes, at the end of a sample perhaps fewer. Whole: the addresses and the
/// samples are those of whole packs. Threads that share a block of Philox each make it: they have the time.
template <class T, bool Adds, bool Whole> struct Dropout {
  static constexpr int threads = 256, N = static_cast<int>(16 / sizeof(T)), parts = 8 / N;
  using A = accumulator_t<T>;
  struct Shared {};
  Random random;
  DropRate rate;
  std::uint32_t count;  // threads that have elements
  std::uint32_t each;   // of a sample
  DividedBy by_each;
  std::size_t of_sample;  // elements
  const T *residual, *x;
  T* y;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::uint32_t i = static_cast<std::uint32_t>(block.index()) * threads +
                            static_cast<std::uint32_t>(block.thread());
    if (i >= count) return;
    const std::uint32_t sample = by_each(i), number = i - sample * each;
    const std::size_t in_sample = std::size_t{number} * N;
    const std::size_t at = sample * of_sample + in_sample, left = of_sample - in_sample;
    const auto vx = get(x + at, left);
    Pack<T, N> vr{};
    if constexpr (Adds) vr = get(residual + at, left);
    const std::uint64_t first = random.first_block(static_cast<int>(sample));
    const auto words = Philox(random.seed())(random.stream(), first + number / parts);
    const auto result = of(vx, vr, halves_of<N>(words, number % parts));
    if constexpr (Whole)
      store(y + at, result);
    else
      cohort::cuda::store_first(y + at, result, left);
  }

 private:
  COHORT_DEVICE static Pack<T, N> get(const T* from, std::size_t left) {
    if constexpr (Whole)
      return load<N>(from);
    else
      return cohort::cuda::load_first<N>(from, left);
  }
  COHORT_DEVICE Pack<T, N> of(const Pack<T, N>& vx, const Pack<T, N>& vr,
                              const Pack<std::uint32_t, N>& halves) const {
    auto wide = widen(vx);
    const auto wide_r = widen(vr);
    unrolled<N>([&](auto k) {
      const A factor = static_cast<A>(rate.factor(halves[k]));
      if constexpr (Adds && !Float16<T>)
        wide[k] = fma(wide[k], factor, wide_r[k]);
      else
        wide[k] = product(wide[k], factor);
    });
    if constexpr (Adds && Float16<T>) {
      wide = widen(narrow<T>(wide));
      unrolled<N>([&](auto k) { wide[k] = wide[k] + wide_r[k]; });
    }
    return narrow<T>(wide);
  }
};

template <bool Adds, class T>
void drop(const Cuda& device, Rows rows, std::size_t columns, DropRate rate, const Random& random,
          const T* residual, const T* x, T* y) {
  const std::size_t of_sample = static_cast<std::size_t>(rows.tokens) * columns;
  constexpr std::size_t N = Dropout<T, Adds, true>::N;
  const std::size_t each = ceil_div(of_sample, N);
  const std::size_t count = each * static_cast<std::size_t>(rows.samples);
  const auto run = [&]<class K>(const K& kernel) {
    cohort::cuda::launch(device, static_cast<int>(ceil_div(count, std::size_t{K::threads})),
                         kernel);
  };
  const auto n = static_cast<std::uint32_t>(count), e = static_cast<std::uint32_t>(each);
  if (of_sample % N == 0 && aligned(16, residual, x, y))
    run(Dropout<T, Adds, true>{random, rate, n, e, DividedBy(e), of_sample, residual, x, y});
  else
    run(Dropout<T, Adds, false>{random, rate, n, e, DividedBy(e), of_sample, residual, x, y});
}

}  // namespace kernels

/// Shapes   rows x columns below 2^32 times the elements of 16 bytes.
/// Cost     4 bytes an element in 16 bits: one read, one write; with a residual 6. Some 95 instructions
///          for 16 bytes of 16-bit elements, a third of them Philox: near what an H200 issues meanwhile.
/// Laws     bit for bit the CPU's. The step's number is read from the GPU's memory, so a captured step draws
///          anew when it is replayed.
template <class T>
void dropout(const Cuda& device, Rows rows, std::size_t columns, DropRate rate,
             const Random& random, const T* x, T* y) {
  kernels::drop<false>(device, rows, columns, rate, random, static_cast<const T*>(nullptr), x, y);
}
/// The same with a sum in one pass.
template <class T>
void dropout_add(const Cuda& device, Rows rows, std::size_t columns, DropRate rate,
                 const Random& random, const T* residual, const T* x, T* y) {
  kernels::drop<true>(device, rows, columns, rate, random, residual, x, y);
}

}  // namespace cohort::ops
