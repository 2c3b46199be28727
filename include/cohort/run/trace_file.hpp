// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/trace_file.hpp: the spans of all ranks as one file for Perfetto and chrome://tracing.
#pragma once
#include <algorithm>
#include <cohort/io/trace.hpp>
#include <cohort/plan/print.hpp>
#include <cohort/plan/unit_names.hpp>
#include <cohort/run/agreement.hpp>
#include <cohort/run/clock_offsets.hpp>
#include <cohort/run/run_profile.hpp>
#include <cohort/run/timeline.hpp>
#include <memory>
#include <optional>

namespace cohort::detail {

/// One rank's spans as events, in pieces. Times become microseconds of rank 0's clock since `zero`.
template <class Run> class TraceText {
 public:
  using Plan = typename Run::plan_type;
  using Spans = typename Timeline<Plan>::Spans;
  enum Stream : int { compute, communication };

  TraceText(const Run& run, std::int32_t first_step)
      : run_(run), first_step_(first_step), names_(unit_names<Plan>()) {}

  /// The earliest span that is written, on this rank's clock; the most of its type where there is none.
  std::int64_t first_begin() const {
    std::int64_t first = std::numeric_limits<std::int64_t>::max();
    for (const Stream stream : {compute, communication})
      for (std::size_t i = 0; i < track(stream).size(); ++i)
        if (wanted(track(stream)[i])) first = std::min(first, track(stream)[i].begin);
    return first;
  }
  /// Spans of the steps that are written which have been overwritten.
  std::uint64_t lost(Stream stream) const {
    const Spans& spans = track(stream);
    return spans.lost() > 0 && wanted(spans[0]) ? spans.lost() : 0;
  }
  void set_zero(std::int64_t zero) { zero_ = zero; }

  /// The next piece of the text; empty when all has been said.
  std::string next() {
    constexpr std::size_t enough = std::size_t{1} << 18;
    std::string text;
    const auto add = [&](const std::string& event) {
      (text += text.empty() ? "" : ",\n") += event;
    };
    if (at_ == 0 && stream_ == compute) add(heading());
    for (; stream_ <= communication; ++stream_, at_ = 0) {
      const auto stream = static_cast<Stream>(stream_);
      const Spans& spans = track(stream);
      for (; at_ < spans.size(); ++at_) {
        if (text.size() >= enough) return text;
        if (wanted(spans[at_])) add(event(spans[at_], stream));
      }
      if (const std::uint64_t n = lost(stream); n > 0) add(remark(n, stream, spans[0].begin));
    }
    return text;
  }

 private:
  const Spans& track(Stream s) const {
    return s == compute ? run_.timeline().compute() : run_.timeline().communication();
  }
  bool wanted(const StepSpan& s) const { return s.step >= first_step_; }
  double microseconds(std::int64_t ns) const { return 1e-3 * static_cast<double>(ns - zero_); }
  io::TracePlace place(Stream s) const { return {run_.rank(), s}; }

  std::string heading() const {
    namespace event = io::trace_event;
    return event::process({run_.rank(), 0}, "rank " + std::to_string(run_.rank())) + ",\n" +
           event::thread(place(compute), "compute") + ",\n" +
           event::thread(place(communication),
                         run_.has_worker() ? "communication" : "communication (inline)");
  }
  std::string remark(std::uint64_t lost, Stream stream, std::int64_t at) const {
    return io::trace_event::instant(
        std::to_string(lost) + " older spans were overwritten: Traced<max_spans> keeps the newest",
        place(stream), microseconds(at), io::json({{"lost_spans", lost}}));
  }
  std::string event(const StepSpan& s, Stream stream) const {
    return io::trace_event::complete(title(s), place(stream), microseconds(s.begin),
                                     1e-3 * static_cast<double>(s.end - s.begin), facts(s));
  }
  std::string title(const StepSpan& s) const {
    const std::string what(name(s.what));
    if (s.what == Activity::step) return what + " " + std::to_string(s.step);
    if (s.what == Activity::micro_batch) return what + " " + std::to_string(s.micro_batch);
    if (s.what == Activity::wait) return "wait for " + op_title(op_of(s));
    if (s.what == Activity::operation) return op_title(op_of(s));
    return s.number < 0 ? what : what + " " + names_[static_cast<std::size_t>(s.number)];
  }

  std::string facts(const StepSpan& s) const {
    if (s.what == Activity::step) return io::json({{"step", s.step}});
    if (s.what >= Activity::evaluation && s.what <= Activity::load)
      return io::json({{"after_step", s.step}});
    if (s.what == Activity::operation) return facts(s, op_of(s));
    if (s.number < 0 || s.what == Activity::wait)
      return io::json({{"step", s.step}, {"micro_batch", s.micro_batch}});
    const UnitInfo& unit = Plan::layout.units[static_cast<std::size_t>(s.number)];
    return io::json({{"step", s.step},
                     {"micro_batch", s.micro_batch},
                     {"unit", s.number},
                     {"group", Plan::groups.of[static_cast<std::size_t>(s.number)]},
                     {"parameters", unit.num_params},
                     {"elements", unit.size + unit.frozen_size}});
  }
  std::string facts(const StepSpan& s, const Op& op) const {
    const IssuedOp issued = Plan::issued(op, run_.size());
    return io::json({{"step", s.step},
                     {"micro_batch", s.micro_batch},
                     {"kind", name(op.kind)},
                     {"of", subject(op)},
                     {"id", op.id},
                     {"count", op.count},
                     {"dtype", name(op.dtype)},
                     {"bytes", op.count * bytes(op.dtype)},
                     {"ranks", issued.ranks},
                     {"issued_count", issued.count},
                     {"sent_bytes", wire_bytes(issued)}});
  }
  Op op_of(const StepSpan& s) const {
    return planned_op<Plan>(s.micro_batch, s.number, run_.size());
  }

  const Run& run_;
  std::int32_t first_step_;
  std::vector<std::string> names_;  // of units
  std::int64_t zero_ = 0;
  int stream_ = compute;
  std::size_t at_ = 0;
};

/// Calls take(text) on rank 0 for each rank's pieces, in the order of ranks. next() must not throw.
/// Collective.
template <class World, class Next, class Take>
void pass_to_rank_0(World& world, Next next, Take take) {
  std::vector<std::uint8_t> bytes;
  for (int r = 0; r < world.size(); ++r) {
    for (;;) {
      const std::string piece = r == world.rank() ? next() : std::string();
      auto length = static_cast<std::int64_t>(piece.size());
      world.broadcast(&length, std::size_t{1}, r);
      if (length == 0) break;
      bytes.assign(piece.begin(), piece.end());
      bytes.resize(static_cast<std::size_t>(length));
      world.broadcast(bytes.data(), bytes.size(), r);
      if (world.rank() == 0)
        take(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
  }
}

/// The body of write_trace().
template <class Run> struct TraceFile {
  static void write(Run& run, const std::string& file, const TraceOptions& options) {
    auto& world = run.world_;
    std::optional<io::TraceWriter> writer;
    together(world, "write_trace", [&] {
      if (world.rank() == 0) writer.emplace(file);
    });
    const auto offsets = clock_offsets(world, [] { return monotonic_ns(); });
    const ClockOffset& mine = offsets[static_cast<std::size_t>(world.rank())];
    const auto first_step =
        options.steps > 0 ? static_cast<std::int32_t>(run.steps_done() - options.steps + 1) : 0;
    TraceText<Run> text(run, first_step);
    const Sums sums = agree(world, text, mine.ahead);
    text.set_zero(sums.zero + mine.ahead);

    std::exception_ptr failed;  // whatever fails here, ranks go on to the end together
    const auto attempt = [&](auto f) {
      try {
        if (!failed) f();
      } catch (...) {
        failed = std::current_exception();
      }
    };
    const auto next = [&] {
      std::string piece;
      attempt([&] { piece = text.next(); });
      return piece;
    };
    pass_to_rank_0(world, next,
                   [&](std::string_view piece) { attempt([&] { writer->events(piece); }); });
    raise_together(world, "write_trace", failed);
    together(world, "write_trace", [&] {
      if (world.rank() == 0) writer->commit(facts(world.size(), offsets, sums));
    });
  }

 private:
  struct Sums {
    std::int64_t zero = std::numeric_limits<std::int64_t>::max();  // on rank 0's clock
    std::int64_t lost = 0;
  };
  template <class World>
  static Sums agree(World& world, const TraceText<Run>& text, std::int64_t ahead) {
    const std::int64_t first = text.first_begin();
    const std::int64_t mine[2] = {
        first == std::numeric_limits<std::int64_t>::max() ? first : first - ahead,
        static_cast<std::int64_t>(text.lost(TraceText<Run>::compute) +
                                  text.lost(TraceText<Run>::communication))};
    std::vector<std::int64_t> all(2 * static_cast<std::size_t>(world.size()));
    world.all_gather(static_cast<const std::int64_t*>(mine), all.data(), std::size_t{2});
    Sums sums;
    for (std::size_t at = 0; at < all.size(); at += 2) {
      sums.zero = std::min(sums.zero, all[at]);
      sums.lost += all[at + 1];
    }
    if (sums.zero == std::numeric_limits<std::int64_t>::max()) sums.zero = 0;
    return sums;
  }
  static std::string facts(int ranks, const std::vector<ClockOffset>& offsets, const Sums& sums) {
    std::int64_t error = 0;
    for (const ClockOffset& o : offsets) error = std::max(error, o.error);
    return io::json({{"ranks", ranks},
                     {"lost_spans", sums.lost},
                     {"clock_error_us", 1e-3 * static_cast<double>(error)}});
  }
};

}  // namespace cohort::detail
