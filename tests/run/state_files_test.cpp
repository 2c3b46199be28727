// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/state_files_test.cpp: what a run is after a save or a load that failed, and while one is under way.
#include <cohort/run/state_files.hpp>

#include <doctest/doctest.h>

#include <fstream>

#include "../support/message.hpp"
#include "checkpoints.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Case = zoo::NestedRepeatCase;
using Run = ShardedRun<Case, FullShard>;
using Other = ShardedRun<zoo::GptCase, Replicate>;

typename Run::options small() { return options_of<Run, Case>({.ranks = 2, .each = 6}); }

template <class R> StepReport step(R& run) {
  const zoo::Batch<Case> batch(12, 1 + static_cast<std::uint64_t>(run.steps_done()));
  return run.step(batch.x().samples(6 * run.rank(), 6), batch.y().samples(6 * run.rank(), 6));
}
bool has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

TEST_CASE("a save that fails is an error on every rank, and the run goes on as if nothing were") {
  const TemporaryDirectory dir;
  std::ofstream(dir.path() / "file") << "in the way";
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = Run::on(world, small());
    auto undisturbed = Run::on(world, small());
    step(run);
    step(undisturbed);
    for (const bool async : {false, true}) {
      const std::string said = message<io::WriteFailed>([&] {
        const std::string where = (dir.path() / "file").string();
        async ? run.save_async(where) : run.save(where);
      });
      CHECK(has(said, "file"));
      CHECK(has(said, ("rank " + std::to_string(world.rank())).c_str()));
    }
    CHECK(same_bits(step(run), step(undisturbed)));
    run.save((dir.path() / "good").string());
    CHECK(same_bits(step(run), step(undisturbed)));
    CHECK(run.load((dir.path() / "good").string()).step == 2);
  });
}

TEST_CASE("a load that is refused changes nothing; the sentence is the same on every rank") {
  const TemporaryDirectory dir;
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = Run::on(world, small());
    auto undisturbed = Run::on(world, small());
    auto other = Other::on(world, options_of<Other, zoo::GptCase>({.ranks = 2, .each = 6}));
    other.save(dir.path().string());
    const std::string said = message<InvalidInput>([&] { run.load(dir.path().string()); });
    CHECK(has(said, "0.weight"));
    CHECK(has(said, "in the model"));
    CHECK(has(message<io::ReadFailed>([&] { run.load((dir.path() / "none").string()); }), "none"));
    CHECK(same_bits(step(run), step(undisturbed)));
  });
}

TEST_CASE("a load that breaks off between elements ends the run on every rank") {
  const TemporaryDirectory dir;
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = Run::on(world, small());
    step(run);
    run.save(dir.path().string());
    const fs::path part = dir.path() / "step-00000001" / io::rank_file(1, 2);
    if (world.rank() == 0) {  // a bit of the last element, which rank 1 reads
      std::fstream file(part, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(-1, std::ios::end);
      const char last = static_cast<char>(file.get() ^ 1);
      file.seekp(-1, std::ios::end);
      file.put(last);
    }
    world.barrier();
    CHECK(has(message<io::MalformedFile>([&] { run.load(dir.path().string()); }), "hash"));
    CHECK(has(message<ContractBroken>([&] { step(run); }), "new run"));
  });
}

TEST_CASE(
    "law 5: a save under way adds no collective to a step, and none is in the way of another") {
  const TemporaryDirectory dir;
  on_ranks<Run>(2, small(), [&](auto& run, World& world) {
    log_of(world).clear();
    step(run);
    const auto planned = copy_of(log_of(world).log());
    for (int i = 0; i < 3; ++i) {
      run.save_async(dir.path().string(), {.keep = 1});
      log_of(world).clear();
      step(run);
      CHECK(copy_of(log_of(world).log()) == planned);
    }
    run.wait_for_save();
    run.wait_for_save();  // there is none: nothing to wait for
    CHECK(saved_state(dir.path()).facts.at("step") == "3");
  });
  int complete = 0;
  for (const auto& entry : fs::directory_iterator(dir.path())) complete += entry.is_directory();
  CHECK(complete == 1);
}

TEST_CASE("a save under way holds the state of its moment, whatever is done to the run meanwhile") {
  const TemporaryDirectory dir;
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = Run::on(world, small());
    step(run);
    const auto before = run.gather_parameters();
    run.save_async((dir.path() / "a").string());
    run.set_parameter(before[0].name, std::vector<float>(before[0].values.size(), 3.0f));
    run.save_async((dir.path() / "b").string());
    run.load((dir.path() / "a").string());
    CHECK(same_bits(run.gather_parameters(), before));
    run.wait_for_save();
    run.load((dir.path() / "b").string(), {.only = before[0].name});
    CHECK(run.gather_parameters()[0].values[0] == 3.0f);
    CHECK(run.gather_parameters()[1].values == before[1].values);
  });
}

TEST_CASE("a run that ends completes the save that it began") {
  const TemporaryDirectory dir;
  launch<Threads>({.ranks = 3}, [&](Threads& world) {
    auto options = small();
    auto run = Run::on(world, options);
    run.save_async(dir.path().string());
  });
  CHECK(saved_state(dir.path()).facts.at("step") == "0");
}

TEST_CASE("other options than at the save are told of, and taken") {
  const TemporaryDirectory dir;
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    auto run = Run::on(world, small());
    run.save(dir.path().string());
    CHECK(run.load(dir.path().string()).same_options);
    auto options = small();
    options.learning_rate *= 2;
    auto other = Run::on(world, options);
    CHECK_FALSE(other.load(dir.path().string()).same_options);
    const zoo::Batch<Case> batch(6, 1);
    CHECK(other.step(batch.x(), batch.y()).learning_rate == options.learning_rate);
  });
}

}  // namespace
