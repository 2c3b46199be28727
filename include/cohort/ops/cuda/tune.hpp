// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/tune.hpp: which of cuBLASLt's algorithms is the quickest for each product, measured.
#pragma once
#include <algorithm>
#include <array>
#include <cohort/device/cuda/event.hpp>
#include <cohort/ops/cuda/cublaslt.hpp>
#include <cstdio>
#include <source_location>
#include <string>
#include <vector>

namespace cohort::cuda {

/// What was measured of one product.
///
/// Units    flops: operations of one call. first_us, best_us: medians of one call by the library's first
///          choice, and by what is used from now on. candidates: algorithms that ran; 0: the memory was too
///          small, and it keeps its algorithm. chosen: which of them, 0 the library's first.
struct MeasuredProduct {
  std::string product;
  double flops = 0;
  double first_us = 0, best_us = 0;
  int candidates = 0, chosen = 0;
};

/// "65536 x 2304 x 768 NT bf16 -> bf16, bias: 412.1 us, now 398.0 (3 of 16), 583 TFLOP/s"
inline std::string to_string(const MeasuredProduct& p) {
  if (p.candidates == 0) return p.product + ": not measured, no memory for its operands";
  char text[128];
  std::snprintf(text, sizeof text, ": %.1f us", p.first_us);
  std::string line = p.product + text;
  if (p.chosen > 0)
    std::snprintf(text, sizeof text, ", now %.1f (%d of %d)", p.best_us, p.chosen + 1,
                  p.candidates);
  else
    std::snprintf(text, sizeof text, ", the quickest of %d", p.candidates);
  line += text;
  std::snprintf(text, sizeof text, ", %.4g TFLOP/s", p.flops / p.best_us * 1e-6);
  return line + text;
}

namespace detail {

inline std::size_t element_bytes(std::uint32_t type) {
  return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2;
}

/// Owns what one product is tried with: operands that lie in somebody's memory, of no particular values.
class ProductTrial {
 public:
  static constexpr int most = 16, rounds = 5;

  ProductTrial(const Cuda& device, const GemmKey& key, GemmPlan& plan,
               const std::source_location& place)
      : device_(device), key_(key), plan_(plan), place_(place) {}

  MeasuredProduct run(std::byte* memory, std::size_t bytes) {
    MeasuredProduct found{describe(key_), 2.0 * key_.m * key_.n * key_.k};
    if (!lay_out(memory, bytes)) return found;
    std::array<cublasLtMatmulHeuristicResult_t, most> all{};
    cublasStatus_t status{};
    const int count = plan_.candidates(device_.context->blas(), key_, all, status, place_);
    std::vector<Candidate> usable;
    for (int i = 0; i < count; ++i)
      if (all[std::size_t(i)].state == CUBLAS_STATUS_SUCCESS && call(all[std::size_t(i)].algo))
        usable.push_back({&all[std::size_t(i)].algo, {}});
    if (usable.empty()) return found;
    const int calls =
        std::clamp(static_cast<int>(100 / time_of(*usable[0].algorithm, 1)) + 1, 1, 16);
    for (int round = 0; round < rounds; ++round)
      for (Candidate& c : usable) c.us[std::size_t(round)] = time_of(*c.algorithm, calls);
    const auto median = [](Candidate& c) {
      std::nth_element(c.us.begin(), c.us.begin() + rounds / 2, c.us.end());
      return c.us[rounds / 2];
    };
    found.candidates = static_cast<int>(usable.size());
    found.first_us = found.best_us = median(usable[0]);
    for (int i = 1; i < found.candidates; ++i) {
      const double us = median(usable[std::size_t(i)]);
      // A choice that the next measurement would not repeat is not worth other bits.
      if (us < 0.98 * found.first_us && us < found.best_us) found.best_us = us, found.chosen = i;
    }
    plan_.algorithm = *usable[std::size_t(found.chosen)].algorithm;
    return found;
  }

 private:
  struct Candidate {
    const cublasLtMatmulAlgo_t* algorithm;
    std::array<double, rounds> us;
  };

  bool lay_out(std::byte* memory, std::size_t bytes) {
    std::size_t used = 0;
    const auto take = [&](std::uint64_t elements, std::size_t element) {
      std::byte* const at = memory + used;
      used += round_up(elements * element, 256);
      return at;
    };
    const std::size_t in = element_bytes(key_.in), out = element_bytes(key_.out);
    a_ = take(std::uint64_t{key_.trans_a ? key_.k : key_.m} * key_.lda, in);
    b_ = take(std::uint64_t{key_.trans_b ? key_.n : key_.k} * key_.ldb, in);
    c_ = take(std::uint64_t{key_.m} * key_.ldc, out);
    addend_ = plan_.in_place ? c_ : take(std::uint64_t{key_.m} * key_.ldc, out);
    fused_.vector = key_.align_vector ? take(std::max(key_.m, key_.n), 8) : nullptr;
    fused_.aux = key_.align_aux ? take(std::uint64_t{key_.m} * key_.aux_stride, out) : nullptr;
    if (used > bytes) return false;
    plan_.point(fused_, key_, place_);
    return true;
  }
  /// Queues the product; false when this algorithm does not run here.
  bool call(const cublasLtMatmulAlgo_t& algorithm) const {
    const float alpha = 1, beta = static_cast<float>(plan_.beta);
    const double wide_alpha = 1, wide_beta = plan_.beta;
    const bool wide = key_.in == CUDA_R_64F;
    const auto* by = wide ? static_cast<const void*>(&wide_alpha) : &alpha;
    const auto* times = wide ? static_cast<const void*>(&wide_beta) : &beta;
    return cublasLtMatmul(device_.context->blas(), plan_.product, by, b_, plan_.a, a_, plan_.b,
                          times, addend_, plan_.c, c_, plan_.c, &algorithm, device_.workspace,
                          std::size_t{key_.workspace_kib} * 1024,
                          device_.stream) == CUBLAS_STATUS_SUCCESS;
  }
  /// Microseconds a call.
  double time_of(const cublasLtMatmulAlgo_t& algorithm, int calls) {
    begin_.record(device_.stream);
    for (int i = 0; i < calls; ++i) call(algorithm);
    end_.record(device_.stream);
    end_.synchronize();
    return std::max(1e-3, 1e3 * double(end_.milliseconds_since(begin_)) / calls);
  }

  const Cuda& device_;
  const GemmKey& key_;
  GemmPlan& plan_;
  const std::source_location& place_;
  std::byte *a_ = nullptr, *b_ = nullptr, *c_ = nullptr, *addend_ = nullptr;
  Fused fused_;
  Event begin_{Event::Timing::yes}, end_{Event::Timing::yes};
};

}  // namespace detail

/// Tries up to 16 of cuBLASLt's algorithms for every product that this device has met, and uses the quickest
/// from now on. Without it the library's first choice is used, which is an estimate.
///
/// Shapes   memory: of the GPU, on a boundary of 256 bytes; what lies there is overwritten. The operands of a
///          product must fit, else it keeps its algorithm.
/// Cost     some 100 calls of each product; waits for them. Nothing is allocated on the GPU.
/// Returns  what was measured, the product with the most operations first.
/// Errors   Error as multiply().
/// Laws     with its choices a run repeats its bits, as with the first ones. Another run may choose otherwise,
///          where algorithms are about as quick, and then has other roundings.
inline std::vector<MeasuredProduct> tune_products(
    const Cuda& device, std::byte* memory, std::size_t bytes,
    const std::source_location& place = std::source_location::current()) {
  std::vector<MeasuredProduct> all;
  device.context->kept<GemmPlans>().for_each(
      [&](const detail::GemmKey& key, detail::GemmPlan& plan) {
        all.push_back(detail::ProductTrial(device, key, plan, place).run(memory, bytes));
      });
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& x, const auto& y) { return x.flops > y.flops; });
  return all;
}

}  // namespace cohort::cuda
