// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/gpu/trace.hpp: when a rank's compute and communication streams did what: spans between CUDA events.
#pragma once
#include <algorithm>
#include <cohort/comm/threads.hpp>
#include <cohort/cuda.hpp>
#include <cohort/io/trace.hpp>
#include <string>
#include <vector>

namespace bench {

using namespace cohort;

/// One rank's spans. Compute is cut by marks, each ends what the last began; collectives are spans of
/// their own. Used by the rank's thread; off, it notes the compute stream and nothing else.
class Tracer {
 public:
  enum Row : int { compute, communication };
  struct Span {
    std::string name;
    Row row;
    cuda::Event begin{cuda::Event::Timing::yes}, end{cuda::Event::Timing::yes};
    double from_us = 0, to_us = 0;
  };

  /// The rank's tracer: layers and communicators find it here.
  static Tracer& mine() {
    thread_local Tracer one;
    return one;
  }

  void start() { spans_.clear(), open_ = -1, on_ = true; }
  void mark(const std::string& name, cudaStream_t stream) {
    compute_ = stream;
    if (!on_) return;
    if (open_ >= 0) spans_[static_cast<std::size_t>(open_)].end.record(stream);
    open_ = static_cast<int>(spans_.size());
    begin(name, compute, stream);
  }
  void mark(const std::string& name) { mark(name, compute_); }
  template <class F> void collective(const std::string& name, cudaStream_t stream, F f) {
    const std::size_t at = spans_.size();
    if (on_) begin(name, communication, stream);
    f();
    if (on_) spans_[at].end.record(stream);
  }
  /// Ends the last mark.
  void stop() {
    if (open_ >= 0) spans_[static_cast<std::size_t>(open_)].end.record(compute_);
    on_ = false;
  }
  cudaStream_t compute_stream() const { return compute_; }
  /// Waits for the streams. Microseconds from `base`, which was recorded on the same GPU.
  const std::vector<Span>& measure(const cuda::Event& base) {
    for (Span& s : spans_) {
      s.end.synchronize();
      s.from_us = 1e3 * double(s.begin.milliseconds_since(base));
      s.to_us = 1e3 * double(s.end.milliseconds_since(base));
    }
    return spans_;
  }

 private:
  void begin(const std::string& name, Row row, cudaStream_t stream) {
    spans_.push_back({name, row});
    spans_.back().begin.record(stream);
  }

  bool on_ = false;
  cudaStream_t compute_ = nullptr;
  int open_ = -1;
  std::vector<Span> spans_;
};

/// L, marked in the trace: number i of its kind in forward, the same in backward.
template <class L> struct Marked : L {
  template <class Ctx, class P, class X> static auto forward(Ctx& ctx, const P& p, X x) {
    mark(ctx, "forward of a block");
    const auto out = L::forward(ctx, p, x);
    mark(ctx, "head and loss");
    return out;
  }
  template <class Ctx, class P, class S, class D, class G>
  static auto backward(Ctx& ctx, const P& p, const S& saved, D dy, const G& g) {
    mark(ctx, "backward of a block");
    const auto dx = L::backward(ctx, p, saved, dy, g);
    mark(ctx, "embedding, norm, update");
    return dx;
  }

 private:
  static void mark(const auto& ctx, const char* name) {
    if constexpr (requires { ctx.device().stream; }) Tracer::mine().mark(name, ctx.device().stream);
  }
};

/// Threads' ranks on one GPU, whose collectives are in the trace.
class TracedComm : public SharedGpu {
 public:
  explicit TracedComm(SharedGpu comm) : SharedGpu(std::move(comm)) {}

  template <Summable T> void all_reduce(T* inout, std::size_t count) {
    traced("all_reduce", count * sizeof(T), [&] { SharedGpu::all_reduce(inout, count); });
  }
  template <Summable T> void reduce_scatter(const T* in, T* out, std::size_t count_per_rank) {
    traced("reduce_scatter", count_per_rank * sizeof(T),
           [&] { SharedGpu::reduce_scatter(in, out, count_per_rank); });
  }
  template <class T> void all_gather(const T* in, T* out, std::size_t count_per_rank) {
    traced("all_gather", count_per_rank * sizeof(T),
           [&] { SharedGpu::all_gather(in, out, count_per_rank); });
  }
  TracedComm split(int color, int key) { return TracedComm(SharedGpu::split(color, key)); }
  TracedComm duplicate() { return TracedComm(SharedGpu::duplicate()); }

 private:
  template <class F> void traced(const char* what, std::size_t bytes, F f) {
    Tracer::mine().collective(std::string(what) + " " + std::to_string(bytes) + " B", stream(), f);
  }
};

class TracedThreads : public Threads {
 public:
  explicit TracedThreads(Threads world) : Threads(std::move(world)) {}
  TracedComm on(cudaStream_t stream) {
    return TracedComm(SharedGpu(*this, Cuda{.stream = stream}));
  }
};

/// A rank's spans as Chrome's trace viewer and Perfetto read them: rank = process, stream = thread.
inline std::string chrome_events(const std::vector<Tracer::Span>& spans, int rank) {
  namespace event = io::trace_event;
  std::string text = event::process({rank, 0}, "rank " + std::to_string(rank)) + ",\n" +
                     event::thread({rank, Tracer::compute}, "compute") + ",\n" +
                     event::thread({rank, Tracer::communication}, "communication");
  for (const Tracer::Span& s : spans) {
    if (s.to_us - s.from_us < 1) continue;
    text += ",\n" + event::complete(s.name, {rank, s.row}, s.from_us, s.to_us - s.from_us);
  }
  return text;
}

/// When a rank began its collectives, in their order, which is the same on all ranks.
inline std::vector<double> begins_of_collectives(const std::vector<Tracer::Span>& spans) {
  std::vector<double> begins;
  for (const auto& s : spans)
    if (s.row == Tracer::communication) begins.push_back(s.from_us);
  return begins;
}

/// How much of the collectives of one step ran while blocks were computed. A collective runs from when the last rank
/// begins it: before that the others wait, which hides nothing.
struct Overlap {
  double step_us = 0, waits_us = 0, collectives_us = 0, hidden_us = 0;
};

/// begins: of all ranks, by one clock.
inline Overlap overlap_of(const std::vector<Tracer::Span>& spans,
                          const std::vector<std::vector<double>>& begins) {
  Overlap o;
  double begin = 1e300, end = 0;
  std::size_t number = 0;
  for (const auto& s : spans) {
    begin = std::min(begin, s.from_us), end = std::max(end, s.to_us);
    if (s.row != Tracer::communication) continue;
    double from = s.from_us;
    for (const auto& of_rank : begins) from = std::max(from, of_rank.at(number));
    from = std::min(from, s.to_us);
    ++number;
    o.waits_us += from - s.from_us;
    o.collectives_us += s.to_us - from;
    for (const auto& c : spans) {
      const bool block = c.row == Tracer::compute && c.name.find("of a block") != std::string::npos;
      if (block)
        o.hidden_us += std::max(0.0, std::min(s.to_us, c.to_us) - std::max(from, c.from_us));
    }
  }
  o.step_us = end - begin;
  return o;
}

}  // namespace bench
