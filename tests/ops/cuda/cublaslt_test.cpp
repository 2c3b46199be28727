// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/cublaslt_test.cpp: row-major products and their epilogues; shapes met before cost nothing.
#include <cohort/ops/cuda/cublaslt.hpp>
#include <cohort/ops/gelu.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;
using cuda::Epilogue;

namespace {
/// op(a) op(b) in fp64, and the sum of the terms' sizes.
struct Exact {
  std::vector<double> z, size;
  template <class T>
  Exact(bool ta, bool tb, int m, int n, int k, const std::vector<T>& a, int lda,
        const std::vector<T>& b, int ldb) {
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j) {
        double sum = 0, terms = 0;
        for (int l = 0; l < k; ++l) {
          const double term =
              value(a[ta ? l * lda + i : i * lda + l]) * value(b[tb ? j * ldb + l : l * ldb + j]);
          sum += term, terms += std::fabs(term);
        }
        z.push_back(sum), size.push_back(terms);
      }
  }
};

template <bool TA, bool TB, class T, class O> void check_product(int m, int n, int k) {
  Blas blas;
  const int lda = (TA ? m : k) + 3, ldb = (TB ? k : n) + 5, ldc = n + 1;
  const auto a = normal<T>(std::size_t(TA ? k : m) * lda, 1),
             b = normal<T>(std::size_t(TB ? n : k) * ldb, 2);
  const Exact exact(TA, TB, m, n, k, a, lda, b, ldb);
  GpuArray<T> a_there(a), b_there(b);
  for (const int beta : {0, 1}) {
    const auto c = before<O>(std::size_t(m) * ldc, beta == 0);
    GpuArray<O> c_there(c);
    CHECK(cuda::multiply<TA, TB>(blas.device(), m, n, k, a_there.view(), lda, b_there.view(), ldb,
                                 accumulator_t<T>(beta), c_there.data(), ldc));
    const auto got = c_there.get();
    bool good = true;
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        const double old = beta ? value(c[i * ldc + j]) : 0, want = exact.z[i * n + j] + old;
        const double sums =
            (k + 1) * unit<accumulator_t<T>> * (exact.size[i * n + j] + std::fabs(old));
        const double off = std::fabs(value(got[i * ldc + j]) - want);
        good = good &&
               off <= sums + half_ulp<O>(std::fabs(want) + sums);  // k + 1 additions, one rounding
      }
      good = good &&
             same_bits(&got[i * ldc + n], &c[i * ldc + n], 1);  // between rows nothing is written
    }
    CHECK(good);
  }
}
}  // namespace

TEST_CASE_TEMPLATE("cublaslt: row-major products of every transposition agree with fp64", T, float,
                   double, bf16, fp16) {
  using A = accumulator_t<T>;
  check_product<false, false, T, T>(5, 7, 9);
  check_product<false, true, T, T>(4, 1, 33);
  check_product<true, false, T, A>(17, 6, 8);
  check_product<true, true, T, A>(3, 4, 5);
}

TEST_CASE("cublaslt: a shape met before asks for no heuristic and makes no descriptor") {
  cuda_double::reset();
  {
    Blas blas;
    const int n = 16;
    GpuArray<bf16> a(normal<bf16>(n * n, 1)), b(normal<bf16>(n * n, 2)), c(n * n);
    GpuArray<float> sums(n);
    const auto go = [&](int rows) {
      cuda::multiply<false, true>(blas.device(), rows, n, n, a.view(), n, b.view(), n, 0.0f,
                                  c.data(), n);
      cuda::multiply<true, false>(blas.device(), n, n, rows, a.view(), n, b.view(), n, 0.0f,
                                  c.data(), n);
    };
    const auto asked = [] { return cuda_double::calls("cublasLtMatmulAlgoGetHeuristic"); };
    go(16);
    CHECK(asked() == 2);
    // Parts of k meet in fp32 in the workspace, not in the output or its type.
    CHECK(cuda_double::reductions() == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
    const int objects = cuda_double::live_blas_objects();
    for (int i = 0; i < 3; ++i) go(16);
    CHECK(asked() == 2);
    CHECK(cuda_double::live_blas_objects() == objects);
    go(8);
    CHECK(asked() == 4);
    go(16);
    CHECK(asked() == 4);
    CHECK(blas.context.kept<cuda::GemmPlans>().size() == 4);
    // Less aligned operands are another product: an algorithm may rely on what it was chosen for.
    GpuArray<bf16> odd(n * n + 1);
    cuda::multiply<false, true>(blas.device(), 8, n, n, a.view(), n, b.view(), n, 0.0f,
                                odd.data() + 1, n);
    cuda::multiply<false, true>(blas.device(), 8, n, n - 2, odd.view() + 1, n, b.view(), n, 0.0f,
                                c.data(), n);
    cuda::multiply<false, true>(blas.device(), 8, n - 2, n, a.view(), n, odd.view() + 1, n, 0.0f,
                                c.data(), n);
    CHECK(asked() == 7);
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
  }
  CHECK(cuda_double::live_blas_objects() == 0);
}

TEST_CASE_TEMPLATE("cublaslt: epilogues fuse what they say", T, float, bf16, fp16) {
  Blas blas;
  const int m = 6, n = 16, k = 10;
  const auto a = normal<T>(m * k, 1), b = normal<T>(k * n, 2), bias = normal<T>(n, 3),
             aux = normal<T>(m * n, 4);
  const Exact exact(false, false, m, n, k, a, k, b, n);
  GpuArray<T> a_there(a), b_there(b), vector(bias), aux_there(aux);
  const auto run = [&](Epilogue what, bool with_vector, T* aux_at) {
    GpuArray<T> c(m * n);
    const cuda::Fused fused{what, with_vector ? vector.data() : nullptr, aux_at, aux_at ? n : 0};
    CHECK(cuda::multiply<false, false>(blas.device(), m, n, k, a_there.view(), k, b_there.view(), n,
                                       0.0f, c.data(), n, fused));
    return c.get();
  };
  // Sums of k + 1 terms in fp32; gelu and its slope grow at most by 1.2 and are good to 4 units.
  const auto near = [&](const std::vector<T>& got, auto want) {
    bool good = true;
    for (int i = 0; i < m * n; ++i) {
      const double x = want(i),
                   error = unit<float> * (2 * (k + 1) * (exact.size[i] + 4) + 8 * std::fabs(x));
      good = good && std::fabs(value(got[i]) - x) <= error + half_ulp<T>(std::fabs(x) + error);
    }
    return good;
  };
  const auto biased = [&](int i) { return exact.z[i] + value(bias[i % n]); };
  const auto gelu = [](double x) { return ops::GeluTanh::value(x); };
  CHECK(near(run(Epilogue::bias, true, nullptr), biased));
  CHECK(near(run(Epilogue::gelu, false, nullptr), [&](int i) { return gelu(exact.z[i]); }));
  CHECK(near(run(Epilogue::gelu_bias, true, nullptr), [&](int i) { return gelu(biased(i)); }));
  GpuArray<T> kept(m * n);
  CHECK(near(run(Epilogue::gelu_aux, false, kept.data()), [&](int i) { return gelu(exact.z[i]); }));
  CHECK(near(kept.get(), [&](int i) { return exact.z[i]; }));
  CHECK(near(run(Epilogue::gelu_aux_bias, true, kept.data()),
             [&](int i) { return gelu(biased(i)); }));
  CHECK(near(kept.get(), biased));
  const auto chain = [&](int i) { return exact.z[i] * ops::GeluTanh::slope(value(aux[i])); };
  CHECK(near(run(Epilogue::dgelu, false, aux_there.data()), chain));
  CHECK(near(run(Epilogue::dgelu_sums, true, aux_there.data()), chain));
  const auto sums = vector.get();
  for (int j = 0; j < n; ++j) {
    double sum = 0, size = 0;
    for (int i = 0; i < m; ++i) sum += chain(i * n + j), size += exact.size[i * n + j];
    CHECK(std::fabs(value(sums[j]) - sum) <=
          (m + k + 10) * 2 * unit<float> * size + m * half_ulp<T>(size));
  }
}

TEST_CASE_TEMPLATE("cublaslt: sums over k of either factor come with the product", T, float, bf16,
                   fp16) {
  Blas blas;
  const int m = 5, n = 7, k = 12;
  const auto a = normal<T>(k * m, 1), b = normal<T>(k * n, 2);
  GpuArray<T> a_there(a), b_there(b);
  GpuArray<float> c(m * n), of_a(m), of_b(n);
  const auto run = [&](Epilogue what, float* to) {
    return cuda::multiply<true, false>(blas.device(), m, n, k, a_there.view(), m, b_there.view(), n,
                                       0.0f, c.data(), n, cuda::Fused{.what = what, .vector = to});
  };
  CHECK(run(Epilogue::sums_of_a, of_a.data()));
  CHECK(run(Epilogue::sums_of_b, of_b.data()));
  const auto check = [&](const std::vector<float>& got, const std::vector<T>& from, int width) {
    for (int j = 0; j < width; ++j) {
      double sum = 0, size = 0;
      for (int l = 0; l < k; ++l)
        sum += value(from[l * width + j]), size += std::fabs(value(from[l * width + j]));
      CHECK(std::fabs(got[j] - sum) <= k * unit<float> * size);
    }
  };
  check(of_a.get(), a, m);
  check(of_b.get(), b, n);
}

TEST_CASE("cublaslt: TF32 is asked for by name and rounds inputs to 11 bits") {
  Blas blas;
  GpuArray<float> one(std::vector<float>{1.0f + 0x1p-12f}), by(std::vector<float>{1.0f}), c(1);
  const auto run = [&](bool tf32) {
    Cuda device = blas.device();
    device.tf32 = tf32;
    cuda::multiply<false, false>(device, 1, 1, 1, one.view(), 1, by.view(), 1, 0.0f, c.data(), 1);
    return c.at(0);
  };
  CHECK(run(false) == 1.0f + 0x1p-12f);
  CHECK(run(true) == 1.0f);
}

TEST_CASE(
    "cublaslt: what the library lacks is false with an epilogue, else an error that says what") {
  cuda_double::reset();
  Blas blas;
  GpuArray<double> a(normal<double>(4, 1)), c(4);
  CHECK(!cuda::multiply<false, false>(blas.device(), 2, 2, 2, a.view(), 2, a.view(), 2, 0.0,
                                      c.data(), 2,
                                      {.what = Epilogue::sums_of_a, .vector = nullptr}));
  GpuArray<bf16> x(normal<bf16>(4, 1)), y(4);
  cuda_double::fail("cublasLtMatmulAlgoGetHeuristic", 1, CUBLAS_STATUS_NOT_SUPPORTED);
  const auto go = [&] {
    return cuda::multiply<false, true>(blas.device(), 2, 2, 2, x.view(), 2, x.view(), 2, 0.0f,
                                       y.data(), 2);
  };
  CHECK_THROWS_WITH_AS(go(), doctest::Contains("CUBLAS_STATUS_NOT_SUPPORTED"), Error);
  cuda_double::fail("cublasLtMatmul", 1, CUBLAS_STATUS_EXECUTION_FAILED);
  CHECK_THROWS_WITH_AS(go(), doctest::Contains("2 x 2 x 2 NT bf16 -> bf16"), Error);
  CHECK(go());  // and nothing is kept of the failures
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  cuda_double::reset();
}

TEST_CASE("cublaslt: a fused product that was offered and is refused when it is called is lacked") {
  cuda_double::reset();
  constexpr int n = 8;
  GpuArray<bf16> x(normal<bf16>(n * n, 1)), y(n * n), bias(normal<bf16>(n, 2)), aux(n * n);
  const auto go = [&](Blas& blas, const cuda::Fused& fused) {
    return cuda::multiply<false, true>(blas.device(), n, n, n, x.view(), n, x.view(), n, 0.0f,
                                       y.data(), n, fused);
  };
  const cuda::Fused biased{.what = Epilogue::bias, .vector = bias.data()},
      sloped{.what = Epilogue::dgelu, .aux = aux.data(), .aux_stride = n};
  Blas blas;
  cuda_double::fail("cublasLtMatmul", 1, CUBLAS_STATUS_NOT_SUPPORTED);
  CHECK(!go(blas, biased));
  const int calls = cuda_double::calls("cublasLtMatmul");
  CHECK(!go(blas, biased));  // nor is it asked for again
  CHECK(cuda_double::calls("cublasLtMatmul") == calls);
  // A type of aux that does not go with the others is an invalid value (cublasLt.h).
  cuda_double::fail("cublasLtMatmul", 1, CUBLAS_STATUS_INVALID_VALUE);
  CHECK(!go(blas, sloped));
  auto lacked = blas.device().context->kept<cuda::GemmPlans>().lacked();
  std::sort(lacked.begin(), lacked.end());
  CHECK(lacked == std::vector<std::string>{"8 x 8 x 8 NT bf16 -> bf16, bias",
                                           "8 x 8 x 8 NT bf16 -> bf16, gelu's slope"});
  Blas other;
  cuda_double::fail("cublasLtMatmul", 1, CUBLAS_STATUS_INVALID_VALUE);
  CHECK_THROWS_AS(go(other, biased), Error);
  CHECK(go(other, biased));
  CHECK(other.device().context->kept<cuda::GemmPlans>().lacked().empty());
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  cuda_double::reset();
}
