// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/wire_test.cpp: gradients reduced in other types: rounded once each way, divided in fp16.
#include <cohort/policies/wire.hpp>

#include <doctest/doctest.h>

#include "../run/support.hpp"

using namespace cohort;

namespace {

// FSDP2's _get_gradient_divide_factors, its own table (and what its loop gives for 1, 3, 5, 6, 12).
static_assert(predivide(1) == 1 && predivide(2) == 2 && predivide(3) == 2 && predivide(4) == 2);
static_assert(predivide(5) == 2 && predivide(6) == 4 && predivide(8) == 4 && predivide(12) == 4);
static_assert(predivide(16) == 4 && predivide(32) == 8 && predivide(64) == 8);
static_assert(predivide(128) == 16);

template <class Reduce> struct FakePlan {
  using gradient = float;
  using reduce = Reduce;
  using device = DefaultCpu;
  static constexpr bool casts_reductions = !std::is_same_v<Reduce, float>;
};
template <class Reduce> using WireOf = detail::Wire<FakePlan<Reduce>, Threads>;

constexpr std::size_t per = 67;
std::vector<float> values_of(int rank, std::size_t n) {
  std::vector<float> v(n);
  for (std::size_t i = 0; i < n; ++i) v[i] = normal(5, static_cast<std::uint64_t>(rank), i);
  return v;
}
/// The sum over ranks as documented: each rank's value rounded once, added in fp32 along the tree, rounded.
template <class Reduce> float reference(int ranks, std::size_t i) {
  const auto p = static_cast<float>(WireOf<Reduce>::divisor(ranks));
  std::vector<float> a;
  for (int r = 0; r < ranks; ++r) a.push_back(float(Reduce(values_of(r, per * 8)[i] / p)));
  for (int s = 1; s < ranks; s *= 2)
    for (int r = 0; r + s < ranks; r += 2 * s)
      a[static_cast<std::size_t>(r)] += a[static_cast<std::size_t>(r + s)];
  return float(Reduce(a[0]));
}

TEST_CASE_TEMPLATE("Wire: one rounding into the type, fp32 sums, one rounding after", R, float,
                   bf16, fp16) {
  for (int ranks : {1, 2, 3, 4}) {
    CAPTURE(ranks);
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      const auto n = static_cast<std::size_t>(ranks) * per;
      const WireOf<R> wire({}, n, ranks);
      std::vector<float> whole = values_of(world.rank(), per * 8);
      wire.all_reduce(world, whole.data(), n);
      for (std::size_t i = 0; i < n; i += 7) CHECK(whole[i] == reference<R>(ranks, i));
      whole = values_of(world.rank(), per * 8);
      std::vector<float> own(per, 10.0f);
      const std::size_t first = static_cast<std::size_t>(world.rank()) * per;
      wire.reduce_scatter(world, whole.data(), own.data(), per, false);
      for (std::size_t i = 0; i < per; ++i) CHECK(own[i] == reference<R>(ranks, first + i));
      whole = values_of(world.rank(), per * 8);
      wire.reduce_scatter(world, whole.data(), own.data(), per, true);  // adds
      for (std::size_t i = 0; i < per; ++i) CHECK(own[i] == 2 * reference<R>(ranks, first + i));
    });
  }
}

TEST_CASE("Wire: fp16 sums that would overflow do not, for being divided before") {
  launch<Threads>({.ranks = 4}, [](Threads& world) {
    std::vector<float> g(64, 30000.0f);  // the sum is 120000, beyond 65504
    const WireOf<fp16> wire({}, 64, 4);
    wire.all_reduce(world, g.data(), 64);
    CHECK(g[0] == 60000.0f);
    CHECK(WireOf<fp16>::divisor(4) == 2);
    wire.all_reduce(world, g.data(), 64, false);  // not divided again: overflows
    CHECK(std::isinf(g[0]));
  });
}
static_assert(WireOf<bf16>::divisor(4) == 1 && WireOf<float>::bytes(100) == 0);
static_assert(WireOf<bf16>::bytes(100) == 256);

}  // namespace
