// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/support.hpp: what tests of whole runs share: a world that records and dawdles, a
// rank's trace of a training, and the gradient in fp64 that every strategy approximates.
#pragma once
#include <chrono>
#include <cmath>
#include <cohort/comm/delayed.hpp>
#include <cohort/comm/recorder.hpp>
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/optim/sgd.hpp>
#include <cohort/trainer.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "../support/models.hpp"

namespace cohort::zoo {
/// zoo::PartlyFrozenCase at half its cost for the compiler: the same names and sizes in the root, frozen
/// there and in each element.
struct LittleFrozenCase
    : Case<nn::Sequential<
               nn::Frozen<nn::Embedding<11, 6>>, nn::AddPosition<5, 6>,
               nn::Repeat<2, nn::Sequential<nn::Frozen<nn::Linear<6, 6>>, nn::Linear<6, 6>>>,
               nn::Frozen<Scale<6>>, nn::ReLU<6>, nn::LayerNorm<6>, nn::Frozen<nn::Linear<6, 6>>,
               nn::Linear<6, 11>>,
           nn::CrossEntropy, 4> {
  static constexpr const char* name() { return "LittleFrozen"; }
};
}  // namespace cohort::zoo

namespace cohort::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

/// One collective of one rank, by its number in the channel from 1; rank -1: none.
struct LateCall {
  int rank = -1;
  std::uint64_t number = 0;
};
/// A wire that holds up one collective in three, each rank and each collective differently, by up
/// to 0.3 ms; seed 0 never does. `one` is held up by 1 ms.
struct Wire {
  std::uint64_t seed = 0;
  int rank = 0;
  LateCall one{};
  std::chrono::nanoseconds operator()(CollectiveKind, std::size_t, std::uint64_t sequence) const {
    if (rank == one.rank && sequence == one.number) return std::chrono::milliseconds(1);
    if (seed == 0) return {};
    const std::uint64_t bits = random_bits(seed, static_cast<std::uint64_t>(rank), sequence);
    return std::chrono::microseconds(bits % 3 == 0 ? (bits >> 8) % 300 : 0);
  }
};

/// Ranks are threads; collectives are logged, and held up where asked: one type for every test.
using Log = Recorder<Threads>;
using LateLog = Delayed<Log, Wire, When::before>;
using World = Delayed<LateLog, Wire, When::after>;

inline World make_world(Threads& threads, std::uint64_t delay_seed = 0) {
  const int rank = threads.rank();
  return World(LateLog(Log(threads.duplicate(), 8192), Wire{delay_seed, rank}),
               Wire{delay_seed == 0 ? 0 : delay_seed + 1000, rank});
}
inline Log& log_of(World& world) { return world.wrapped().wrapped(); }

/// Makes a run on every rank and calls f(run, world).
template <class Run, class F>
void on_ranks(int ranks, const typename Run::options& options, F f, std::uint64_t delay_seed = 0) {
  launch<Threads>({.ranks = ranks}, [&](Threads& threads) {
    World world = make_world(threads, delay_seed);
    auto run = Run::template on<>(world, options);
    f(run, world);
  });
}

/// A training of a zoo case: every step has a batch of its own, cut into equal parts by rank.
struct Setup {
  int ranks = 1;
  int each = 6;  // samples of a rank in a step
  int steps = 1;
  StreamMode stream = StreamMode::automatic;
  std::uint64_t delay_seed = 0;
  double learning_rate = 1e-2;
  LateCall late{};
};

/// What one rank saw of a training.
struct Trace {
  std::vector<StepReport> reports;
  std::vector<NamedTensor> start, parameters, gradients;  // before, after, of the last step
  std::vector<Collective> formation, calls;               // of Run::on, of the steps
};

/// The batch of a step, all ranks' rows.
template <class Case> zoo::Batch<Case> batch_of(const Setup& setup, int step) {
  return zoo::Batch<Case>(setup.ranks * setup.each, 1 + static_cast<std::uint64_t>(step));
}

inline constexpr std::uint64_t seed_of_runs = 7;

template <class Run, class Case> typename Run::options options_of(const Setup& setup) {
  typename Run::options options{};
  options.seed = seed_of_runs;
  options.batch = setup.each;
  options.tokens = Case::tokens;
  options.learning_rate = setup.learning_rate;
  options.stream = setup.stream;
  if constexpr (requires { options.schedule.total_steps = 100; })
    options.schedule.total_steps = 100;
  return options;
}

inline std::vector<Collective> copy_of(std::span<const Collective> log) {
  return {log.begin(), log.end()};
}

/// Trains and returns every rank's trace.
template <class Run, class Case> std::vector<Trace> train(const Setup& setup) {
  std::vector<Trace> traces(static_cast<std::size_t>(setup.ranks));
  const auto train_here = [&](auto& run, World& world) {
    Trace& trace = traces[static_cast<std::size_t>(world.rank())];
    trace.formation = copy_of(log_of(world).log());
    log_of(world).clear();
    trace.start = run.gather_parameters();
    for (int step = 0; step < setup.steps; ++step) {
      const auto batch = batch_of<Case>(setup, step);
      const int first = world.rank() * setup.each;
      trace.reports.push_back(
          run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each)));
    }
    trace.calls = copy_of(log_of(world).log());
    trace.parameters = run.gather_parameters();
    trace.gradients = run.gather_gradients();
  };
  on_ranks<Run>(setup.ranks, options_of<Run, Case>(setup), train_here, setup.delay_seed);
  return traces;
}

/// Equal names and equal bits; NaN equals itself.
inline bool same_bits(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].name != b[i].name || a[i].values.size() != b[i].values.size()) return false;
    if (std::memcmp(a[i].values.data(), b[i].values.data(), a[i].values.size() * sizeof(float)) !=
        0)
      return false;
  }
  return true;
}
/// The norm of a step that was skipped is NaN, which is the same as NaN here.
inline bool same_number(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }
inline bool same_bits(const StepReport& a, const StepReport& b) {
  return a.step == b.step && same_number(a.loss, b.loss) && a.weight == b.weight &&
         same_number(a.grad_norm, b.grad_norm) &&
         same_number(a.clip_coefficient, b.clip_coefficient) &&
         a.learning_rate == b.learning_rate && a.loss_scale == b.loss_scale &&
         a.skipped == b.skipped;
}
/// Reports of all steps, parameters and gradients.
inline bool same_bits(const Trace& a, const Trace& b) {
  if (a.reports.size() != b.reports.size()) return false;
  for (std::size_t i = 0; i < a.reports.size(); ++i)
    if (!same_bits(a.reports[i], b.reports[i])) return false;
  return same_bits(a.parameters, b.parameters) && same_bits(a.gradients, b.gradients);
}
/// Are all of these equal to `expected`?
inline bool all_same(const std::vector<Trace>& traces, const Trace& expected) {
  for (const Trace& trace : traces)
    if (!same_bits(trace, expected)) return false;
  return true;
}

/// The collectives that the plan announces for one step, as a recorder would log them.
template <class Run> std::vector<Collective> planned_calls() {
  using Plan = typename Run::plan_type;
  std::vector<Collective> calls;
  Plan::for_each_micro_batch([&]<MicroBatch M>() {
    for (const Op& op : Plan::template program<M>) {
      const CollectiveKind kind = op.kind == OpKind::reduce_scatter ? CollectiveKind::reduce_scatter
                                  : op.kind == OpKind::all_gather   ? CollectiveKind::all_gather
                                                                    : CollectiveKind::all_reduce;
      calls.push_back({kind, op.dtype, op.count, 0});
    }
  });
  return calls;
}

// ---------------------------------------------------------------- the reference in fp64

namespace fp64 {
/// A batch's values in fp64; token ids are passed on.
template <class Extent> struct InDouble {
  std::vector<double> numbers;
  explicit InDouble(value_of<Extent, float> x) {
    if constexpr (!std::is_same_v<Extent, Tokens>) numbers.assign(x.data, x.data + x.size());
  }
  value_of<Extent, double> view(value_of<Extent, float> x) const {
    if constexpr (std::is_same_v<Extent, Tokens>)
      return x;
    else
      return {numbers.data(), x.rows};
  }
};
}  // namespace fp64

/// The sum of the loss over a batch and its gradient, in fp64 throughout, sample by sample.
struct Exact {
  double sum = 0, weight = 0;
  std::vector<std::vector<double>> gradients;  // by trained parameter, in forward order
  std::vector<double> magnitudes;  // the largest sum over samples of |gradient| of a parameter
  double additions = 0;            // terms of all products that one row meets

  /// Bounds what fp32 may differ by in parameter i: one rounding for every addition that an element
  /// meets (rows, ranks, and the products on the way through a model of values of order one), each
  /// of at most eps / 2 of the sum of magnitudes; forward and backward, hence eps.
  double tolerance(std::size_t i, int rows, int ranks) const {
    constexpr double eps = std::numeric_limits<float>::epsilon();
    return eps * (additions + rows + ranks) * magnitudes[i];
  }
};

template <class Case> class ExactGradient {
 public:
  using Model = typename Case::Model;
  using Loss = typename Case::Loss;

  explicit ExactGradient(const std::vector<NamedTensor>& parameters)
      : params_(flat_size<Model>() * sizeof(double)),
        grads_(params_.bytes()),
        activations_("activation",
                     cohort::detail::activations_of<Model, DefaultCpu, double>::bytes(one) +
                         Loss::template gradient_bytes<Model, double>(one)),
        backward_("backward", round_up(backward_bytes<Model, double>(one).peak, alignment)),
        scratch_("scratch", scratch_bytes<Model, double>(one)) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      std::copy(parameters[i].values.begin(), parameters[i].values.end(),
                params_.as<double>() + layout.params[i].offset);
  }

  /// `ranks`: among how many train() deals out the batch, which says what layers draw for each sample in
  /// the first step of a run with the seed of options_of.
  Exact of(const zoo::Batch<Case>& batch, int ranks = 1) {
    const int each = batch.rows().samples / ranks;
    Exact exact;
    for (const ParamInfo& p : layout.params) {
      if (p.trains) exact.gradients.emplace_back(p.numel, 0.0);
      exact.additions += p.fan_in;
    }
    auto magnitudes = exact.gradients;
    for (int s = 0; s < batch.rows().samples; ++s) {
      const auto place = static_cast<std::uint64_t>(s % each * ranks + s / each);
      add_sample(batch.x().samples(s, 1), batch.y().samples(s, 1), place, exact);
      std::size_t i = 0;  // of those that are trained
      for (std::size_t index = 0; index < layout.params.size(); ++index) {
        const ParamInfo& p = layout.params[index];
        if (!p.trains) continue;
        for (std::size_t k = 0; k < p.numel; ++k) {
          const double g = touched_[index] ? grads_.as<double>()[p.offset + k] : 0.0;
          exact.gradients[i][k] += g;
          magnitudes[i][k] += std::abs(g);
        }
        ++i;
      }
    }
    for (const auto& m : magnitudes)
      exact.magnitudes.push_back(*std::max_element(m.begin(), m.end()));
    return exact;
  }

 private:
  static constexpr Rows one{1, Case::tokens};
  static constexpr Layout<Model, CutAtRepeat> layout{};
  static constexpr std::size_t first_average = layout.first_averaged;

  void add_sample(value_of<typename Model::Input, float> x,
                  value_of<typename Loss::Target, float> y, std::uint64_t place, Exact& exact) {
    activations_.release({});
    backward_.release({});
    touched_.fill(0);
    const fp64::InDouble<typename Model::Input> inputs(x);
    const fp64::InDouble<typename Loss::Target> targets(y);
    const std::int64_t steps = 0;
    Random upcoming({.seed = seed_of_runs, .steps = &steps, .first = place});
    const Context<DefaultCpu, double, Phase::train> ctx(device_, activations_, scratch_,
                                                        Arena::End::low, nullptr, &upcoming);
    const Context<DefaultCpu, double, Phase::backward> back(device_, backward_, scratch_);
    const double* flat = params_.as<double>();
    const FlatView<Model, ParamCursor<double>> p(
        flat_cursor<Model, double>(flat, flat + first_average));
    const FlatView<Model, GradCursor<double>> g(
        {grads_.as<double>(), touched_.data(), grads_.as<double>() + first_average});
    const auto out = cohort::forward(ctx, p, inputs.view(x));
    const auto loss = Loss::forward(ctx, out.y, targets.view(y));
    cohort::backward(back, p, out.saved, loss.dy.view(), g);
    exact.sum += loss.total.sum;
    exact.weight += loss.total.weight;
  }

  DefaultCpu device_;
  HostMemory params_, grads_;
  Arena activations_, backward_, scratch_;
  std::array<std::uint8_t, num_params<Model>()> touched_{};
};

/// The worst |gradient - exact| over its tolerance, and whose it is; a value above 1 is a failure.
struct Worst {
  double ratio = 0;
  std::string name;
};
inline Worst worst_error(const std::vector<NamedTensor>& gradients, const Exact& exact, int rows,
                         int ranks) {
  Worst worst;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const double tolerance = exact.tolerance(i, rows, ranks);
    for (std::size_t k = 0; k < gradients[i].values.size(); ++k) {
      const double error = std::abs(gradients[i].values[k] - exact.gradients[i][k]);
      const double ratio = error == 0 ? 0 : error / tolerance;
      if (!(ratio <= worst.ratio)) worst = {ratio, gradients[i].name};
    }
  }
  return worst;
}

}  // namespace cohort::test
