// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/simulated_trace.hpp: a simulated step as a file for Perfetto and chrome://tracing.
#pragma once
#include <cohort/io/trace.hpp>
#include <cohort/plan/print.hpp>
#include <cohort/plan/simulate.hpp>
#include <cohort/plan/unit_names.hpp>
#include <filesystem>
#include <string>
#include <vector>

namespace cohort {

namespace detail {

/// Writes down what a simulation sees, in the words of traces of runs (run/trace_file.hpp).
template <class Plan> class SimulatedText {
 public:
  static constexpr int compute = 0, communication = 1;

  SimulatedText(Sizes sizes, std::string& text)
      : sizes_(sizes), text_(&text), names_(unit_names<Plan>()) {}

  void operator()(Activity what, int number, int micro_batch, double begin, double end) const {
    const int track = what == Activity::operation ? communication : compute;
    *text_ +=
        ",\n" + io::trace_event::complete(title(what, number, micro_batch), {0, track}, 1e6 * begin,
                                          1e6 * (end - begin), facts(what, number, micro_batch));
  }

 private:
  std::string title(Activity what, int number, int micro_batch) const {
    const std::string word(name(what));
    if (what == Activity::micro_batch) return word + " " + std::to_string(micro_batch);
    if (what == Activity::wait) return "wait for " + op_title(op_of(number, micro_batch));
    if (what == Activity::operation) return op_title(op_of(number, micro_batch));
    return number < 0 ? word : word + " " + names_[static_cast<std::size_t>(number)];
  }
  std::string facts(Activity what, int number, int micro_batch) const {
    if (what != Activity::operation) return io::json({{"micro_batch", micro_batch}});
    const IssuedOp issued = Plan::issued(op_of(number, micro_batch), sizes_.ranks);
    return io::json({{"micro_batch", micro_batch},
                     {"dtype", name(issued.dtype)},
                     {"ranks", issued.ranks},
                     {"issued_count", issued.count},
                     {"sent_bytes", wire_bytes(issued)}});
  }
  Op op_of(int number, int micro_batch) const {
    return planned_op<Plan>(micro_batch, number, sizes_.ranks);
  }

  Sizes sizes_;
  std::string* text_;
  std::vector<std::string> names_;
};

}  // namespace detail

/// Writes one step of one rank, as simulate() has it, with the tracks and names that a trace of a run has: the
/// two can be laid side by side. Open it at https://ui.perfetto.dev.
///
/// Errors   WriteFailed; InvalidInput as simulate().
template <class Model, class Loss, class Slots, class Device>
SimulatedStep write_simulated_trace(const std::filesystem::path& path,
                                    const Plan<Model, Loss, Slots, Device>&, Sizes s,
                                    const Cluster& cluster) {
  using P = Plan<Model, Loss, Slots, Device>;
  using Text = detail::SimulatedText<P>;
  namespace event = io::trace_event;
  std::string text = event::process({0, 0}, "simulated rank") + ",\n" +
                     event::thread({0, Text::compute}, "compute") + ",\n" +
                     event::thread({0, Text::communication}, "communication");
  const SimulatedStep step = detail::Simulation<P, Text>(s, cluster, Text(s, text))();
  io::TraceWriter writer(path);
  writer.events(text);
  writer.events(event::complete("step 1", {0, Text::compute}, 0, 1e6 * step.seconds));
  writer.commit(io::json({{"ranks", s.ranks}, {"lost_spans", 0}, {"clock_error_us", 0.0}}));
  return step;
}

}  // namespace cohort
