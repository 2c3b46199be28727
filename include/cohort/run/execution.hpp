// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/execution.hpp: one rank's run: its arenas, its streams, and the step that executes the plan.
#pragma once
#include <algorithm>
#include <cohort/concepts/communicator.hpp>
#include <cohort/policies/wire.hpp>
#include <cohort/run/capture.hpp>
#include <cohort/run/driver.hpp>
#include <cohort/run/finish.hpp>
#include <cohort/run/inputs.hpp>
#include <cohort/run/options.hpp>
#include <cohort/run/run_evaluation.hpp>
#include <cohort/run/run_profile.hpp>
#include <cohort/run/run_state.hpp>

namespace cohort {

/// Owns one rank's training state and executes the plan. Made by Trainer::on(world, options); stays
/// where it was made. `world` must outlive it.
///
/// Comm     step, evaluate and everything else marked collective must be called by all ranks alike.
/// Errors   bad batches: InvalidInput before anything is issued. A failure on one rank inside a
///          step reaches every rank as PeerFailed; after it the run cannot go on. What a step
///          concludes on all ranks alike (NonFinite; InvalidInput: no row has a weight) fails
///          nothing: who catches it on every rank goes on, as if there had been no such step, with
///          this run or another in the same world. (On a GPU it ends the run and its world.)
template <class Plan, class World, class Device>
class Execution : public RunEvaluation<Plan, Execution<Plan, World, Device>>,
                  public RunState<Execution<Plan, World, Device>>,
                  public RunProfile<Execution<Plan, World, Device>> {
 public:
  using plan_type = Plan;
  using T = typename Plan::compute;
  using D = typename Plan::gradient;
  using Model = typename Plan::model;
  using Loss = typename Plan::loss;
  using Input = typename RunEvaluation<Plan, Execution>::Input;
  using Target = typename RunEvaluation<Plan, Execution>::Target;
  using Given = detail::GivenAs<Input, Target>;
  using Slots = typename Plan::slots;
  using Report = typename detail::Timeline<Plan>::Report;  // StepReport, or TimedReport under Timed

  static constexpr Plan plan{};
  static constexpr bool computes_on_host = on_host<Device>;

  Execution(World& world, const Options<Slots>& options)
      : world_(world),
        rows_(detail::agreed_rows<Plan>(world, options)),
        options_(options),
        driver_(world, options_),
        finish_(driver_, options_, rows_ / Plan::parts(world.size()),
                detail::WireSize<Plan>::divisor(world.size())),
        inputs_(driver_.machine(), {options_.batch, options_.tokens}),
        capture_(driver_.machine()),
        tables_(memory().tables, device(), storage()),
        arrays_("array", Plan::array_bytes),
        activations_("activation", memory().activations),
        backward_("backward", memory().backward),
        scratch_("scratch", memory().scratch) {
    storage().edit([&] {
      detail::initialise<Plan>(storage(), options_.seed, driver_.machine().spare_threads());
    });
    storage().broadcast(driver_.machine().comm());
    driver_.machine().settle();
  }
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;
  ~Execution() {
    this->end_saves(broken_);
    driver_.machine().end(broken_);
  }

  /// One optimizer step on this rank's rows: x and y have at most options.batch samples, divisible
  /// by the number of micro-batches. Collective.
  Report step(Input x, Target y) {
    enqueue(x, y);
    return wait();
  }
  /// step(batch) for batches that carry inputs, targets, samples and tokens (data/loader.hpp).
  template <class Batch> Report step(const Batch& batch) requires requires { batch.inputs.data(); }
  { return step(this->inputs_of(batch), this->targets_of(batch)); }
  /// Anything else is no batch, and is told what one looks like.
  template <class X, class Y>
  Report step(const X&, const Y&) requires(!Given::template rows<X, Y>) {
    cohort::detail::said<detail::NotRows<X, Y>>();
    return {};
  }
  /// The same step without waiting for a GPU: x and y may be changed when it returns, what the step
  /// found is thrown by a later call. On the CPU the step is done. Collective.
  void enqueue(Input x, Target y) {
    check_batch(x.rows, y.rows);
    guarded("step", [&] {
      timeline().begin_step([&] { return finish_.steps() + 1; });
      const auto rows = inputs_(x, y);
      capture_(x.rows, [&] { queue(rows.first, rows.second); });
      finish_.report();
      timeline().end_step();
    });
    finish_.check();
  }
  template <class Batch> void enqueue(const Batch& batch) requires requires { batch.inputs.data(); }
  { enqueue(this->inputs_of(batch), this->targets_of(batch)); }
  /// Waits for every step that was begun and returns the last one's report.
  Report wait() {
    return guarded("step", [&] {
      if constexpr (std::is_same_v<Report, StepReport>)
        return finish_.wait();
      else
        return timeline().report(finish_.wait());
    });
  }

  int rank() const { return world_.rank(); }
  int size() const { return world_.size(); }
  std::int64_t steps_done() const { return finish_.steps(); }
  /// The loss scale of the next step, for checkpoints; all ranks must set the same.
  LossScale loss_scale() const { return finish_.loss_scale(); }
  void set_loss_scale(LossScale state) requires(Plan::scales_loss) {
    finish_.set_loss_scale(state);
  }
  const Options<Slots>& options() const { return options_; }
  /// What steps communicate through, for those who watch it.
  auto& communicator() { return driver_.machine().comm(); }
  bool has_worker() const { return driver_.has_worker(); }
  MemoryBytes memory() const { return Plan::memory(sizes()); }
  Sizes sizes() const { return {world_.size(), options_.batch, options_.tokens}; }
  auto& storage() { return driver_.storage(); }
  auto& timeline() { return driver_.timeline(); }
  const auto& timeline() const { return driver_.timeline(); }

 private:
  friend class RunEvaluation<Plan, Execution>;
  friend class RunState<Execution>;
  friend class RunProfile<Execution>;
  friend struct detail::StateFiles<Execution>;
  friend struct detail::TraceFile<Execution>;
  template <Phase P> using Ctx = Context<Device, T, P>;
  using Driver = detail::Driver<Plan, World>;
  using Machine = typename Driver::Machine;

  /// A failure inside f reaches every rank, and this run is over.
  template <class F> auto guarded(const char* operation, F f) {
    if (broken_) throw ContractBroken(rank(), operation, "an earlier step failed; make a new run.");
    try {
      return f();
    } catch (...) {
      broken_ = true;
      world_.abort(std::current_exception());
      throw;
    }
  }
  template <Activity A> auto between_steps() {
    return timeline().template between_steps<A>([&] { return finish_.steps(); });
  }
  /// Samples of one forward: what activation memory is for.
  int most_samples() const { return options_.batch / micro_batches(); }
  int micro_batches() const { return Plan::micro_batches * driver_.partial_sums().parts(); }

  const Device& device() const { return driver_.machine().compute(); }
  template <Phase P> Ctx<P> context(Arena& results, Random* upcoming = nullptr) {
    return {device(), results, scratch_, Arena::End::low, on_host<Device> ? nullptr : &arrays_,
            upcoming};
  }
  /// What layers draw from in micro-batch `index`, of so many samples: what the rank draws whose part it is.
  Random first_random(int index, int samples) const {
    const int parts = driver_.partial_sums().parts();
    const auto n = static_cast<std::uint64_t>(world_.size() * parts),
               rank = static_cast<std::uint64_t>(world_.rank() * parts +
                                                 driver_.partial_sums().part());
    const auto first = static_cast<std::uint64_t>(index % Plan::micro_batches * samples);
    return Random({options_.seed, finish_.step_counter(), first * n + rank, n});
  }

  /// All of a step's work on the device.
  template <class X, class Y> void queue(X x, Y y) {
    finish_.begin();
    const int count = micro_batches();
    if constexpr (Plan::micro_batches == 1)
      if (count == 1) micro_batch<MicroBatch::only>(x, y, 0);
    if constexpr (Plan::accumulates) {
      if (count > 1) micro_batch<MicroBatch::first>(x, y, 0);
      for (int i = 1; i + 1 < count; ++i) micro_batch<MicroBatch::middle>(x, y, i);
      if (count > 1) micro_batch<MicroBatch::last>(x, y, count - 1);
    }
    this->gate_.before_change();
    finish_(tables_.tables(), scratch_);
  }
  template <MicroBatch M, class X, class Y> void micro_batch(X x, Y y, int index) {
    const int samples = x.rows.samples / micro_batches();
    [[maybe_unused]] const auto span = timeline().template span<Activity::micro_batch>();
    driver_.template begin<M>(index, x.rows.samples);
    activations_->release({});
    arrays_.release({});
    Random upcoming = first_random(index, samples);
    const auto ctx = context<Phase::train>(activations_, &upcoming);
    const auto back = context<Phase::backward>(backward_);
    const auto p = driver_.parameters();

    const X input = x.samples(index * samples, samples);
    const Y target = y.samples(index * samples, samples);
    const auto out = cohort::forward(ctx, p, computed_with(ctx, input));
    driver_.reached(Plan::markers::forward_ended);
    const auto loss = [&] {
      if constexpr (Plan::loss_in_place) {
        const detail::Within output{out.y.data, out.y.data + out.y.size()};
        if (output(out.saved) || output(input)) detail::throw_kept_output(rank());
        return loss_of(ctx, detail::overwritten(out.y), target);
      } else {
        return loss_of(ctx, out.y, target);
      }
    }();
    finish_.add(loss.total);
    driver_.loss_added();
    driver_.after_loss(input, out.y, target, loss);
    backward_->release({});
    cohort::backward(back, p, out.saved, loss.dy.view(), driver_.gradients());
    driver_.check_all_units();
    if constexpr (!is_last(M)) driver_.finish();
  }

  /// The input in the type that layers compute with; of a part where a rank's own would be, as some kernels' sums
  /// depend on how addresses are aligned.
  template <class Ctx, class X> static auto computed_with(const Ctx& ctx, X x) {
    constexpr bool as_it_is =
        std::is_same_v<X, value_of<typename Model::Input, T, place_of<Device>>>;
    if constexpr (as_it_is && !Plan::copies_input) {
      return x;
    } else {
      const auto cast = ctx.like(x);
      detail::copy_converted(ctx.device(), x.size(), x.data, cast.data);
      return cast.view();
    }
  }
  template <class Y, class Label> auto loss_of(const Ctx<Phase::train>& ctx, Y y, Label target) {
    [[maybe_unused]] const auto span = timeline().template span<Activity::loss>();
    if constexpr (Plan::scales_loss)
      return Loss::forward(ctx, y, target, finish_.seed());
    else
      return Loss::forward(ctx, y, target);
  }
  /// Overwrites what steps work with; a failure inside f may leave a mixture, so this run is over.
  template <class F> void replace_state(F f) {
    this->gate_.before_change();
    driver_.machine().settle();
    try {
      f();
    } catch (...) {
      broken_ = true;
      throw;
    }
    storage().refresh(driver_.machine().comm());
    driver_.machine().settle();
    capture_.forget();
  }

  void check_rows(Rows x, Rows y) const {
    detail::check_rows(rank(), x, y, options_.batch, options_.tokens);
  }
  void check_batch(Rows x, Rows y) const {
    check_rows(x, y);
    detail::check_micro_batches(rank(), x.samples, micro_batches());
  }

  World& world_;
  double rows_;  // the most that any rank has in a step
  Options<Slots> options_;
  Driver driver_;
  detail::Finish<Plan, Driver, Device> finish_;
  detail::Inputs<Plan, Machine, Device> inputs_;
  detail::Capture<Plan, Machine, Device> capture_;
  detail::ShardTableMemory<Plan, Device> tables_;
  Arena arrays_;
  detail::ArenaOn<Device> activations_, backward_, scratch_;
  bool broken_ = false;
};

}  // namespace cohort
