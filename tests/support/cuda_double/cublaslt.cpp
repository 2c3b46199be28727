// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/cublaslt.cpp: cuBLASLt's handle, heuristic and product.
#include <cublasLt.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <support/cuda_double/descriptors.hpp>
#include <support/cuda_double/state.hpp>
#include <thread>

using namespace cohort::cuda_double;  // the file is nothing but its functions

struct cublasLtContext {
  int device;
};

namespace {
std::atomic<bool> epilogues{true};
std::atomic<unsigned> last_reductions{0};
constexpr int num_algorithms = 3;
std::atomic<int> slow_microseconds[num_algorithms];
std::atomic<bool> gone{false};  // the library's own statics, which it makes when it is first used
constexpr std::uint64_t chosen_here = 0x636f686f7274u;

/// What is inside cublasLtMatmulAlgo_t: for which product it was chosen, and how that was aligned.
struct Algorithm {
  std::uint64_t mark, product, workspace_bytes;
  std::uint32_t index;  // among those for this product
  std::uint32_t align_a, align_b, align_c, align_d, align_bias, align_aux;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

std::uint32_t alignment_of(const void* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p) | 256;
  return static_cast<std::uint32_t>(address & -address);
}
/// What a kernel that was chosen for this pointer may rely on: no instruction loads more at once.
std::uint32_t vector_alignment(const void* p) { return std::min(16u, alignment_of(p)); }
/// A number for everything about a product but its pointers and factors.
std::uint64_t fingerprint(const Product& p) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&](auto value) {
    hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x100000001b3u;
  };
  for (const MatrixLayout* l : {&p.a_layout, &p.b_layout, &p.c_layout, &p.d_layout}) {
    add(l->type), add(l->rows), add(l->columns), add(l->stride), add(l->batches),
        add(l->batch_stride);
  }
  const ProductKind& k = p.kind;
  add(k.compute), add(k.scale), add(k.trans_a), add(k.trans_b), add(k.epilogue), add(k.bias_type);
  add(k.aux_type), add(k.aux_stride), add(k.bias_batch_stride), add(k.aux_batch_stride);
  return hash;
}
Product product(cublasLtMatmulDesc_t kind, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
  return {get<ProductKind>(kind),
          get<MatrixLayout>(a),
          get<MatrixLayout>(b),
          get<MatrixLayout>(c),
          get<MatrixLayout>(d),
          1,
          0,
          nullptr,
          nullptr,
          nullptr,
          nullptr};
}
double factor(const void* at, int type) {
  return type == CUDA_R_64F ? *static_cast<const double*>(at) : *static_cast<const float*>(at);
}
}  // namespace

namespace cohort::cuda_double {
void support_epilogues(bool on) { epilogues = on; }
unsigned reductions() { return last_reductions; }
void slow_algorithm(int index, std::chrono::microseconds by) {
  slow_microseconds[index] = static_cast<int>(by.count());
}
}  // namespace cohort::cuda_double

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  COHORT_DOUBLE_ENTER_BLAS();
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  [[maybe_unused]] static const bool ends = std::atexit([] { gone = true; }) == 0;
  *handle = new cublasLtContext{current_device()};
  ++live_blas;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  if (gone) {
    std::fputs("cublasLtDestroy is called when the program has ended: what it needs is gone.\n",
               stderr);
    std::_Exit(86);
  }
  return unmake(handle);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t kind,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t wish, int most,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* count) {
  COHORT_DOUBLE_ENTER_BLAS();
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (most < 1 || results == nullptr || count == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *count = 0;
  // CUDA 13.3's asks about the default stream, which a capture forbids.
  if (refused_in_capture()) return CUBLAS_STATUS_INTERNAL_ERROR;
  const Product asked = product(kind, a, b, c, d);
  if (const cublasStatus_t error = judge(asked)) return error;
  if (!epilogues && asked.kind.epilogue != CUBLASLT_EPILOGUE_DEFAULT)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  const auto p = get<Preference>(wish);
  last_reductions = p.reductions;
  *count = std::min(most, num_algorithms);
  for (int i = 0; i < *count; ++i) {
    results[i] = {};
    results[i].state = CUBLAS_STATUS_SUCCESS;
    results[i].wavesCount = 1;
    results[i].workspaceSize =
        p.workspace_bytes;  // as much as it may: tests see whether it is there
    put(&results[i].algo,
        Algorithm{chosen_here, fingerprint(asked), p.workspace_bytes, static_cast<std::uint32_t>(i),
                  p.align_a, p.align_b, p.align_c, p.align_d, vector_alignment(asked.kind.bias),
                  vector_alignment(asked.kind.aux)});
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t kind, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  COHORT_DOUBLE_ENTER_BLAS();
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (handle->device != current_device()) return CUBLAS_STATUS_INVALID_VALUE;
  Product p = product(kind, a_layout, b_layout, c_layout, d_layout);
  if (const cublasStatus_t error = judge(p)) return error;
  p.alpha = factor(alpha, p.kind.scale), p.beta = factor(beta, p.kind.scale);
  p.a = a, p.b = b, p.c = c, p.d = d;
  if (!a || !b || !d || (p.beta != 0 && !c)) return CUBLAS_STATUS_INVALID_VALUE;
  std::uint32_t index = 0;
  if (algorithm != nullptr) {
    const auto chosen = get<Algorithm>(algorithm);
    index = chosen.index;
    const bool aligned = alignment_of(a) >= chosen.align_a && alignment_of(b) >= chosen.align_b &&
                         alignment_of(c) >= chosen.align_c && alignment_of(d) >= chosen.align_d &&
                         alignment_of(p.kind.bias) >= chosen.align_bias &&
                         alignment_of(p.kind.aux) >= chosen.align_aux;
    if (chosen.mark != chosen_here || chosen.product != fingerprint(p) || !aligned ||
        workspace_bytes < chosen.workspace_bytes)
      return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (workspace_bytes > 0) {
    if (alignment_of(workspace) < 16) return CUBLAS_STATUS_INVALID_VALUE;
    if (!on_device(workspace, workspace_bytes)) return CUBLAS_STATUS_INVALID_VALUE;
  }
  log({Record::product, stream,
       std::to_string(p.m()) + " x " + std::to_string(p.n()) + " x " + std::to_string(p.k()) +
           (p.kind.compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? " tf32" : "") +
           (index > 0 ? " algorithm " + std::to_string(index) : ""),
       0, 0, 0, false, false});
  if (!executes()) return CUBLAS_STATUS_SUCCESS;
  const cudaError_t error = enqueue(stream, [p, workspace, workspace_bytes, index] {
    if (const int late = slow_microseconds[index % num_algorithms])
      std::this_thread::sleep_for(std::chrono::microseconds(late));
    const std::size_t edge = std::min<std::size_t>(workspace_bytes, 4096);
    if (edge > 0) {
      std::memset(workspace, 0xEE, edge);
      std::memset(static_cast<std::byte*>(workspace) + (workspace_bytes - edge), 0xEE, edge);
    }
    compute(p);
  });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

std::size_t cublasLtGetVersion() { return 130000; }

}  // extern "C"
