// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/capture.cpp: work recorded from streams into graphs, and graphs run again.
#include <algorithm>
#include <support/cuda_double/state.hpp>

using namespace cohort::cuda_double;  // the file is nothing but its functions

namespace {
thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;
std::atomic<unsigned long long> last_flags{0};

/// May the calling thread make calls that could disturb this capture?
bool forbids(const Capture& capture) {
  if (capture.thread == std::this_thread::get_id()) {
    return capture.mode != cudaStreamCaptureModeRelaxed &&
           thread_mode != cudaStreamCaptureModeRelaxed;
  }
  return capture.mode == cudaStreamCaptureModeGlobal && thread_mode == cudaStreamCaptureModeGlobal;
}

/// Every node that the given ones come after, and they themselves.
std::vector<char> history(const std::vector<Node>& nodes, const std::vector<std::size_t>& of) {
  std::vector<char> in(nodes.size(), 0);
  for (const std::size_t node : of) in[node] = 1;
  for (std::size_t i = nodes.size(); i-- > 0;) {
    if (!in[i]) continue;
    for (const std::size_t before : nodes[i].after) in[before] = 1;
  }
  return in;
}
bool all_joined(const Capture& capture) {
  const auto seen = history(capture.nodes, capture.origin->front);
  for (const cudaStream_t stream : capture.streams) {
    for (const std::size_t node : stream->front) {
      if (!seen[node]) return false;
    }
  }
  return true;
}

/// In the order of the capture, or the latest of those that may run.
void run_graph(const std::vector<Node>& nodes, Order by) {
  if (by == Order::forward) {
    for (const Node& node : nodes) node.work();
    return;
  }
  std::vector<char> done(nodes.size(), 0);
  for (std::size_t left = nodes.size(); left > 0; --left) {
    for (std::size_t i = nodes.size(); i-- > 0;) {
      const auto& after = nodes[i].after;
      if (done[i] || !std::all_of(after.begin(), after.end(), [&](auto n) { return done[n]; }))
        continue;
      nodes[i].work();
      done[i] = 1;
      break;
    }
  }
}
}  // namespace

namespace cohort::cuda_double {

unsigned long long graph_flags() { return last_flags; }

cudaError_t refused_in_capture() {
  const std::lock_guard lock(state().mutex);
  cudaError_t error = cudaSuccess;
  for (const auto& capture : state().captures) {
    if (!forbids(*capture)) continue;
    capture->valid = false;
    error = cudaErrorStreamCaptureUnsupported;
  }
  return error;
}
cudaError_t refused_in_capture(cudaStream_t stream) {
  if (stream == nullptr) return refused_on_default_stream();
  const std::lock_guard lock(state().mutex);
  if (!is_alive(stream) || !stream->capture) return cudaSuccess;
  stream->capture->valid = false;
  return cudaErrorStreamCaptureUnsupported;
}
cudaError_t refused_on_device() {
  const std::lock_guard lock(state().mutex);
  cudaError_t error = cudaSuccess;
  for (const auto& capture : state().captures) {
    if (capture->origin->device != current_device()) continue;
    capture->valid = false;
    error = cudaErrorStreamCaptureUnsupported;
  }
  return error;
}
cudaError_t refused_on_default_stream() {
  const std::lock_guard lock(state().mutex);
  for (const auto& capture : state().captures) {
    for (const cudaStream_t stream : capture->streams) {
      if ((stream->flags & cudaStreamNonBlocking) != 0 || stream->device != current_device())
        continue;
      capture->valid = false;
      return cudaErrorStreamCaptureImplicit;
    }
  }
  return cudaSuccess;
}

void leave(std::shared_ptr<Capture> capture) {
  for (const cudaStream_t stream : capture->streams) {
    stream->capture.reset();
    stream->front.clear();
  }
  state().captures.erase(capture);
}

cudaError_t join_capture(cudaStream_t stream, cudaEvent_t event) {
  const auto& capture = event->captured;
  if (!state().captures.contains(capture)) return cudaErrorCapturedEvent;  // it has ended
  if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
  if (stream == nullptr) return capture->valid = false, cudaErrorStreamCaptureImplicit;
  if (stream->capture && stream->capture != capture) {
    stream->capture->valid = capture->valid = false;
    return cudaErrorStreamCaptureMerge;
  }
  stream->capture = capture;
  capture->streams.insert(stream);
  for (const std::size_t node : event->front) {
    if (std::find(stream->front.begin(), stream->front.end(), node) == stream->front.end()) {
      stream->front.push_back(node);
    }
  }
  return cudaSuccess;
}

}  // namespace cohort::cuda_double

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  COHORT_DOUBLE_ENTER();
  const std::lock_guard lock(state().mutex);
  if (named(stream) == nullptr) return returned(cudaErrorStreamCaptureUnsupported);
  if (!is_alive(stream)) return returned(cudaErrorInvalidResourceHandle);
  if (stream->capture) return returned(cudaErrorIllegalState);
  auto capture = std::make_shared<Capture>();
  capture->origin = stream;
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->streams = {stream};
  stream->capture = capture;
  stream->front.clear();
  state().captures.insert(std::move(capture));
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  COHORT_DOUBLE_ENTER();
  const std::lock_guard lock(state().mutex);
  *graph = nullptr;
  if (!is_alive(stream)) return returned(cudaErrorInvalidResourceHandle);
  if (!stream->capture) return returned(cudaErrorIllegalState);
  const auto capture = stream->capture;
  if (capture->origin != stream) {
    capture->valid = false;
    return returned(cudaErrorStreamCaptureUnmatched);
  }
  if (capture->mode != cudaStreamCaptureModeRelaxed &&
      capture->thread != std::this_thread::get_id()) {
    return returned(cudaErrorStreamCaptureWrongThread);
  }
  const bool joined = all_joined(*capture);
  leave(capture);
  auto nodes = std::exchange(capture->nodes, {});  // whatever they hold is let go with the graph
  if (!capture->valid) return returned(cudaErrorStreamCaptureInvalidated);
  if (!joined) return returned(cudaErrorStreamCaptureUnjoined);
  *graph = new CUgraph_st{std::move(nodes)};
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  COHORT_DOUBLE_ENTER();
  *status = cudaStreamCaptureStatusNone;
  if (named(stream) == nullptr) return returned(refused_on_default_stream());
  const std::lock_guard lock(state().mutex);
  if (!is_alive(stream)) return returned(cudaErrorInvalidResourceHandle);
  if (stream->capture) {
    *status =
        stream->capture->valid ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusInvalidated;
  }
  return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, thread_mode);
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long flags) {
  COHORT_DOUBLE_ENTER();
  last_flags = flags;
  if (exec == nullptr || graph == nullptr) return returned(cudaErrorInvalidValue);
  *exec = new CUgraphExec_st{std::make_shared<const std::vector<Node>>(graph->nodes)};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  COHORT_DOUBLE_ENTER();
  if (exec == nullptr) return returned(cudaErrorInvalidValue);
  return enqueue(stream, [nodes = exec->nodes] { run_graph(*nodes, order()); });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  COHORT_DOUBLE_ENTER();
  if (graph == nullptr || nodes != nullptr) return returned(cudaErrorInvalidValue);  // counts only
  *count = graph->nodes.size();
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const int error = entered(__func__);
  delete graph;
  return returned(static_cast<cudaError_t>(error));
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  const int error = entered(__func__);
  delete exec;
  return returned(static_cast<cudaError_t>(error));
}

}  // extern "C"
