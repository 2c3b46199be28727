// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/saving_test.cpp: pieces and facts of a run, and saves whose failures every rank hears.
#include <cohort/run/saving.hpp>

#include <doctest/doctest.h>

#include <cohort/checkpoint.hpp>
#include <cohort/comm/threads.hpp>
#include <cohort/io/checkpoint_index.hpp>
#include <cohort/io/stored_name.hpp>
#include <cohort/launch.hpp>
#include <cohort/trainer.hpp>
#include <cstdlib>
#include <limits>

#include "../support/models.hpp"
#include "../support/temporary_directory.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

// ---------------------------------------------------------------- texts

TEST_CASE("exact_text: a number's text reads back to the same bits") {
  for (const double x : {0.1, 3e-4, 1.0 / 3, 65536.0, 5e-324, 1.7976931348623157e308, -0.0})
    CHECK(std::bit_cast<std::uint64_t>(std::strtod(detail::exact_text(x).c_str(), nullptr)) ==
          std::bit_cast<std::uint64_t>(x));
}

// ---------------------------------------------------------------- pieces and facts

using Model = nn::Sequential<nn::Frozen<nn::Linear<3, 4>>, nn::Linear<4, 2>>;
using Plan = typename Trainer<Model, nn::MeanSquaredError<2>, optim::AdamW,
                              MixedPrecision<bf16, fp32>>::plan_type;

TEST_CASE("state_pieces: values as masters, frozen ones as they are computed with, moments") {
  launch<Threads>({.ranks = 1}, [](Threads& world) {
    const Replicate::Storage<Plan, Threads> storage(world, {});
    const auto all = detail::state_pieces<Plan>(storage);
    std::vector<std::string> texts;
    for (const io::CheckpointPiece& piece : all.pieces)
      texts.push_back(piece.name + " " + std::string(io::name(piece.type)) +
                      io::readable_shape(piece.extents) + " " + std::to_string(piece.first) + "+" +
                      std::to_string(piece.count));
    CHECK(texts ==
          std::vector<std::string>{
              "parameters/1.weight F32[2, 4] 0+8", "optimizer/exp_avg/1.weight F32[2, 4] 0+8",
              "optimizer/exp_avg_sq/1.weight F32[2, 4] 0+8", "parameters/1.bias F32[2] 0+2",
              "optimizer/exp_avg/1.bias F32[2] 0+2", "optimizer/exp_avg_sq/1.bias F32[2] 0+2",
              "parameters/0.weight BF16[4, 3] 0+12", "parameters/0.bias BF16[4] 0+4"});
    CHECK(all.at.size() == all.pieces.size());
    CHECK(all.at[0] == reinterpret_cast<const std::byte*>(storage.masters()));
  });
}

#if !defined(__SANITIZE_ADDRESS__)  // which ends the program instead
TEST_CASE("save_async: memory that the host does not have is an error before anything is begun") {
  detail::SaveGate gate;
  detail::PendingSave pending(gate);
  constexpr std::uint64_t many = std::numeric_limits<std::uint64_t>::max() / 16;
  CHECK_THROWS_AS(pending.reserve({{"w", io::StoredType::F32, {many}, 0, many}}), Error);
  CHECK_FALSE(pending.any());
  CHECK(pending.reserve({{"w", io::StoredType::F32, {9}, 0, 9}}).order().size() == 1);
}
#endif

TEST_CASE("run_facts: what a run needs to go on, and what a reader wants") {
  Options<Plan::slots> options{};
  options.batch = 6;
  options.tokens = 5;
  options.seed = std::numeric_limits<std::uint64_t>::max();
  options.learning_rate = 1e-3;
  const SaveOptions save{.data = {3, 1200}, .notes = {{"best", "1.5"}}};
  const auto facts = detail::run_facts<Plan>(options, 4, 77, {1024, 9}, save);
  const std::map<std::string, std::string> expected{
      {"step", "77"},         {"ranks", "4"},
      {"order_ranks", "0"},   {"batch", "6"},
      {"tokens", "5"},        {"seed", "18446744073709551615"},
      {"loss_scale", "1024"}, {"loss_scale_good_steps", "9"},
      {"data_epoch", "3"},    {"data_samples", "1200"},
      {"compute", "bf16"},    {"master", "f32"},
      {"parameters", "26"},   {"note.best", "1.5"}};
  for (const auto& [key, value] : expected) {
    CAPTURE(key);
    REQUIRE(facts.contains(key));
    CHECK(facts.at(key) == value);
  }
  CHECK(std::stod(facts.at("learning_rate")) == 1e-3);
  CHECK(facts.at("plan_hash").size() == 16);
  auto changed = options;
  changed.learning_rate = 2e-3;
  CHECK(detail::run_facts<Plan>(changed, 4, 77, {}, {}).at("options_hash") !=
        facts.at("options_hash"));
}

// ---------------------------------------------------------------- one save at a time

/// A rank that saves 50,000 elements, all of which are `value`.
struct Rank {
  Threads& world;
  std::filesystem::path dir;
  std::vector<float> elements = std::vector<float>(50000);
  detail::SaveGate gate{};
  detail::PendingSave pending{gate};
  std::filesystem::path temporary{};

  detail::StatePieces pieces() const {
    const auto n = static_cast<std::uint64_t>(world.size()),
               r = static_cast<std::uint64_t>(world.rank());
    return {{{"w", io::StoredType::F32, {n, 50000}, 50000 * r, 50000}},
            {reinterpret_cast<const std::byte*>(elements.data())}};
  }
  io::SaveOrder begin(std::int64_t step) {
    auto order = pending.begin(world, "save", dir, step, 0);
    temporary = order.temporary;
    return order;
  }
  void save(std::int64_t step, bool fails = false) {
    auto order = begin(step);
    if (fails) block();
    order.pieces = pieces().pieces;
    pending.run(world, "save", std::move(order),
                [&](std::size_t, std::uint64_t first, std::span<std::byte> to) {
                  std::memcpy(to.data(), pieces().at[0] + first, to.size());
                });
  }
  void start(std::int64_t step, bool fails = false) {
    auto order = begin(step);
    if (fails) block();
    pending.start(DefaultCpu{}, std::move(order), pieces(), pending.reserve(pieces().pieces));
  }
  /// Puts something where this rank's file is to go.
  void block() const {
    std::filesystem::create_directory(temporary /
                                      (io::rank_file(world.rank(), world.size()) + ".part"));
  }
};
/// Calls f(rank) on each of `ranks` ranks, and returns what each has thrown.
template <class F> std::vector<std::string> on(int ranks, const std::filesystem::path& dir, F f) {
  std::vector<std::string> said(static_cast<std::size_t>(ranks));
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    Rank rank{world, dir};
    try {
      f(rank);
    } catch (const io::WriteFailed& e) {
      said[static_cast<std::size_t>(world.rank())] = e.what();
    }
    world.barrier();  // the world is whole
  });
  return said;
}
/// Is the latest checkpoint of this step, and every element `value`?
bool latest_is(const std::filesystem::path& dir, std::int64_t step, float value) {
  const auto path = io::CheckpointDirectory(dir).latest();
  io::CheckpointIndex index(path);
  std::uint64_t seen = 0, wrong = 0;
  const auto& tensor = *index.find("w");
  index.read(tensor, 0, tensor.extents[0] * tensor.extents[1],
             [&](std::uint64_t, std::span<const std::byte> bytes) {
               for (std::size_t k = 0; k < bytes.size(); k += 4, ++seen)
                 wrong += std::memcmp(bytes.data() + k, &value, 4) != 0;
             });
  return wrong == 0 && seen == 50000 * tensor.extents[0] &&
         path.filename() == io::CheckpointName{step}.text();
}
std::size_t entries(const std::filesystem::path& dir) {
  const std::filesystem::directory_iterator all(dir);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}
bool all_empty(const std::vector<std::string>& said) {
  return std::all_of(said.begin(), said.end(), [](const auto& text) { return text.empty(); });
}

TEST_CASE("PendingSave: every rank learns the directory that rank 0 made, or why there is none") {
  const TemporaryDirectory dir;
  std::vector<std::filesystem::path> told(3);
  CHECK(all_empty(on(3, dir / "run", [&](Rank& rank) {
    rank.begin(4);
    told[static_cast<std::size_t>(rank.world.rank())] = rank.temporary;
  })));
  CHECK(std::filesystem::is_directory(told[0]));
  CHECK(told[1] == told[0]);
  CHECK(told[2] == told[0]);
  for (const std::string& text : on(3, dir / "no" / "run", [](Rank& rank) { rank.begin(4); }))
    CHECK(text.find("its parent directory is not there") != std::string::npos);
}

TEST_CASE("PendingSave: a save is complete on every rank when run() returns, one after the other") {
  for (int ranks : {1, 2, 5}) {
    const TemporaryDirectory dir;
    CHECK(all_empty(on(ranks, dir / "run", [&](Rank& rank) {
      for (int step = 1; step <= 3; ++step) {
        std::fill(rank.elements.begin(), rank.elements.end(), static_cast<float>(step));
        rank.save(step);
        if (!latest_is(rank.dir, step, static_cast<float>(step)))
          throw Error(rank.world.rank(), "test", "it is not complete");
        CHECK_FALSE(rank.pending.any());
        rank.world.barrier();
      }
    })));
    CHECK(entries(dir / "run") == 4);
  }
}

TEST_CASE("PendingSave: start() saves what is there until before_change() returns") {
  for (int ranks : {1, 3}) {
    const TemporaryDirectory dir;
    CHECK(all_empty(on(ranks, dir / "run", [](Rank& rank) {
      for (int step = 1; step <= 3; ++step) {
        rank.start(step);
        rank.gate.before_change();
        std::fill(rank.elements.begin(), rank.elements.end(), static_cast<float>(step));
        rank.gate.before_change();
        rank.pending.wait(rank.world, "save");
        rank.pending.wait(rank.world, "save");  // nothing to wait for
        if (!latest_is(rank.dir, step, static_cast<float>(step - 1)))
          throw Error(rank.world.rank(), "test", "it is not what was there");
        rank.world.barrier();
      }
    })));
  }
}

void check_failure(bool async, int ranks, int bad) {
  CAPTURE(async);
  CAPTURE(bad);
  const TemporaryDirectory dir;
  on(ranks, dir / "run", [](Rank& rank) { rank.save(1); });
  std::vector<int> whole(static_cast<std::size_t>(ranks));
  const auto said = on(ranks, dir / "run", [&](Rank& rank) {
    const bool fails = rank.world.rank() == bad;
    try {
      if (async) {
        rank.start(2, fails);
        rank.pending.wait(rank.world, "save");
      } else {
        rank.save(2, fails);
      }
    } catch (...) {
      if (rank.world.rank() == 0) CHECK(entries(rank.dir) == 2);  // step-1, latest
      rank.world.barrier();
      std::fill(rank.elements.begin(), rank.elements.end(), 3.0f);
      rank.save(3);  // the next one succeeds
      throw;
    }
  });
  for (int r = 0; r < ranks; ++r) {
    const std::string expected =
        "cohort: rank " + std::to_string(r) + ": save: rank " + std::to_string(bad) + ": create '";
    CAPTURE(said[static_cast<std::size_t>(r)]);
    CHECK(said[static_cast<std::size_t>(r)].starts_with(expected));
    CHECK(said[static_cast<std::size_t>(r)].find("the path is a directory, not a file") !=
          std::string::npos);
  }
  CHECK(latest_is(dir / "run", 3, 3));
}

TEST_CASE(
    "PendingSave: what one rank fails of every rank throws; the next save is none the worse") {
  for (int bad : {0, 1, 2}) {
    check_failure(false, 3, bad);
    check_failure(true, 3, bad);
  }
}

TEST_CASE("PendingSave: a rank that does not see the directory is heard at once") {
  for (const bool async : {false, true}) {
    const TemporaryDirectory dir;
    const auto begin = std::chrono::steady_clock::now();
    const auto said = on(2, dir / "run", [&](Rank& rank) {
      auto order = rank.begin(1);
      if (rank.world.rank() == 1) order.temporary = dir / "elsewhere";
      if (async) {
        rank.pending.start(DefaultCpu{}, std::move(order), rank.pieces(),
                           rank.pending.reserve(rank.pieces().pieces));
        rank.pending.wait(rank.world, "save");
      } else {
        order.pieces = rank.pieces().pieces;
        rank.pending.run(rank.world, "save", std::move(order),
                         [](std::size_t, std::uint64_t, std::span<std::byte>) {});
      }
    });
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::minutes(1));
    for (const std::string& text : said)
      CHECK(text.find("save: rank 1: create '" + (dir / "elsewhere").string()) != text.npos);
    CHECK(entries(dir / "run") == 0);
  }
}

TEST_CASE("PendingSave: a run that ends waits for its save; a broken one gives it up") {
  const TemporaryDirectory dir;
  on(2, dir / "run", [](Rank& rank) { rank.start(1); });
  CHECK(latest_is(dir / "run", 1, 0));
  const auto begin = std::chrono::steady_clock::now();
  on(2, dir / "run", [](Rank& rank) {
    rank.begin(2);
    if (rank.world.rank() == 0) {  // rank 1 never writes
      io::SaveOrder order{rank.dir, rank.temporary, 2, 0, 2, 0, rank.pieces().pieces, {}};
      rank.pending.start(DefaultCpu{}, std::move(order), rank.pieces(),
                         rank.pending.reserve(rank.pieces().pieces));
      rank.gate.abandoned = true;
    }
  });
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::minutes(1));
  CHECK(latest_is(dir / "run", 1, 0));
  CHECK(entries(dir / "run") == 2);
}

}  // namespace
