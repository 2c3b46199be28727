// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/cublaslt.hpp: row-major products by cuBLASLt, each shape's algorithm chosen once.
#pragma once
#include <cublasLt.h>

#include <array>
#include <bit>
#include <cohort/core/dtype.hpp>
#include <cohort/device/cuda/architecture.hpp>
#include <cohort/device/cuda/context.hpp>
#include <cohort/device/cuda/device.hpp>
#include <cohort/ops/cuda/epilogue.hpp>
#include <cstdint>
#include <source_location>
#include <span>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <vector>

// Legend: cuBLASLt is column-major, so c = op(a) op(b) of row-major matrices is asked of it as
// c^T = op(b)^T op(a)^T: its A is our b, its B our a, its m our n; no element moves.
namespace cohort::cuda {

namespace detail {

template <class T> consteval cudaDataType_t data_type() {
  if constexpr (std::is_same_v<T, double>) return CUDA_R_64F;
  if constexpr (std::is_same_v<T, float>) return CUDA_R_32F;
  if constexpr (std::is_same_v<T, bf16>) return CUDA_R_16BF;
  if constexpr (std::is_same_v<T, fp16>) return CUDA_R_16F;
}

/// Everything that an algorithm was chosen for. Words only, so that it is hashed as bytes.
struct GemmKey {
  std::uint32_t m, n, k, lda, ldb, ldc, aux_stride;
  std::uint32_t trans_a, trans_b, in, out, tf32, epilogue, vector_type;
  std::uint32_t align_a, align_b, align_c, align_addend, align_vector, align_aux;  // bytes
  std::uint32_t workspace_kib;
  friend bool operator==(const GemmKey&, const GemmKey&) = default;
};
static_assert(std::has_unique_object_representations_v<GemmKey>);

struct HashGemmKey {
  std::size_t operator()(const GemmKey& key) const {
    const auto words = std::bit_cast<std::array<std::uint32_t, sizeof(GemmKey) / 4>>(key);
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a over words
    for (const std::uint32_t word : words) hash = (hash ^ word) * 0x100000001b3u;
    return static_cast<std::size_t>(hash ^ hash >> 32);
  }
};

/// The largest power of two that divides the address, at most 64: cohort's tensors start at such.
inline std::uint32_t alignment(const void* at) {
  const auto address = reinterpret_cast<std::uintptr_t>(at) | 64;
  return static_cast<std::uint32_t>(address & -address);
}

inline std::string describe(const GemmKey& key) {
  const auto type = [](std::uint32_t t) {
    return t == CUDA_R_64F ? "f64" : t == CUDA_R_32F ? "f32" : t == CUDA_R_16BF ? "bf16" : "fp16";
  };
  return std::to_string(key.m) + " x " + std::to_string(key.n) + " x " + std::to_string(key.k) +
         (key.trans_a ? " T" : " N") + (key.trans_b ? "T " : "N ") + type(key.in) + " -> " +
         type(key.out) + (key.tf32 ? " (tf32)" : "") +
         (key.epilogue == CUBLASLT_EPILOGUE_DEFAULT ? "" : ", ") +
         name(static_cast<Epilogue>(key.epilogue));
}

/// Throws Error that names the product, the status and the caller's place.
inline void check(cublasStatus_t status, const char* call, const GemmKey& key,
                  const std::source_location& place) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(-1, call,
              std::string(cublasLtGetStatusName(status)) + " (" + cublasLtGetStatusString(status) +
                  ") for the product " + describe(key) + " at " + place.file_name() + ":" +
                  std::to_string(place.line()) +
                  ". Check the pointers, and that this cuBLAS knows this GPU.");
}

/// How parts of k may meet (cublasLt.h, cublasLtReductionScheme_t): as fp32 (or fp64) in the workspace, added
/// by a step that follows. In the output, or in its type, they would be rounded on the way. A weight's
/// gradient, k = rows, has too few tiles for a GPU's processors otherwise: 768 x 768 has 18 of 128 x 256 for
/// 132, and 7 parts of it take 16 MiB of the workspace.
inline constexpr std::uint32_t reductions =
    CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;

/// A product as cuBLASLt knows it, and the algorithm chosen for it; owns its descriptors.
struct GemmPlan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
  bool known = false;  // false: the library has no algorithm for it
  double beta = 0;     // of the last call
  bool in_place = true;

  GemmPlan() = default;
  GemmPlan(const GemmPlan&) = delete;
  GemmPlan& operator=(const GemmPlan&) = delete;
  ~GemmPlan() {
    if (c) cublasLtMatrixLayoutDestroy(c);
    if (b) cublasLtMatrixLayoutDestroy(b);
    if (a) cublasLtMatrixLayoutDestroy(a);
    if (product) cublasLtMatmulDescDestroy(product);
  }

  template <class V>
  void set(cublasLtMatmulDescAttributes_t what, V value, const GemmKey& key,
           const std::source_location& place) {
    check(cublasLtMatmulDescSetAttribute(product, what, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute", key, place);
  }
  /// The epilogue's operands are attributes; they change from call to call.
  void point(const Fused& fused, const GemmKey& key, const std::source_location& place) {
    if (fused.vector) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, fused.vector, key, place);
    if (fused.aux) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, fused.aux, key, place);
  }
  void describe_to_library(const GemmKey& key, const std::source_location& place);
  void choose(cublasLtHandle_t library, const GemmKey& key, const std::source_location& place);
  /// Is this the library's word that it has no such fused product? It may offer one and then refuse it: types
  /// of aux are judged by the call (cublasLt.h, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE).
  static bool refuses(cublasStatus_t status, const Fused& fused) {
    return fused.what != Epilogue::none &&
           (status == CUBLAS_STATUS_NOT_SUPPORTED ||
            (status == CUBLAS_STATUS_INVALID_VALUE && fused.aux != nullptr));
  }
  /// The library's algorithms for it, the one first that it thinks the quickest; at most results.size().
  int candidates(cublasLtHandle_t library, const GemmKey& key,
                 std::span<cublasLtMatmulHeuristicResult_t> results, cublasStatus_t& status,
                 const std::source_location& place) const;
};

inline void GemmPlan::describe_to_library(const GemmKey& key, const std::source_location& place) {
  const auto in = static_cast<cudaDataType_t>(key.in), out = static_cast<cudaDataType_t>(key.out);
  const bool wide = in == CUDA_R_64F;
  const cublasComputeType_t compute = wide       ? CUBLAS_COMPUTE_64F
                                      : key.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                 : CUBLAS_COMPUTE_32F;
  check(cublasLtMatmulDescCreate(&product, compute, wide ? CUDA_R_64F : CUDA_R_32F),
        "cublasLtMatmulDescCreate", key, place);
  const auto transposed = [](std::uint32_t t) {
    return static_cast<std::int32_t>(t ? CUBLAS_OP_T : CUBLAS_OP_N);
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, transposed(key.trans_b), key, place);
  set(CUBLASLT_MATMUL_DESC_TRANSB, transposed(key.trans_a), key, place);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, key.epilogue, key, place);
  if (key.align_vector)
    set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<std::int32_t>(key.vector_type), key,
        place);
  if (key.align_aux) {
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{key.aux_stride}, key, place);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, static_cast<std::int32_t>(out), key, place);
  }
  const auto layout = [&](cublasLtMatrixLayout_t& to, cudaDataType_t type, bool transpose,
                          std::uint32_t rows, std::uint32_t columns, std::uint32_t stride) {
    check(cublasLtMatrixLayoutCreate(&to, type, transpose ? columns : rows,
                                     transpose ? rows : columns, stride),
          "cublasLtMatrixLayoutCreate", key, place);
  };
  layout(a, in, key.trans_b != 0, key.n, key.k, key.ldb);
  layout(b, in, key.trans_a != 0, key.k, key.m, key.lda);
  layout(c, out, false, key.n, key.m, key.ldc);
}

inline int GemmPlan::candidates(cublasLtHandle_t library, const GemmKey& key,
                                std::span<cublasLtMatmulHeuristicResult_t> results,
                                cublasStatus_t& status, const std::source_location& place) const {
  cublasLtMatmulPreference_t wish = nullptr;
  check(cublasLtMatmulPreferenceCreate(&wish), "cublasLtMatmulPreferenceCreate", key, place);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
    return cublasLtMatmulPreferenceSetAttribute(wish, what, &value, sizeof value);
  };
  int found = 0;
  status =
      prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{key.workspace_kib} * 1024);
  const auto also = [&](auto what, std::uint32_t value) {
    if (status == CUBLAS_STATUS_SUCCESS) status = prefer(what, value);
  };
  also(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions);
  also(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.align_b);
  also(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.align_a);
  also(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.align_addend);
  also(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.align_c);
  if (status == CUBLAS_STATUS_SUCCESS)
    status =
        cublasLtMatmulAlgoGetHeuristic(library, product, a, b, c, c, wish,
                                       static_cast<int>(results.size()), results.data(), &found);
  cublasLtMatmulPreferenceDestroy(wish);
  return status == CUBLAS_STATUS_SUCCESS ? found : 0;
}

inline void GemmPlan::choose(cublasLtHandle_t library, const GemmKey& key,
                             const std::source_location& place) {
  cublasLtMatmulHeuristicResult_t best{};
  cublasStatus_t status{};
  const int found = candidates(library, key, {&best, 1}, status, place);
  known = found > 0 && best.state == CUBLAS_STATUS_SUCCESS;
  if (known) algorithm = best.algo;
  if (known) return;
  if (status == CUBLAS_STATUS_SUCCESS) status = CUBLAS_STATUS_NOT_SUPPORTED;
  const bool lacks = status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE;
  if (!lacks || key.epilogue == CUBLASLT_EPILOGUE_DEFAULT)
    check(status, "cublasLtMatmulAlgoGetHeuristic", key, place);
}

}  // namespace detail

/// The products that one Context has met. One thread at a time; a product met before costs a look-up.
class GemmPlans {
 public:
  detail::GemmPlan& at(cublasLtHandle_t library, const detail::GemmKey& key, const Fused& fused,
                       const std::source_location& place) {
    const auto found = plans_.find(key);
    if (found != plans_.end()) {
      if (found->second.known) found->second.point(fused, key, place);
      return found->second;
    }
    detail::GemmPlan& plan = plans_[key];
    try {
      plan.describe_to_library(key, place);
      plan.point(fused, key, place);  // the heuristic asks how they are aligned
      plan.choose(library, key, place);
    } catch (...) {
      plans_.erase(key);
      throw;
    }
    return plan;
  }
  std::size_t size() const { return plans_.size(); }
  /// f(key, plan) for each product that has an algorithm.
  template <class F> void for_each(F f) {
    for (auto& [key, plan] : plans_)
      if (plan.known) f(key, plan);
  }
  /// The fused products that this cuBLASLt lacks, in words: they are made in two steps.
  std::vector<std::string> lacked() const {
    std::vector<std::string> all;
    for (const auto& [key, plan] : plans_)
      if (!plan.known) all.push_back(detail::describe(key));
    return all;
  }

 private:
  std::unordered_map<detail::GemmKey, detail::GemmPlan, detail::HashGemmKey> plans_;
};

/// c = beta c + op(a) op(b), row-major, and what `fused` says, as one cuBLASLt product. With an addend in
/// `fused`, c = beta addend + op(a) op(b).
///
/// Shapes   as ops::matmul; m, n, k > 0. Leading dimensions in elements.
/// Units    double: fp64. Else sums are fp32, rounded once to O; with device.tf32 float inputs are rounded
///          to 11 bits before.
/// Returns  false when this cuBLASLt has no such fused product; nothing was queued then. Without an
///          epilogue it always is true.
/// Cost     the first call of a shape asks the heuristic and allocates; later ones do neither.
/// Errors   Error with the shape, the types, cuBLASLt's status and the caller's place.
/// Laws     the bits repeat on one GPU model and library (tests/gpu/products_test.cu): parts of k are added in
///          one step, in its order.
template <bool TransA, bool TransB, class T, class O>
bool multiply(const Cuda& device, int m, int n, int k, const T* a, int lda, const T* b, int ldb,
              accumulator_t<T> beta, O* c, int ldc, const Fused& fused = {},
              const std::source_location& place = std::source_location::current()) {
  if constexpr (sizeof(T) == 2) static_assert(detail::says_tensor_core_type<T>());
  const auto u = [](auto v) { return static_cast<std::uint32_t>(v); };
  const bool reads = fused.what == Epilogue::bias || fused.what == Epilogue::gelu_bias ||
                     fused.what == Epilogue::gelu_aux_bias;
  const void* addend = fused.addend ? fused.addend : c;
  constexpr cudaDataType_t in = detail::data_type<T>(), out = detail::data_type<O>();
  // clang-format off
  const detail::GemmKey key{
      .m = u(m), .n = u(n), .k = u(k),
      .lda = u(lda), .ldb = u(ldb), .ldc = u(ldc), .aux_stride = u(fused.aux_stride),
      .trans_a = TransA, .trans_b = TransB, .in = in, .out = out,
      .tf32 = std::is_same_v<T, float> && device.tf32,
      .epilogue = u(fused.what), .vector_type = fused.vector ? u(reads ? in : out) : 0u,
      .align_a = detail::alignment(a), .align_b = detail::alignment(b), .align_c = detail::alignment(c),
      .align_addend = detail::alignment(addend),
      .align_vector = fused.vector ? detail::alignment(fused.vector) : 0u,
      .align_aux = fused.aux ? detail::alignment(fused.aux) : 0u,
      .workspace_kib = u(device.workspace_bytes / 1024)};
  // clang-format on
  const cublasLtHandle_t library = device.context->blas();
  detail::GemmPlan& plan = device.context->kept<GemmPlans>().at(library, key, fused, place);
  if (!plan.known) return false;
  plan.beta = beta;
  plan.in_place = addend == c;
  const accumulator_t<T> alpha = 1;
  const cublasStatus_t status = cublasLtMatmul(
      library, plan.product, &alpha, b, plan.a, a, plan.b, &beta, addend, plan.c, c, plan.c,
      &plan.algorithm, device.workspace, std::size_t{key.workspace_kib} * 1024, device.stream);
  if (plan.refuses(status, fused)) return plan.known = false;
  detail::check(status, "cublasLtMatmul", key, place);
  calls() += 2;  // one that is cut along k is two kernels
  return true;
}

}  // namespace cohort::cuda
