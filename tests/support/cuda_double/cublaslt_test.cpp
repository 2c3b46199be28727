// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/cuda_double/cublaslt_test.cpp: the double of cuBLASLt computes what its documentation says.
#include <cublasLt.h>
#include <doctest/doctest.h>

#include <cmath>
#include <support/cuda_double/cublaslt_case.hpp>
#include <support/cuda_double/double.hpp>

using namespace cohort;

namespace {

using cuda_double::Lt;

template <class In, class Out> struct Pair {
  using T = In;
  using O = Out;
};
#define PAIRS                                                                                      \
  Pair<double, double>, Pair<float, float>, Pair<bf16, bf16>, Pair<fp16, fp16>, Pair<bf16, float>, \
      Pair<fp16, float>

TEST_CASE_TEMPLATE("cublasLtMatmul: alpha op(a) op(b) + beta c, column-major, in batches", P,
                   PAIRS) {
  cuda_double::reset();
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      Lt<typename P::T, typename P::O> lt(5, 7, 9, ta, tb, 2);
      const auto before = lt.d;
      REQUIRE(lt.choose() == CUBLAS_STATUS_SUCCESS);
      REQUIRE(lt.run(2, -1) == CUBLAS_STATUS_SUCCESS);
      for (int batch = 0; batch < 2; ++batch) {
        for (int j = 0; j < lt.n; ++j) {
          for (int i = 0; i < lt.m; ++i) {
            const double c = lt.value(before, batch * lt.ldd * lt.n + i + j * lt.ldd);
            const double expected = 2 * lt.exact(i, j, batch) - c;
            CHECK(std::abs(lt.at_d(i, j, batch) - expected) <=
                  lt.unit * std::abs(expected) + 0x1p-40);
          }
          for (int i = lt.m; i < lt.ldd; ++i) {  // between columns nothing is written
            CHECK(lt.at_d(i, j, batch) == lt.value(before, batch * lt.ldd * lt.n + i + j * lt.ldd));
          }
        }
      }
    }
  }
}

double gelu(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double slope(double x) { return (gelu(x + 1e-6) - gelu(x - 1e-6)) / 2e-6; }  // within 1e-9

TEST_CASE_TEMPLATE("cublasLtMatmul: epilogues", P, PAIRS) {
  cuda_double::reset();
  using O = typename P::O;
  using L = Lt<typename P::T, O>;
  const auto near = [](double got, double expected) {
    CHECK(std::abs(got - expected) <= L::unit * std::abs(expected) + 1e-8);
  };
  const auto all = [&](cublasLtEpilogue_t what, auto expected, auto check_more) {
    CAPTURE(what);
    L lt(6, 4, 11, true, false);
    const auto bias = lt.bias, aux = lt.aux;
    lt.epilogue(what);
    REQUIRE(lt.choose() == CUBLAS_STATUS_SUCCESS);
    REQUIRE(lt.run(1, 0) == CUBLAS_STATUS_SUCCESS);
    for (int j = 0; j < lt.n; ++j) {
      for (int i = 0; i < lt.m; ++i)
        near(lt.at_d(i, j),
             expected(lt.exact(i, j), lt.value(bias, i), lt.value(aux, i + j * lt.aux_stride)));
    }
    check_more(lt, bias, aux);
  };
  const auto no_more = [](auto& lt, auto& bias, auto&) {
    CHECK(lt.value(lt.bias, 0) == lt.value(bias, 0));
  };
  const auto gelu_in_aux = [&](bool with_bias) {
    return [&, with_bias](auto& lt, auto& bias, auto&) {
      for (int j = 0; j < lt.n; ++j) {
        for (int i = 0; i < lt.m; ++i)
          near(lt.value(lt.aux, i + j * lt.aux_stride),
               lt.exact(i, j) + (with_bias ? lt.value(bias, i) : 0));
      }
    };
  };
  all(
      CUBLASLT_EPILOGUE_BIAS, [](double z, double b, double) { return z + b; }, no_more);
  all(
      CUBLASLT_EPILOGUE_RELU_BIAS, [](double z, double b, double) { return std::fmax(z + b, 0); },
      no_more);
  all(
      CUBLASLT_EPILOGUE_GELU_BIAS, [](double z, double b, double) { return gelu(z + b); }, no_more);
  all(
      CUBLASLT_EPILOGUE_GELU_AUX, [](double z, double, double) { return gelu(z); },
      gelu_in_aux(false));
  all(
      CUBLASLT_EPILOGUE_GELU_AUX_BIAS, [](double z, double b, double) { return gelu(z + b); },
      gelu_in_aux(true));
  all(
      CUBLASLT_EPILOGUE_DGELU, [](double z, double, double a) { return z * slope(a); }, no_more);
  all(
      CUBLASLT_EPILOGUE_DGELU_BGRAD, [](double z, double, double a) { return z * slope(a); },
      [&](auto& lt, auto&, auto& aux) {
        for (int i = 0; i < lt.m; ++i) {
          double sum = 0;
          for (int j = 0; j < lt.n; ++j)
            sum += lt.exact(i, j) * slope(lt.value(aux, i + j * lt.aux_stride));
          near(lt.value(lt.bias, i), sum);
        }
      });
  all(
      CUBLASLT_EPILOGUE_BGRADA, [](double z, double, double) { return z; },
      [&](auto& lt, auto&, auto&) {
        for (int i = 0; i < lt.m; ++i) {
          double sum = 0;
          for (int p = 0; p < lt.k; ++p) sum += lt.value(lt.a, p + i * lt.lda);
          near(lt.value(lt.bias, i), sum);
        }
      });
  all(
      CUBLASLT_EPILOGUE_BGRADB, [](double z, double, double) { return z; },
      [&](auto& lt, auto&, auto&) {
        for (int j = 0; j < lt.n; ++j) {
          double sum = 0;
          for (int p = 0; p < lt.k; ++p) sum += lt.value(lt.b, p + j * lt.ldb);
          near(lt.value(lt.bias, j), sum);
        }
      });
}

TEST_CASE("cublasLtMatmul: without beta, c is not read") {
  cuda_double::reset();
  Lt<float, float> lt(4, 4, 4, false, false);
  for (float& x : lt.d) x = std::nanf("");
  REQUIRE(lt.choose() == CUBLAS_STATUS_SUCCESS);
  REQUIRE(lt.run(1, 0) == CUBLAS_STATUS_SUCCESS);
  CHECK_FALSE(std::isnan(lt.at_d(3, 3)));
}

TEST_CASE("cublasLtMatmul: 16-bit results are rounded once") {
  cuda_double::reset();
  // 1 + 2^-8 + 2^-30 is above the middle of two bf16; rounded to float first it would be in the middle.
  Lt<bf16, bf16> lt(1, 1, 3, false, false);
  const float halves[3] = {1, 0x1p-8f, 0x1p-30f};
  for (int p = 0; p < 3; ++p) {
    lt.a[static_cast<std::size_t>(p * lt.lda)] = bf16(halves[p]);
    lt.b[static_cast<std::size_t>(p)] = bf16(1.0f);
  }
  REQUIRE(lt.choose() == CUBLAS_STATUS_SUCCESS);
  REQUIRE(lt.run(1, 0) == CUBLAS_STATUS_SUCCESS);
  CHECK(lt.at_d(0, 0) == 1 + 0x1p-7);
}

TEST_CASE("cublasLtMatmul: TF32 multiplies 11 bits") {
  cuda_double::reset();
  Lt<float, float> lt(1, 1, 1, false, false);
  cublasLtMatmulDescInit(&lt.kind, CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F);
  lt.a[0] = 1 + 0x1p-10f + 0x1p-12f, lt.b[0] = 1 + 0x1p-11f;
  REQUIRE(lt.choose() == CUBLAS_STATUS_SUCCESS);
  REQUIRE(lt.run(1, 0) == CUBLAS_STATUS_SUCCESS);
  CHECK(lt.at_d(0, 0) == static_cast<float>((1 + 0x1p-10) * (1 + 0x1p-10)));
}

TEST_CASE("cuBLASLt: what the documentation forbids is refused") {
  cuda_double::reset();
  const auto refused = [](cublasStatus_t status, auto change, bool vector = true) {
    Lt<bf16, float> lt(8, 8, 9, false, false);
    if (vector) lt.epilogue(CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
    change(lt);
    CHECK(lt.choose() == status);
  };
  refused(CUBLAS_STATUS_SUCCESS, [](auto&) {});
  const auto with = [](cublasLtMatmulDescAttributes_t what, auto value) {
    return [=](auto& lt) { CHECK(lt.set(what, value) == CUBLAS_STATUS_SUCCESS); };
  };
  refused(CUBLAS_STATUS_INVALID_VALUE,
          with(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{12}));
  refused(CUBLAS_STATUS_INVALID_VALUE, with(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{0}));
  refused(CUBLAS_STATUS_INVALID_VALUE,
          with(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, static_cast<void*>(nullptr)));
  refused(CUBLAS_STATUS_INVALID_VALUE,
          with(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<void*>(nullptr)));
  refused(CUBLAS_STATUS_NOT_SUPPORTED,
          with(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, std::int32_t{CUDA_R_16BF}));
  refused(CUBLAS_STATUS_NOT_SUPPORTED,
          with(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, std::int32_t{CUDA_R_16BF}));
  refused(CUBLAS_STATUS_NOT_SUPPORTED, with(CUBLASLT_MATMUL_DESC_TRANSC, std::int32_t{CUBLAS_OP_T}),
          false);
  refused(CUBLAS_STATUS_INVALID_VALUE, with(CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t{CUBLAS_OP_T}),
          false);
  Lt<float, bf16> narrow(8, 8, 8, false, false);  // no such pair of types
  CHECK(narrow.choose() == CUBLAS_STATUS_NOT_SUPPORTED);
  Lt<float, float> lt(8, 8, 8, false, false);
  CHECK(lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int32_t{8}) ==
        CUBLAS_STATUS_INVALID_VALUE);
  cuda_double::support_epilogues(false);
  refused(CUBLAS_STATUS_NOT_SUPPORTED, [](auto&) {});
  refused(
      CUBLAS_STATUS_SUCCESS, [](auto&) {}, false);
  cuda_double::reset();
}

TEST_CASE("cuBLASLt: an algorithm serves the product and the alignment that it was chosen for") {
  cuda_double::reset();
  Lt<float, float> one(8, 8, 8, false, false), other(8, 8, 9, false, false);
  REQUIRE(one.choose() == CUBLAS_STATUS_SUCCESS);
  CHECK(one.run(1, 0) == CUBLAS_STATUS_SUCCESS);
  other.result = one.result;
  CHECK(other.run(1, 0) == CUBLAS_STATUS_INVALID_VALUE);
  const float alpha = 1, beta = 0;
  CHECK(cublasLtMatmul(one.context.blas(), &one.kind, &alpha, one.a_gpu.as<float>() + 1, &one.la,
                       one.b_gpu.as<float>(), &one.lb, &beta, one.d_gpu.as<float>(), &one.ld,
                       one.d_gpu.as<float>(), &one.ld, &one.result.algo, nullptr, 0,
                       nullptr) == CUBLAS_STATUS_INVALID_VALUE);
}

TEST_CASE("cuBLASLt: no algorithm is chosen while the thread captures") {
  cuda_double::reset();
  Lt<float, float> lt(8, 8, 8, false, false);
  REQUIRE(lt.choose() == CUBLAS_STATUS_SUCCESS);
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  CHECK(lt.choose() == CUBLAS_STATUS_INTERNAL_ERROR);
  cudaGraph_t graph = nullptr;
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
  cudaStreamDestroy(stream);
  cuda_double::reset();
}

}  // namespace
