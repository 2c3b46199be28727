// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/state.hpp: what the double's files share: streams, events, captures, counts.
#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <support/cuda_double/double.hpp>
#include <support/cuda_double/queue.hpp>
#include <thread>
#include <unordered_set>
#include <vector>

namespace cohort::cuda_double {

/// A point that a stream will pass once.
struct Marker {
  Flag passed;
  std::int64_t nanoseconds = 0;  // when; read after `passed`
};

struct Node {
  std::function<void()> work;
  std::vector<std::size_t> after;  // earlier nodes
};

/// A capture in progress: the graph so far, and the streams that take part.
struct Capture {
  cudaStream_t origin = nullptr;
  cudaStreamCaptureMode mode{};
  std::thread::id thread;
  std::vector<Node> nodes;
  std::set<cudaStream_t> streams;
  bool valid = true;
};

}  // namespace cohort::cuda_double

struct CUstream_st {
  explicit CUstream_st(int on_device, unsigned with_flags, int with_priority);
  ~CUstream_st();
  void push(std::function<void()> work) { queue.push(std::move(work)); }
  void end();  // after what is queued

  int device, priority;
  unsigned flags;
  bool alive = true;
  std::shared_ptr<cohort::cuda_double::Capture>
      capture;  // in progress, with what comes next after:
  std::vector<std::size_t> front;
  std::atomic<std::int64_t> delay_us{0};
  cohort::cuda_double::TaskQueue queue;

 private:
  void work();
  std::thread worker_;
};

struct CUevent_st {
  int device = 0;
  bool timing = false, alive = true;
  std::deque<cohort::cuda_double::Marker> markers;  // one per record, so that each is passed once
  cohort::cuda_double::Marker* last = nullptr;      // the last record, or:
  std::shared_ptr<cohort::cuda_double::Capture> captured;
  std::vector<std::size_t> front;
};

struct CUgraph_st {
  std::vector<cohort::cuda_double::Node> nodes;
};

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<cohort::cuda_double::Node>> nodes;
};

namespace cohort::cuda_double {

/// Only the program's threads lock it: work on streams never does, so that it orders no streams.
struct State {
  std::mutex mutex;
  std::list<CUstream_st> streams;  // destroyed ones stay, as closed books: handles never repeat
  std::list<CUevent_st> events;
  std::unordered_set<const void*> handles;  // of both, dead or alive
  std::set<std::shared_ptr<Capture>> captures;
  std::map<std::string, int, std::less<>> calls;
  struct Fault {
    int nth, error;
  };
  std::multimap<std::string, Fault, std::less<>> faults;
  std::vector<Record> log;
  bool records = false;
};
State& state();

int current_device();
bool on_stream_worker();
/// Remembers a returned error for cudaGetLastError().
cudaError_t returned(cudaError_t error);
/// The error that every call returns after a mistake on a stream.
cudaError_t failure();
cudaStream_t named(cudaStream_t stream);  // cudaStreamLegacy is nullptr
bool is_alive(cudaStream_t stream);       // with the mutex held, as the next ones
bool is_alive(cudaEvent_t event);
/// Calls that CUDA refuses while a capture is going on: cudaSuccess, or what it returns. Spoils the capture.
cudaError_t refused_in_capture();
cudaError_t refused_in_capture(cudaStream_t stream);  // a call that looks at this stream
cudaError_t refused_on_default_stream();
/// A call that looks at a whole GPU: no mode allows it while a stream of it is captured (CUDA C++ Programming
/// Guide, prohibited and unhandled operations).
cudaError_t refused_on_device();
/// A stream waits, with the mutex held, for an event that was recorded in a capture: it takes part.
cudaError_t join_capture(cudaStream_t stream, cudaEvent_t event);
void leave(std::shared_ptr<Capture> capture);  // ends it, with the mutex held
/// Waits for all work of the streams that a call on the default stream waits for, or of all.
void drain(int device, bool blocking_only);

}  // namespace cohort::cuda_double

/// Counts the call, and returns early when a test or an earlier mistake says so.
#define COHORT_DOUBLE_ENTER()                                    \
  if (const int error_ = cohort::cuda_double::entered(__func__)) \
  return cohort::cuda_double::returned(static_cast<cudaError_t>(error_))
