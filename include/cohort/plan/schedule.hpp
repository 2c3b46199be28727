// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/schedule.hpp: the operations of one step as tables: what, how much, and what each
// waits for.
#pragma once
#include <array>
#include <cohort/core/dtype.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cohort {

/// What the communication stream can be told to do.
enum class OpKind : std::uint8_t { all_reduce, reduce_scatter, all_gather, loss, norm, averages };

/// The collective that it calls.
constexpr std::string_view name(OpKind k) {
  constexpr std::string_view names[] = {"all_reduce", "reduce_scatter", "all_gather",
                                        "all_reduce", "all_reduce",     "all_reduce"};
  return names[static_cast<int>(k)];
}

/// Over which ranks: all of them, those that share one copy of the model, or those that hold the same
/// part of it (DataParallel<HybridShard<S>>).
enum class Axis : std::uint8_t { world, shard, replicate };

/// One operation of the communication stream. `loss` is the all-reduce of (sum, weight) of the loss,
/// `norm` that of the exact sum of the gradient's squares, `averages` that of the sums of averaged parameters
/// and the number of samples.
struct Op {
  OpKind kind = OpKind::all_reduce;
  int id = 0;             // bucket or group
  int after = 0;          // the marker of the compute stream that it waits for
  std::size_t count = 0;  // elements of the bucket, or of the whole group before padding
  DType dtype = DType::f32;
  Axis axis = Axis::world;
  bool frozen = false;  // gathers the group's frozen parameters, else those that are trained
  friend constexpr bool operator==(const Op&, const Op&) = default;
};

/// The compute stream announces where it is by markers that grow by one, in an order that the type
/// fixes: begin; forward of unit 0 .. U-1 begins; forward has ended; then for U-1 .. 0: backward of
/// the unit begins, has ended; and, after the last micro-batch: the gradient's squares are summed; the
/// parameters are updated.
template <int U> struct Markers {
  static constexpr int begin = 0;
  static constexpr int forward(int unit) { return 1 + unit; }
  static constexpr int forward_ended = U + 1;
  static constexpr int backward(int unit) { return U + 2 + 2 * (U - 1 - unit); }
  static constexpr int backward_ended(int unit) { return backward(unit) + 1; }
  static constexpr int squared = 3 * U + 2;
  static constexpr int updated = 3 * U + 3;
  static constexpr int count = 3 * U + 4;
};

/// A step is one micro-batch (only), or first, middle ..., last.
enum class MicroBatch : std::uint8_t { only, first, middle, last };
/// Nothing has been accumulated before it.
constexpr bool is_first(MicroBatch m) { return m == MicroBatch::only || m == MicroBatch::first; }
/// The optimizer follows.
constexpr bool is_last(MicroBatch m) { return m == MicroBatch::only || m == MicroBatch::last; }

/// The operations of one kind of micro-batch, in the order in which every rank issues them.
template <std::size_t Most> struct Program {
  std::array<Op, Most> op{};
  int count = 0;
  constexpr void add(const Op& o) { op[count++] = o; }
  constexpr const Op* begin() const { return op.data(); }
  constexpr const Op* end() const { return op.data() + count; }
};

namespace detail {
/// Does the strategy reduce the sums of averages, where there are any?
template <class Plan> consteval bool reduces_averages() {
  constexpr MicroBatch last = Plan::micro_batches == 1 ? MicroBatch::only : MicroBatch::last;
  bool found = !Plan::averages;
  for (const Op& op : Plan::template program<last>) found = found || op.kind == OpKind::averages;
  return found;
}
}  // namespace detail

namespace detail {
/// The number-th operation of a micro-batch (from 0) of a step of one of `ranks` ranks.
template <class Plan> constexpr Op planned_op(int micro_batch, int number, int ranks) {
  Op found;
  int index = 0;
  Plan::for_each_micro_batch(
      [&]<MicroBatch M>() {
        if (index++ == micro_batch)
          found = Plan::template program<M>.op[static_cast<std::size_t>(number)];
      },
      ranks);
  return found;
}
}  // namespace detail

/// Adds what every strategy ends a step's backward with: sums over all ranks of averaged parameters, where
/// there are any, and of the loss.
template <class Plan, class P> constexpr void add_sums(P& program) {
  constexpr int end = Plan::markers::backward_ended(0);
  if constexpr (Plan::averages)
    program.add(
        {OpKind::averages, 0, end, Plan::layout.averaged + 1, dtype_of<typename Plan::gradient>});
  program.add({OpKind::loss, 0, end, 2, DType::f64});
}

}  // namespace cohort
