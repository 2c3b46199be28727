// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/update_test.cpp: pieces change no bit of an update, copies follow, roundings are as announced.
#include <cohort/ops/default_gemm.hpp>
#include <cohort/optim/adamw.hpp>
#include <cohort/run/update.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

using namespace cohort;

namespace {

template <class C, class M, bool AtRandom = false> struct FakePlan {
  using compute = C;
  using master = M;
  using gradient = float;
  struct slots {
    using optimizer = optim::AdamW;
  };
  static constexpr bool has_masters = !std::is_same_v<C, M>;
  static constexpr bool rounds_at_random = AtRandom, clips_values = false;
  static constexpr std::size_t update_piece = 256;
};

constexpr std::size_t size = 10 * 64;  // two pieces and a half
struct State {
  std::vector<float> params, grads, moments;
  std::vector<std::uint8_t> decays;
  State() : params(size), grads(size), moments(2 * size), decays(size / 64) {
    for (std::size_t i = 0; i < size; ++i) {
      params[i] = float(bf16(normal(1, 0, i)));
      grads[i] = normal(1, 1, i);
    }
    for (std::size_t c = 0; c < decays.size(); ++c) decays[c] = c % 3 == 0;
  }
  Shard<float> shard() {
    return {params.data(), grads.data(), moments.data(), decays.data(), size, size};
  }
};
const optim::AdamW::Options hyper{.weight_decay = 0.1};
constexpr UpdateStep first_step{1, 0.05, 0.5};

/// The update in one piece, in fp32.
State updated() {
  State s;
  optim::AdamW::update(DefaultCpu{}, s.shard(), first_step, hyper);
  return s;
}

TEST_CASE("Update: masters get the bits of an update in one piece, copies are them rounded") {
  State s;
  std::vector<bf16> copies(size);
  const DefaultCpu cpu;
  const detail::Update<FakePlan<bf16, float>, DefaultCpu> update(cpu, first_step, hyper, 1, nullptr,
                                                                 nullptr);
  update(s.shard(), copies.data(), 0);
  const State expected = updated();
  CHECK(s.params == expected.params);
  CHECK(s.moments == expected.moments);
  for (std::size_t i = 0; i < size; ++i) CHECK(copies[i].bits == bf16(expected.params[i]).bits);
  State alone;
  update(alone.shard(), nullptr, 0);  // FullShard keeps no copies
  CHECK(alone.params == expected.params);
}

template <bool AtRandom> std::vector<bf16> without_masters(std::uint64_t seed, std::int64_t step) {
  State s;
  std::vector<bf16> params(size);
  for (std::size_t i = 0; i < size; ++i) params[i] = bf16(s.params[i]);
  std::vector<float> scratch(256);
  std::vector<std::uint32_t> numbers(size / 64);
  for (std::size_t c = 0; c < numbers.size(); ++c) numbers[c] = static_cast<std::uint32_t>(20 - c);
  const DefaultCpu cpu;
  UpdateStep now = first_step;
  now.step = step;
  const detail::Update<FakePlan<bf16, bf16, AtRandom>, DefaultCpu> update(
      cpu, now, hyper, seed, scratch.data(), numbers.data());
  // Two shards of one rank: the second begins at element 320.
  const auto part = [&](std::size_t at) {
    return Shard<bf16>{params.data() + at,
                       s.grads.data() + at,
                       s.moments.data() + at,
                       s.decays.data() + at / 64,
                       320,
                       size};
  };
  update(part(0), nullptr, 0);
  update(part(320), nullptr, 320);
  return params;
}
TEST_CASE("Update: without masters the fp32 result is rounded to nearest") {
  const State expected = updated();
  const auto params = without_masters<false>(1, 1);
  for (std::size_t i = 0; i < size; ++i) CHECK(params[i].bits == bf16(expected.params[i]).bits);
}
TEST_CASE("Update: random rounding belongs to seed, step and the chunk's number") {
  const State expected = updated();
  const auto params = without_masters<true>(9, 1);
  const Philox random(9);
  int up = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint64_t index = (20 - i / 64) * 64 + i % 64;  // in the flat order
    const auto words = random(random_stream(RandomUse::rounding, 1), index >> 3);
    const std::uint32_t bits = words[(index & 7) >> 1] >> (16 * (index & 1));
    CHECK(params[i].bits == ops::round_at_random(expected.params[i], bits).bits);
    up += params[i].bits != bf16(expected.params[i]).bits;
  }
  CHECK(up > 50);  // a quarter on average goes the other way
}

}  // namespace
