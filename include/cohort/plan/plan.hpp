// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/plan.hpp: the plan of a step as one constexpr value: layout, groups, buckets,
// schedule, bytes.
#pragma once
#include <algorithm>
#include <bit>
#include <cohort/concepts/loss.hpp>
#include <cohort/core/call.hpp>
#include <cohort/core/device_view.hpp>
#include <cohort/core/footprint.hpp>
#include <cohort/device/traits.hpp>
#include <cohort/plan/buckets.hpp>
#include <cohort/plan/exchange.hpp>
#include <cohort/plan/groups.hpp>
#include <cohort/plan/hash.hpp>
#include <cohort/plan/ledger.hpp>
#include <cohort/plan/parts.hpp>
#include <cohort/plan/schedule.hpp>
#include <cohort/plan/shards.hpp>
#include <cohort/plan/waits.hpp>

namespace cohort {

namespace detail {
/// Bytes of rows that the host gives a step.
template <class Extent, class T> constexpr std::size_t host_bytes(Rows rows) {
  const auto count = static_cast<std::size_t>(rows.count());
  if constexpr (requires { Extent::extent; })
    return round_up(count * Extent::extent * sizeof(T), alignment);
  else
    return round_up(count * sizeof(int), alignment);
}

/// The type that forward of the whole model keeps: its bytes(rows) are the model's activation
/// bytes.
template <class Model, class Device, class T>
using activations_of =
    decltype(cohort::forward(std::declval<Context<Device, T, Phase::train>&>(),
                             std::declval<const FlatView<Model, param_cursor_on<T, Device>>&>(),
                             std::declval<value_of<typename Model::Input, T, place_of<Device>>>())
                 .saved);
}  // namespace detail

/// What one step of a model under its policies does, before anything runs. All members are
/// constexpr: print(plan) shows them, static_assert tests them, and the trainer executes these very
/// tables.
///
/// Slots is the set of chosen policies (trainer.hpp): data, accumulation, precision, buckets, groups,
/// optimizer.
template <class Model, class Loss, class Slots, class Device> struct Plan {
  using model = Model;
  using loss = Loss;
  using slots = Slots;
  using device = Device;
  using compute =
      typename Slots::precision::compute;            // of activations, and of parameters for layers
  using master = typename Slots::precision::master;  // of what the optimizer updates
  using reduce = typename Slots::precision::reduce;  // of gradients between ranks
  using gradient = accumulator_t<compute>;           // of main gradients and moments
  using data = typename Slots::data::how;
  using cut = typename Slots::groups::how::cut;
  using activations = detail::activations_of<Model, Device, compute>;

  static_assert(
      num_params<Model>() > 0,
      "cohort: the model has no parameters, so there is nothing to train. Add a layer with "
      "Params, such as nn::Linear. [cohort/plan/plan.hpp]");
  static_assert(num_params<Model>() == 0 || subtree<Model>().trained > 0,
                "cohort: every parameter of the model is frozen, so there is nothing to train. "
                "Take nn::Frozen "
                "off a layer. [cohort/plan/plan.hpp]");

  static constexpr bool has_masters = !std::is_same_v<compute, master>;
  static constexpr bool casts_reductions = !std::is_same_v<reduce, gradient>;
  static constexpr bool scales_loss = Slots::scaling::scales;
  static constexpr bool rounds_at_random = Slots::rounding::at_random;
  static constexpr bool clips_values = Slots::clipping::clips_values;
  /// An overflow in any rank's gradients is found in the norm's sum.
  static constexpr bool needs_norm = Slots::clipping::needs_norm || scales_loss;
  static constexpr bool detects_anomalies = Slots::anomalies::detects;

  /// The gradient of the loss is written over the model's output, which nothing else keeps.
  static constexpr bool loss_in_place =
      OverwritesOutput<Loss, Model, Device, compute, scales_loss> &&
      detail::lets_go<activations>::value && !detects_anomalies;

  /// Of a rank, or of each part that it does of Reproducible's ranks.
  static constexpr int micro_batches = Slots::accumulation::micro_batches;
  /// R of Reproducible<R>, 0 without it: also what data::epochs wants to know.
  static constexpr int order_ranks = Slots::order::ranks;
  static constexpr bool has_parts = order_ranks > 0;
  /// Sums over ranks are the tree of comm/sum.hpp whatever the communicator.
  static constexpr bool in_tree_order = Slots::order::in_tree_order;
  /// One step may have several micro-batches.
  static constexpr bool accumulates = micro_batches > 1 || has_parts;
  static constexpr bool reduces_each = Slots::accumulation::reduces_each;
  static constexpr Layout<Model, cut> layout{};
  static constexpr bool averages = layout.averaged > 0;
  static constexpr int num_units = layout.num_units;
  using markers = Markers<num_units>;
  static constexpr auto groups = Slots::groups::how::assign(layout, sizeof(compute));
  static constexpr auto shards = make_shards(layout, groups);
  static constexpr auto buckets =
      make_buckets(layout, Slots::buckets::first_bytes, Slots::buckets::cap_bytes, sizeof(reduce));
  template <MicroBatch M> static constexpr auto program = data::template program<Plan, M>();
  /// How many operations must be done before each unit may compute (device/cpu_stream.hpp waits).
  template <MicroBatch M>
  static constexpr auto waits = make_waits<num_units>(program<M>, groups, shards);

  /// How many of Reproducible's ranks each of `ranks` ranks stands for; 1 without it. Errors as parts_on.
  static constexpr int parts(int ranks) {
    if constexpr (!has_parts)
      return 1;
    else
      return detail::parts_on(ranks, order_ranks);
  }
  /// In a step of one of `ranks` ranks.
  static constexpr int micro_batches_on(int ranks) { return micro_batches * parts(ranks); }
  /// Gradients of parts that wait for others to be added to, on one of `ranks` ranks.
  static constexpr int sums_waiting(int ranks) {
    return std::countr_zero(static_cast<unsigned>(parts(ranks)));
  }
  /// One of them, in whole chunks, so that all gradients are aligned alike: the gradient; the sums of averages and
  /// their number of samples; (sum, weight) of the loss.
  static constexpr std::size_t partial_sum_bytes =
      !has_parts
          ? 0
          : (layout.size + (averages ? layout.averaged + chunk : 0) + chunk) * sizeof(gradient);

  /// How many of `ranks` ranks share one copy of the model.
  static constexpr int shard_group(int ranks) {
    return data::shard_ranks > 0 ? data::shard_ranks : ranks;
  }
  /// Bytes of the strategy's arenas on every rank of `ranks`, padding included.
  static constexpr PersistentBytes persistent_bytes(int ranks) {
    return data::template persistent_bytes<Plan>(shard_group(ranks), micro_batches_on(ranks) > 1);
  }
  /// Bytes of every arena on one rank; `batch` is this rank's samples for one optimizer step.
  static constexpr MemoryBytes memory(Sizes s) {
    const Rows rows{micro_batch(s), s.tokens};
    const PersistentBytes p = persistent_bytes(s.ranks);
    return {.parameters = p.parameters,
            .gradients = p.gradients,
            .optimizer = p.optimizer,
            .tables = p.tables,
            .activations = input_bytes(rows) + activations::bytes(rows) + loss_bytes(rows),
            .backward = round_up(backward_bytes<Model, compute>(rows).peak, alignment),
            .scratch = std::max(scratch_bytes<Model, compute, Device>(rows), update_bytes),
            .gathered = p.gathered,
            .frozen = p.frozen,
            .masters = p.masters,
            .wire = p.wire,
            .averages = average_bytes,
            .partial_sums = static_cast<std::size_t>(sums_waiting(s.ranks)) * partial_sum_bytes,
            .exchange = exchange_bytes(s.ranks),
            .inputs = 2 * staged_bytes({s.batch, s.tokens}),
            .workspace = workspace_bytes<Device> + state_bytes<Device>,
            .trace = Slots::profiling::trace_bytes};
  }
  /// What NCCL's ranks receive of each other to add it up in tree order.
  static constexpr std::size_t exchange_bytes(int ranks) {
    return detail::most_exchanged<Plan>(ranks);
  }
  /// What a step's inputs and targets take on a device that the host cannot write to.
  static constexpr std::size_t staged_bytes([[maybe_unused]] Rows rows) {
    if constexpr (on_host<Device>)
      return 0;
    else
      return detail::host_bytes<typename Model::Input, gradient>(rows) +
             detail::host_bytes<typename Loss::Target, gradient>(rows);
  }
  /// Averaged parameters; their sums and, behind them, the number of samples; a rate a chunk.
  static constexpr std::size_t average_bytes =
      !averages ? 0
                : (2 * layout.averaged + chunk) * sizeof(gradient) +
                      round_up(layout.averaged / chunk * sizeof(gradient), alignment);
  /// Bytes of host memory for arrays of saved values, where results are in a device's memory.
  static constexpr std::size_t array_bytes =
      on_host<Device> ? 0 : detail::array_bytes_of<activations>;
  /// Tables of a shard: does decay apply to the chunk, and, for random rounding, which one it is.
  static constexpr std::size_t table_bytes(std::size_t elements) {
    const std::size_t chunks = elements / chunk;
    return round_up(chunks, alignment) +
           (rounds_at_random ? round_up(chunks * sizeof(std::uint32_t), alignment) : 0);
  }
  /// Elements that the optimizer updates before their copies are written, while they are in cache.
  static constexpr std::size_t update_piece = 16384;
  /// Scratch in which parameters without fp32 masters are updated, then that for limited gradients.
  static constexpr std::size_t update_bytes =
      ((std::is_same_v<master, gradient> ? 0 : 1) + (clips_values ? 1 : 0)) * update_piece *
      sizeof(gradient);
  /// The input is given in fp32 and computed with in another type, or at another address (Reproducible).
  static constexpr bool copies_input = requires { Model::Input::extent; }
  &&(has_parts || !std::is_same_v<compute, gradient>);
  /// What the copy takes.
  static constexpr std::size_t input_bytes(Rows rows) {
    if (!copies_input) return 0;
    return detail::gradient_bytes<typename Model::Input, compute>(rows);
  }
  /// What the loss takes, less its gradient where that is written over the output.
  static constexpr std::size_t loss_bytes(Rows rows) {
    const std::size_t all = Loss::template gradient_bytes<Model, compute>(rows);
    if constexpr (loss_in_place)
      return all - std::min(all, detail::gradient_bytes<typename Model::Output, compute>(rows));
    else
      return all;
  }
  static constexpr std::size_t peak_bytes(Sizes s) { return memory(s).total(); }

  /// Bytes that one rank sends in one step, gradients and loss, at the least any algorithm can do.
  static constexpr std::size_t wire_bytes(Sizes s) {
    std::size_t sum = 0;
    for_each_micro_batch(
        [&]<MicroBatch M>() {
          for (const Op& op : program<M>) sum += cohort::wire_bytes(issued(op, s.ranks));
        },
        s.ranks);
    return sum;
  }
  /// The collective as one of `ranks` ranks issues it: ranks that take part, and elements as the
  /// communicator counts them (per rank for gathers and scatters, padded to whole chunks).
  static constexpr IssuedOp issued(const Op& op, int ranks) {
    const int group = shard_group(ranks);
    const int taking_part = op.axis == Axis::shard       ? group
                            : op.axis == Axis::replicate ? ranks / group
                                                         : ranks;
    IssuedOp issued{op.kind, op.dtype, op.count, taking_part};
    const bool whole = op.kind == OpKind::loss || op.kind == OpKind::norm || op.axis == Axis::world;
    if (op.frozen)
      issued.count = shards.frozen.per_rank(op.id, group);
    else if (!whole)
      issued.count = shards.per_rank(op.id, group);
    return issued;
  }
  /// Collectives that one step of one of `ranks` ranks issues; with Reproducible the number matters.
  static constexpr int num_collectives(int ranks) {
    int sum = 0;
    for_each_micro_batch([&]<MicroBatch M>() { sum += program<M>.count; }, ranks);
    return sum;
  }
  static constexpr int num_collectives() requires(!has_parts) { return num_collectives(1); }

  /// Samples that all ranks together put into one update.
  static constexpr long effective_batch(Sizes s) { return static_cast<long>(s.batch) * s.ranks; }
  /// Samples in one rank's micro-batch.
  static constexpr int micro_batch(Sizes s) { return s.batch / micro_batches_on(s.ranks); }

  /// Equal on all ranks or the world does not form. Programs of two compilers may differ in it.
  static constexpr std::uint64_t hash() {
    std::uint64_t h = detail::hash_names<Model>(14695981039346656037ull);
    h = detail::hash_type<Loss>(detail::hash_type<Model>(h));
    h = detail::hash_type<typename Slots::optimizer>(h);
    h = detail::hash_type<typename Slots::schedule>(h);
    for (const ParamInfo& p : layout.params) h = detail::mix(detail::mix(h, p.offset), p.numel);
    for (int g : groups.of) h = detail::mix(h, static_cast<std::uint64_t>(g));
    for_each_kind([&]<MicroBatch M>() {
      for (const Op& op : program<M>) {
        h = detail::mix(detail::mix(h, static_cast<std::uint64_t>(op.kind)), op.count);
        h = detail::mix(detail::mix(h, static_cast<std::uint64_t>(op.dtype)),
                        static_cast<std::uint64_t>(op.after));
      }
    });
    h = detail::mix(h, static_cast<std::uint64_t>(data::shard_ranks));
    for (const DType type : {dtype_of<compute>, dtype_of<master>, dtype_of<reduce>})
      h = detail::mix(h, static_cast<std::uint64_t>(type));
    h = detail::mix(h,
                    8 * detects_anomalies + 4 * clips_values + 2 * scales_loss + rounds_at_random);
    const PersistentBytes p = data::template persistent_bytes<Plan>(shard_group(1), accumulates);
    const auto in_order = static_cast<std::uint64_t>(2 * order_ranks + in_tree_order) << 32;
    return detail::mix(detail::mix(h, p.optimizer),
                       in_order + static_cast<std::uint64_t>(micro_batches));
  }

  /// Calls f.operator()<M>() once for each kind of micro-batch that a step may have.
  template <class F> static constexpr void for_each_kind(F&& f) {
    if constexpr (micro_batches == 1) f.template operator()<MicroBatch::only>();
    if constexpr (accumulates) f.template operator()<MicroBatch::first>();
    if constexpr (has_parts || micro_batches > 2) f.template operator()<MicroBatch::middle>();
    if constexpr (accumulates) f.template operator()<MicroBatch::last>();
  }
  /// Calls f.operator()<M>() for each micro-batch of a step of one of `ranks` ranks, in order; with
  /// Reproducible their number matters.
  template <class F> static constexpr void for_each_micro_batch(F&& f) requires(!has_parts) {
    for_each_micro_batch(f, 1);
  }
  template <class F> static constexpr void for_each_micro_batch(F&& f, [[maybe_unused]] int ranks) {
    const int count = micro_batches_on(ranks);
    if constexpr (micro_batches == 1)
      if (count == 1) f.template operator()<MicroBatch::only>();
    if constexpr (accumulates) {
      if (count == 1) return;
      f.template operator()<MicroBatch::first>();
      for (int i = 2; i < count; ++i) f.template operator()<MicroBatch::middle>();
      f.template operator()<MicroBatch::last>();
    }
  }
};

}  // namespace cohort
