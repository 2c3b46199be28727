// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/gpu/measure.hpp: random data on a GPU, medians of replayed calls, and the lines that report them.
#pragma once
#include <algorithm>
#include <cmath>
#include <cohort/cuda.hpp>
#include <cohort/io/metrics.hpp>
#include <cstdio>
#include <string>
#include <vector>

namespace bench {

using namespace cohort;

/// --tiny tries a program itself: its sizes are those that an interpreter of PTX takes seconds for.
inline bool& tiny() {
  static bool on = false;
  return on;
}
template <class N> N size(N full, N small) { return tiny() ? small : full; }

/// Random numbers of deviation `scale` around `centre`: zeros would be faster than what training computes.
template <class T> struct Fill {
  static constexpr int threads = 256;
  struct Shared {};
  T* to;
  std::size_t n;
  std::uint64_t seed;
  float scale, centre;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t step = static_cast<std::size_t>(block.count()) * threads;
    for (std::size_t i = static_cast<std::size_t>(block.index()) * threads +
                         static_cast<std::size_t>(block.thread());
         i < n; i += step)
      to[i] = T(centre + scale * normal(seed, 0, i));
  }
};
/// Token ids below `vocabulary`.
struct FillTokens {
  static constexpr int threads = 256;
  struct Shared {};
  std::int32_t* to;
  std::size_t n;
  std::uint64_t seed, vocabulary;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t step = static_cast<std::size_t>(block.count()) * threads;
    for (std::size_t i = static_cast<std::size_t>(block.index()) * threads +
                         static_cast<std::size_t>(block.thread());
         i < n; i += step)
      to[i] = static_cast<std::int32_t>(uniform_below(vocabulary, seed, 1, i));
  }
};
/// How many elements nothing has written since they were made NaN.
template <class T> struct CountNans {
  static constexpr int threads = 256;
  struct Shared {};
  const T* at;
  std::size_t n;
  unsigned long long* count;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t step = static_cast<std::size_t>(block.count()) * threads;
    unsigned long long mine = 0;
    for (std::size_t i = static_cast<std::size_t>(block.index()) * threads +
                         static_cast<std::size_t>(block.thread());
         i < n; i += step)
      mine += std::isnan(float(at[i])) ? 1 : 0;
    if (mine > 0) block.atomic_add(count, mine);
  }
};

/// Buffers of one kind, taken in turn, so that no call finds its data in the cache.
template <class T> class Rotating {
 public:
  Rotating(int copies, std::size_t n) {
    for (int i = 0; i < copies; ++i) memory_.emplace_back(n * sizeof(T));
    size_ = n;
  }
  T* operator[](int turn) const {
    return memory_[static_cast<std::size_t>(turn) % memory_.size()].template as<T>();
  }
  std::size_t size() const { return size_; }
  int copies() const { return static_cast<int>(memory_.size()); }

 private:
  std::vector<cuda::Memory> memory_;
  std::size_t size_ = 0;
};

/// One GPU, a stream, and what ops need on it.
class Gpu {
 public:
  Gpu()
      : context_(0),
        workspace_(workspace_bytes<Cuda>),
        words_(1024),
        device_{stream_.native(),   &context_,           workspace_.as<std::byte>(),
                workspace_.bytes(), words_.as<double>(), nullptr} {}
  const Cuda& device() const { return device_; }
  const cuda::Context& context() const { return context_; }

  /// More than the cache holds, four times over, for calls that move so many bytes each.
  static int copies(double bytes) { return size(std::max(1, int(std::ceil(256e6 / bytes))), 2); }

  template <class T>
  Rotating<T> random(int copies, std::size_t n, float scale = 1, float centre = 0) {
    Rotating<T> made(copies, n);
    for (int i = 0; i < copies; ++i)
      cuda::launch(device_, blocks(n), Fill<T>{made[i], n, ++seed_, scale, centre});
    return made;
  }
  Rotating<std::int32_t> tokens(int copies, std::size_t n, int vocabulary) {
    Rotating<std::int32_t> made(copies, n);
    for (int i = 0; i < copies; ++i)
      cuda::launch(device_, blocks(n),
                   FillTokens{made[i], n, ++seed_, static_cast<std::uint64_t>(vocabulary)});
    return made;
  }
  /// Outputs full of NaN.
  template <class T> Rotating<T> outputs(int copies, std::size_t n) {
    Rotating<T> made(copies, n);
    for (int i = 0; i < copies; ++i)
      cuda::check(cudaMemsetAsync(made[i], 0xff, n * sizeof(T), device_.stream));
    return made;
  }
  /// Throws unless every element of every copy has become a number.
  template <class T> void require_written(const Rotating<T>& outputs, const std::string& what) {
    auto* count = words_.as<unsigned long long>() + 8;
    device_.zero(count, sizeof *count);
    for (int i = 0; i < outputs.copies(); ++i)
      cuda::launch(device_, blocks(outputs.size()),
                   CountNans<T>{outputs[i], outputs.size(), count});
    unsigned long long left = 0;
    device_.download(&left, count, sizeof left);
    if (left > 0) throw ContractBroken(-1, what, std::to_string(left) + " results are no numbers.");
  }

  /// Microseconds of one call: f(turn) for turns 0 .. turns - 1 is captured into a graph, which is replayed
  /// until some tenth of a second is over; the median of the replays. The host's launches do not count.
  template <class F> double median_us(F f, int copies) {
    for (int turn = 0; turn < copies; ++turn) f(turn);  // algorithms are chosen, modules loaded
    device_.zero(words_.as<std::byte>(), 64);           // waits for nothing; losses begin at zero
    const double once = replay_us(f, copies, copies, 3);
    if (tiny()) return once;
    const int turns = copies * std::max(1, int(std::ceil(2e3 / (once * copies))));  // 2 ms or more
    const int replays = std::clamp(int(1e5 / (once * turns)), 9, 51);
    return replay_us(f, copies, turns, replays);
  }

 private:
  static int blocks(std::size_t n) {
    return static_cast<int>(std::min<std::size_t>(4096, (n + 255) / 256));
  }
  template <class F> double replay_us(F f, int copies, int turns, int replays) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t replay = nullptr;
    cuda::check(cudaStreamBeginCapture(device_.stream, cudaStreamCaptureModeThreadLocal));
    for (int turn = 0; turn < turns; ++turn) f(turn % copies);
    cuda::check(cudaStreamEndCapture(device_.stream, &graph));
    cuda::check(cudaGraphInstantiate(&replay, graph, 0));
    std::vector<double> times;
    cuda::Event begin(cuda::Event::Timing::yes), end(cuda::Event::Timing::yes);
    cuda::check(cudaGraphLaunch(replay, device_.stream));
    for (int i = 0; i < replays; ++i) {
      begin.record(device_.stream);
      cuda::check(cudaGraphLaunch(replay, device_.stream));
      end.record(device_.stream);
      end.synchronize();
      times.push_back(1e3 * double(end.milliseconds_since(begin)) / turns);
    }
    cudaGraphExecDestroy(replay);
    cudaGraphDestroy(graph);
    std::nth_element(times.begin(), times.begin() + replays / 2, times.end());
    return times[static_cast<std::size_t>(replays / 2)];
  }

  cuda::Context context_;
  cuda::Stream stream_;
  cuda::Memory workspace_, words_;
  Cuda device_;
  std::uint64_t seed_ = 0;
};

/// The two ceilings of this GPU, measured in this run: bytes a second of a copy (read and written), and
/// operations a second of a large matrix product in bf16.
struct Ceilings {
  double copy = 0, product = 0;
};

/// "linear_forward", 768, 3072 -> "linear_forward_768_3072".
template <class... Numbers> std::string named(std::string what, Numbers... numbers) {
  ((what += '_', what += std::to_string(numbers)), ...);
  return what;
}

/// Prints one result. The floor is the time of the least bytes and operations at the ceilings.
inline void report(const Ceilings& c, const std::string& metric, double us, double bytes,
                   double flops) {
  const double floor = 1e6 * std::max(bytes / c.copy, c.product > 0 ? flops / c.product : 0);
  const std::string line = io::json({{"metric", metric},
                                     {"us", us},
                                     {"gb_s", bytes / us * 1e-3},
                                     {"tflop_s", flops / us * 1e-6},
                                     {"floor_us", floor},
                                     {"share_of_floor", floor / us}});
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

/// Prints which fused products the library lacks, so that these numbers are of two steps.
inline void report_lacked(const Gpu& gpu) {
  std::string names;
  int count = 0;
  for (const std::string& name : gpu.device().context->kept<cuda::GemmPlans>().lacked()) {
    names += (names.empty() ? "" : "; ") + name;
    ++count;
  }
  std::printf("%s\n", io::json({{"lacked", count}, {"products", names}}).c_str());
  std::fflush(stdout);
}

/// The product comes first: a card that was idle needs some time for its clocks.
inline Ceilings measure_ceilings(Gpu& gpu) {
  const int m = size(8192, 64);
  const double cells = double(m) * m, flops = 2 * cells * m;
  const double product_us = [&] {
    const auto n = static_cast<std::size_t>(cells);
    const auto a = gpu.random<bf16>(2, n), b = gpu.random<bf16>(2, n);
    const auto d = gpu.outputs<bf16>(2, n);
    const double us = gpu.median_us(
        [&](int turn) {
          ops::matmul<false, true>(gpu.device(), m, m, m, a[turn], m, b[turn], m, 0.0f, d[turn], m);
        },
        2);
    gpu.require_written(d, "matmul");
    return us;
  }();
  const std::size_t n = size(std::size_t{1} << 29, std::size_t{1000});  // 2 GiB of fp32
  const double bytes = 2.0 * double(n) * sizeof(float);
  const auto from = gpu.random<float>(1, n);
  const auto to = gpu.outputs<float>(1, n);
  const double copy_us =
      gpu.median_us([&](int) { gpu.device().copy(to[0], from[0], n * sizeof(float)); }, 1);
  gpu.require_written(to, "copy");
  const Ceilings c{.copy = bytes / copy_us * 1e6, .product = flops / product_us * 1e6};
  report(c, "copy", copy_us, bytes, 0);
  report(c, "matmul_8192", product_us, 3.0 * cells * sizeof(bf16), flops);
  return c;
}

/// The first line: which GPU.
inline void describe(const Gpu& gpu) {
  const std::string name = gpu.context().name();
  const std::string line = io::json({{"gpu", name},
                                     {"multiprocessors", gpu.context().num_multiprocessors()},
                                     {"memory_bytes", gpu.context().total_bytes()}});
  std::printf("%s\n", line.c_str());
}

/// What main does: errors end the program with one line.
template <class F> int guarded(int argc, char** argv, F f) {
  try {
    tiny() = argc == 2 && std::string(argv[1]) == "--tiny";
    if (argc > 1 && !tiny()) throw InvalidInput(-1, argv[0], "takes --tiny or no argument.");
    f();
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

}  // namespace bench
