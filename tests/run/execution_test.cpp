// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/execution_test.cpp: communication runs beside compute; failures reach every rank.
#include <cohort/run/execution.hpp>

#include <doctest/doctest.h>

#include "errors.hpp"
#include "in_place.hpp"
#include "script.hpp"
#include "support.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

// Five units: the first Linear, three elements, the last Linear. One bucket a parameter, so that
// the ten buckets are complete two by two as backward passes the units.
using Probed =
    nn::Sequential<nn::Linear<4, 6>, Probe<6>,
                   nn::Repeat<3, nn::Sequential<nn::Linear<6, 6>, Probe<6>>>, nn::Linear<6, 3>>;
using ProbedRun = Trainer<Probed, nn::CrossEntropy, Buckets<1, 1>, optim::Sgd>;
constexpr int num_buckets = ProbedRun::plan_type::buckets.count, num_probes = 4;
static_assert(num_buckets == 10 && ProbedRun::plan_type::num_units == 5);
constexpr int last_probe = num_probes - 1;  // in backward: the one between the first two units

struct ProbedCase : zoo::Case<Probed, nn::CrossEntropy> {};

/// What the ranks of one launch saw.
struct Outcome {
  std::vector<std::vector<NamedTensor>> parameters;
  std::vector<std::string> errors;  // by rank; empty: none
  std::vector<bool> peer_failed;
  std::string launch_error;  // what launch() threw
  std::chrono::steady_clock::duration from_throw_to_end{};
};

struct Scene {
  int ranks = 2, steps = 3;
  StreamMode stream = StreamMode::worker;
  std::function<void(Script&, int rank, int step)> direct = [](Script&, int, int) {};
};

/// Trains under scripts; direct(script, rank, step) sets a rank's script before its step.
Outcome play(const Scene& scene) {
  const auto ranks = static_cast<std::size_t>(scene.ranks);
  Outcome out{std::vector<std::vector<NamedTensor>>(ranks),
              std::vector<std::string>(ranks),
              std::vector<bool>(ranks),
              "",
              {}};
  std::mutex mutex;
  std::chrono::steady_clock::time_point first{};
  const auto act = [&](Threads& threads) {
    const int rank = threads.rank();
    const auto r = static_cast<std::size_t>(rank);
    Script script;
    Script::here() = &script;
    Scripted world(threads.duplicate(), script);
    try {
      auto run = ProbedRun::on(world, {.seed = 3, .batch = 2, .stream = scene.stream});
      for (int step = 0; step < scene.steps; ++step) {
        const zoo::Batch<ProbedCase> batch(2 * scene.ranks, 1 + static_cast<std::uint64_t>(step));
        script.clear();
        scene.direct(script, rank, step);
        run.step(batch.x().samples(2 * rank, 2), batch.y().samples(2 * rank, 2));
      }
      out.parameters[r] = run.gather_parameters();
    } catch (const std::exception& e) {
      std::lock_guard lock(mutex);
      const auto now = std::chrono::steady_clock::now();
      if (first == decltype(first){}) first = now;
      out.from_throw_to_end = std::max(out.from_throw_to_end, now - first);
      out.errors[r] = e.what();
      out.peer_failed[r] = dynamic_cast<const PeerFailed*>(&e) != nullptr;
      Script::here() = nullptr;
      throw;
    }
    Script::here() = nullptr;
  };
  try {
    launch<Threads>({.ranks = scene.ranks}, act);
  } catch (const std::exception& e) {
    out.launch_error = e.what();
  }
  return out;
}

// ---------------------------------------------------------------- overlap

TEST_CASE("step: with a worker, backward goes on while a reduction is under way") {
  std::vector<int> begins(3), computes(3), ends(3);
  std::atomic<int> late{0};
  const auto direct = [&](Script& script, int rank, int) {
    script.at = [&, rank](Event e) {
      // Compute waits for the first reduction to begin, that one for compute to be nearly done.
      if (e == Event{What::backward, 0}) late += !script.wait_for({What::reduce_begin, 0});
      if (e == Event{What::reduce_begin, 0}) late += !script.wait_for({What::backward, last_probe});
      if (e != Event{What::reduce_end, num_buckets}) return;  // the loss: the last operation
      const auto r = static_cast<std::size_t>(rank);
      begins[r] = script.place_of({What::reduce_begin, 0});
      computes[r] = script.place_of({What::backward, last_probe});
      ends[r] = script.place_of({What::reduce_end, 0});
    };
  };
  for (int ranks : {1, 2, 3}) {
    CAPTURE(ranks);
    late = 0;
    CHECK(play({.ranks = ranks, .direct = direct}).launch_error.empty());
    CHECK(late == 0);
    for (std::size_t r = 0; r < static_cast<std::size_t>(ranks); ++r) {
      CHECK(begins[r] < computes[r]);
      CHECK(computes[r] < ends[r]);
    }
  }
}

TEST_CASE("step: reductions end before the backward of earlier units begins, if the wire is free") {
  std::atomic<int> late{0};
  const auto direct = [&](Script& script, int, int) {
    script.at = [&](Event e) {  // eight buckets belong to the four units behind the first
      if (e == Event{What::backward, last_probe}) late += !script.wait_for({What::reduce_end, 7});
    };
  };
  CHECK(play({.ranks = 3, .direct = direct}).launch_error.empty());
  CHECK(late == 0);
}

TEST_CASE("step: without a worker, a reduction holds compute up, and the same bits come out") {
  std::atomic<int> late{0};
  const auto direct = [&](Script& script, int, int) {
    script.at = [&](Event e) {
      if (e == Event{What::reduce_begin, 0})
        late += !script.wait_for({What::backward, last_probe}, 20ms);
    };
  };
  const Scene scene{.steps = 1, .stream = StreamMode::on_compute_thread, .direct = direct};
  const Outcome held = play(scene);
  CHECK(late == scene.ranks);  // this is what the tests above would see if nothing overlapped
  CHECK(same_bits(held.parameters[0], play({.steps = 1}).parameters[1]));
}

TEST_CASE("step: a bucket is reduced only once backward of its unit has ended") {
  std::vector<int> wrong(4);
  const auto direct = [&](Script& script, int rank, int) {
    script.at = [&, rank](Event e) {  // buckets 2k and 2k + 1 are unit 4 - k's
      if (e.what != What::reduce_begin || e.number < 2 || e.number >= num_buckets) return;
      const int probe =
          e.number / 2 - 1;  // the one that backward passes inside or before that unit
      wrong[static_cast<std::size_t>(rank)] += script.place_of({What::backward, probe}) < 0;
    };
  };
  CHECK(play({.ranks = 4, .direct = direct}).launch_error.empty());
  CHECK(wrong == std::vector<int>(4));
}

TEST_CASE("step: layers and collectives that sleep at random change no bit") {
  for (int ranks : {1, 2, 3, 5}) {
    const Outcome expected = play({.ranks = ranks, .stream = StreamMode::on_compute_thread});
    for (std::uint64_t seed : {1, 2, 3}) {
      const auto direct = [&](Script& script, int rank, int step) {
        script.at = [=](Event e) {
          const auto stream = static_cast<std::uint64_t>(100 * rank + step);
          const auto index = static_cast<std::uint64_t>(100 * static_cast<int>(e.what) + e.number);
          if (const auto bits = random_bits(seed, stream, index); bits % 4 == 0)
            std::this_thread::sleep_for(std::chrono::microseconds((bits >> 8) % 500));
        };
      };
      for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
        const Outcome late = play({.ranks = ranks, .stream = stream, .direct = direct});
        CHECK(late.launch_error.empty());
        for (const auto& parameters : late.parameters)
          CHECK(same_bits(parameters, expected.parameters[0]));
      }
    }
  }
}

// ---------------------------------------------------------------- failures

/// Lets the event of rank 1's second step throw, and looks at every rank.
std::chrono::steady_clock::duration check_failure(Event where, int ranks, StreamMode stream) {
  const auto direct = [&](Script& script, int rank, int step) {
    script.at = [=](Event e) {
      if (rank == 1 && step == 1 && e == where) throw std::logic_error("the roof is on fire");
    };
  };
  const Outcome out = play({.ranks = ranks, .stream = stream, .direct = direct});
  CHECK(out.launch_error == "the roof is on fire");  // the rank's own exception, not a wrapper
  for (std::size_t r = 0; r < out.errors.size(); ++r) {
    CHECK(out.errors[r].find("the roof is on fire") != std::string::npos);
    CHECK(out.peer_failed[r] == (r != 1));
    if (r != 1) CHECK(out.errors[r].find("rank 1 failed") != std::string::npos);
  }
  return out.from_throw_to_end;
}

TEST_CASE("step: what a layer or a collective throws on one rank ends every rank, with its words") {
  for (int ranks : {2, 3, 8}) {
    for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
      check_failure({What::forward, 1}, ranks, stream);
      check_failure({What::backward, 0}, ranks, stream);
      check_failure({What::backward, last_probe}, ranks, stream);
      check_failure({What::reduce_begin, 0}, ranks, stream);
      check_failure({What::reduce_begin, num_buckets}, ranks, stream);
    }
  }
}

TEST_CASE("step: every rank has ended within 100 ms; twenty worlds fail and the next one works") {
  for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
    std::vector<std::chrono::steady_clock::duration> times;
    for (int i = 0; i < 20; ++i)
      times.push_back(
          check_failure({i % 2 ? What::forward : What::backward, i % num_probes}, 4, stream));
    std::sort(times.begin(), times.end());
    if (!sanitized) CHECK(times[times.size() / 2] < 100ms);  // the median: the machine may be busy
    CHECK(play({.ranks = 4, .stream = stream}).launch_error.empty());
  }
}

TEST_CASE("step: 64 ranks end when one of them throws") {
  check_failure({What::backward, 1}, 64, StreamMode::on_compute_thread);
  check_failure({What::backward, 1}, 64, StreamMode::worker);
}

// ---------------------------------------------------------------- failures without a script

using Case = zoo::OddMlpCase;
using Run = Trainer<Case::Model, Case::Loss, ClipGradNorm>;

TEST_CASE("step: a bad label on one rank ends every rank and is named") {
  for (StreamMode stream : both) {
    const Errors errors = errors_of<Run, Case, Error>(3, stream, [](auto& run, World& world) {
      zoo::Batch<Case> batch(2);
      if (world.rank() == 2) batch.labels()[1] = 3;  // of 3 classes
      for (int step = 0; step < 3; ++step) run.step(batch.x(), batch.y());
    });
    CHECK(contains(errors.launch, "target 3 at row 1 is outside the 3 classes"));
    for (const std::string& e : errors.by_rank) CHECK(contains(e, "target 3 at row 1"));
  }
}

TEST_CASE("step: a rank that catches its own failure cannot keep it from the others") {
  for (StreamMode stream : both) {
    std::atomic<int> caught{0};
    const Errors errors = errors_of<Run, Case, PeerFailed>(3, stream, [&](auto& run, World& world) {
      zoo::Batch<Case> batch(2);
      if (world.rank() == 1) batch.labels()[0] = 5;
      try {
        run.step(batch.x(), batch.y());
      } catch (const InvalidInput&) {  // and returns, as if nothing had happened
        ++caught;
      }
    });
    CHECK(caught == 1);
    CHECK(contains(errors.by_rank[0], "target 5 at row 0"));
    CHECK(contains(errors.by_rank[2], "target 5 at row 0"));
    CHECK(contains(errors.launch, "target 5 at row 0"));
  }
}

TEST_CASE("step: a rank that throws between steps, or returns early, ends every rank") {
  for (StreamMode stream : both) {
    for (bool throws : {true, false}) {
      const Errors errors =
          errors_of<Run, Case, PeerFailed>(3, stream, [&](auto& run, World& world) {
            const zoo::Batch<Case> batch(2);
            for (int step = 0; step < 4; ++step) {
              if (world.rank() == 0 && step == 2) {
                if (throws) throw std::logic_error("no more data");
                return;
              }
              run.step(batch.x(), batch.y());
            }
          });
      const std::string words = throws ? "no more data" : "rank 0 left the world";
      CHECK(contains(errors.launch, words));
      CHECK(errors.by_rank[0].empty());
      CHECK(contains(errors.by_rank[1], words));
      CHECK(contains(errors.by_rank[2], words));
    }
  }
}

TEST_CASE("step: a loss that is no number leaves all parameters as they were, on every rank") {
  for (StreamMode stream : both) {
    for (bool in_weights : {true, false}) {
      std::atomic<int> unchanged{0}, went_on{0};
      const Errors errors =
          errors_of<Run, Case, NonFinite>(3, stream, [&](auto& run, World& world) {
            const zoo::Batch<Case> batch(2);
            run.step(batch.x(), batch.y());
            std::vector<float> inputs(14, 1.0f);  // [2, 7]
            if (in_weights)
              run.set_parameter("4.weight", std::vector<float>(15, HUGE_VALF));
            else if (world.rank() == 1)  // one bad number on one rank
              inputs[5] = std::numeric_limits<float>::quiet_NaN();
            const auto before = run.gather_parameters();
            const Tensor<const float, 7> x{inputs.data(), {2, 1}};
            try {
              run.step(x, batch.y());
            } catch (const NonFinite&) {
              unchanged += same_bits(run.gather_parameters(), before);
              CHECK(run.steps_done() == 1);
              if (!in_weights) went_on += run.step(batch.x(), batch.y()).step == 2;
              throw;
            }
          });
      CHECK(unchanged == 3);
      CHECK(went_on == (in_weights ? 0 : 3));
      CHECK(contains(errors.launch, "step 2"));
      for (const std::string& e : errors.by_rank) CHECK(contains(e, "lower the learning rate"));
    }
  }
}

TEST_CASE("step: batches of a wrong shape are refused before anything is issued") {
  on_ranks<Run>(1, options_of<Run, Case>({.each = 2}), [](auto& run, World& world) {
    const zoo::Batch<Case> batch(4);
    log_of(world).clear();
    const auto x = batch.x();
    const auto y = batch.y();
    CHECK_THROWS_AS(run.step(x, y), InvalidInput);                                // 4 samples of 2
    CHECK_THROWS_AS(run.step(x.samples(0, 2), y.samples(0, 1)), InvalidInput);    // targets missing
    CHECK_THROWS_AS(run.step(x.samples(0, 0), y.samples(0, 0)), InvalidInput);    // nothing
    CHECK_THROWS_AS(run.step({x.data, {1, 2}}, {y.data, {1, 2}}), InvalidInput);  // 2 tokens of 1
    CHECK_THROWS_AS(run.step({x.data, {-1, 1}}, {y.data, {-1, 1}}), InvalidInput);  // negative
    CHECK_THROWS_AS(run.evaluate(x, y), InvalidInput);
    CHECK_THROWS_AS(run.evaluate(x.samples(0, 2), y.samples(0, 1)), InvalidInput);
    CHECK_THROWS_AS(run.predict(x), InvalidInput);
    CHECK(log_of(world).log().empty());
    CHECK(run.step(x.samples(0, 2), y.samples(0, 2)).step == 1);  // the run is still good
    CHECK(run.step(x.samples(0, 1), y.samples(0, 1)).step == 2);  // fewer rows are fine
  });
}

TEST_CASE("step: a global batch without a weight is an error on every rank") {
  const Errors errors =
      errors_of<Run, Case, InvalidInput>(2, StreamMode::automatic, [](auto& run, World&) {
        zoo::Batch<Case> batch(2);
        batch.labels() = {-100, -100};
        run.step(batch.x(), batch.y());
      });
  for (const std::string& e : errors.by_rank) CHECK(contains(e, "every label is ignored"));
}

TEST_CASE("step: ranks with different rows and ignored labels weigh by rows, not by ranks") {
  // Rank 0 has one good row of two, rank 1 one row, rank 2 two: four rows of equal weight.
  std::vector<StepReport> reports(3);
  std::vector<std::vector<NamedTensor>> gradients(3), start(3);
  zoo::Batch<Case> batch(6);
  batch.labels()[1] = -100;
  on_ranks<Run>(3, options_of<Run, Case>({.each = 2}), [&](auto& run, World& world) {
    const auto r = static_cast<std::size_t>(world.rank());
    const int rows = r == 1 ? 1 : 2;
    start[r] = run.gather_parameters();
    reports[r] = run.step(batch.x().samples(2 * world.rank(), rows),
                          batch.y().samples(2 * world.rank(), rows));
    gradients[r] = run.gather_gradients();
  });
  batch.labels()[3] = -100;  // the row that rank 1 did not have
  const Exact exact = ExactGradient<Case>(start[0]).of(batch);
  CHECK(reports[0].weight == 4);
  CHECK(exact.weight == 4);
  const double eps = std::numeric_limits<float>::epsilon();
  CHECK(std::abs(reports[0].loss - exact.sum / 4) <= eps * exact.additions);
  CHECK(worst_error(gradients[0], exact, 6, 3).ratio <= 1);
  CHECK(same_bits(reports[0], reports[2]));
  CHECK(same_bits(gradients[0], gradients[1]));
}

// ---------------------------------------------------------------- order of units

/// Declares a before b, and calls them the other way round.
template <bool Swapped> struct TwoChains {
  using Chain = nn::Repeat<2, nn::Linear<3, 3>>;
  using Children = cohort::Children<Child<"a", Chain>, Child<"b", Chain>>;
  using Input = Features<3>;
  using Output = Features<3>;
  static auto forward(auto& ctx, const auto& p, auto x) {
    if constexpr (Swapped) {
      const auto b = cohort::forward(ctx, p["b"_p], x);
      const auto a = cohort::forward(ctx, p["a"_p], b.y);
      return Out{a.y, keep(ctx, "a"_p = a.saved, "b"_p = b.saved)};
    } else {
      const auto a = cohort::forward(ctx, p["a"_p], x);
      const auto b = cohort::forward(ctx, p["b"_p], a.y);
      return Out{b.y, keep(ctx, "a"_p = a.saved, "b"_p = b.saved)};
    }
  }
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    if constexpr (Swapped) {
      const auto da = cohort::backward(ctx, p["a"_p], s["a"_p], dy, g["a"_p]);
      return cohort::backward(ctx, p["b"_p], s["b"_p], da.view(), g["b"_p]);
    } else {
      const auto db = cohort::backward(ctx, p["b"_p], s["b"_p], dy, g["b"_p]);
      return cohort::backward(ctx, p["a"_p], s["a"_p], db.view(), g["a"_p]);
    }
  }
};
template <bool Swapped> void step_two_chains() {
  using Chains = Trainer<TwoChains<Swapped>, nn::MeanSquaredError<3>, optim::Sgd>;
  launch<Threads>({.ranks = 2}, [](Threads& world) {
    auto run = Chains::on(world, {.batch = 1});
    const float x[3] = {1, 2, 3};
    run.step({x, {1, 1}}, {x, {1, 1}});
  });
}

TEST_CASE("step: units called in declared order pass, out of order they are named") {
  CHECK_NOTHROW(step_two_chains<false>());
  CHECK_THROWS_AS(step_two_chains<true>(), ContractBroken);
}

TEST_CASE("loss: written over an output that nobody keeps, with the bits of one beside it") {
  check_in_place<zoo::TiedGptCase>();
}
/// y = x x; keeps y as twice as many rows of half as many features, which no type shows.
struct KeepsFolded {
  using Input = Features<4>;
  using Output = Features<4>;
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, 4> x) {
    const auto y = ctx.like(x);
    y.map() = x.map().cwiseAbs2();
    const Tensor<const T, 2> folded{y.data, {x.rows.samples, 2 * x.rows.tokens}};
    return Out{y, keep(ctx, "y"_p = folded)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto&, const auto& s, Tensor<const T, 4> dy, const auto&) {
    const Tensor<const T, 4> y{s["y"_p].data, dy.rows};
    const auto dx = ctx.like(dy);
    dx.map() = 2 * y.map().cwiseSqrt().cwiseProduct(dy.map());
    return dx;
  }
};
static_assert(Layer<KeepsFolded>);
template <class Loss>
using FoldedRun = Trainer<nn::Sequential<nn::Linear<3, 4>, KeepsFolded>, Loss>;
TEST_CASE("loss: an output that is kept in another shape is not written over") {
  static_assert(FoldedRun<nn::CrossEntropy>::plan_type::loss_in_place);
  const std::vector<float> x(6, 0.5f);
  const std::vector<int> y{1, 3};
  const auto step = [&]<class Run>(std::type_identity<Run>) {
    launch<Threads>({.ranks = 1}, [&](Threads& world) {
      auto run = Run::on(world, {.seed = 1, .batch = 2});
      run.step({x.data(), {2}}, {y.data(), {2}});
    });
  };
  CHECK_THROWS_WITH_AS(step(std::type_identity<FoldedRun<nn::CrossEntropy>>{}),
                       doctest::Contains("keeps the model's output in another shape"),
                       ContractBroken);
  step(std::type_identity<FoldedRun<Beside>>{});
}
// ReLU<4> keeps what goes in and gives as many features: their places cannot be told apart by type.
using KeepsItsWidth = nn::Sequential<nn::Linear<3, 4>, nn::ReLU<4>>;
static_assert(!Trainer<KeepsItsWidth, nn::CrossEntropy>::plan_type::loss_in_place);

}  // namespace
