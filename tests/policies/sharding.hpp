// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/sharding.hpp: what tests of sharding strategies share: a world that tapes every
// channel, trainings of a strategy, and the same trainings under Replicate.
#pragma once
#include <atomic>
#include <memory>
#include <thread>

#include "../run/support.hpp"
#include "../support/allocations.hpp"

namespace cohort::test {

/// A collective as a rank asked for it, and how many ranks took part.
struct Call {
  Collective what;
  int ranks = 1;
  friend bool operator==(const Call&, const Call&) = default;
};

/// Wraps a communicator and writes all its calls, and those of what is split from it, on one tape of
/// this rank: the order in which a rank issues over all axes.
template <Communicator C> class Taped {
 public:
  using Tape = std::vector<Call>;
  static constexpr bool sums_in_tree_order = SumsInTreeOrder<C>;
  explicit Taped(C comm) : Taped(std::move(comm), std::make_shared<Tape>()) {}

  int rank() const { return comm_.rank(); }
  int size() const { return comm_.size(); }
  bool spins() const { return comm_.spins(); }
  template <class T>
  requires HasAllReduce<C, T>
  void all_reduce(T* inout, std::size_t count) {
    note({CollectiveKind::all_reduce, dtype_of<T>, count, 0});
    comm_.all_reduce(inout, count);
  }
  template <class T>
  requires HasReduceScatter<C, T>
  void reduce_scatter(const T* in, T* out, std::size_t count) {
    note({CollectiveKind::reduce_scatter, dtype_of<T>, count, 0});
    comm_.reduce_scatter(in, out, count);
  }
  template <class T>
  requires HasAllGather<C, T>
  void all_gather(const T* in, T* out, std::size_t count) {
    note({CollectiveKind::all_gather, dtype_of<T>, count, 0});
    comm_.all_gather(in, out, count);
  }
  template <class T>
  requires HasBroadcast<C, T>
  void broadcast(T* inout, std::size_t count, int root) {
    note({CollectiveKind::broadcast, dtype_of<T>, count, root});
    comm_.broadcast(inout, count, root);
  }
  void barrier() { comm_.barrier(); }
  Taped split(int color, int key) { return {comm_.split(color, key), tape_}; }
  Taped duplicate() { return {comm_.duplicate(), tape_}; }
  void abort(std::exception_ptr error) { comm_.abort(std::move(error)); }
  Tape& tape() { return *tape_; }

 private:
  Taped(C comm, std::shared_ptr<Tape> tape) : comm_(std::move(comm)), tape_(std::move(tape)) {
    tape_->reserve(8192);  // no allocation while a step runs
  }
  void note(const Collective& call) { tape_->push_back({call, size()}); }
  C comm_;
  std::shared_ptr<Tape> tape_;
};

using TapedThreads = Taped<Threads>;
using LateTape = Delayed<TapedThreads, Wire, When::before>;
using TapedWorld = Delayed<LateTape, Wire, When::after>;
static_assert(Communicator<TapedWorld>);

inline TapedWorld make_taped_world(Threads& threads, const Setup& setup) {
  const int rank = threads.rank();
  const std::uint64_t seed = setup.delay_seed;
  return TapedWorld(LateTape(TapedThreads(threads.duplicate()), Wire{seed, rank, setup.late}),
                    Wire{seed == 0 ? 0 : seed + 1000, rank, setup.late});
}
inline std::vector<Call>& tape_of(TapedWorld& world) { return world.wrapped().wrapped().tape(); }

/// How a model of the zoo is cut into groups; those without a Repeat say it.
template <class Case> struct GroupsFor { using type = Groups<ByRepeat>; };
template <> struct GroupsFor<zoo::OddMlpCase> {
  using type = Groups<Each<nn::Linear<7, 13>, nn::Linear<13, 5, nn::NoBias>>>;
};
template <> struct GroupsFor<zoo::SingleParameterCase> { using type = Groups<One>; };
template <> struct GroupsFor<zoo::BranchingCase> {  // one group holds a whole composite
  using type = Groups<Each<zoo::TwoBranches<5>, nn::Linear<5, 4>>>;
};

/// Small buckets so that Replicate has several, and clipping, so that the norm is exchanged.
template <class Case, class How, int N = 1, class Mode = KeepUnsharded,
          class Optimizer = optim::AdamW, class... More>
using ShardedRun =
    Trainer<typename Case::Model, typename Case::Loss, DataParallel<How>, GradAccum<N, Mode>,
            Buckets<256, 1024>, ClipGradNorm, typename GroupsFor<Case>::type, Optimizer, More...>;

/// What one rank saw of a training.
struct Seen {
  std::vector<StepReport> reports;
  std::vector<NamedTensor> start, parameters, gradients;
  LossSum before, after;               // of evaluation
  std::vector<Call> formation, calls;  // of Run::on, of the steps
};
inline bool same_bits(const Seen& a, const Seen& b) {
  if (a.reports.size() != b.reports.size()) return false;
  for (std::size_t i = 0; i < a.reports.size(); ++i)
    if (!same_bits(a.reports[i], b.reports[i])) return false;
  return same_bits(a.parameters, b.parameters) && same_bits(a.gradients, b.gradients) &&
         a.before.sum == b.before.sum && a.after.sum == b.after.sum &&
         a.after.weight == b.after.weight;
}
inline bool all_same(const std::vector<Seen>& all, const Seen& expected) {
  return std::all_of(all.begin(), all.end(), [&](const Seen& s) { return same_bits(s, expected); });
}

/// Trains; evaluates in the middle and at the end over rows of rank 0 alone.
template <class Run, class Case> std::vector<Seen> train_sharded(const Setup& setup) {
  std::vector<Seen> all(static_cast<std::size_t>(setup.ranks));
  launch<Threads>({.ranks = setup.ranks}, [&](Threads& threads) {
    TapedWorld world = make_taped_world(threads, setup);
    auto options = options_of<Run, Case>(setup);
    options.clip.max_norm = 0.05;
    auto run = Run::on(world, options);
    Seen& seen = all[static_cast<std::size_t>(world.rank())];
    auto& tape = tape_of(world);
    seen.formation.swap(tape);
    seen.start = run.gather_parameters();
    const auto evaluate = [&](const auto& batch) {
      const std::vector<Call> before = tape;
      const LossSum sum = run.evaluate(batch.x().samples(0, world.rank() == 0 ? setup.each : 0),
                                       batch.y().samples(0, world.rank() == 0 ? setup.each : 0));
      tape = before;
      return sum;
    };
    tape.clear();
    for (int step = 0; step < setup.steps; ++step) {
      const auto batch = batch_of<Case>(setup, step);
      const int first = world.rank() * setup.each;
      seen.reports.push_back(
          run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each)));
      if (step == setup.steps / 2) seen.before = evaluate(batch);
    }
    seen.calls = tape;
    seen.after = evaluate(batch_of<Case>(setup, 0));
    seen.parameters = run.gather_parameters();
    seen.gradients = run.gather_gradients();
  });
  return all;
}

/// Rank 0's part of the same training under Replicate; compiled once, in sharded_test.cpp for the
/// fast tier, in zero_full_test.cpp for the rest.
template <class Case, int N> Seen train_replicated(const Setup& setup);

constexpr int law_rank_counts[] = {1, 2, 3, 4, 5, 7, 8, 16};

/// After 20 steps with clipping every rank holds the bits that Replicate has, and clipping was at work.
template <class Case, class How, int N>
void check_like_replicate(int ranks, std::initializer_list<StreamMode> streams) {
  if constexpr (How::shard_ranks > 0) {
    if (ranks % How::shard_ranks != 0) return;
  }
  INFO(Case::name());
  CAPTURE(ranks);
  CAPTURE(N);
  const Seen expected = train_replicated<Case, N>({.ranks = ranks, .steps = 20});
  CHECK_FALSE(same_bits(expected.start, expected.parameters));
  CHECK(expected.reports[0].clip_coefficient < 1);
  for (StreamMode stream : streams) {
    const auto all = train_sharded<ShardedRun<Case, How, N>, Case>(
        {.ranks = ranks, .steps = 20, .stream = stream});
    CHECK(same_bits(all[0].start, expected.start));
    CHECK(all_same(all, expected));
  }
}

template <class F> void for_each_sharded_case(F&& f) {
  zoo::for_cases<zoo::TiedGptCase, zoo::GptCase, zoo::OddMlpCase, zoo::BranchingCase,
                 zoo::NestedRepeatCase, zoo::PartlyFrozenCase, zoo::SingleParameterCase,
                 zoo::HugeAndTinyCase, zoo::AveragingCase>(f);
}
/// The number of micro-batches that a model is trained with in the fast tier.
template <class Case> inline constexpr int fast_micro_batches = 1;
template <> inline constexpr int fast_micro_batches<zoo::TiedGptCase> = 2;
template <> inline constexpr int fast_micro_batches<zoo::OddMlpCase> = 3;
template <> inline constexpr int fast_micro_batches<zoo::PartlyFrozenCase> = 2;
template <> inline constexpr int fast_micro_batches<zoo::LittleFrozenCase> = 2;
template <> inline constexpr int fast_micro_batches<zoo::SingleParameterCase> = 3;
constexpr StreamMode both_streams[] = {StreamMode::on_compute_thread, StreamMode::worker};

/// Law 2 in the fast tier: a sample of models, other ones for each strategy; all numbers of ranks once with
/// each stream, dealt out to the models. full.hpp has every model with every number.
template <class How, class... Cases> void check_law_2_sample() {
  constexpr std::size_t models = sizeof...(Cases);
  std::size_t model = 0;
  zoo::for_cases<Cases...>([&]<class Case>() {
    for (std::size_t s = 0; s < 2; ++s)
      for (std::size_t i = 0; i < 8; ++i)
        if ((i + s) % models == model)
          check_like_replicate<Case, How, fast_micro_batches<Case>>(law_rank_counts[i],
                                                                    {both_streams[s]});
    ++model;
  });
}
/// Law 2, all of it.
template <class How, int N> void check_law_2() {
  for_each_sharded_case([&]<class Case>() {
    for (int ranks : law_rank_counts)
      check_like_replicate<Case, How, N>(ranks, {both_streams[0], both_streams[1]});
  });
}

/// The collectives that the plan announces for one step, as the tape shows them.
template <class Plan> std::vector<Call> planned_tape(int ranks) {
  std::vector<Call> calls;
  const auto add = [&]<MicroBatch M>() {
    for (const Op& op : Plan::template program<M>) {
      const IssuedOp issued = Plan::issued(op, ranks);
      const CollectiveKind kind = op.kind == OpKind::reduce_scatter ? CollectiveKind::reduce_scatter
                                  : op.kind == OpKind::all_gather   ? CollectiveKind::all_gather
                                                                    : CollectiveKind::all_reduce;
      calls.push_back({{kind, issued.dtype, issued.count, 0}, issued.ranks});
    }
  };
  Plan::for_each_micro_batch(add, ranks);
  return calls;
}

/// Bytes that a rank sends for a taped call, by the least that any algorithm can do.
inline std::size_t sent_bytes(const Call& call) {
  const auto n = static_cast<std::size_t>(call.ranks),
             payload = call.what.count * bytes(call.what.dtype);
  if (call.what.kind == CollectiveKind::all_reduce) return 2 * (payload * (n - 1) / n);
  return payload * (n - 1);
}

/// Law 5: every rank makes the planned calls, in the planned order, and no other; bytes follow.
template <class Run, class Case> void check_tape(int ranks) {
  CAPTURE(ranks);
  using Plan = typename Run::plan_type;
  std::vector<Call> expected;
  for (int step = 0; step < 2; ++step)
    for (const Call& call : planned_tape<Plan>(ranks)) expected.push_back(call);
  for (StreamMode stream : both_streams) {
    for (const Seen& seen :
         train_sharded<Run, Case>({.ranks = ranks, .steps = 2, .stream = stream})) {
      CHECK(seen.calls == expected);
      std::size_t sent = 0;
      for (const Call& call : seen.calls) sent += sent_bytes(call);
      CHECK(sent == 2 * Plan::wire_bytes({.ranks = ranks, .batch = 6, .tokens = Case::tokens}));
    }
  }
}

/// The most heap that a rank's thread held while make(world) made something, and what it held after;
/// plain threads are the world, so that the tape takes nothing.
struct Heap {
  std::int64_t peak = 0, live = 0;
};
template <class Make> std::vector<Heap> heap_of(int ranks, Make make) {
  std::vector<Heap> heap(static_cast<std::size_t>(ranks));
  std::unique_ptr<Allocations> count;
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    world.barrier();
    if (world.rank() == 0) count = std::make_unique<Allocations>();
    world.barrier();
    [[maybe_unused]] const auto made = make(world);
    const AllocationTotals mine = count->this_thread();
    heap[static_cast<std::size_t>(world.rank())] = {mine.peak_bytes, mine.live_bytes};
    world.barrier();
    if (world.rank() == 0) count->stop();
    world.barrier();
  });
  return heap;
}

/// The heap of a run is the planned peak, to the byte; the channels of split communicators are apart.
template <class Run, class Case> void check_heap(int ranks) {
  if (!Allocations::available) return;
  INFO(Case::name());
  CAPTURE(ranks);
  const auto options = options_of<Run, Case>({.stream = StreamMode::on_compute_thread});
  const Sizes sizes{.ranks = ranks, .batch = 6, .tokens = Case::tokens};
  static constexpr int shard_ranks = Run::slots::data::how::shard_ranks;
  const auto planned = static_cast<std::int64_t>(Run::plan.peak_bytes(sizes));
  const auto channels =
      heap_of(ranks, [](Threads& world) { return Axes<Threads>(world, shard_ranks); });
  const auto heap = heap_of(ranks, [&](Threads& world) {
    return typename Run::template execution<Threads>(world, options);
  });
  // Which rank of a group takes its channel's memory depends on who arrives first: totals are compared.
  std::int64_t apart = 0, peak = 0, live = 0;
  for (std::size_t r = 0; r < heap.size(); ++r) {
    apart += channels[r].live;
    peak += heap[r].peak;
    live += heap[r].live;
    if (shard_ranks == 0) CHECK(heap[r].peak == planned);
  }
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    auto run = Run::on(world, options);
    CHECK(run.memory().total() == Run::plan.peak_bytes(sizes));
  });
  if (shard_ranks == 0) CHECK(apart == 0);
  CHECK(peak == planned * ranks + apart);
  CHECK(live == planned * ranks + apart);
}

/// Steps take no memory; on any thread, in either stream mode.
template <class Run, class Case> void check_steps_allocate_nothing(int ranks) {
  if (!Allocations::available) return;
  for (StreamMode stream : both_streams) {
    const Setup setup{.ranks = ranks, .stream = stream};
    std::int64_t count = -1;
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      auto run = Run::on(world, options_of<Run, Case>(setup));
      const auto batch = batch_of<Case>(setup, 0);
      const auto x = batch.x().samples(6 * world.rank(), 6);
      const auto y = batch.y().samples(6 * world.rank(), 6);
      world.barrier();
      std::unique_ptr<Allocations> own;
      if (world.rank() == 0) own = std::make_unique<Allocations>();
      world.barrier();
      for (int step = 0; step < 5; ++step) run.step(x, y);
      world.barrier();
      if (own) own->stop();
      if (own) count = own->all_threads().count;
      world.barrier();
    });
    CHECK(count == 0);
  }
}

/// Law 7: a wire that holds up calls on any rank, before or after, changes no bit.
template <class Run, class Case> void check_delays(int ranks, std::uint64_t seeds) {
  CAPTURE(ranks);
  const auto expected = train_sharded<Run, Case>({.ranks = ranks, .steps = 3});
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    for (StreamMode stream : both_streams) {
      const Setup late{.ranks = ranks, .steps = 3, .stream = stream, .delay_seed = seed};
      CHECK(all_same(train_sharded<Run, Case>(late), expected[0]));
    }
  }
}

/// Law 7, call by call: each call of each rank in turn is late, before it joins and after it.
template <class Run, class Case> void check_each_call_late(int ranks) {
  const auto expected = train_sharded<Run, Case>({.ranks = ranks, .steps = 2});
  const auto calls = expected[0].formation.size() + expected[0].calls.size();
  for (int rank = 0; rank < ranks; ++rank) {
    for (std::uint64_t number = 1; number <= calls; ++number) {
      CAPTURE(rank);
      CAPTURE(number);
      for (StreamMode stream : both_streams) {
        const Setup late{
            .ranks = ranks, .steps = 2, .stream = stream, .late = {.rank = rank, .number = number}};
        CHECK(all_same(train_sharded<Run, Case>(late), expected[0]));
      }
    }
  }
}

/// AdamW that comes late to one update in three and leaves late from another, on any rank.
struct LateAdamW : optim::AdamW {
  template <class D, class T>
  static void update(const D& device, const Shard<T>& s, UpdateStep now, const Options& o) {
    const auto dawdle = [] {
      static std::atomic<std::uint64_t> calls{0};
      const std::uint64_t bits = random_bits(11, 0, calls++);
      if (bits % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds((bits >> 8) % 500));
    };
    dawdle();
    optim::AdamW::update(device, s, now, o);
    dawdle();
  }
};
/// Law 7: a delay of any update changes no bit.
template <class Case, class How, int N, class... More> void check_late_updates(int ranks) {
  CAPTURE(ranks);
  using Late = ShardedRun<Case, How, N, KeepUnsharded, LateAdamW, More...>;
  using Run = ShardedRun<Case, How, N, KeepUnsharded, optim::AdamW, More...>;
  for (StreamMode stream : both_streams) {
    const Setup setup{.ranks = ranks, .steps = 5, .stream = stream};
    const auto expected = train_sharded<Run, Case>(setup);
    CHECK(all_same(train_sharded<Late, Case>(setup), expected[0]));
  }
}

/// The gradient of one step is the exact one within the rounding of its sums: over rows, ranks and N
/// micro-batches, each addition eps / 2 of the sum of magnitudes, forward and backward (Exact).
template <class Run, class Case, int N> void check_gradient(int ranks) {
  CAPTURE(ranks);
  const Setup setup{.ranks = ranks};
  const auto all = train_sharded<Run, Case>(setup);
  CHECK(all_same(all, all[0]));
  const Exact exact = ExactGradient<Case>(all[0].start).of(batch_of<Case>(setup, 0));
  const Worst worst =
      worst_error(all[0].gradients, exact, ranks * setup.each * Case::tokens, ranks + N);
  CAPTURE(worst.name);
  CHECK(worst.ratio <= 1);
}

/// What goes over the wire for the loss and the norm, beside parameters and gradients.
constexpr std::size_t small_bytes(int ranks, int norm_ranks) {
  return wire_bytes({OpKind::loss, DType::f64, 2, ranks}) +
         wire_bytes({OpKind::norm, DType::i64, ops::ExactSum::num_limbs, norm_ranks});
}
/// Bytes of a rank's shard of the root and of all other groups, in a world of `ranks` ranks.
template <class Plan> struct ShardBytes {
  std::size_t root, others, peers;
  constexpr explicit ShardBytes(int ranks)
      : root(Plan::shards.per_rank(0, ranks) * sizeof(float)),
        others(Plan::shards.shard(ranks) * sizeof(float) - root),
        peers(static_cast<std::size_t>(ranks - 1)) {}
};

/// 7.5 billion parameters, and what 64 ranks hold of each between steps of Adam, in GB.
using Huge = zoo::TiedGptOf<11000, 1024, 37, 4096, 32>;
template <class How, class... Ps> constexpr double state_of_huge() {
  const PersistentBytes p =
      Trainer<Huge, nn::CrossEntropy, DataParallel<How>, Ps...>::plan.persistent_bytes(64);
  return static_cast<double>(p.parameters + p.masters + p.gradients + p.optimizer) / 1e9;
}
constexpr bool within_a_percent(double a, double b) { return a > 0.99 * b && a < 1.01 * b; }

}  // namespace cohort::test
