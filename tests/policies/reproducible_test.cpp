// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/reproducible_test.cpp: one rank, or two, or four, train with the bits of eight.
#include <cohort/policies/reproducible.hpp>

#include <doctest/doctest.h>

#include <cohort/checkpoint.hpp>
#include <cohort/plan/print.hpp>
#include <sstream>

#include "../support/temporary_directory.hpp"
#include "replicated.hpp"
#include "reproducible.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Policy<Reproducible<1>> && Policy<Reproducible<12>> && Policy<Fastest>);
static_assert(AtLeastOneRank<1> && !AtLeastOneRank<0> && !AtLeastOneRank<-8>);

namespace {

using TiedRun = ReproducibleRun<zoo::TiedGptCase, FullShard, 8, 2>;
using zoo::DroppingNormedCase;
using DroppingRun = ReproducibleRun<DroppingNormedCase, Replicate, 4>;

// ---------------------------------------------------------------- the law

TEST_CASE("Reproducible: one to eight ranks have the bits of eight, of two micro-batches each") {
  const Setup eight{.ranks = 8, .each = 2, .steps = 8};
  const Seen expected = train_replicated<zoo::TiedGptCase, 2>(eight);
  CHECK(expected.reports[0].clip_coefficient < 1);
  check_bits_of<TiedRun, zoo::TiedGptCase>(expected, 2, {1, 2, 4, 8});
  // Fewer ranks have other bits without it: adding up one after the other is another order.
  const Seen fewer = train_replicated<zoo::TiedGptCase, 2>({.ranks = 2, .each = 8, .steps = 8});
  CHECK_FALSE(same_training(fewer, expected));
}

TEST_CASE("Reproducible: what is dropped, and averages over the global batch") {
  check_reproducible<DroppingNormedCase, Replicate, 4, 1>(3, 8, {1, 2, 4});
}

TEST_CASE("Reproducible: twelve ranks' bits on three and six, groups of a power of two") {
  using Run = ReproducibleRun<zoo::NestedRepeatCase, HybridShard<2>, 12>;
  const Seen expected =
      train_replicated<zoo::NestedRepeatCase, 1>({.ranks = 12, .each = 1, .steps = 6});
  check_bits_of<Run, zoo::NestedRepeatCase>(expected, 1, {6, 12});
}

TEST_CASE("Reproducible: a checkpoint of four ranks goes on with one and with two, bit for bit") {
  using Case = DroppingNormedCase;
  const TemporaryDirectory directory;
  const int rows = 12;
  const auto part = [&](int ranks, int from, int to, bool resumes) {
    std::vector<NamedTensor> end;
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      const Setup setup{.ranks = ranks, .each = rows / ranks};
      auto run = DroppingRun::on(world, options_of<DroppingRun, Case>(setup));
      if (resumes && run.load(directory.path()).order_ranks != 4) return;
      for (int step = from; step < to; ++step) {
        const auto batch = batch_of<Case>(setup, step);
        const int first = world.rank() * setup.each;
        run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each));
      }
      if (!resumes && to == 3) run.save(directory.path());
      const auto parameters = run.gather_parameters();
      if (world.rank() == 0) end = parameters;
    });
    return end;
  };
  const auto whole = part(2, 0, 6, false);
  part(4, 0, 3, false);
  for (const int ranks : {1, 2, 4}) CHECK(same_bits(part(ranks, 3, 6, true), whole));
}

/// Its gradient begins the sum where the address is a multiple of 64 bytes, as vectorised loops do.
struct SumsByAddress {
  using Params = cohort::Params<Initialised<Param<"scale", 1>, init::Ones>>;
  using Input = Features<7>;
  using Output = Features<7>;
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, 7> x) {
    const auto y = ctx.like(x);
    for (std::size_t i = 0; i < x.size(); ++i) y.data[i] = x.data[i];
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto&, const auto& saved, Tensor<const T, 7> dy,
                       const auto& g) {
    const auto x = saved["x"_p];
    const std::size_t n = x.size(),
                      head = (64 - reinterpret_cast<std::uintptr_t>(x.data) % 64) % 64 / 4;
    float sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += x.data[(head + i) % n] * dy.data[(head + i) % n];
    g["scale"_p].map()(0, 0) += sum;
    const auto dx = ctx.like(dy);
    for (std::size_t i = 0; i < n; ++i) dx.data[i] = dy.data[i];
    return dx;
  }
};
static_assert(Layer<SumsByAddress>);
struct ByAddressCase
    : zoo::Case<nn::Sequential<SumsByAddress, nn::Linear<7, 4>>, nn::CrossEntropy> {};

TEST_CASE(
    "Reproducible: a part's rows are aligned as a rank's own, wherever they lie in the batch") {
  using Case = ByAddressCase;
  using Run = Trainer<Case::Model, Case::Loss, Reproducible<4>>;
  const auto trained = [](int ranks) {
    std::vector<NamedTensor> end;
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      const Setup setup{.ranks = ranks, .each = 20 / ranks};  // five rows of 28 bytes a part
      auto run = Run::on(world, options_of<Run, Case>(setup));
      const HostMemory own(static_cast<std::size_t>(setup.each) * 7 * sizeof(float));
      for (int step = 0; step < 5; ++step) {
        const auto batch = batch_of<Case>(setup, step);
        const int first = world.rank() * setup.each;
        const auto x = batch.x().samples(first, setup.each);
        std::copy_n(x.data, x.size(), own.as<float>());
        run.step({own.as<float>(), x.rows}, batch.y().samples(first, setup.each));
      }
      const auto gradients = run.gather_gradients();
      if (world.rank() == 0) end = gradients;
    });
    return end;
  };
  const auto four = trained(4);
  CHECK(same_bits(trained(1), four));
  CHECK(same_bits(trained(2), four));
}

// ---------------------------------------------------------------- plan

TEST_CASE("Reproducible: the plan knows the parts of a rank, and what waits to be added to") {
  using Plan = TiedRun::plan_type;
  using Fast = ShardedRun<zoo::TiedGptCase, FullShard, 2>::plan_type;
  static_assert(Plan::order_ranks == 8 && Fast::order_ranks == 0);  // data::epochs' as_ranks
  static_assert(Plan::parts(8) == 1 && Plan::parts(2) == 4 && Plan::micro_batches_on(2) == 8);
  constexpr Sizes one{.ranks = 1, .batch = 16, .tokens = 5},
      two{.ranks = 2, .batch = 8, .tokens = 5}, eight{.ranks = 8, .batch = 2, .tokens = 5};
  static_assert(Plan::micro_batch(one) == 1 && Plan::micro_batch(eight) == 1);
  // Three sums wait on one rank: of four parts, of two, of one; each the gradient and a loss.
  constexpr std::size_t each = (Plan::layout.size + chunk) * sizeof(float);
  static_assert(Plan::memory(one).partial_sums == 3 * each);
  static_assert(Plan::memory(two).partial_sums == 2 * each);
  static_assert(Plan::peak_bytes(eight) == Fast::peak_bytes(eight));
  // As many bytes and reductions as ever, in more micro-batches that gather.
  static_assert(Plan::wire_bytes(eight) == Fast::wire_bytes(eight));
  static_assert(Plan::program<MicroBatch::last>.count == Fast::program<MicroBatch::last>.count);
  static_assert(Plan::hash() != Fast::hash());
  static_assert(Plan::hash() != ReproducibleRun<zoo::TiedGptCase, FullShard, 16, 2>::plan.hash());
  std::ostringstream out;
  print(TiedRun::plan, two, out);
  CHECK(out.str().find("8 micro-batches of 1\n") != std::string::npos);
  CHECK(out.str().find("order: the bits of 8 ranks, 4 of them on each\n") != std::string::npos);
  CHECK(out.str().find("partial sums") != std::string::npos);
  CHECK_THROWS_WITH_AS((void)Plan::micro_batch({.ranks = 3, .batch = 6}),
                       doctest::Contains("trains on 8, 4, 2 or 1 ranks, and there are 3"),
                       InvalidInput);
}

TEST_CASE("Reproducible: what is planned is what is called and taken; steps take nothing") {
  for (int ranks : {2, 4}) {
    check_tape<DroppingRun, DroppingNormedCase>(ranks);
    check_heap<DroppingRun, DroppingNormedCase>(ranks);
  }
  check_steps_allocate_nothing<DroppingRun, DroppingNormedCase>(2);
}

template <class How> void check_r_ranks_are_as_ever() {
  using Run = ReproducibleRun<zoo::HugeAndTinyCase, How, 4>;
  using Plan = typename Run::plan_type;
  using Fast = typename ShardedRun<zoo::HugeAndTinyCase, How>::plan_type;
  constexpr Sizes four{.ranks = 4, .batch = 2}, two{.ranks = 2, .batch = 4};
  // On four ranks no gradient waits for another part: groups leave and make room, as ever.
  constexpr std::size_t copied = round_up(2 * 90 * sizeof(float), alignment);  // features
  static_assert(Plan::peak_bytes(four) == Fast::peak_bytes(four) + copied);
  static_assert(Plan::memory(two).gathered > Fast::memory(two).gathered);
  check_reproducible<zoo::HugeAndTinyCase, How, 4, 1>(2, 3, {1, 2, 4});
  for (const int ranks : {2, 4}) check_heap<Run, zoo::HugeAndTinyCase>(ranks);
}

TEST_CASE("Reproducible: on R ranks gradients are as sharded as without it") {
  check_r_ranks_are_as_ever<FullShard>();
  check_r_ranks_are_as_ever<ShardGradients>();
}

// ---------------------------------------------------------------- law 7, errors

TEST_CASE("Reproducible: a delay of any call changes no bit") {
  check_delays<DroppingRun, DroppingNormedCase>(2, 2);
}

TEST_CASE(
    "Reproducible: ranks that cannot share the parts, and batches, are refused on all ranks") {
  const auto refusal = [](int ranks, int batch) {
    std::vector<std::string> said(static_cast<std::size_t>(ranks));
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      try {
        DroppingRun::on(world, {.batch = batch, .tokens = 2});
      } catch (const InvalidInput& error) {
        said[static_cast<std::size_t>(world.rank())] = error.what();
      }
    });
    for (const auto& text : said) CHECK(text.size() > 40);
    return said[0];
  };
  CHECK(refusal(3, 12).find("Reproducible<4> trains on 4, 2 or 1 ranks, and there are 3: start as "
                            "many, or give it another number.") != std::string::npos);
  CHECK(refusal(8, 12).find("and there are 8:") != std::string::npos);
  CHECK(refusal(2, 3).find("options.batch = 3 is no multiple of the 2 micro-batches of "
                           "Reproducible on 2 ranks.") != std::string::npos);
}

}  // namespace
