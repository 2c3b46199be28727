// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/execution.hpp: one rank's run: its arenas, its streams, and the step that executes the
// plan.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cohort/concepts/communicator.hpp>
#include <cohort/ops/grad_norm.hpp>
#include <cohort/optim/shard.hpp>
#include <cohort/run/formation.hpp>
#include <cohort/run/options.hpp>
#include <cohort/run/state.hpp>
#include <cohort/run/stores.hpp>

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
  using T = typename Plan::scalar;
  using Model = typename Plan::model;
  using Loss = typename Plan::loss;
  using Input = value_of<typename Model::Input, T>;
  using Target = value_of<typename Loss::Target, T>;
  using Output = value_of<typename Model::Output, T>;
  using Slots = typename Plan::slots;

  static constexpr Plan plan{};

  Execution(World& world, const Options<Slots>& options)
      : world_(world),
        options_(detail::agreed<Plan>(world, options)),
        storage_(world),
        tables_(memory().tables),
        activations_("activation", memory().activations),
        backward_("backward", memory().backward),
        scratch_("scratch", memory().scratch),
        stream_(*this, detail::wants_worker(options.stream, world), world.spins()) {
    detail::mark_decaying<Plan>(storage_, decays());
    detail::initialise<Plan>(storage_, options_.seed, world_.rank());
    storage_.broadcast(world_);
  }
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  /// One optimizer step on this rank's rows: x and y have at most options.batch samples, divisible
  /// by the number of micro-batches. Collective.
  StepReport step(Input x, Target y) {
    check_batch(x.rows, y.rows);
    return guarded("step", [&] {
      local_ = {};
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
      for (int first = 0; first < most_rows_of_any(x.rows.samples); first += most_samples()) {
        const int count = std::min(most_samples(), x.rows.samples - first);
        if (count <= 0) {
          gather_all();  // other ranks still have rows, and need this rank's shards
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
  /// The model's output for this rank's rows, at most one micro-batch, valid until the next call.
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
    return gathered(false, to);
  }
  /// The last step's gradients by name: sums over the global batch, before division and clipping.
  /// Frozen parameters have none. Collective.
  std::vector<NamedTensor> gather_gradients(Receivers to = Receivers::all_ranks) {
    return gathered(true, to);
  }
  /// Overwrites one parameter; all ranks must write the same values. Collective.
  void set_parameter(const std::string& name, std::span<const float> values) {
    detail::write_by_name<Plan>(rank(), storage_, name, values);
  }

  int rank() const { return world_.rank(); }
  int size() const { return world_.size(); }
  std::int64_t steps_done() const { return steps_; }
  const Options<Slots>& options() const { return options_; }
  bool has_worker() const { return stream_.has_worker(); }
  MemoryBytes memory() const { return Plan::memory(sizes()); }
  Sizes sizes() const { return {world_.size(), options_.batch, options_.tokens}; }
  auto& storage() { return storage_; }

  /// Hooks that views fire (run/stores.hpp).
  void before_forward(int unit) {
    if (evaluating_) return gather(unit);
    reached(Plan::markers::forward(unit), unit);
    stream_.wait(waits_->forward[unit]);
  }
  void before_backward(int unit) {
    reached(Plan::markers::backward(unit), unit);
    stream_.wait(waits_->backward[unit]);
  }
  void after_backward(int unit) {
    const UnitInfo& u = Plan::layout.units[unit];
    for (int i = u.first_param; i < u.first_param + u.num_params; ++i) {
      const ParamInfo& p = Plan::layout.params[i];
      if (touched_[i] || !p.trains) continue;  // else no contribution in the first micro-batch
      std::memset(static_cast<void*>(storage_.grad(unit) + (p.offset - u.offset)), 0,
                  p.numel * sizeof(T));
      touched_[i] = 1;
    }
    if constexpr (Storage::restarts_gradients) storage_.zero_padding(unit);
    reached(Plan::markers::backward_ended(unit), unit);
  }
  ParamCursor<T> params_of_unit(int unit) const {
    return {storage_.param(unit), storage_.frozen(unit)};
  }
  GradCursor<T> grads_of_unit(int unit) {
    return {storage_.grad(unit), touched_.data() + Plan::layout.units[unit].first_param};
  }
  /// Runs one planned operation; called by the stream, on its thread.
  void run_op(const Op& op) {
    if (op.kind == OpKind::loss) {
      world_.all_reduce(&local_.sum, std::size_t{2});
    } else if (op.kind == OpKind::norm) {
      if constexpr (Storage::norm_is_partial) {
        storage_.norm_axis(world_).all_reduce(squares_.limbs().data(), squares_.limbs().size());
      }
    } else {
      storage_.run(op, world_);
    }
  }
  void fail(std::exception_ptr cause) { world_.abort(cause); }

 private:
  static_assert(sizeof(LossSum) == 2 * sizeof(double), "sum and weight are reduced as one pair");
  using Params = detail::ParamStore<Execution>;
  using Grads = detail::GradStore<Execution>;
  template <Phase P> using Ctx = Context<Device, T, P>;
  using Storage = typename Plan::data::template Storage<Plan, World>;

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
  Ctx<Phase::evaluate> evaluation() {
    activations_.release({});
    return {device_, activations_, scratch_};
  }
  auto run_forward(const Ctx<Phase::evaluate>& ctx, Input x) {
    evaluating_ = true;
    group_ = -1;
    const Params params{this};
    const auto y = cohort::forward(ctx, detail::top_view<Model>(params), x).y;
    evaluating_ = false;
    return y;
  }

  template <MicroBatch M> void micro_batch(Input x, Target y, int index) {
    const int samples = x.rows.samples / Plan::micro_batches;
    if (is_first(M) || Storage::restarts_gradients) touched_.fill(0);
    storage_.begin_micro_batch(is_first(M));
    waits_ = &Plan::template waits<M>;
    marker_ = 0;
    stream_.template begin<M>();
    reached(Plan::markers::begin, -1);
    activations_.release({});
    const Ctx<Phase::train> ctx(device_, activations_, scratch_);
    const Ctx<Phase::backward> back(device_, backward_, scratch_);
    const Params params{this};
    const Grads grads{this};
    const auto p = detail::top_view<Model>(params);
    const auto g = detail::top_view<Model>(grads);

    const auto out = cohort::forward(ctx, p, x.samples(index * samples, samples));
    reached(Plan::markers::forward_ended, -1);
    const auto loss = Loss::forward(ctx, out.y, y.samples(index * samples, samples));
    local_ += loss.total;
    backward_.release({});
    cohort::backward(back, p, out.saved, loss.dy.view(), g);
    if (marker_ != Plan::markers::squared) detail::throw_unit_order(rank(), marker_, -1);
    if constexpr (!is_last(M)) stream_.finish();
  }

  StepReport update() {
    stream_.wait(waits_->reduced);
    StepReport r{.step = steps_ + 1, .loss = local_.mean(), .weight = local_.weight};
    if (local_.weight == 0) {
      throw InvalidInput(rank(), "step",
                         "no row of the global batch has a weight: every label is ignored.");
    }
    double scale = 1.0 / local_.weight;
    if constexpr (Slots::clipping::needs_norm) {
      r.grad_norm = std::sqrt(squared_norm()) / local_.weight;
      r.clip_coefficient = ops::clip_coefficient(r.grad_norm, options_.clip.max_norm);
      scale = r.clip_coefficient / local_.weight;
    }
    if (!std::isfinite(r.loss) || !std::isfinite(r.grad_norm)) detail::throw_non_finite(rank(), r);
    r.learning_rate = Slots::schedule::at(r.step, options_.learning_rate, options_.schedule);
    const UpdateStep now{r.step, r.learning_rate, scale};
    storage_.for_each_shard(decays(), [&](const Shard<T>& shard) {
      Slots::optimizer::update(device_, shard, now, options_.optimizer);
    });
    if constexpr (!Slots::clipping::needs_norm) reached(Plan::markers::squared, -1);
    reached(Plan::markers::updated, -1);
    stream_.finish();
    steps_ = r.step;
    return r;
  }
  double squared_norm() {
    squares_ = {};
    storage_.for_each_shard(decays(), [&](const Shard<T>& shard) {
      ops::add_square_sum(device_, shard.size, shard.grads, squares_);
    });
    reached(Plan::markers::squared, -1);
    stream_.wait(waits_->normed);
    return squares_.value();
  }

  /// Parameters of an evaluated unit: gathered here, on the compute thread, when another group begins.
  void gather(int unit) {
    if (!Plan::data::shards_params || Plan::groups.of[unit] == group_) return;
    group_ = Plan::groups.of[unit];
    storage_.gather(unit, world_);
  }
  void gather_all() {
    group_ = -1;
    for (int u = 0; u < Plan::num_units; ++u) gather(u);
  }
  /// How many samples the rank with the most has: sharded parameters are gathered by all ranks alike.
  int most_rows_of_any(int samples) {
    if constexpr (!Plan::data::shards_params) return samples;
    std::vector<std::int32_t> all(static_cast<std::size_t>(size()));
    world_.all_gather(&samples, all.data(), std::size_t{1});
    return *std::max_element(all.begin(), all.end());
  }
  std::vector<NamedTensor> gathered(bool gradients, Receivers to) {
    if (to == Receivers::rank_0 && rank() != 0) {
      storage_.collect(world_, gradients, nullptr);
      return {};
    }
    std::vector<T> flat(Plan::layout.size + Plan::layout.frozen);
    storage_.collect(world_, gradients, flat.data());
    return detail::by_name<Plan>(flat.data(), gradients);
  }

  void reached(int marker, int unit) {
    if (marker != marker_) detail::throw_unit_order(rank(), marker_, unit);
    ++marker_;
    stream_.reached(marker);
  }
  void check_rows(Rows x, Rows y) const {
    detail::check_rows(rank(), x, y, options_.batch, options_.tokens);
  }
  void check_batch(Rows x, Rows y) const {
    check_rows(x, y);
    if (x.samples % Plan::micro_batches != 0 || x.samples == 0) {
      throw InvalidInput(
          rank(), "step",
          std::to_string(x.samples) + " samples cannot be cut into " +
              std::to_string(Plan::micro_batches) +
              " equal micro-batches: give a positive multiple (pad with ignored labels).");
    }
  }

  World& world_;
  [[no_unique_address]] Device device_;
  Options<Slots> options_;
  Storage storage_;
  HostMemory tables_;
  Arena activations_, backward_, scratch_;
  std::array<std::uint8_t, Plan::layout.num_params> touched_{};
  const Waits<Plan::num_units>* waits_ = nullptr;
  ops::ExactSum squares_;
  LossSum local_;  // summed over ranks by the plan's loss operation
  int marker_ = 0, group_ = -1;
  std::int64_t steps_ = 0;
  bool evaluating_ = false, broken_ = false;
  CpuStream<Plan, Execution> stream_;  // last: its worker ends before anything it touches
};

}  // namespace cohort
