// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/formation_test.cpp: before step 0 all ranks agree on plan, options and parameters.
#include <cohort/run/formation.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <new>

#include "support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Case = zoo::RegressionCase;
using Run = Trainer<Case::Model, Case::Loss, ClipGradNorm, optim::AdamW, optim::WarmupCosine>;

Run::options good() {
  Run::options options{};
  options.seed = 5;
  options.batch = 2;
  options.schedule.total_steps = 10;
  return options;
}

/// Lets one of three ranks form with other options; the sentences that the ranks got.
template <class Change> std::vector<std::string> mismatch_of(int odd_rank, Change change) {
  std::vector<std::string> errors(3);
  const auto act = [&](Threads& world) {
    auto options = good();
    if (world.rank() == odd_rank) change(options);
    try {
      auto run = Run::on(world, options);
      const zoo::Batch<Case> batch(2);
      run.step(batch.x(), batch.y());
    } catch (const Mismatch& e) {
      errors[static_cast<std::size_t>(world.rank())] = e.what();
      throw;
    }
  };
  CHECK_THROWS_AS(launch<Threads>({.ranks = 3}, act), Mismatch);
  return errors;
}

TEST_CASE("Run::on: ranks with different hyperparameters all refuse, before step 0") {
  struct Change {
    std::string named;
    std::function<void(Run::options&)> make;
  };
  const std::vector<Change> changes = {
      {"options.seed (", [](auto& o) { o.seed = 6; }},
      {"options.learning_rate (",
       [](auto& o) { o.learning_rate = std::nextafter(o.learning_rate, 1.0); }},
      {"options.optimizer:", [](auto& o) { o.optimizer.beta1 = 0.8; }},
      {"options.optimizer:", [](auto& o) { o.optimizer.beta2 = 0.95; }},
      {"options.optimizer:", [](auto& o) { o.optimizer.epsilon = 1e-7; }},
      {"options.optimizer:", [](auto& o) { o.optimizer.weight_decay = 0; }},
      {"options.schedule:", [](auto& o) { o.schedule.warmup_steps = 1; }},
      {"options.schedule:", [](auto& o) { o.schedule.min_learning_rate = 1e-5; }},
      {"options.clip:", [](auto& o) { o.clip.max_norm = 2; }}};
  for (const auto& [named, change] : changes) {
    for (int odd : {0, 1, 2}) {
      const std::string other = odd == 2 ? "2" : "1";
      for (const std::string& e : mismatch_of(odd, change)) {
        CHECK(e.find("ranks 0 and " + other + " have different " + named) != std::string::npos);
      }
    }
  }
}

/// Options as a user may write them: bytes between the members belong to none.
struct OwnOptions {
  struct Policy {
    bool nesterov = false;
    double momentum = 0.9;
    std::array<float, 3> shares{1, 2, 3};
  };
  std::uint64_t seed = 1;
  double learning_rate = 1e-3;
  Policy optimizer{};
  optim::WarmupCosine::Options schedule{};
  optim::ConstantRate::Options clip{};
};

TEST_CASE("hash_options: values count, the bytes between them do not") {
  const auto hash = [](int filler, auto change) {
    alignas(OwnOptions) std::byte memory[sizeof(OwnOptions)];
    std::memset(memory, filler, sizeof memory);
    auto* o = new (memory) OwnOptions;
    change(*o);
    return detail::hash_options(*o);
  };
  const auto same = [](OwnOptions&) {};
  CHECK(hash(0x00, same) == hash(0xff, same));
  CHECK(hash(0, same) != hash(0, [](OwnOptions& o) { o.optimizer.nesterov = true; }));
  CHECK(hash(0, same) != hash(0, [](OwnOptions& o) { o.optimizer.shares[2] = 4; }));
  CHECK(hash(0, same) != hash(0, [](OwnOptions& o) { o.seed = 2; }));
}

TEST_CASE("Run::on: rows, tokens and the stream may differ by rank") {
  launch<Threads>({.ranks = 3}, [](Threads& world) {
    auto options = good();
    options.batch = 1 + world.rank();
    options.stream = world.rank() == 1 ? StreamMode::worker : StreamMode::on_compute_thread;
    auto run = Run::on(world, options);
    const zoo::Batch<Case> batch(1 + world.rank());
    CHECK(run.step(batch.x(), batch.y()).weight == 4 * (1 + 2 + 3));
  });
}

TEST_CASE("Run::on: ranks with different plans all refuse, before any gradient is mixed up") {
  using Other = Trainer<Case::Model, Case::Loss, ClipGradNorm, optim::AdamW, optim::WarmupCosine,
                        Buckets<1, 1>>;
  std::vector<std::string> errors(3);
  const auto act = [&](Threads& world) {
    try {
      if (world.rank() == 1) {
        Other::options options{};
        options.seed = 5;
        options.batch = 2;
        options.schedule.total_steps = 10;
        Other::on(world, options);
      } else {
        Run::on(world, good());
      }
    } catch (const Mismatch& e) {
      errors[static_cast<std::size_t>(world.rank())] = e.what();
      throw;
    }
  };
  CHECK_THROWS_AS(launch<Threads>({.ranks = 3}, act), Mismatch);
  for (const std::string& e : errors)
    CHECK(e.find("ranks 0 and 1 have different plans") != std::string::npos);
}

TEST_CASE("Run::on: options that cannot be run are refused with what to write") {
  const auto refused = [](auto change) {
    try {
      launch<Threads>({.ranks = 2}, [&](Threads& world) {
        auto options = good();
        change(options);
        Run::on(world, options);
      });
    } catch (const InvalidInput& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(refused([](auto& o) { o.batch = 0; }).find("{.batch = 12, .tokens = 64}") !=
        std::string::npos);
  CHECK_FALSE(refused([](auto& o) { o.batch = -1; }).empty());
  CHECK_FALSE(refused([](auto& o) { o.tokens = 0; }).empty());
  CHECK_FALSE(refused([](auto& o) { o.learning_rate = -1e-3; }).empty());
  CHECK_FALSE(refused([](auto& o) { o.learning_rate = std::nan(""); }).empty());
  CHECK(refused([](auto&) {}).empty());
}

TEST_CASE("Run::on: a schedule may refuse its options, on every rank") {
  using Scheduled = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, optim::WarmupCosine>;
  const auto start = [](std::int32_t total_steps) {
    launch<Threads>({.ranks = 2}, [&](Threads& world) {
      Scheduled::on(world, {.batch = 2, .schedule = {.total_steps = total_steps}});
    });
  };
  CHECK_NOTHROW(start(10));
  CHECK_THROWS_WITH_AS(start(0), doctest::Contains("options.schedule.total_steps must say"),
                       InvalidInput);
}

// ---------------------------------------------------------------- initial parameters

/// Draws what the calling thread says, as no real initialiser may.
struct FromThread {
  static float& mine() {
    static thread_local float value = 0;
    return value;
  }
  static float value(const Draw& draw) { return mine() + static_cast<float>(draw.index); }
};
using Drawn = nn::Sequential<nn::Linear<3, 2, nn::WithBias, FromThread>>;

TEST_CASE("Run::on: every rank starts from rank 0's parameters, whatever it drew") {
  using DrawnRun = Trainer<Drawn, nn::MeanSquaredError<2>>;
  for (int ranks : {1, 2, 5}) {
    std::vector<std::vector<NamedTensor>> seen(static_cast<std::size_t>(ranks));
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      FromThread::mine() = 100.0f * static_cast<float>(1 + world.rank());
      auto run = DrawnRun::on(world, {.batch = 1});
      seen[static_cast<std::size_t>(world.rank())] = run.gather_parameters();
    });
    for (const auto& parameters : seen) {
      CHECK(parameters[0].values == std::vector<float>{100, 101, 102, 103, 104, 105});
      CHECK(parameters[1].values == std::vector<float>{0, 0});
    }
  }
}

TEST_CASE("Run::on: parameters depend on the seed and on nothing else") {
  const auto start_of = [](std::uint64_t seed, int ranks) {
    std::vector<NamedTensor> parameters;
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      auto options = good();
      options.seed = seed;
      options.batch = 1 + world.rank();
      auto run = Run::on(world, options);
      if (world.rank() == ranks - 1) parameters = run.gather_parameters();
    });
    return parameters;
  };
  const auto expected = start_of(5, 1);
  CHECK(same_bits(start_of(5, 1), expected));
  CHECK(same_bits(start_of(5, 4), expected));
  CHECK_FALSE(same_bits(start_of(6, 1), expected));
  // Linear's default: uniform within 1 / sqrt(fan in); two parameters are not the same numbers.
  for (float v : expected[0].values) CHECK(std::abs(v) <= 1 / std::sqrt(5.0f));
  CHECK(expected[0].values[0] * std::sqrt(5.0f) != expected[2].values[0] * std::sqrt(16.0f));
}

TEST_CASE("mark_decaying: matrices decay, vectors do not, chunk by chunk") {
  using Plan = Run::plan_type;
  launch<Threads>({.ranks = 1}, [](Threads& world) {
    auto run = Run::on(world, good());
    std::vector<std::uint8_t> flags(Plan::layout.size / chunk, 9);
    detail::mark_decaying<Plan>(run.storage(), flags.data());
    for (const ParamInfo& p : Plan::layout.params)
      for (std::size_t at = p.offset; at < p.offset + p.padded; at += chunk)
        CHECK(flags[at / chunk] == (p.rank >= 2 ? 1 : 0));
  });
}

TEST_CASE("wants_worker: what was asked for, else where two threads a rank fit the cores") {
  const int cores = usable_cores();
  struct OfSize {
    int ranks;
    int size() const { return ranks; }
  };
  for (int ranks : {1, 2, cores, 100 * cores}) {
    CHECK(detail::wants_worker(StreamMode::worker, OfSize{ranks}));
    CHECK_FALSE(detail::wants_worker(StreamMode::on_compute_thread, OfSize{ranks}));
    CHECK(detail::wants_worker(StreamMode::automatic, OfSize{ranks}) ==
          (ranks > 1 && 2 * ranks <= cores));
  }
}

}  // namespace
