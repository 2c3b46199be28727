// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/execution.hpp: one rank's run: its arenas, its streams, and the step that executes the
// plan.
#pragma once
#include <algorithm>
#include <cmath>
#include <cohort/concepts/communicator.hpp>
#include <cohort/ops/grad_norm.hpp>
#include <cohort/policies/wire.hpp>
#include <cohort/run/driver.hpp>
#include <cohort/run/loss_scaler.hpp>
#include <cohort/run/options.hpp>
#include <cohort/run/state.hpp>
#include <cohort/run/update.hpp>

namespace cohort {

/// Owns one rank's training state and executes the plan. Made by Trainer::on(world, options); stays
/// where it was made. `world` must outlive it.
///
/// Comm     step, evaluate and everything else marked collective must be called by all ranks alike.
/// Errors   bad batches: InvalidInput before anything is issued. A failure on one rank inside a
///          step reaches every rank as PeerFailed; after it the run cannot go on.
template <class Plan, class World, class Device> class Execution {
 public:
  using plan_type = Plan;
  using T = typename Plan::compute;
  using D = typename Plan::gradient;
  using Model = typename Plan::model;
  using Loss = typename Plan::loss;
  using Input = value_of<typename Model::Input, D>;
  using Target = value_of<typename Loss::Target, D>;
  using Output = value_of<typename Model::Output, T>;
  using Slots = typename Plan::slots;

  static constexpr Plan plan{};

  Execution(World& world, const Options<Slots>& options)
      : world_(world),
        scaler_(detail::agreed_rows<Plan>(world, options),
                detail::Wire<Plan>::divisor(world.size())),
        options_(options),
        driver_(world, options.stream),
        tables_(memory().tables),
        activations_("activation", memory().activations),
        backward_("backward", memory().backward),
        scratch_("scratch", memory().scratch) {
    detail::mark_decaying<Plan>(storage(), decays());
    if constexpr (Plan::rounds_at_random) detail::number_chunks<Plan>(storage(), chunk_numbers());
    detail::initialise<Plan>(storage(), options_.seed, world_.rank());
    storage().broadcast(world_);
  }
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  /// One optimizer step on this rank's rows: x and y have at most options.batch samples, divisible
  /// by the number of micro-batches. Collective.
  StepReport step(Input x, Target y) {
    check_batch(x.rows, y.rows);
    return guarded("step", [&] {
      driver_.loss() = {};
      if constexpr (Plan::micro_batches == 1) {
        micro_batch<MicroBatch::only>(x, y, 0);
      } else {
        micro_batch<MicroBatch::first>(x, y, 0);
        for (int i = 1; i + 1 < Plan::micro_batches; ++i) micro_batch<MicroBatch::middle>(x, y, i);
        micro_batch<MicroBatch::last>(x, y, Plan::micro_batches - 1);
      }
      return update();
    });
  }
  /// step(batch) for batches that carry inputs, targets, samples and tokens (data/loader.hpp).
  template <class Batch> StepReport step(const Batch& batch) requires requires {
    batch.inputs.data();
  }
  {
    return step(Tokens{batch.inputs.data(), {batch.samples, batch.tokens}},
                Tokens{batch.targets.data(), {batch.samples, batch.tokens}});
  }

  /// Sum and weight of the loss over all ranks' rows, without gradients. Rows may differ by rank,
  /// also be none; they pass micro-batch by micro-batch, for which there is memory. Collective.
  LossSum evaluate(Input x, Target y) {
    if (x.rows.samples > 0) check_rows(x.rows, y.rows);
    return guarded("evaluate", [&] {
      LossSum local;
      const int most = detail::samples_of_any<Plan>(world_, x.rows.samples);
      for (int first = 0; first < most; first += most_samples()) {
        const int count = std::min(most_samples(), x.rows.samples - first);
        if (count <= 0) {
          driver_.gather_all();  // other ranks still have rows, and need this rank's shards
          continue;
        }
        const auto ctx = evaluation();
        local +=
            Loss::evaluate(ctx, run_forward(ctx, x.samples(first, count)), y.samples(first, count));
      }
      double totals[2] = {local.sum, local.weight};
      world_.all_reduce(totals, std::size_t{2});
      return LossSum{totals[0], totals[1]};
    });
  }
  template <class Batch> LossSum evaluate(const Batch& batch) requires requires {
    batch.inputs.data();
  }
  {
    return evaluate(Tokens{batch.inputs.data(), {batch.samples, batch.tokens}},
                    Tokens{batch.targets.data(), {batch.samples, batch.tokens}});
  }
  /// The model's output in the compute type for this rank's rows, at most one micro-batch, valid until the next call.
  /// Collective.
  Output predict(Input x) {
    check_rows(x.rows, x.rows);
    if (x.rows.samples > most_samples()) {
      throw InvalidInput(rank(), "predict",
                         std::to_string(x.rows.samples) + " samples exceed the " +
                             std::to_string(most_samples()) +
                             " of a micro-batch, for which there is memory: give fewer at a time.");
    }
    return guarded("predict", [&] {
      const auto ctx = evaluation();
      return run_forward(ctx, x);
    });
  }

  /// Every parameter by name, whole and without padding. Collective.
  std::vector<NamedTensor> gather_parameters(Receivers to = Receivers::all_ranks) {
    return detail::gather_by_name<Plan>(storage(), world_, false, to);
  }
  /// The last step's gradients by name: sums over the global batch, before division and clipping.
  /// Frozen parameters have none. Collective.
  std::vector<NamedTensor> gather_gradients(Receivers to = Receivers::all_ranks) {
    return detail::gather_by_name<Plan>(storage(), world_, true, to, unscale_);
  }
  /// Overwrites one parameter; all ranks must write the same values. Collective.
  void set_parameter(const std::string& name, std::span<const float> values) {
    detail::write_by_name<Plan>(rank(), storage(), name, values);
  }

  int rank() const { return world_.rank(); }
  int size() const { return world_.size(); }
  std::int64_t steps_done() const { return steps_; }
  /// The loss scale of the next step, for checkpoints; all ranks must set the same.
  LossScale loss_scale() const { return scaler_.state(); }
  void set_loss_scale(LossScale state) requires(Plan::scales_loss) { scaler_.set(state); }
  const Options<Slots>& options() const { return options_; }
  bool has_worker() const { return driver_.has_worker(); }
  MemoryBytes memory() const { return Plan::memory(sizes()); }
  Sizes sizes() const { return {world_.size(), options_.batch, options_.tokens}; }
  auto& storage() { return driver_.storage(); }

 private:
  template <Phase P> using Ctx = Context<Device, T, P>;
  using Driver = detail::Driver<Plan, World>;

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
  /// Samples of one forward: what activation memory is for.
  int most_samples() const { return options_.batch / Plan::micro_batches; }

  std::uint8_t* decays() const { return tables_.template as<std::uint8_t>(); }
  /// Behind the flags, where parameters are rounded at random.
  std::uint32_t* chunk_numbers() const {
    const std::size_t flags = round_up(driver_.storage().size() / chunk, alignment);
    return reinterpret_cast<std::uint32_t*>(decays() + (Plan::rounds_at_random ? flags : 0));
  }
  Ctx<Phase::evaluate> evaluation() {
    activations_.release({});
    return {device_, activations_, scratch_};
  }
  auto run_forward(const Ctx<Phase::evaluate>& ctx, Input x) {
    driver_.begin_evaluation();
    const auto y = cohort::forward(ctx, driver_.parameters(), computed_with(ctx, x)).y;
    driver_.end_evaluation();
    return y;
  }

  template <MicroBatch M> void micro_batch(Input x, Target y, int index) {
    const int samples = x.rows.samples / Plan::micro_batches;
    driver_.template begin<M>();
    activations_.release({});
    const Ctx<Phase::train> ctx(device_, activations_, scratch_);
    const Ctx<Phase::backward> back(device_, backward_, scratch_);
    const auto p = driver_.parameters();

    const auto out =
        cohort::forward(ctx, p, computed_with(ctx, x.samples(index * samples, samples)));
    driver_.reached(Plan::markers::forward_ended);
    const auto loss = loss_of(ctx, out.y, y.samples(index * samples, samples));
    driver_.loss() += loss.total;
    backward_.release({});
    cohort::backward(back, p, out.saved, loss.dy.view(), driver_.gradients());
    driver_.check_all_units();
    if constexpr (!is_last(M)) driver_.finish();
  }

  /// The input in the type that layers compute with.
  template <class Ctx> static auto computed_with(const Ctx& ctx, Input x) {
    if constexpr (std::is_same_v<Input, value_of<typename Model::Input, T>>) {
      return x;
    } else {
      const auto cast = ctx.like(x);
      ops::convert(ctx.device(), x.size(), x.data, cast.data);
      return cast.view();
    }
  }
  template <class Y> auto loss_of(const Ctx<Phase::train>& ctx, Y y, Target target) const {
    if constexpr (Plan::scales_loss)
      return Loss::forward(ctx, y, target, scaler_.seed());
    else
      return Loss::forward(ctx, y, target);
  }

  StepReport update() {
    driver_.wait_for_reductions();
    const LossSum total = driver_.loss();
    StepReport r{.step = steps_ + 1, .loss = total.mean(), .weight = total.weight};
    if (total.weight == 0) {
      throw InvalidInput(rank(), "step",
                         "no row of the global batch has a weight: every label is ignored.");
    }
    unscale_ = scaler_.unscale();
    double scale = unscale_ / total.weight;
    if constexpr (Plan::needs_norm)
      r.grad_norm = std::sqrt(squared_norm()) * unscale_ / total.weight;
    if constexpr (Slots::clipping::needs_norm) {
      r.clip_coefficient = ops::clip_coefficient(r.grad_norm, options_.clip.max_norm);
      scale = r.clip_coefficient * unscale_ / total.weight;
    }
    if constexpr (Plan::scales_loss) {
      r.loss_scale = scaler_.state().scale;
      r.skipped = !std::isfinite(r.grad_norm) && !scaler_.exhausted();
    }
    if (!r.skipped) {
      if (!std::isfinite(r.loss) || !std::isfinite(r.grad_norm))
        detail::throw_non_finite(rank(), r);
      r.learning_rate = Slots::schedule::at(r.step, options_.learning_rate, options_.schedule);
      apply({r.step, r.learning_rate, scale});
      steps_ = r.step;
    }
    r.step = steps_;
    scaler_.after_step(r.skipped);
    if constexpr (!Plan::needs_norm) driver_.reached(Plan::markers::squared);
    driver_.reached(Plan::markers::updated);
    driver_.finish();
    return r;
  }
  void apply(const UpdateStep& now) {
    D* scratch = nullptr;
    if constexpr (Plan::update_bytes > 0) scratch = scratch_.template take<D>(Plan::update_piece);
    const detail::Update<Plan, Device> update(device_, now, options_.optimizer, options_.seed,
                                              scratch, chunk_numbers());
    std::size_t first = 0;
    storage().for_each_shard(decays(), [&](const auto& shard, T* copies) {
      update(shard, copies, first);
      first += shard.size;
    });
    scratch_.release({});
  }
  double squared_norm() {
    driver_.squares() = {};
    storage().for_each_shard(decays(), [&](const auto& shard, T*) {
      ops::add_square_sum(device_, shard.size, shard.grads, driver_.squares());
    });
    driver_.reached(Plan::markers::squared);
    driver_.wait_for_norm();
    return driver_.squares().value();
  }

  void check_rows(Rows x, Rows y) const {
    detail::check_rows(rank(), x, y, options_.batch, options_.tokens);
  }
  void check_batch(Rows x, Rows y) const {
    check_rows(x, y);
    detail::check_micro_batches(rank(), x.samples, Plan::micro_batches);
  }

  World& world_;
  [[no_unique_address]] Device device_;
  detail::LossScaler<Plan> scaler_;
  Options<Slots> options_;
  Driver driver_;
  HostMemory tables_;
  Arena activations_, backward_, scratch_;
  double unscale_ = 1;  // of the last step's gradients
  std::int64_t steps_ = 0;
  bool broken_ = false;
};

}  // namespace cohort
