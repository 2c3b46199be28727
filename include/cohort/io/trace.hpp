// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/trace.hpp: traces as Perfetto and chrome://tracing read them, written whole or not at all.
#pragma once
#include <cohort/io/file.hpp>
#include <cohort/io/metrics.hpp>

namespace cohort::io {

/// Where an event is: a rank and one of its streams.
struct TracePlace {
  int process = 0, thread = 0;
};

/// Events of the Trace Event format as text, without the commas between them.
///
/// Units    times: microseconds, any zero.
/// Source   "Trace Event Format", events X (complete), i (instant) and M (metadata).
namespace trace_event {

namespace detail {
inline std::string event(std::string_view phase, std::string_view name, TracePlace at,
                         std::initializer_list<Field> more) {
  std::string out = json({{"ph", phase}, {"name", name}, {"pid", at.process}, {"tid", at.thread}});
  out.pop_back();
  if (more.size() > 0) out += ", " + json(more).substr(1, std::string::npos);
  if (more.size() == 0) out += '}';
  return out;
}
inline std::string with_args(std::string event, std::string_view args) {
  event.pop_back();
  return event.append(", \"args\": ").append(args) += '}';
}
}  // namespace detail

/// Something that lasted. `args` is a JSON object: json({...}).
inline std::string complete(std::string_view name, TracePlace at, double ts, double dur,
                            std::string_view args = "{}") {
  return detail::with_args(detail::event("X", name, at, {{"ts", ts}, {"dur", dur}}), args);
}
/// A remark at a point of a stream.
inline std::string instant(std::string_view name, TracePlace at, double ts,
                           std::string_view args = "{}") {
  return detail::with_args(detail::event("i", name, at, {{"ts", ts}, {"s", "t"}}), args);
}
/// What a process is called, and where it stands among the others.
inline std::string process(TracePlace at, std::string_view name) {
  return detail::with_args(detail::event("M", "process_name", at, {}), json({{"name", name}})) +
         ",\n" +
         detail::with_args(detail::event("M", "process_sort_index", at, {}),
                           json({{"sort_index", at.process}}));
}
/// The same of a thread.
inline std::string thread(TracePlace at, std::string_view name) {
  return detail::with_args(detail::event("M", "thread_name", at, {}), json({{"name", name}})) +
         ",\n" +
         detail::with_args(detail::event("M", "thread_sort_index", at, {}),
                           json({{"sort_index", at.thread}}));
}

}  // namespace trace_event

/// Owns a trace that is being written beside its place, and takes the place of the old one at the end.
/// Without commit() nothing is left of it.
///
/// Errors   WriteFailed. A failed trace leaves the file that was there.
class TraceWriter {
 public:
  explicit TraceWriter(const std::filesystem::path& path)
      : path_(path), temporary_(path.string() + ".tmp"), file_(File::to_write(temporary_)) {
    put("{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n");
  }
  TraceWriter(const TraceWriter&) = delete;
  TraceWriter& operator=(const TraceWriter&) = delete;
  ~TraceWriter() {
    std::error_code ignored;
    if (!committed_) std::filesystem::remove(temporary_, ignored);
  }

  /// Appends events, with a comma and a newline between one and the next.
  void events(std::string_view text) {
    if (text.empty()) return;
    if (any_) put(",\n");
    any_ = true;
    put(text);
  }
  /// `other` is a JSON object that viewers show as the trace's own facts.
  void commit(std::string_view other = "{}") {
    put("\n], \"otherData\": ");
    put(other);
    put("}\n");
    file_.sync();
    file_.close();
    move_to(temporary_, path_);
    committed_ = true;
    const std::filesystem::path parent = path_.parent_path();
    sync_directory(parent.empty() ? "." : parent);
  }

 private:
  void put(std::string_view text) {
    file_.write(size_, std::as_bytes(std::span(text)));
    size_ += text.size();
  }

  std::filesystem::path path_, temporary_;
  File file_;
  std::uint64_t size_ = 0;
  bool any_ = false, committed_ = false;
};

}  // namespace cohort::io
