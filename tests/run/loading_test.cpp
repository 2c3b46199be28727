// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/loading_test.cpp: a checkpoint fills the state that it is of, and no other; refusals say why.
#include <cohort/run/loading.hpp>

#include <doctest/doctest.h>

#include <cohort/checkpoint.hpp>
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/optim/sgd.hpp>
#include <cohort/run/saving.hpp>
#include <cohort/trainer.hpp>

#include "../support/models.hpp"
#include "../support/temporary_directory.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

template <class Model, class... Ps>
using PlanFor = typename Trainer<Model, nn::MeanSquaredError<2>, Ps...>::plan_type;
template <class Plan> using StorageOf = Replicate::Storage<Plan, Threads>;

using Two = nn::Sequential<nn::Linear<3, 4>, nn::Linear<4, 2>>;
using Wider = nn::Sequential<nn::Linear<3, 5>, nn::Linear<5, 2>>;
using Longer = nn::Sequential<nn::Linear<3, 4>, nn::Linear<4, 2>, nn::Linear<2, 2, nn::NoBias>>;
using HalfFrozen = nn::Sequential<nn::Frozen<nn::Linear<3, 4>>, nn::Linear<4, 2>>;

using Adam = PlanFor<Two, optim::AdamW>;
using InBf16 = PlanFor<Two, optim::AdamW, MixedPrecision<bf16, bf16>>;

/// Element k of what a run begins with: exact in bf16, other ones for each kind and parameter.
float value(float more, int kind, int param, std::size_t k) {
  return more + static_cast<float>(16 * (kind + 1) + 4 * param) + static_cast<float>(k % 4);
}
template <class Plan> void fill(const StorageOf<Plan>& storage, float more) {
  detail::for_each_state<Plan>(storage, false, [&]<class T>(int kind, const HeldRun& run, T* at) {
    for (std::size_t k = 0; k < run.count; ++k) at[k] = T(value(more, kind, run.param, k));
  });
}
/// Saves a run of this plan, whose values are value(0, ...), with changed facts.
template <class Plan>
std::filesystem::path save(const std::filesystem::path& dir,
                           const std::map<std::string, std::string>& changed = {}) {
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    const StorageOf<Plan> storage(world, {});
    fill<Plan>(storage, 0);
    detail::SaveGate gate;
    detail::PendingSave pending(gate);
    io::SaveOrder order = pending.begin(world, "save", dir, 12, 0);
    auto pieces = detail::state_pieces<Plan>(storage);
    order.pieces = std::move(pieces.pieces);
    Options<typename Plan::slots> options{};
    options.batch = 6;
    order.facts =
        detail::run_facts<Plan>(options, 4, 12, {}, {.data = {2, 36}, .notes = {{"best", "x"}}});
    for (const auto& [key, text] : changed)
      text.empty() ? void(order.facts.erase(key)) : void(order.facts[key] = text);
    pending.run(world, "save", std::move(order),
                [&](std::size_t i, std::uint64_t first, std::span<std::byte> to) {
                  std::memcpy(to.data(), pieces.at[i] + first, to.size());
                });
  });
  return io::CheckpointDirectory(dir).latest();
}

/// What a run of this plan says of a checkpoint, without "cohort: checkpoint 'PATH': ".
template <class Plan>
std::string said(const std::filesystem::path& path, const LoadOptions& options = {}) {
  try {
    detail::CheckpointLoad<Plan>(path, options).check();
  } catch (const InvalidInput& e) {
    const std::string text = e.what(), begin = "cohort: checkpoint '" + path.string() + "': ";
    CHECK(text.starts_with(begin));
    CHECK(text.ends_with("."));
    CHECK(text.find('\n') == std::string::npos);
    return text.substr(begin.size());
  }
  return "";
}

TEST_CASE("load: what was saved comes back, values and moments") {
  const TemporaryDirectory dir;
  const auto path = save<Adam>(dir / "run");
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    const StorageOf<Adam> storage(world, {});
    fill<Adam>(storage, 1000);
    detail::CheckpointLoad<Adam> load(path, {});
    load.check();
    load.read(DefaultCpu{}, storage);
    int wrong = 0, seen = 0;
    detail::for_each_state<Adam>(storage, false, [&](int kind, const HeldRun& run, auto* at) {
      for (std::size_t k = 0; k < run.count; ++k, ++seen)
        wrong += at[k] != value(0, kind, run.param, k);
    });
    CHECK(seen == 3 * (12 + 4 + 8 + 2));
    CHECK(wrong == 0);
    CHECK(load.unused().empty());
    const Loaded loaded = detail::Facts(load.index()).loaded();
    CHECK(loaded.path == path);
    CHECK(loaded.step == 12);
    CHECK(loaded.ranks == 4);
    CHECK(loaded.batch == 6);
    CHECK(loaded.data == data::Position{2, 36});
    CHECK(loaded.notes == std::map<std::string, std::string>{{"best", "x"}});
  });
}

TEST_CASE("load: a pattern takes matching values and nothing else; weights_only takes all values") {
  const TemporaryDirectory dir;
  const auto path = save<Adam>(dir / "run");
  struct Row {
    LoadOptions options;
    std::vector<bool> loaded;  // by parameter: 0.weight, 0.bias, 1.weight, 1.bias
  };
  const Row rows[] = {{{.only = "1.*"}, {false, false, true, true}},
                      {{.only = "*.bias"}, {false, true, false, true}},
                      {{.only = "[0-9].weight"}, {true, false, true, false}},
                      {{.only = "0.bias"}, {false, true, false, false}},
                      {{.weights_only = true}, {true, true, true, true}}};
  for (const Row& row : rows) {
    CAPTURE(row.options.only);
    launch<Threads>({.ranks = 1}, [&](Threads& world) {
      const StorageOf<Adam> storage(world, {});
      fill<Adam>(storage, 1000);
      detail::CheckpointLoad<Adam> load(path, row.options);
      load.check();
      load.read(DefaultCpu{}, storage);
      CHECK(load.values_only());
      int wrong = 0;
      detail::for_each_state<Adam>(storage, false, [&](int kind, const HeldRun& run, auto* at) {
        const bool changed =
            kind == detail::state_value && row.loaded[static_cast<std::size_t>(run.param)];
        for (std::size_t k = 0; k < run.count; ++k)
          wrong += at[k] != value(changed ? 0 : 1000, kind, run.param, k);
      });
      CHECK(wrong == 0);
    });
  }
}

TEST_CASE("load: another model is refused; a pattern takes what it has in common") {
  const TemporaryDirectory dir;
  const auto two = save<Adam>(dir / "two");
  using Long = PlanFor<Longer, optim::AdamW>;
  CHECK(
      said<Long>(two) ==
      "it has no parameter '2.weight', which the model has: it is of another model (it has 0.bias, "
      "0.weight, 1.bias, 1.weight).");
  CHECK(said<Long>(two, {.weights_only = true}) == said<Long>(two));
  CHECK(said<Long>(two, {.only = "[01].*"}).empty());
  const auto longer = save<Long>(dir / "longer");
  CHECK(
      said<Adam>(longer) ==
      "it has a parameter '2.weight' [2, 2] that the model lacks: it is of another model. To load "
      "only what matches, name it: {.only = \"pattern*\"}.");
  CHECK(said<Adam>(longer, {.weights_only = true}) == said<Adam>(longer));
  CHECK(said<Adam>(longer, {.only = "*"}).empty());
  CHECK(detail::CheckpointLoad<Adam>(longer, {.only = "*"}).unused() ==
        std::vector<std::string>{"optimizer/exp_avg/2.weight", "optimizer/exp_avg_sq/2.weight",
                                 "parameters/2.weight"});
}

TEST_CASE("load: another shape is refused with both") {
  const TemporaryDirectory dir;
  CHECK(said<PlanFor<Wider, optim::AdamW>>(save<Adam>(dir / "run")) ==
        "'0.weight' is [4, 3] there and [5, 3] in the model: make the model as it was when it was "
        "saved.");
}

TEST_CASE("load: another optimizer is refused, its values can be had") {
  const TemporaryDirectory dir;
  using Sgd = PlanFor<Two, optim::Sgd>;
  const auto adam = save<Adam>(dir / "adam"), sgd = save<Sgd>(dir / "sgd");
  CHECK(said<Adam>(adam).empty());
  CHECK(said<Sgd>(sgd).empty());
  const std::string advice =
      " Make both as they were, or load with {.weights_only = true} to begin with fresh moments.";
  CHECK(said<Adam>(sgd) ==
        "it has no 'optimizer/exp_avg/0.weight': it was saved with another optimizer, or with this "
        "parameter frozen." +
            advice);
  CHECK(said<Sgd>(adam).find("it was saved with another optimizer") != std::string::npos);
  CHECK(said<Adam>(sgd, {.weights_only = true}).empty());
  CHECK(said<Sgd>(adam, {.weights_only = true}).empty());
}

TEST_CASE(
    "load: a parameter that was trained and is frozen now, or the reverse, has other moments") {
  const TemporaryDirectory dir;
  using Frozen = PlanFor<HalfFrozen, optim::AdamW>;
  const auto trained = save<Adam>(dir / "trained"), frozen = save<Frozen>(dir / "frozen");
  CHECK(said<Frozen>(frozen).empty());
  CHECK(
      said<Frozen>(trained) ==
      "it has 'optimizer/exp_avg/0.bias', for which this run has no place: it was saved with "
      "another optimizer, or with a parameter trained that is frozen now. Make both as they were, "
      "or load with {.weights_only = true} to begin with fresh moments.");
  CHECK(said<Adam>(frozen).starts_with("it has no 'optimizer/exp_avg/0.weight': "));
  CHECK(said<Frozen>(trained, {.weights_only = true}).empty());
  CHECK(said<Adam>(frozen, {.weights_only = true}).empty());
}

TEST_CASE("load: a type that would lose bits is refused, a wider one takes them") {
  const TemporaryDirectory dir;
  const auto fp32 = save<Adam>(dir / "fp32"), bf16 = save<InBf16>(dir / "bf16");
  CHECK(said<InBf16>(fp32) ==
        "'parameters/0.weight' is F32 there and BF16 in this run, which would lose bits: use the "
        "MixedPrecision that it was saved with, or save_full() there and load_full() here, which "
        "round.");
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    const StorageOf<Adam> storage(world, {});
    fill<Adam>(storage, 1000);
    detail::CheckpointLoad<Adam> load(bf16, {});
    load.check();
    load.read(DefaultCpu{}, storage);
    int wrong = 0;
    detail::for_each_state<Adam>(storage, false, [&](int kind, const HeldRun& run, auto* at) {
      for (std::size_t k = 0; k < run.count; ++k) wrong += at[k] != value(0, kind, run.param, k);
    });
    CHECK(wrong == 0);
  });
}

TEST_CASE("load: a pattern that matches nothing says what there is") {
  const TemporaryDirectory dir;
  CHECK(said<Adam>(save<Adam>(dir / "run"), {.only = "head.*"}) ==
        "no parameter of the model matches 'head.*'; it has 0.weight, 0.bias, 1.weight, 1.bias.");
}

TEST_CASE("load: facts that are no facts") {
  const TemporaryDirectory dir;
  const auto facts = [&](const char* name, const std::map<std::string, std::string>& changed) {
    const auto path = save<Adam>(dir / name, changed);
    const io::CheckpointIndex index(path);
    try {
      detail::Facts(index).loaded();
    } catch (const io::MalformedFile& e) {
      return std::string(e.what()).substr(("cohort: checkpoint '" + path.string() + "': ").size());
    }
    return std::string();
  };
  const std::string end = ": it is damaged or of another version of cohort";
  CHECK(facts("b", {{"step", ""}}) == "'step' of its manifest is missing" + end);
  CHECK(facts("c", {{"ranks", "four"}}) == "'ranks' of its manifest is 'four', no number" + end);
  CHECK(facts("d", {{"step", "12 "}}) == "'step' of its manifest is '12 ', no number" + end);
  CHECK(facts("e", {{"ranks", "9999999999"}}) ==
        "'ranks' of its manifest is '9999999999', no number" + end);
  CHECK(facts("f", {}).empty());
}

TEST_CASE("load: a damaged manifest or file is MalformedFile, which is InvalidInput too") {
  const TemporaryDirectory dir;
  const auto path = save<Adam>(dir / "run");
  const auto damage = [](const std::filesystem::path& name, std::uint64_t at) {
    const auto file = io::File::to_change(name);
    const std::byte other{'#'};
    file.write(at, {&other, 1});
  };
  damage(path / io::rank_file(0, 1), std::filesystem::file_size(path / io::rank_file(0, 1)) - 3);
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    const StorageOf<Adam> storage(world, {});
    detail::CheckpointLoad<Adam> load(path, {});
    load.check();  // headers are fine
    CHECK_THROWS_AS(load.read(DefaultCpu{}, storage), io::MalformedFile);
  });
  damage(path / "checkpoint.json", 20);
  CHECK_THROWS_AS(detail::CheckpointLoad<Adam>(path, {}), io::MalformedFile);
}

TEST_CASE("parameter_of: only values have a parameter's name") {
  CHECK(detail::parameter_of("parameters/0.weight") == "0.weight");
  CHECK(detail::parameter_of("optimizer/exp_avg/0.weight").empty());
  CHECK(detail::parameter_of("parameters").empty());
}

}  // namespace
