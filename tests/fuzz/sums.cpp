// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/fuzz/sums.cpp: sums over ranks have one order, exact sums none, and 16-bit conversions round right.
#include <cohort/comm/sum.hpp>
#include <cohort/ops/exact_sum.hpp>

#include <cmath>
#include <cstring>
#include <vector>

#include "fuzz.hpp"

using namespace cohort;

namespace {

template <class T> T number(Bytes& bytes) {
  std::uint8_t raw[sizeof(T)];
  for (auto& b : raw) b = bytes.byte();
  T out;
  std::memcpy(&out, raw, sizeof out);
  return out;
}

bool same(float a, float b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b));
}

void ranks_have_one_order(Bytes& bytes) {
  const int ranks = 1 + bytes.below(9);
  std::vector<std::vector<float>> all(static_cast<std::size_t>(ranks), std::vector<float>(3));
  for (auto& one : all)
    for (float& x : one) x = number<float>(bytes);
  std::vector<float> out(3);
  detail::sum_into([&](int r) { return all[static_cast<std::size_t>(r)].data(); }, ranks, 3,
                   out.data());
  for (std::size_t s = 1; s < all.size(); s *= 2)
    for (std::size_t r = 0; r + s < all.size(); r += 2 * s)
      for (std::size_t i = 0; i < 3; ++i) all[r][i] += all[r + s][i];
  for (std::size_t i = 0; i < 3; ++i) must(same(out[i], all[0][i]));
}

/// In any order and any grouping the same; within half a unit of the sum in wider arithmetic.
void exact_sums_have_none(Bytes& bytes) {
  ops::ExactSum forward, backward, left, right;
  std::vector<double> numbers;
  for (int n = bytes.below(20); n > 0; --n) numbers.push_back(std::fabs(number<double>(bytes)));
  bool finite = true;
  long double sum = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    forward.add(numbers[i]);
    backward.add(numbers[numbers.size() - 1 - i]);
    (i % 3 == 0 ? left : right).add(numbers[i]);
    finite = finite && std::isfinite(numbers[i]);
    sum += numbers[i];
  }
  left.add(right);
  const double value = forward.value();
  const auto equal = [&](double other) {
    return std::memcmp(&value, &other, sizeof value) == 0 ||
           (std::isnan(value) && std::isnan(other));
  };
  must(equal(backward.value()) && equal(left.value()));
  must(finite || std::isnan(value));
  // long double keeps 64 bits: n additions are off by n 2^-64, rounding to double by 2^-53.
  if (finite && std::isfinite(static_cast<double>(sum)))
    must(std::fabs(static_cast<long double>(value) - sum) <=
         sum * (0x1p-53L + 20 * 0x1p-64L) + 0x1p-1074L);
}

template <class T> void rounds_to_a_neighbour(float x) {
  const float y = float(T(x));
  must(std::isnan(x) == std::isnan(y));
  must(T(y).bits == T(x).bits || std::isnan(x));
  if (std::isnan(x) || std::isinf(y)) return;
  // No other number of T is nearer.
  for (int step : {-1, 1}) {
    const float other = float(T::from_bits(static_cast<std::uint16_t>(T(x).bits + step)));
    if (std::isnan(other)) continue;
    const double here = std::fabs(double(x) - double(y)),
                 there = std::fabs(double(x) - double(other));
    must(here < there || (here == there && (T(x).bits & 1) == 0) ||
         std::signbit(other) != std::signbit(y));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  ranks_have_one_order(bytes);
  exact_sums_have_none(bytes);
  while (!bytes.empty()) {
    const float x = number<float>(bytes);
    rounds_to_a_neighbour<bf16>(x);
    rounds_to_a_neighbour<fp16>(x);
  }
  return 0;
}
