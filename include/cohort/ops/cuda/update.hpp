// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/update.hpp: the frame of the optimizers on a GPU: one launch over a flat shard.
#pragma once
#include <cohort/core/rng.hpp>
#include <cohort/ops/adamw.hpp>
#include <cohort/ops/cuda/convert.hpp>
#include <cohort/ops/device_step.hpp>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace cohort::ops::kernels {

/// Applies Rule to every element: p, and its moments m and v where they are not nullptr, are rewritten;
/// `copies`, unless nullptr, get p rounded to C.
///
/// Rule     `Step`, and `static A update(const Step&, bool decays, A p, A g, A& m, A& v)`.
/// Units    a thread has two packs of four elements of fp32 (16 bytes), and so of everything else.
/// Laws     elements do not meet: every split at multiples of 64 gives the same bits.
template <class Rule, class T, class D, class C, class Rounding> struct Update {
  using A = accumulator_t<T>;
  using Step = typename Rule::Step;
  static constexpr int N = pack_size<64, T, D, C>(), threads = 256, packs = 2;
  struct Shared {};
  std::size_t n;
  T* p;
  const D* g;
  D *m, *v;
  const std::uint8_t* decay;
  const DeviceStep<Step>* step;
  C* copies;
  Rounding rounding;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t first = (static_cast<std::size_t>(block.index()) * threads * packs +
                               static_cast<std::size_t>(block.thread())) *
                              N;
    if (step->skip != 0) return;
    const Step now = step->step;
    Elements elements[packs];
    unrolled<packs>([&](auto k) { read(first + k * (threads * N), elements[k]); });
    unrolled<packs>([&](auto k) {
      const std::size_t i = first + k * (threads * N);
      if (i >= n) return;
      change(now, decay[i / decay_chunk] != 0, elements[k]);
      write(i, elements[k]);
    });
  }

 private:
  struct Elements {
    Pack<A, N> p, g, m, v;
  };
  template <class E> COHORT_DEVICE Pack<A, N> read_one(const E* from, std::size_t i) const {
    if (from == nullptr) return {};
    return widen(i + N <= n ? cohort::cuda::load_once<N>(from + i)
                            : cohort::cuda::load_first<N>(from + i, n - i));
  }
  template <class E>
  COHORT_DEVICE void write_one(E* to, std::size_t i, const Pack<E, N>& pack) const {
    if (i + N <= n)
      cohort::cuda::store_once(to + i, pack);
    else
      cohort::cuda::store_first(to + i, pack, n - i);
  }
  COHORT_DEVICE void read(std::size_t i, Elements& e) const {
    if (i >= n) return;
    e.p = read_one(p, i);
    e.g = read_one(g, i);
    e.m = read_one(m, i);
    e.v = read_one(v, i);
  }
  COHORT_DEVICE static void change(const Step& now, bool decays, Elements& e) {
    unrolled<N>(
        [&](auto k) { e.p[k] = Rule::update(now, decays, e.p[k], e.g[k], e.m[k], e.v[k]); });
  }
  COHORT_DEVICE void write(std::size_t i, const Elements& e) const {
    const Pack<T, N> result = rounded(i, e.p);
    write_one(p, i, result);
    if (m != nullptr) write_one(m, i, narrow<D>(e.m));
    if (v != nullptr) write_one(v, i, narrow<D>(e.v));
    if (copies == nullptr) return;
    const auto copy = narrow<C>(widen(result));
    if (i + N <= n)
      store(copies + i, copy);  // read by the next forward pass
    else
      cohort::cuda::store_first(copies + i, copy, n - i);
  }
  COHORT_DEVICE Pack<T, N> rounded(std::size_t i, const Pack<A, N>& wide) const {
    if constexpr (std::is_same_v<Rounding, RandomRounding>) {
      static_assert(std::is_same_v<T, bf16>);
      const std::uint64_t number = rounding.chunk_numbers[(rounding.first + i) / decay_chunk];
      const auto stream =
          random_stream(RandomUse::rounding, static_cast<std::uint64_t>(step->number));
      const auto bits =
          random_halves<N>(rounding.seed, stream, number * decay_chunk + i % decay_chunk);
      Pack<T, N> out;
      unrolled<N>([&](auto k) { out[k] = round_at_random(wide[k], bits[k]); });
      return out;
    } else {
      return narrow<T>(wide);
    }
  }
};

/// One launch.
template <class Rule, class T, class D, class C, class Rounding>
void update(const Cuda& device, std::size_t n, T* p, const D* g, D* m, D* v,
            const std::uint8_t* decay, const DeviceStep<typename Rule::Step>* step, C* copies,
            Rounding rounding) {
  using K = Update<Rule, T, D, C, Rounding>;
  const std::size_t blocks = ceil_div(n, std::size_t{K::threads} * K::packs * K::N);
  cohort::cuda::launch(device, static_cast<int>(blocks),
                       K{n, p, g, m, v, decay, step, copies, rounding});
}

}  // namespace cohort::ops::kernels
