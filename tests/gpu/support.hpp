// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/support.hpp: an op on the GPU beside the same op in float64 on the CPU, from the same numbers.
#pragma once
#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <cohort/core/dtype.hpp>
#include <cohort/core/float16.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/device/cuda/context.hpp>
#include <cohort/device/cuda/device.hpp>
#include <cohort/device/cuda/memory.hpp>
#include <cohort/device/cuda/stream.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/products.hpp"

namespace cohort::gpu_test {

/// The element types of every op.
#define COHORT_GPU_TYPES double, float, bf16, fp16

/// A new one each run, printed first; COHORT_SEED=N repeats a run.
inline std::uint64_t seed() {
  static const std::uint64_t value = [] {
    if (const char* given = std::getenv("COHORT_SEED")) return std::strtoull(given, nullptr, 10);
    return static_cast<unsigned long long>(std::random_device{}());
  }();
  return value;
}

/// `real`, or `small` where each access is watched (COHORT_SMALL, under compute-sanitizer).
inline int size(int real, int small) {
  static const bool watched = std::getenv("COHORT_SMALL") != nullptr;
  return watched ? small : real;
}

/// Half a unit in the last place of 1: what rounding to T once costs.
template <class T> inline constexpr double unit = 0;
template <> inline constexpr double unit<double> = 0x1p-53;
template <> inline constexpr double unit<float> = 0x1p-24;
template <> inline constexpr double unit<bf16> = 0x1p-8;
template <> inline constexpr double unit<fp16> = 0x1p-11;

/// The first GPU with a stream, a workspace and what ops report to.
struct Gpu {
  cuda::Context context{0};
  cuda::Stream stream;
  cuda::Memory workspace{std::size_t{32} << 20}, report{256};
  Cuda device;

  Gpu() {
    device.stream = stream.native();
    device.context = &context;
    device.workspace = workspace.as<std::byte>();
    device.workspace_bytes = workspace.bytes();
    device.loss = report.as<double>();
    device.fault = reinterpret_cast<cuda::Fault*>(report.as<std::byte>() + 128);
  }
};
/// Is never destroyed: at exit CUDA and cuBLASLt may have gone before it.
inline Gpu& gpu() {
  static Gpu* const the_gpu = new Gpu;
  return *the_gpu;
}
inline constexpr DefaultCpu cpu{};

/// Numbers on the GPU in T and on the CPU in float64 (integers as they are), with a guard behind them.
template <class T> class Array {
 public:
  using Reference = std::conditional_t<std::is_integral_v<T>, T, double>;
  static constexpr std::size_t guard_bytes = 256;

  explicit Array(const std::vector<T>& values) : count_(values.size()) {
    std::vector<std::byte> bytes(count_ * sizeof(T) + guard_bytes, std::byte{0xa5});
    std::ranges::copy(std::as_bytes(std::span(values)), bytes.begin());
    memory_ = cuda::Memory(bytes.size());
    gpu().device.upload(memory_.as<std::byte>(), bytes.data(), bytes.size());
    reference_.reserve(count_);
    for (const T& v : values) {
      if constexpr (Float16<T>)
        reference_.push_back(float(v));
      else
        reference_.push_back(v);
    }
  }

  T* on(const Cuda&) const { return memory_.as<T>(); }
  Reference* on(const DefaultCpu&) { return reference_.data(); }
  std::size_t count() const { return count_; }
  const std::vector<Reference>& reference() const { return reference_; }

  std::vector<T> download() const {
    std::vector<std::byte> bytes(count_ * sizeof(T) + guard_bytes);
    gpu().device.download(bytes.data(), memory_.as<std::byte>(), bytes.size());
    for (std::size_t i = count_ * sizeof(T); i < bytes.size(); ++i)
      if (bytes[i] != std::byte{0xa5}) FAIL("something was written behind the array");
    std::vector<T> values(count_);
    if (count_ > 0)
      std::memcpy(static_cast<void*>(values.data()), bytes.data(), count_ * sizeof(T));
    return values;
  }

 private:
  std::size_t count_;
  cuda::Memory memory_;
  std::vector<Reference> reference_;
};

/// How far a result may be from its float64 twin, with n = `additions` rounded additions behind an
/// element and `inner` roundings to T on the way:
///   |got - want| <= unit<T> |want| + (inner unit<T> + 8 sqrt(n + 1) unit<A>) max |want|,
/// A the accumulator: errors of additions are independent, so eight deviations of their sum. Where a
/// sum's terms are larger than the largest result, `scale` says how often; a few sums may all happen to be
/// small, so `typical` is the least that counts as max |want|. `each`, where given, is what each element may
/// err by on top.
struct Tolerance {
  double additions = 8;
  double inner = 0;
  double scale = 1;
  double typical = 0;
  std::span<const double> each{};
};

/// One op with its arrays: T the element type, A its accumulator.
template <class T> class OnBoth {
 public:
  using A = accumulator_t<T>;

  /// N(0, deviation) rounded to U.
  template <class U = T> Array<U> random(std::size_t n, double deviation = 1.0) {
    std::mt19937_64 engine(seed() + 1000 * ++drawn_);
    std::normal_distribution<double> draw(0.0, deviation);
    std::vector<U> values(n);
    for (U& v : values) v = rounded<U>(draw(engine));
    return Array<U>(values);
  }
  Array<std::int32_t> integers(std::size_t n, int below) {
    std::mt19937_64 engine(seed() + 1000 * ++drawn_);
    std::uniform_int_distribution<std::int32_t> draw(0, below - 1);
    std::vector<std::int32_t> values(n);
    for (auto& v : values) v = draw(engine);
    return Array<std::int32_t>(values);
  }
  /// For results: NaN until written.
  template <class U = T> Array<U> poisoned(std::size_t n) {
    return Array<U>(std::vector<U>(n, rounded<U>(std::numeric_limits<double>::quiet_NaN())));
  }

  /// f(device) on the GPU, then in float64 on the CPU.
  template <class F> void run(F f) {
    const Cuda& device = gpu().device;
    device.zero(gpu().report.template as<std::byte>(), gpu().report.bytes());
    f(device);
    gpu().stream.synchronize();
    f(cpu);
  }
  /// (sum, weight) that losses have added up on the GPU, and what was wrong with the data.
  static std::pair<double, double> loss() {
    double both[2];
    gpu().device.download(both, gpu().device.loss, sizeof both);
    return {both[0], both[1]};
  }
  static cuda::Fault fault() {
    cuda::Fault found;
    gpu().device.download(&found, gpu().device.fault, sizeof found);
    return found;
  }

  /// Compares a result with its twin.
  template <class U> void check(const std::string& name, const Array<U>& result, Tolerance t = {}) {
    const std::vector<U> got = result.download();
    const auto& want = result.reference();
    double largest = t.typical;
    for (const double w : want) largest = std::max(largest, std::fabs(w));
    const double all =
        (t.inner * unit<T> + 8 * std::sqrt(t.additions + 1) * unit<A> * t.scale) * largest +
        (std::is_same_v<U, fp16> ? 0x1p-25 : 0.0);  // below its normal numbers
    double worst = 0;                               // error over what is allowed
    std::size_t at = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double error = std::fabs(wide(got[i]) - want[i]);
      const double allowed = unit<U> * std::fabs(want[i]) + all + (t.each.empty() ? 0 : t.each[i]);
      const double ratio = error / allowed;
      if (!(ratio <= worst) && error != 0) worst = ratio, at = i;
      if (std::isnan(ratio) && error != 0) break;
    }
    INFO(name << "[" << at << "] is " << (got.empty() ? 0 : wide(got[at])) << ", should be "
              << (want.empty() ? 0 : want[at]) << "; largest " << largest << "; seed " << seed());
    CHECK(worst <= 1);
    std::printf("  %s %s: %.3f of the tolerance\n", cohort::name(dtype_of<T>).data(), name.c_str(),
                worst);
  }

 private:
  template <class U> static U rounded(double v) {
    if constexpr (Float16<U>)
      return U(static_cast<float>(v));
    else
      return static_cast<U>(v);
  }
  template <class U> static double wide(U v) {
    if constexpr (Float16<U>)
      return float(v);
    else
      return static_cast<double>(v);
  }
  std::uint64_t drawn_ = 0;
};

}  // namespace cohort::gpu_test
