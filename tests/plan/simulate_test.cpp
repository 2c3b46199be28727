// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/simulate_test.cpp: a step of layers that sleep, over a wire that sleeps, takes as long as it was simulated.
#include <cohort/plan/simulate.hpp>

#include <doctest/doctest.h>

#include <sstream>
#include <thread>

#include "../run/support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

constexpr double wire_ms = 5;
/// One operation takes a second, a collective wire_ms, whatever it moves.
constexpr Cluster sleepers{.flops = 1,
                           .memory_bandwidth = 1e18,
                           .ranks_per_machine = 64,
                           .inside = {1e18, 0, 1e-3 * wire_ms}};

inline void sleep_ms(double ms) {
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
}

/// y = scale x, so many milliseconds for forward and for backward.
template <int Forward, int Backward> struct Sleeper {
  using Params = cohort::Params<Initialised<Param<"scale", 4>, init::Ones>>;
  using Input = Features<4>;
  using Output = Features<4>;
  static constexpr Work work(Rows) { return {1e-3 * Forward, 1e-3 * Backward}; }
  template <class T> static auto forward(auto& ctx, const auto& p, Tensor<const T, 4> x) {
    sleep_ms(Forward);
    const auto y = ctx.like(x);
    y.assign(x.wide() * p["scale"_p].wide().row(0).asDiagonal());
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto& p, const auto& saved, Tensor<const T, 4> dy,
                       const auto& g) {
    sleep_ms(Backward);
    g["scale"_p].map() += dy.wide().cwiseProduct(saved["x"_p].wide()).colwise().sum();
    const auto dx = ctx.like(dy);
    dx.assign(dy.wide() * p["scale"_p].wide().row(0).asDiagonal());
    return dx;
  }
};

using Model = nn::Sequential<Sleeper<2, 4>, nn::Repeat<4, Sleeper<4, 8>>, Sleeper<3, 6>>;
template <class How, class... Ps>
using RunOf = Trainer<Model, nn::MeanSquaredError<4>, DataParallel<How>, ClipGradNorm,
                      Buckets<256, 512>, optim::Sgd, Ps...>;

struct SlowWire {
  std::chrono::nanoseconds operator()(CollectiveKind, std::size_t, std::uint64_t) const {
    return std::chrono::microseconds(static_cast<int>(1000 * wire_ms));
  }
};

/// The quickest of some steps: sleeps end late when the machine is busy, and never early.
template <class Run> double quickest_ms(int ranks, int batch) {
  double quickest = 1e9;
  launch<Threads>({.ranks = ranks}, [&](Threads& threads) {
    Delayed<Threads, SlowWire> world(threads.duplicate(), {});
    auto run = Run::on(world, {.batch = batch, .learning_rate = 0.1, .stream = StreamMode::worker});
    const std::vector<float> x(4 * static_cast<std::size_t>(batch), 0.5f), y(x.size(), 0.25f);
    for (int step = 0; step < 6; ++step) {
      threads.barrier();
      const auto start = std::chrono::steady_clock::now();
      run.step({x.data(), {batch}}, {y.data(), {batch}});
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - start;
      if (threads.rank() == 0) quickest = std::min(quickest, took.count());
    }
  });
  return quickest;
}
template <class Run> void check(int ranks, int batch) {
  const SimulatedStep simulated = simulate(Run::plan, {.ranks = ranks, .batch = batch}, sleepers);
  const double measured = quickest_ms<Run>(ranks, batch), expected = 1e3 * simulated.seconds;
  std::printf("%d ranks: simulated %.1f ms, measured %.1f ms; waits %.1f of %.1f\n", ranks,
              expected, measured, 1e3 * simulated.waits, 1e3 * simulated.communication);
  CAPTURE(expected);
  CAPTURE(measured);
  // Sleeps end late: by 0.1 to 0.2 ms of at least 1 ms, or more of longer ones. A gather that is not prefetched, or a
  // reduction that holds up compute, would show: waits are 15 to 45 % of these steps.
  CHECK(measured > expected - 0.1);
  CHECK(measured < 1.1 * expected);
  CHECK(simulated.waits > 0);
  CHECK(simulated.waits < simulated.communication);
}

TEST_CASE("simulate: as long as the run, under every strategy [alone]") {
  check<RunOf<Replicate>>(2, 2);
  check<RunOf<ShardOptimizer>>(2, 2);
  check<RunOf<FullShard>>(2, 2);
  check<RunOf<FullShard, GradAccum<2>>>(2, 2);
  check<RunOf<ShardGradients, GradAccum<2, ReduceEach>>>(2, 2);
  check<RunOf<HybridShard<2>>>(4, 2);
}

// ---------------------------------------------------------------- by hand

using Alone = RunOf<Replicate>;
constexpr double own_ms = 3 * (2 + 4 * 4 + 3);  // forward, and twice that in backward

TEST_CASE("simulate: one rank computes and nothing else; parts add up to the step") {
  constexpr SimulatedStep one = simulate(Alone::plan, {.ranks = 1, .batch = 2}, sleepers);
  static_assert(one.communication == 0 && one.waits == 0);
  CHECK(one.seconds == doctest::Approx(1e-3 * own_ms).epsilon(1e-9));
  CHECK(one.tokens_per_second() == doctest::Approx(2e3 / own_ms).epsilon(1e-9));
  const SimulatedStep many = simulate(RunOf<FullShard>::plan, {.ranks = 8, .batch = 2}, sleepers);
  CHECK(many.seconds ==
        doctest::Approx(many.forward_backward + many.update + many.waits).epsilon(1e-12));
  CHECK(many.communication ==
        doctest::Approx(1e-3 * wire_ms * RunOf<FullShard>::plan.num_collectives()).epsilon(1e-9));
}

TEST_CASE("simulate: what is exposed under Replicate is what comes behind the last bucket") {
  // Buckets are units 5, 4 and 3, 2 and 1, 0. The third's reduction ends 1 ms after unit 0, whose backward takes 4 of
  // its 5 ms; then come the fourth's and the loss's.
  constexpr auto step = simulate(Alone::plan, {.ranks = 2, .batch = 2}, sleepers);
  CHECK(step.waits == doctest::Approx(1e-3 * (1 + 2 * wire_ms)).epsilon(1e-9));
  // A wire that is slower than backward is exposed but for what fits behind it.
  Cluster slow = sleepers;
  slow.inside.start = 1;
  const auto late = simulate(Alone::plan, {.ranks = 2, .batch = 2}, slow);
  CHECK(late.waits > late.communication - 1e-3 * own_ms);
}

TEST_CASE("simulate: memory takes the time of the update's bytes, less on more ranks that shard") {
  Cluster c = sleepers;
  c.memory_bandwidth = 1e6;
  const double all = simulate(RunOf<Replicate>::plan, {.ranks = 4, .batch = 2}, c).update;
  const double part = simulate(RunOf<ShardOptimizer>::plan, {.ranks = 4, .batch = 2}, c).update;
  // 6 chunks of 64: the norm reads gradients; SGD reads them again, and reads and writes parameters.
  CHECK(all == doctest::Approx(6 * 64 * (4 + 4 + 8 + 8 * optim::Sgd::moments) / 1e6).epsilon(1e-9));
  CHECK(part < all);
}

TEST_CASE("simulate: what cannot be is refused, with what to do") {
  const auto refuses = [](auto plan, Sizes sizes, const Cluster& c, const char* says) {
    CHECK_THROWS_WITH_AS(simulate(plan, sizes, c), doctest::Contains(says), InvalidInput);
  };
  Cluster none = sleepers;
  none.across.bandwidth = 0;
  refuses(Alone::plan, {.ranks = 2, .batch = 2}, none, "Begin with h100_cluster");
  none = sleepers;
  none.inside.latency = -1;
  refuses(Alone::plan, {.ranks = 2, .batch = 2}, none, "Begin with h100_cluster");
  refuses(Alone::plan, {.ranks = 0, .batch = 2}, sleepers, "at least one rank");
  refuses(RunOf<FullShard, GradAccum<2>>::plan, {.ranks = 2, .batch = 3}, sleepers, "no multiple");
  refuses(RunOf<HybridShard<2>>::plan, {.ranks = 3, .batch = 2}, sleepers, "do not fill");
  Cluster threes = sleepers;
  threes.ranks_per_machine = 3;
  refuses(RunOf<HybridShard<2>>::plan, {.ranks = 12, .batch = 2}, threes,
          "across machines' borders");
}

TEST_CASE("print: of a simulated step") {
  std::ostringstream out;
  print(simulate(Alone::plan, {.ranks = 2, .batch = 2}, sleepers), out);
  CHECK(out.str().find("simulated step of 2 ranks: 74 ms") != std::string::npos);
  CHECK(out.str().find("waits") != std::string::npos);
}

}  // namespace
