// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/checkpoint.cpp: times of saves, loads and steps of a 204 MB state: checkpoint DIR --ranks N; run_checkpoint.py asks.
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cohort/checkpoint.hpp>
#include <cohort/cohort.hpp>
#include <cohort/launch.hpp>

#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "step_server.hpp"

namespace {

using namespace cohort;
namespace fs = std::filesystem;

/// 17 million parameters in eight layers of 8.5 MB, two moments each.
constexpr int width = 1456, batch = 96;
using Block = nn::Residual<nn::Sequential<nn::Linear<width, width>, nn::ReLU<width>>>;
using Model = nn::Sequential<nn::Repeat<8, Block>, nn::Linear<width, 16>>;
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<FullShard>, optim::AdamW>;

/// "VmHWM" or "VmRSS" of this process in bytes.
double memory(const char* what) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(what))
      return 1024 * std::strtod(line.c_str() + std::strlen(what) + 1, nullptr);
  return 0;
}
/// us that a clock has counted: of the calling thread, or of all threads that this process ever had.
double cpu_us(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return 1e6 * static_cast<double>(time.tv_sec) + 1e-3 * static_cast<double>(time.tv_nsec);
}
/// Lets the next reads come from the disk.
void forget_cached(const fs::path& directory) {
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    ::close(file);
  }
}

/// What run_checkpoint.py can ask for: "save", "load", "warm" (from memory), "memory" (of a load), "steps K",
/// "async K", "others K": CPU time of all threads but the ranks' in K steps. Numbers are us, but for memory.
template <class World> class Server {
 public:
  Server(World& world, fs::path directory) : world_(world), directory_(std::move(directory)) {}

  void serve() {
    if (world_.rank() == 0)
      std::printf("ready {\"layer_bytes\": %d, \"state_bytes\": %lld}\n", width * (width + 1) * 4,
                  12 * static_cast<long long>(Run::plan.layout.num_elements())),
          std::fflush(stdout);
    for (;;) {
      std::array<char, 64> line{};
      if (world_.rank() == 0 && !std::fgets(line.data(), line.size(), stdin)) line[0] = 'q';
      world_.broadcast(reinterpret_cast<std::uint8_t*>(line.data()), line.size(), 0);
      std::array<char, 32> what{};
      int count = 0;
      if (std::sscanf(line.data(), "run %31s %d", what.data(), &count) < 1) return;
      const std::vector<double> numbers = answer(what.data(), count);
      if (world_.rank() == 0) print(numbers);
    }
  }

 private:
  static void print(const std::vector<double>& numbers) {
    for (std::size_t i = 0; i < numbers.size(); ++i)
      std::printf("%s%.1f", i ? ", " : "[", numbers[i]);
    std::puts("]");
    std::fflush(stdout);
  }
  std::vector<double> answer(const std::string& what, int count) {
    if (what == "save") return {timed([&] { return empty(); }, [&] { run_.save(directory_); })};
    if (what == "load") return {timed([&] { return uncached(); }, [&] { run_.load(directory_); })};
    if (what == "warm") return {timed([] {}, [&] { run_.load(directory_); })};
    if (what == "memory") return memory_of_load();
    if (what == "steps") return steps(count);
    if (what == "others") return {of_others([&] { steps(count); })};
    return beside(count);
  }
  template <class Before, class F> double timed(Before before, F f) {
    before();
    world_.barrier();
    const double begin = bench::now_us();
    f();
    world_.barrier();
    return bench::now_us() - begin;
  }
  void empty() {
    world_.barrier();
    if (world_.rank() == 0) fs::remove_all(directory_);
  }
  void uncached() {
    world_.barrier();
    if (world_.rank() == 0) forget_cached(directory_);
  }
  std::vector<double> steps(int count) {
    std::vector<double> times;
    for (int i = 0; i < count; ++i) times.push_back(timed([] {}, [&] { step(); }));
    return times;
  }
  /// The call, the steps beside the save, the wait for what of it is left then, and the CPU time of all
  /// threads but the ranks': with less that of steps alone, what the save computes.
  std::vector<double> beside(int count) {
    std::vector<double> times;
    empty();
    const double others = of_others([&] {
      times.push_back(timed([] {}, [&] { run_.save_async(directory_); }));
      for (const double time : steps(count)) times.push_back(time);
      times.push_back(timed([] {}, [&] { run_.wait_for_save(); }));
    });
    times.push_back(others);
    return times;
  }
  /// CPU time of this process's other threads while the ranks do f.
  template <class F> double of_others(F f) {
    world_.barrier();
    const double all = cpu_us(CLOCK_PROCESS_CPUTIME_ID), mine = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    f();
    const float of_this = static_cast<float>(cpu_us(CLOCK_THREAD_CPUTIME_ID) - mine);
    world_.barrier();
    const double together = cpu_us(CLOCK_PROCESS_CPUTIME_ID) - all;
    std::vector<float> of_ranks(static_cast<std::size_t>(world_.size()));
    world_.all_gather(&of_this, of_ranks.data(), std::size_t{1});
    return std::accumulate(of_ranks.begin(), of_ranks.end(), together,
                           [](double left, float rank) { return left - rank; });
  }
  /// What a load took at most beyond what the run has, all ranks together.
  std::vector<double> memory_of_load() {
    std::ofstream("/proc/self/clear_refs") << 5;  // VmHWM begins anew
    world_.barrier();
    const double before = memory("VmRSS");
    world_.barrier();
    run_.load(directory_);
    world_.barrier();
    return {memory("VmHWM") - before};
  }
  void step() { run_.step({x_.data(), {batch, 1}}, {y_.data(), {batch, 1}}); }

  World& world_;
  fs::path directory_;
  decltype(Run::on(std::declval<World&>(), {})) run_ =
      Run::on(world_, {.seed = 1, .batch = batch, .learning_rate = 1e-4});
  std::vector<float> x_ = std::vector<float>(batch * width, 0.01f);
  std::vector<std::int32_t> y_ = std::vector<std::int32_t>(batch);
};

}  // namespace

int main(int argc, char** argv) {
  const fs::path directory = argc > 1 ? argv[1] : "checkpoint-benchmark";
  return launch<Threads>(argc - 1, argv + 1,
                         [&](Threads& world) { Server<Threads>(world, directory).serve(); });
}
