// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/sum_test.cpp: the sum over ranks has one order, written here a second time.
#include <cohort/comm/sum.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

using namespace cohort;

static_assert(Summable<float> && Summable<double> && Summable<std::int32_t> &&
              Summable<std::int64_t>);
static_assert(Summable<bf16> && Summable<fp16>);
static_assert(!Summable<std::uint8_t> && !Summable<bool>);
static_assert(std::same_as<detail::sum_t<std::int32_t>, std::int32_t>);
static_assert(std::same_as<detail::sum_t<double>, double>);
static_assert(std::same_as<detail::sum_t<bf16>, float>);
static_assert(detail::sum_tree(1) == 1 && detail::sum_tree(5) == 8 && detail::sum_tree(64) == 64);

namespace {

/// Values over many magnitudes, so that another order gives other bits.
template <class T> T value(int rank, std::size_t i) {
  std::uint64_t z = (static_cast<std::uint64_t>(rank) << 32) + i + 1;
  z *= 0x9e3779b97f4a7c15u;
  z ^= z >> 29;
  z *= 0xbf58476d1ce4e5b9u;
  z ^= z >> 32;
  if constexpr (std::integral<T>) return static_cast<T>(z % 2000001) - 1000000;
  return static_cast<T>(
      std::ldexp(static_cast<double>(z % 2000001) - 1e6, static_cast<int>(z % 24)));
}

template <class T> std::vector<std::vector<T>> values(int ranks, std::size_t count) {
  std::vector<std::vector<T>> all(static_cast<std::size_t>(ranks), std::vector<T>(count));
  for (std::size_t r = 0; r < all.size(); ++r) {
    for (std::size_t i = 0; i < count; ++i) all[r][i] = value<T>(static_cast<int>(r), i);
  }
  return all;
}

/// The definition: stride doubling, in place.
template <class T> std::vector<T> stride_doubling(std::vector<std::vector<T>> a) {
  for (std::size_t s = 1; s < a.size(); s *= 2) {
    for (std::size_t r = 0; r + s < a.size(); r += 2 * s) {
      for (std::size_t i = 0; i < a[r].size(); ++i) a[r][i] += a[r + s][i];
    }
  }
  return a[0];
}

TEST_CASE_TEMPLATE("sum_into: the bits of serial stride doubling, for any number of ranks", T,
                   float, double, std::int32_t, std::int64_t) {
  for (int ranks = 1; ranks <= 35; ++ranks) {
    for (const std::size_t count : {0, 1, 17, 511, 512, 513, 1500}) {
      const auto all = values<T>(ranks, count);
      std::vector<T> out(count, T{-1});
      detail::sum_into([&](int r) { return all[static_cast<std::size_t>(r)].data(); }, ranks, count,
                       out.data());
      CAPTURE(ranks);
      CAPTURE(count);
      CHECK(out == stride_doubling(all));
    }
  }
}

TEST_CASE_TEMPLATE("sum_in_place: every array becomes the sum", T, float, double, std::int32_t,
                   std::int64_t) {
  for (int ranks : {1, 2, 3, 4, 5, 7, 8, 16, 64}) {
    auto all = values<T>(ranks, 1030);
    const auto expected = stride_doubling(all);
    detail::sum_in_place<T>([&](int r) { return all[static_cast<std::size_t>(r)].data(); }, ranks,
                            1030);
    CAPTURE(ranks);
    for (const auto& one : all) CHECK(one == expected);
  }
}

TEST_CASE("sum_into: these values tell another order of summation apart") {
  const auto all = values<float>(4, 1000);
  std::vector<float> one_by_one(1000);
  for (const auto& a : all) {
    for (std::size_t i = 0; i < 1000; ++i) one_by_one[i] += a[i];
  }
  CHECK(one_by_one != stride_doubling(all));
}

TEST_CASE_TEMPLATE("sum_into: 16-bit types are added in fp32 and rounded once", T, bf16, fp16) {
  for (int ranks : {1, 2, 3, 4, 5, 7, 8, 16}) {
    std::vector<std::vector<T>> all;
    std::vector<std::vector<float>> wide;
    for (const auto& one : values<float>(ranks, 700)) {
      all.emplace_back();
      wide.emplace_back();
      for (float v : one) {
        all.back().push_back(T(v * 0x1p-30f));  // below 0.02: no sum overflows
        wide.back().push_back(float(all.back().back()));
      }
    }
    const auto in_fp32 = stride_doubling(wide);
    std::vector<T> out(700);
    detail::sum_into([&](int r) { return all[static_cast<std::size_t>(r)].data(); }, ranks, 700,
                     out.data());
    int wrong = 0, rounded_each_time = 0;
    for (std::size_t i = 0; i < 700; ++i) {
      wrong += out[i].bits != T(in_fp32[i]).bits;
      T one_by_one = all[0][i];
      for (std::size_t r = 1; r < all.size(); ++r)
        one_by_one = T(float(one_by_one) + float(all[r][i]));
      rounded_each_time += out[i].bits != one_by_one.bits;
    }
    CAPTURE(ranks);
    CHECK(wrong == 0);
    if (ranks > 2) CHECK(rounded_each_time > 0);  // these values tell the two apart
    detail::sum_in_place<T>([&](int r) { return all[static_cast<std::size_t>(r)].data(); }, ranks,
                            700);
    for (const auto& one : all)
      for (std::size_t i = 0; i < 700; ++i) wrong += one[i].bits != T(in_fp32[i]).bits;
    CHECK(wrong == 0);
  }
}

TEST_CASE("sum_into: partial sums beyond the range of fp16 do not overflow") {
  const std::vector<std::vector<fp16>> all = {
      {fp16(60000)}, {fp16(60000)}, {fp16(-60000)}, {fp16(1)}};
  fp16 out[1];
  detail::sum_into([&](int r) { return all[static_cast<std::size_t>(r)].data(); }, 4, 1, out);
  CHECK(float(out[0]) == 60000);
}

TEST_CASE("sum_into: infinities and NaN come through") {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<float>> all = {{inf, inf, 1}, {1, -inf, 2}, {2, 3, NAN}};
  std::vector<float> out(3);
  detail::sum_into([&](int r) { return all[static_cast<std::size_t>(r)].data(); }, 3, 3,
                   out.data());
  CHECK(out[0] == inf);
  CHECK(std::isnan(out[1]));
  CHECK(std::isnan(out[2]));
}

TEST_CASE("plus: integers wrap without undefined behaviour") {
  CHECK(detail::plus(std::numeric_limits<std::int32_t>::max(), std::int32_t{1}) ==
        std::numeric_limits<std::int32_t>::min());
}

}  // namespace
