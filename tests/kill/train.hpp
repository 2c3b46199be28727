// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/kill/train.hpp: a program that trains and saves without pause, for others to kill and to starve of disk.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <cohort/checkpoint.hpp>
#include <cohort/cohort.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/failing_files.hpp"

namespace victim {

using namespace cohort;
namespace fs = std::filesystem;

/// 115 thousand parameters: 1.3 MB of values and moments.
inline constexpr int width = 96, classes = 8, batch = 4;
using Block = nn::Residual<nn::Sequential<nn::Linear<width, 2 * width>, nn::ReLU<2 * width>,
                                          nn::Linear<2 * width, width>>>;
using Model = nn::Sequential<nn::Repeat<3, Block>, nn::Linear<width, classes>>;
template <class How>
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<How>, ClipGradNorm, optim::AdamW,
                    optim::WarmupCosine>;

/// Lines that outlive the process: one write() each, to a file that all ranks append to.
class Log {
 public:
  explicit Log(const std::string& path)
      : file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
    if (file_ < 0) throw InvalidInput(-1, "log", "cannot write '" + path + "'.");
  }
  Log(const Log&) = delete;
  ~Log() { ::close(file_); }
  void operator()(const std::string& line) const {
    const std::string text = line + "\n";
    if (::write(file_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
  }

 private:
  int file_;
};

/// A batch that depends on the step and the rank only.
struct Batch {
  std::vector<float> x = std::vector<float>(batch * width);
  std::vector<std::int32_t> y = std::vector<std::int32_t>(batch);
  Batch(std::int64_t step, int rank) {
    std::uint64_t z = static_cast<std::uint64_t>(step) * 64 + static_cast<std::uint64_t>(rank) + 1;
    const auto next = [&z] { return z = z * 6364136223846793005u + 1442695040888963407u, z >> 40; };
    for (float& v : x) v = static_cast<float>(next()) * 0x1p-23f - 1;
    for (std::int32_t& v : y) v = static_cast<std::int32_t>(next() % classes);
  }
};
template <class R> void step(R& run) {
  const Batch b(run.steps_done(), run.rank());
  run.step({b.x.data(), {batch, 1}}, {b.y.data(), {batch, 1}});
}
/// Of all values. (That moments are right too, later steps show.) Collective.
template <class R> std::string hash(R& run) {
  io::Xxh64 sum;
  for (const NamedTensor& t : run.gather_parameters()) sum.add(std::as_bytes(std::span(t.values)));
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(sum.value()));
  return text;
}
template <class How, class World> auto make_run(World& world) {
  return Run<How>::on(world, {.seed = 7, .batch = batch, .schedule = {.total_steps = 1 << 16}});
}

/// What rank `rank` meets after step `at` was done: its process ends before the k-th call on files.
struct Death {
  int rank = -1, k = 0;
  std::int64_t at = 0;
};

inline bool holds_checkpoint(const fs::path& directory) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(directory, none))
    if (entry.path().filename().string().starts_with("step-")) return true;
  return false;
}

/// Continues from what `directory` holds until `steps` are done; "-": without saving. After each step a
/// save: whole at odd steps, beside the next step at even ones.
template <class How, class World>
void train(World& world, const std::string& directory, const Log& log, std::int64_t steps,
           const Death& death) {
  const bool saves = directory != "-", speaks = world.rank() == 0;
  const auto say = [&](const char* what, std::int64_t n, const std::string& more = "") {
    if (speaks) log(std::string(what) + " " + std::to_string(n) + more);
  };
  log("pid " + std::to_string(world.rank()) + " " + std::to_string(::getpid()));
  auto run = make_run<How>(world);
  if (saves && holds_checkpoint(directory)) run.load(directory);
  say("loaded", run.steps_done(), " " + hash(run));
  std::optional<test::FailingFiles> files;
  std::int64_t pending = 0;
  const auto await = [&] {
    run.wait_for_save();
    if (pending > 0) say("durable", pending);
    pending = 0;
  };
  while (run.steps_done() < steps) {
    step(run);
    const std::int64_t now = run.steps_done();
    say("step", now, " " + hash(run));
    if (!saves) continue;
    await();
    say("begin", now);
    if (now == death.at && death.rank == world.rank())
      files.emplace(directory).kill_before(death.k);
    pending = now;
    if (now % 2 == 1) {
      run.save(directory, {.keep = 2});
      await();
    } else {
      run.save_async(directory, {.keep = 2});
    }
  }
  await();
  say("done", steps);
}

/// Calls f; the words of its error, or "".
template <class F> std::string error_of(F f) {
  try {
    f();
  } catch (const io::WriteFailed& e) {
    return e.what();
  } catch (const io::ReadFailed& e) {  // what is in the directory
    return e.what();
  }
  return {};
}

/// A run whose saves may fail: it trains on, and knows what it was at every step.
template <class How, class World> class Survivor {
 public:
  Survivor(World& world, const Log& log) : world_(world), log_(log), run_(make_run<How>(world)) {}

  /// One step and a save that may fail, beside another step or not; the error's words on this rank.
  std::string try_save(const std::string& directory, bool beside) {
    train();
    const std::string error = error_of([&] {
      if (!beside) return run_.save(directory, {.keep = 2});
      run_.save_async(directory, {.keep = 2});
      train();
      run_.wait_for_save();
    });
    check_agreed(error);
    return error;
  }
  void save(const std::string& directory) {
    if (const auto error = try_save(directory, false); !error.empty()) fail(error);
    if (check_latest(directory) != run_.steps_done()) fail("what was saved is not the latest");
    std::string left;
    int count = 0;
    for (const auto& entry : fs::directory_iterator(directory)) {
      left += " " + entry.path().filename().string();
      ++count;
    }
    if (count > 3) fail("more than latest and two checkpoints is left:" + left);
    world_.barrier();
  }
  /// The step of the latest checkpoint, whose values must be those of that step.
  std::int64_t check_latest(const std::string& directory) {
    auto other = make_run<How>(world_);
    const std::int64_t found = other.load(directory).step;
    if (hash(other) != hashes_.at(found))
      fail("the checkpoint of step " + std::to_string(found) + " is not what was trained");
    return found;
  }
  [[noreturn]] void fail(const std::string& what) const {
    log_("wrong: " + what);
    throw std::runtime_error(what);
  }
  void say(const std::string& line) const {
    if (world_.rank() == 0) log_(line);
  }

 private:
  void train() {
    step(run_);
    hashes_[run_.steps_done()] = hash(run_);
  }
  /// Every rank must have seen an error, or none.
  void check_agreed(const std::string& error) {
    const std::int32_t mine = !error.empty();
    std::vector<std::int32_t> all(static_cast<std::size_t>(world_.size()));
    world_.all_gather(&mine, all.data(), std::size_t{1});
    for (const std::int32_t each : all)
      if (each != mine) fail("some ranks saw an error, others did not: " + error);
  }

  World& world_;
  const Log& log_;
  decltype(make_run<How>(std::declval<World&>())) run_;
  std::map<std::int64_t, std::string> hashes_;
};

/// One save with FailingFiles set up by `arm` on one rank (of threads: for all). How many calls on files it
/// saw, and whether the save failed; `latest` must be a state of this run either way.
template <class How, class World, class Arm>
std::pair<int, bool> save_with_fault(Survivor<How, World>& run, World& world,
                                     const std::string& directory, int rank, bool beside, Arm arm) {
  std::optional<test::FailingFiles> files;
  world.barrier();
  if (world.rank() == rank) arm(files.emplace(directory));
  world.barrier();
  const bool failed = !run.try_save(directory, beside).empty();
  world.barrier();
  std::int32_t calls = files ? files->calls() : 0;
  files.reset();
  world.broadcast(&calls, std::size_t{1}, rank);
  run.check_latest(directory);
  run.save(directory);  // and nothing of the failed one stays
  return {calls, failed};
}

/// Lets every call on files of a save fail with `code`, one save each: alone, with all that follow it, in
/// save_async and in save; the first `variants` of these four.
template <class How, class World>
void every_call(World& world, const std::string& directory, const Log& log, int code, int rank,
                int variants) {
  Survivor<How, World> run(world, log);
  run.save(directory);
  for (int variant = 0; variant < variants; ++variant) {
    const bool beside = variant % 2 == 0, lasting = variant >= 2;
    int k = 0, errors = 0;
    for (int calls = 0; calls >= k;) {  // a save that never comes to the k-th call is the last
      ++k;
      const auto result =
          save_with_fault(run, world, directory, rank, beside,
                          [&](test::FailingFiles& files) { files.fail(k, code, lasting); });
      calls = result.first;
      errors += result.second;
    }
    run.say("faults " + std::to_string(k - 1) + " errors " + std::to_string(errors) +
            (beside ? " save_async" : " save") + (lasting ? " lasting" : " once"));
  }
  const auto shorten = [](test::FailingFiles& files) { files.shorten_writes(777); };
  if (save_with_fault(run, world, directory, rank, false, shorten).second)
    run.fail("a save with short writes failed");
  run.say("done");
}

/// Saves to a disk that has no room, in both ways; then to another place.
template <class How, class World>
void no_room(World& world, const std::string& full, const std::string& other, const Log& log) {
  Survivor<How, World> run(world, log);
  for (const bool beside : {false, true, false}) {
    const std::string error = run.try_save(full, beside);
    if (error.empty()) run.fail("there was room");
    log("rank " + std::to_string(world.rank()) + " " + error);
  }
  run.save(other);
  run.say("done");
}

/// The program: train LOG DIR STEPS [RANK K STEP] | faults LOG DIR CODE RANK VARIANTS | room LOG FULL OTHER.
template <class How, class World> int program(int argc, char** argv, const LaunchOptions& options) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() < 4) return 2;
  const auto number = [&](std::size_t i) { return i < args.size() ? std::stoi(args[i]) : -1; };
  const char* const none[] = {argv[0]};
  return launch<World>(
      1, none,
      [&](World& world) {
        const Log log(args[1]);
        if (args[0] == "train")
          train<How>(world, args[2], log, number(3), {number(4), number(5), number(6)});
        if (args[0] == "faults")
          every_call<How>(world, args[2], log, number(3), number(4), number(5));
        if (args[0] == "room") no_room<How>(world, args[2], args[3], log);
      },
      options);
}

}  // namespace victim
