// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/nccl_double/ranks.hpp: what tests of ranks on GPUs share: worlds, arrays, what each rank saw.
#pragma once
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cohort/comm/nccl.hpp>
#include <cohort/device/cuda/memory.hpp>
#include <cohort/device/cuda/stream.hpp>
#include <concepts>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <support/cuda_double/double.hpp>
#include <support/nccl_double/double.hpp>
#include <vector>

namespace cohort::test {

/// ThreadSanitizer takes milliseconds to begin a kernel (a fiber per thread): fewer of them show the same races.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool few_kernels = true;
#elif defined(__has_feature)
inline constexpr bool few_kernels = __has_feature(thread_sanitizer);
#else
inline constexpr bool few_kernels = false;
#endif

inline std::vector<int> first_gpus(int ranks) {
  std::vector<int> gpus;
  for (int gpu = 0; gpu < ranks; ++gpu) gpus.push_back(gpu);
  return gpus;
}

/// Both doubles as new, with eight GPUs; afterwards nothing is left of a world, and nothing was misused.
struct Machine {
  Machine() {
    cuda_double::reset();
    nccl_double::reset();
    cuda_double::set_devices(8);
  }
  Machine(const Machine&) = delete;
  ~Machine() {
    CHECK(cuda_double::take_failure() == "");
    CHECK(nccl_double::live() == 0);
    CHECK(nccl_double::live_memory() == 0);
    CHECK(cuda_double::live_events() == 0);
    CHECK(cuda_double::live_streams() == 0);
    CHECK(cuda_double::device_memory().live_bytes == 0);
    CHECK(cuda_double::pinned_memory().live_bytes == 0);
    nccl_double::reset();
    cuda_double::reset();
  }
};

/// An array of this rank's GPU.
template <class T> class GpuArray {
 public:
  explicit GpuArray(std::size_t count) : memory_(count * sizeof(T)), count_(count) {}
  GpuArray(const std::vector<T>& values, cudaStream_t stream) : GpuArray(values.size()) {
    put(values, stream);
  }
  T* data() const { return memory_.template as<T>(); }
  std::size_t size() const { return count_; }
  /// values must live until the stream has passed.
  void put(const std::vector<T>& values, cudaStream_t stream, std::size_t first = 0) {
    if (values.empty()) return;
    cuda::check(cudaMemcpyAsync(data() + first, values.data(), values.size() * sizeof(T),
                                cudaMemcpyHostToDevice, stream));
  }
  /// Waits with the communicator, which sees to failures.
  template <class Comm> std::vector<T> get(Comm& comm, cudaStream_t stream) const {
    std::vector<T> out(count_);
    if (count_ > 0) {
      cuda::check(
          cudaMemcpyAsync(out.data(), data(), count_ * sizeof(T), cudaMemcpyDeviceToHost, stream));
    }
    comm.synchronize(stream);
    return out;
  }

 private:
  cuda::Memory memory_;
  std::size_t count_;
};

/// Values over many magnitudes, so that another order of summation gives other bits. Sums of 8 are finite
/// in every type.
template <class T> T value(int rank, std::size_t i) {
  std::uint64_t z = (static_cast<std::uint64_t>(rank) << 32) + i + 1;
  z *= 0x9e3779b97f4a7c15u;
  z ^= z >> 29;
  z *= 0xbf58476d1ce4e5b9u;
  z ^= z >> 32;
  if constexpr (std::integral<T>) return static_cast<T>(z % 251);
  constexpr int most = sizeof(T) == 2 ? -8 : 23;
  return static_cast<T>(
      std::ldexp(static_cast<double>(z % 2000001) - 1e6, most - static_cast<int>(z % 24)));
}
template <class T> std::vector<T> values(int rank, std::size_t count) {
  std::vector<T> all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = value<T>(rank, i);
  return all;
}
template <class T> bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// Is `sum` the sum of value<T>(r, i) over these ranks, however it was ordered and rounded? Each of n - 1
/// additions, and a conversion, errs by at most half a unit in the last place (at least `tiny`, the
/// smallest subnormal) of a partial sum, and no partial sum exceeds the sum of the magnitudes.
template <class T> bool is_sum(T sum, const std::vector<int>& ranks, std::size_t i) {
  if constexpr (std::integral<T>) {
    T all = 0;
    for (int r : ranks) all = static_cast<T>(all + value<T>(r, i));
    return sum == all;
  } else {
    constexpr double half_ulp = std::same_as<T, double>  ? 0x1p-53
                                : std::same_as<T, float> ? 0x1p-24
                                : std::same_as<T, bf16>  ? 0x1p-8
                                                         : 0x1p-11;
    constexpr double tiny = std::same_as<T, fp16> ? 0x1p-24 : 0;
    long double all = 0, magnitude = 0;
    for (int r : ranks) {
      const auto x = static_cast<long double>(static_cast<accumulator_t<T>>(value<T>(r, i)));
      all += x;
      magnitude += std::abs(x);
    }
    const auto got = static_cast<long double>(static_cast<accumulator_t<T>>(sum));
    return std::abs(got - all) <=
           static_cast<double>(ranks.size()) * (1.01 * half_ulp * magnitude + tiny);
  }
}

/// Counts ranks whose result was wrong; doctest's own checks stay on the main thread.
struct Wrong {
  std::atomic<int> ranks{0};
  void unless(bool right) {
    if (!right) ++ranks;
  }
};

struct Boom : std::runtime_error {
  using std::runtime_error::runtime_error;
};
inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// What each rank threw, and how long after the moment that f marked.
struct Outcome {
  using Clock = std::chrono::steady_clock;
  std::vector<std::string> texts;
  std::vector<char>
      kinds;  // 'm'ismatch, 'p'eer failed, 't'imeout, 'i'nvalid input, 'e'rror, 'o'ther, '-' none
  std::vector<double> ms;
  std::string rethrown;
  std::atomic<Clock::rep> marked{0};

  void mark() { marked = Clock::now().time_since_epoch().count(); }
  void note(int rank, char kind, const std::exception& e) {
    const auto r = static_cast<std::size_t>(rank);
    const auto since = Clock::now().time_since_epoch() - Clock::duration(marked.load());
    ms[r] = std::chrono::duration<double, std::milli>(since).count();
    kinds[r] = kind;
    texts[r] = e.what();
  }
  /// Calls f, noting what it throws as this rank's.
  template <class F> void watch(int rank, F f) {
    try {
      f();
    } catch (const Mismatch& e) {
      note(rank, 'm', e);
      throw;
    } catch (const PeerFailed& e) {
      note(rank, 'p', e);
      throw;
    } catch (const Timeout& e) {
      note(rank, 't', e);
      throw;
    } catch (const InvalidInput& e) {
      note(rank, 'i', e);
      throw;
    } catch (const Error& e) {
      note(rank, 'e', e);
      throw;
    } catch (const std::exception& e) {
      note(rank, 'o', e);
      throw;
    }
  }
  void expect(int ranks) {
    texts.assign(static_cast<std::size_t>(ranks), "");
    kinds.assign(static_cast<std::size_t>(ranks), '-');
    ms.assign(static_cast<std::size_t>(ranks), 0);
  }
};

/// f(world) on threads with a GPU each.
template <class F>
void on_gpus(int ranks, F f, std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
  Nccl::run({.timeout = timeout, .gpus = first_gpus(ranks)}, f);
}

/// The same; what they throw is noted.
template <class F>
void observe(Outcome& seen, int ranks, F f,
             std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
  seen.expect(ranks);
  try {
    on_gpus(
        ranks, [&](Nccl& world) { seen.watch(world.rank(), [&] { f(world); }); }, timeout);
  } catch (const std::exception& e) {
    seen.rethrown = e.what();
  }
}

/// f(world) on threads that share nothing but the id, as processes do: each has a fate of its own.
template <class F>
void as_processes(Outcome& seen, int ranks, F f,
                  std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
  seen.expect(ranks);
  const ncclUniqueId id = detail::nccl_unique_id("");
  std::vector<std::jthread> threads;
  for (int r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] {
      try {
        seen.watch(r, [&] {
          Nccl world =
              Nccl::join(std::make_shared<detail::Fate>(ranks, false, timeout), {r, ranks, r}, id);
          f(world);
        });
      } catch (...) {
      }
    });
  }
}

}  // namespace cohort::test
