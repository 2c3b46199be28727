// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/tune_test.cpp: the quickest algorithm is used from then on; nothing but the lent memory is touched.
#include <cohort/ops/cuda/tune.hpp>

#include <chrono>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;
using cuda::Epilogue;
using namespace std::chrono_literals;

namespace {
/// A product with an addend and one with an epilogue, which a device has met.
struct Met {
  Blas blas;
  static constexpr int m = 8, n = 16, k = 24;
  GpuArray<bf16> a{normal<bf16>(m * k, 1)}, b{normal<bf16>(n * k, 2)}, bias{normal<bf16>(n, 3)};
  GpuArray<bf16> aux{std::size_t(m * n)};
  GpuArray<float> sum{normal<float>(m * n, 4)};

  Met() { cuda_double::reset(); }
  ~Met() { cuda_double::reset(); }
  std::vector<float> add() {
    cuda::multiply<false, true>(blas.device(), m, n, k, a.view(), k, b.view(), k, 1.0f, sum.data(),
                                n);
    return sum.get();
  }
  std::vector<bf16> gelu() {
    GpuArray<bf16> c(std::size_t(m * n));
    cuda::multiply<false, true>(blas.device(), m, n, k, a.view(), k, b.view(), k, 0.0f, c.data(), n,
                                {Epilogue::gelu_aux_bias, bias.data(), aux.data(), n});
    return c.get();
  }
  /// The names of the products that f queues.
  template <class F> std::vector<std::string> products(F f) {
    cuda_double::record(true);
    f();
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
    std::vector<std::string> names;
    for (const auto& r : cuda_double::take_log())
      if (r.kind == cuda_double::Record::product) names.push_back(r.name);
    cuda_double::record(false);
    return names;
  }
  auto tune(GpuArray<std::byte>& lent, std::size_t bytes) {
    return cuda::tune_products(blas.device(), lent.data(), bytes);
  }
};
constexpr std::size_t plenty = 64 << 10;
}  // namespace

TEST_CASE("tune: the quickest of the library's algorithms is used from then on") {
  Met met;
  const auto before = met.gelu();
  met.add();
  CHECK(met.products([&] { met.gelu(); }) == std::vector<std::string>{"16 x 8 x 24"});
  cuda_double::slow_algorithm(0, 2ms);
  cuda_double::slow_algorithm(1, 1ms);
  GpuArray<std::byte> lent(plenty);
  const auto measured = met.tune(lent, plenty);
  REQUIRE(measured.size() == 2);
  for (const auto& p : measured) {
    CAPTURE(to_string(p));
    CHECK(p.flops == 2.0 * met.m * met.n * met.k);
    CHECK(p.candidates == 3);
    CHECK(p.chosen == 2);
    CHECK(p.first_us >= 2000);
    CHECK(p.best_us < 1000);
  }
  cuda_double::slow_algorithm(0, {});
  cuda_double::slow_algorithm(1, {});
  const auto names = met.products([&] {
    met.add();
    CHECK(same_bits(met.gelu(), before));  // its own operands again, not those of the trial
  });
  CHECK(names == std::vector<std::string>(2, "16 x 8 x 24 algorithm 2"));
}

TEST_CASE("tune: the library's first choice stays where others are not clearly quicker") {
  Met met;
  met.gelu();
  cuda_double::slow_algorithm(1, 1ms);
  cuda_double::slow_algorithm(2, 1ms);
  GpuArray<std::byte> lent(plenty);
  const auto measured = met.tune(lent, plenty);
  REQUIRE(measured.size() == 1);
  CHECK(measured[0].chosen == 0);
  CHECK(measured[0].best_us == measured[0].first_us);
  CHECK(to_string(measured[0])
            .starts_with("8 x 16 x 24 NT bf16 -> bf16, bias, gelu and its input: "));
  CHECK(to_string(measured[0]).find("the quickest of 3") != std::string::npos);
}

TEST_CASE("tune: operands of the run are not touched, and memory that is too small is said") {
  Met met;
  const auto sum = met.add();
  const auto a = met.a.get(), b = met.b.get();
  GpuArray<std::byte> lent(plenty);
  // a, b and c, each from a boundary of 256 bytes on.
  const std::size_t needed = 512 + 768 + 512;
  CHECK(met.tune(lent, needed - 1)[0].candidates == 0);
  CHECK(to_string(met.tune(lent, 0)[0]).find("no memory") != std::string::npos);
  CHECK(met.tune(lent, needed)[0].candidates == 3);
  CHECK(same_bits(met.sum.get(), sum));
  CHECK(same_bits(met.a.get(), a));
  CHECK(same_bits(met.b.get(), b));
  const auto bytes = lent.get();
  for (std::size_t i = needed; i < plenty; ++i) REQUIRE(bytes[i] == std::byte{poison});
}

TEST_CASE("tune: nothing is allocated on the GPU, and each product is asked about once more") {
  Met met;
  met.gelu();
  GpuArray<std::byte> lent(plenty);
  const auto asked = [] { return cuda_double::calls("cublasLtMatmulAlgoGetHeuristic"); };
  const auto taken = [] { return cuda_double::calls("cudaMalloc"); };
  const int before = asked(), memory = taken();
  met.tune(lent, plenty);
  CHECK(asked() == before + 1);
  CHECK(taken() == memory);
}
