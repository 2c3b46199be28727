// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/update_test.cpp: skipped steps write nothing, copies, splits of a shard.
#include <cohort/ops/cuda/update.hpp>

#include "optimizer_case.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
/// p - factor g where the chunk decays, else p + g; m counts, v is the last gradient.
struct Simple {
  struct Step {
    float factor;
  };
  COHORT_DEVICE static float update(const Step& s, bool decays, float p, float g, float& m,
                                    float& v) {
    m += 1, v = g;
    return decays ? p - s.factor * g : p + g;
  }
};
using State = ops::DeviceStep<Simple::Step>;

struct Shard {
  std::size_t n;
  OptimizerCase<float> start{n};
  GpuArray<float> p{start.p}, g{start.g}, m{std::vector<float>(n)}, v{std::vector<float>(n)};
  GpuArray<std::uint8_t> decay{start.decay};
  GpuArray<bf16> copies{n};
  GpuArray<State> state{std::vector<State>(1)};

  explicit Shard(std::size_t n, int skip = 0) : n(n) {
    state = GpuArray<State>(std::vector<State>{{{2.0f}, 1, skip}});
  }
  void run(const Cuda& gpu, std::size_t from, std::size_t to) {
    ops::kernels::update<Simple>(gpu, to - from, p.data() + from, g.view() + from, m.data() + from,
                                 v.data() + from, decay.view() + from / 64, state.view(),
                                 copies.data() + from, ops::NearestRounding{});
  }
};
}  // namespace

TEST_CASE("update: every element once, by its chunk's flag, and its 16-bit copy") {
  for (const std::size_t n : shard_sizes) {
    Gpu gpu;
    Shard s(n);
    s.run(gpu, 0, n);
    const auto p = s.p.get(), m = s.m.get(), v = s.v.get();
    const auto copies = s.copies.get();
    for (std::size_t i = 0; i < n; ++i) {
      const bool decays = i / 64 % 3 == 0;
      REQUIRE(p[i] == (decays ? s.start.p[i] - 2.0f * s.start.g[i] : s.start.p[i] + s.start.g[i]));
      REQUIRE(m[i] == 1);
      REQUIRE(v[i] == s.start.g[i]);
      REQUIRE(copies[i].bits == bf16(p[i]).bits);
    }
  }
}

TEST_CASE("update: a skipped step writes nothing") {
  Gpu gpu;
  Shard s(2300, 1);
  s.run(gpu, 0, 2300);
  CHECK(same_bits(s.p.get(), s.start.p));
  CHECK(s.m.get() == std::vector<float>(2300));
  CHECK(std::isnan(float(s.copies.get()[0])));
}

TEST_CASE("update: pieces of whole chunks give the same bits as the shard") {
  Gpu gpu;
  Shard whole(64 * 40 + 9), pieces(64 * 40 + 9);
  whole.run(gpu, 0, whole.n);
  pieces.run(gpu, 0, 64);
  pieces.run(gpu, 64, 64 * 33);
  pieces.run(gpu, 64 * 33, pieces.n);
  CHECK(same_bits(whole.p.get(), pieces.p.get()));
  CHECK(same_bits(whole.copies.get(), pieces.copies.get()));
}

TEST_CASE("update: no copies, no moments") {
  Gpu gpu;
  Shard s(100), all(100);
  ops::kernels::update<Simple>(gpu, s.n, s.p.data(), s.g.view(), static_cast<float*>(nullptr),
                               static_cast<float*>(nullptr), s.decay.view(), s.state.view(),
                               static_cast<bf16*>(nullptr), ops::NearestRounding{});
  all.run(gpu, 0, all.n);
  CHECK(same_bits(s.p.get(), all.p.get()));
  CHECK(s.m.get() == std::vector<float>(100));
}
