// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/nccl_double/communicators.cpp: NCCL's functions, linked instead of libnccl.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <support/cuda_double/double.hpp>
#include <support/nccl_double/collectives.hpp>
#include <thread>

namespace cohort::nccl_double {

State& state() {
  static State all;
  return all;
}

namespace {

thread_local int group_depth = 0;
thread_local std::vector<std::pair<ncclComm*, std::function<ncclResult_t()>>> group;
thread_local std::vector<std::shared_ptr<ncclComm>> aborts;  // of the group
/// What each communicator sends and receives in the group.
thread_local std::vector<std::pair<ncclComm*, std::shared_ptr<Meeting::Part>>> exchanges;
thread_local ncclResult_t refused = ncclSuccess;  // a send or receive: the group ends with it

ncclResult_t misuse(const std::string& what) {
  cuda_double::report_failure("NCCL double: " + what);
  return ncclInvalidUsage;
}

/// A fault that the test asked for, once; under state().hosts.
ncclResult_t taken(std::map<std::string, ncclResult_t>& faults, const std::string& function) {
  const auto found = faults.find(function);
  if (found == faults.end()) return ncclSuccess;
  const ncclResult_t error = found->second;
  faults.erase(found);
  return error;
}
ncclResult_t asked_to_fail(const std::string& function) {
  const std::lock_guard lock(state().hosts);
  return taken(state().failures, function);
}
void asked_to_block(const std::string& function) {
  const auto asked = [&] {
    const std::lock_guard lock(state().hosts);
    return state().blocked.contains(function);
  };
  while (asked()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// Holds a communicator for one call, if that is allowed.
class Use {
 public:
  Use(ncclComm* comm, const char* function, bool may_be_in_progress) {
    const std::lock_guard lock(state().hosts);
    const auto found = state().comms.find(comm);
    if (found == state().comms.end() || found->second->dead) {
      result_ = misuse(std::string(function) + " on a communicator that has ended or never was");
      return;
    }
    comm_ = found->second;
    if (comm_->in_use.exchange(true)) {
      result_ = misuse(std::string(function) + ": two threads use one communicator");
      comm_.reset();
    } else if (comm_->stillborn && !may_be_in_progress) {
      result_ = misuse(std::string(function) + " on a communicator that did not form");
    } else if (comm_->pending && !may_be_in_progress) {
      misuse(std::string(function) + " while the last call is in progress");
      result_ = ncclInvalidArgument;
    }
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ~Use() {
    if (comm_) comm_->in_use.store(false);
  }
  ncclResult_t result() const { return result_; }
  const std::shared_ptr<ncclComm>& comm() const { return comm_; }

 private:
  std::shared_ptr<ncclComm> comm_;
  ncclResult_t result_ = ncclSuccess;
};

/// The call takes effect after some looks; effect() says ncclInProgress as long as it cannot.
ncclResult_t begin(ncclComm& comm, std::function<ncclResult_t()> effect) {
  comm.looks = state().polls.load();
  if (comm.looks == 0) {
    const ncclResult_t result = effect();
    if (result != ncclInProgress) return result;
  }
  comm.pending = std::move(effect);
  return ncclInProgress;
}

ncclResult_t look(ncclComm& comm) {
  const int fault = comm.async_error.load(std::memory_order_relaxed);
  if (fault != ncclSuccess) return static_cast<ncclResult_t>(fault);
  if (state().peers_hear.load() && comm.clique->broken_up.load() && !comm.finalized) {
    comm.last_error = "socket closed by a peer";
    return ncclRemoteError;
  }
  if (!comm.pending) return ncclSuccess;
  if (comm.looks > 0 && --comm.looks > 0) return ncclInProgress;
  const ncclResult_t result = comm.pending();
  if (result == ncclInProgress) return result;
  comm.pending = nullptr;
  if (result != ncclSuccess) comm.async_error.store(result, std::memory_order_relaxed);
  return result;
}

/// Adds this rank to the clique; at the end of the call all have come. Under state().hosts.
ncclResult_t formed(Clique& clique) {
  if (clique.arrived < clique.size) return ncclInProgress;
  return clique.formed;
}
void come(Clique& clique, int rank) {
  int gpu = 0;
  cudaGetDevice(&gpu);
  if (std::count(clique.gpus.begin(), clique.gpus.end(), gpu) > 0) clique.formed = ncclInvalidUsage;
  clique.gpus[static_cast<std::size_t>(rank)] = gpu;
  ++clique.arrived;
}

std::shared_ptr<ncclComm> enlist(std::shared_ptr<Clique> clique, int rank) {
  auto comm = std::make_shared<ncclComm>();
  comm->clique = std::move(clique);
  comm->rank = rank;
  state().comms[comm.get()] = comm;
  ++state().live;
  return comm;
}

/// A call of the communicator in a graph, as long as the graph or a replay of it lives.
class InGraph {
 public:
  explicit InGraph(std::shared_ptr<ncclComm> comm) : comm_(std::move(comm)) {
    comm_->in_graphs.fetch_add(1, std::memory_order_relaxed);
  }
  InGraph(const InGraph&) = delete;
  InGraph& operator=(const InGraph&) = delete;
  ~InGraph() { comm_->in_graphs.fetch_sub(1, std::memory_order_relaxed); }

 private:
  std::shared_ptr<ncclComm> comm_;
};

bool unused(const ncclComm& comm) {
  return comm.in_flight.load(std::memory_order_relaxed) <= 0 &&
         comm.in_graphs.load(std::memory_order_relaxed) == 0;
}
/// How long kernels that stand in the way may take; ThreadSanitizer's take milliseconds each to begin.
#if defined(__has_feature)
#define COHORT_HAS_TSAN __has_feature(thread_sanitizer)
#elif defined(__SANITIZE_THREAD__)
#define COHORT_HAS_TSAN 1
#else
#define COHORT_HAS_TSAN 0
#endif
#if COHORT_HAS_TSAN
constexpr std::chrono::seconds patience(60);
#else
constexpr std::chrono::seconds patience(3);
#endif
/// Waits for what NCCL waits for before it frees a communicator: reports what would hold it for ever.
void await_unused(ncclComm& comm, const char* function) {
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (!unused(comm)) {
    if (std::chrono::steady_clock::now() > limit) {
      misuse(std::string(function) +
             (comm.in_graphs.load(std::memory_order_relaxed) > 0
                  ? " waits for ever for a graph that holds calls of the communicator"
                  : " waits for ever for a kernel: one of another communicator, or one on "
                    "symmetric memory that looks at no abort"));
      comm.given_up.store(true, std::memory_order_relaxed);
      return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(30));
  }
}
void finish_abort(ncclComm& comm) {
  await_unused(comm, "ncclCommAbort");
  const std::lock_guard lock(state().hosts);
  comm.dead = true;
  --state().live;
  ++state().aborted;
}

bool captures(cudaStream_t stream) {
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  cudaStreamIsCapturing(stream, &capture);
  return capture != cudaStreamCaptureStatusNone;
}

ncclResult_t enqueue(const std::shared_ptr<ncclComm>& comm, const Call& call,
                     const Meeting::Part& arrays) {
  const bool captured = captures(call.stream);
  const std::uint64_t number = comm->issued + 1;
  if (!captured) comm->issued = number;
  ncclResult_t fault = ncclSuccess;
  bool hangs = false;
  {
    const std::lock_guard lock(state().hosts);
    const Place place{call.size, call.rank, number};
    hangs = state().hangs.contains(place);
    const auto error = state().async_errors.find(place);
    if (error != state().async_errors.end()) fault = error->second;
  }
  const auto in_graph = captured ? std::make_shared<const InGraph>(comm) : nullptr;
  if (!captured) comm->in_flight.fetch_add(1, std::memory_order_relaxed);
  const auto task = [comm, call, arrays, issued = captured ? 0 : number, fault, hangs, in_graph] {
    work(*comm, call, arrays, issued, fault, hangs);
  };
  if (cuda_double::enqueue(call.stream, task) == cudaSuccess) return ncclSuccess;
  if (!captured) comm->in_flight.fetch_sub(1, std::memory_order_relaxed);
  return ncclUnhandledCudaError;
}

ncclResult_t collective(const char* function, std::size_t count, ncclDataType_t type,
                        ncclRedOp_t op, int root, const void* in, void* out, ncclComm_t handle,
                        cudaStream_t stream) {
  if (const ncclResult_t error = asked_to_fail(function); error != ncclSuccess) return error;
  const Use use(handle, function, false);
  if (use.result() != ncclSuccess) return use.result();
  const auto& comm = use.comm();
  if (root < 0 || root >= comm->clique->size || op != ncclSum) return ncclInvalidArgument;
  const std::size_t once = count * bytes_of(type);
  const std::size_t all = once * static_cast<std::size_t>(comm->clique->size);
  const std::string name(function);
  const auto known = [&](bool as_window) {
    return comm->knows(in, name == "ncclReduceScatter" ? all : once, as_window) &&
           comm->knows(out, name == "ncclAllGather" ? all : once, as_window);
  };
  const Call call{
      function, count,           type,         op,         root, comm->rank, comm->clique->size,
      stream,   group_depth > 0, known(false), known(true)};
  {
    const std::lock_guard lock(state().hosts);
    state().log.push_back(call);
  }
  if (count == 0) return ncclSuccess;
  const auto effect = [comm, call, in, out] { return enqueue(comm, call, {in, out}); };
  comm->captured = captures(stream) ? stream : nullptr;
  if (group_depth == 0) return begin(*comm, effect);
  group.emplace_back(handle, effect);
  return state().polls.load() > 0 ? ncclInProgress : ncclSuccess;
}

/// ncclSend or ncclRecv: all of a group on one communicator are one operation of its stream.
ncclResult_t transfer(const char* function, const Transfer& t, std::size_t count,
                      ncclDataType_t type, ncclComm_t handle, cudaStream_t stream) {
  if (const ncclResult_t error = asked_to_fail(function); error != ncclSuccess)
    return refused = error;
  if (group_depth == 0) return misuse(std::string(function) + " is offered in groups only");
  const Use use(handle, function, false);
  if (use.result() != ncclSuccess) return use.result();
  const auto& comm = use.comm();
  const int size = comm->clique->size;
  if (t.peer < 0 || t.peer >= size) return ncclInvalidArgument;
  {
    const void* array = t.sends ? t.from : t.to;
    const std::lock_guard lock(state().hosts);
    state().log.push_back({function, count, type, ncclSum, t.peer, comm->rank, size, stream, true,
                           comm->knows(array, t.bytes, false), comm->knows(array, t.bytes, true)});
  }
  auto at = std::find_if(exchanges.begin(), exchanges.end(),
                         [&](const auto& e) { return e.first == handle; });
  if (at == exchanges.end()) {
    const auto part = std::make_shared<Meeting::Part>();
    const Call all{transfers, 0, ncclUint8, ncclSum, 0, comm->rank, size, stream, true};
    group.emplace_back(handle, [comm, all, part] { return enqueue(comm, all, *part); });
    at = exchanges.insert(exchanges.end(), {handle, part});
    comm->captured = captures(stream) ? stream : nullptr;
  }
  at->second->transfers.push_back(t);
  return state().polls.load() > 0 ? ncclInProgress : ncclSuccess;
}

}  // namespace

void reset() {
  const std::lock_guard lock(state().hosts);
  for (auto& [handle, comm] : state().comms) {
    if (!comm->dead) cuda_double::report_failure("NCCL double: reset with a live communicator");
  }
  state().comms.clear();
  state().forming.clear();
  state().log.clear();
  state().hangs.clear();
  state().async_errors.clear();
  state().failures.clear();
  state().late_failures.clear();
  state().live = state().destroyed = state().aborted = 0;
  state().polls = 2;
  state().peers_hear = false;
  state().blocked.clear();
  state().version = NCCL_VERSION_CODE;
  state().registration = Registration::windows;
}
void set_polls(int looks) { state().polls = looks; }
void set_peers_hear(bool on) { state().peers_hear = on; }
void set_version(int code) { state().version = code; }
void set_registration(Registration most) { state().registration = most; }
void block(const std::string& function) {
  const std::lock_guard lock(state().hosts);
  state().blocked.insert(function);
}
void hang(int size, int rank, std::uint64_t number) {
  const std::lock_guard lock(state().hosts);
  state().hangs.insert({size, rank, number});
}
void break_async(int size, int rank, std::uint64_t number, ncclResult_t error) {
  const std::lock_guard lock(state().hosts);
  state().async_errors[{size, rank, number}] = error;
}
void fail(const std::string& function, ncclResult_t error) {
  const std::lock_guard lock(state().hosts);
  state().failures[function] = error;
}
void fail_later(const std::string& function, ncclResult_t error) {
  const std::lock_guard lock(state().hosts);
  state().late_failures[function] = error;
}
int live() {
  const std::lock_guard lock(state().hosts);
  return state().live;
}
int live_memory() {
  const std::lock_guard lock(state().hosts);
  return static_cast<int>(state().memory.size());
}
int destroyed() {
  const std::lock_guard lock(state().hosts);
  return state().destroyed;
}
int aborted() {
  const std::lock_guard lock(state().hosts);
  return state().aborted;
}
std::vector<Call> calls(int size, int rank) {
  const std::lock_guard lock(state().hosts);
  std::vector<Call> found;
  for (const Call& call : state().log) {
    if (call.size == size && call.rank == rank) found.push_back(call);
  }
  return found;
}

}  // namespace cohort::nccl_double

using namespace cohort::nccl_double;

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = state().version;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  constexpr const char* texts[] = {"no error",
                                   "unhandled cuda error",
                                   "unhandled system error",
                                   "internal error",
                                   "invalid argument",
                                   "invalid usage",
                                   "remote process exited or there was a network error",
                                   "NCCL operation in progress"};
  return result < ncclNumResults ? texts[result] : "unknown result code";
}

const char* ncclGetLastError(ncclComm_t comm) {
  return comm == nullptr ? "" : comm->last_error.c_str();
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  if (const auto error = asked_to_fail(__func__); error != ncclSuccess) return error;
  std::memset(id, 0, sizeof *id);
  const char* at = std::getenv("NCCL_COMM_ID");
  const std::lock_guard lock(state().hosts);
  const std::string text = at != nullptr ? at : "id " + std::to_string(++state().next_id);
  std::memcpy(id->internal, text.data(), std::min(text.size(), sizeof id->internal - 1));
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* out, int nranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (const auto error = asked_to_fail(__func__); error != ncclSuccess) return error;
  if (nranks < 1 || rank < 0 || rank >= nranks) return ncclInvalidArgument;
  if (config == nullptr || config->magic != 0xcafebeef || config->blocking != 0)
    return misuse("only communicators that do not block are offered");
  if (group_depth > 0) return misuse("a communicator cannot form within a group of collectives");
  const std::string name(id.internal);
  std::unique_lock lock(state().hosts);
  auto& clique = state().forming[name];
  if (!clique) clique = std::make_shared<Clique>(nranks);
  if (clique->size != nranks || clique->gpus[static_cast<std::size_t>(rank)] != -1)
    return ncclInvalidUsage;
  come(*clique, rank);
  const auto comm = enlist(clique, rank);
  *out = comm.get();
  if (clique->arrived == nranks) state().forming.erase(name);
  lock.unlock();
  return begin(*comm, [&comm = *comm] {
    const std::lock_guard again(state().hosts);
    const ncclResult_t result = formed(*comm.clique);
    if (result == ncclInvalidUsage) comm.last_error = "Duplicate GPU detected";
    return result;
  });
}

ncclResult_t ncclCommSplit(ncclComm_t handle, int color, int key, ncclComm_t* out,
                           ncclConfig_t* config) {
  if (const auto error = asked_to_fail(__func__); error != ncclSuccess) return error;
  const Use use(handle, __func__, false);
  if (use.result() != ncclSuccess) return use.result();
  if (config == nullptr || config->blocking != 0)
    return misuse("ncclCommSplit: a group would block");
  if (color < 0) return misuse("ncclCommSplit: NCCL_SPLIT_NOCOLOR is not offered");
  const auto& comm = use.comm();
  const std::uint64_t number = ++comm->splits;
  {
    const std::lock_guard lock(state().hosts);
    auto& split = comm->clique->splits[number];
    split.moves.resize(static_cast<std::size_t>(comm->clique->size));
    split.moves[static_cast<std::size_t>(comm->rank)] = {color, key};
    ++split.arrived;
    if (const auto error = taken(state().late_failures, __func__); error != ncclSuccess)
      split.formed = error;
  }
  *out = nullptr;
  const ncclResult_t begun = begin(*comm, [parent = comm.get(), number, color, out] {
    const std::lock_guard lock(state().hosts);
    auto& split = parent->clique->splits[number];
    if (split.arrived < parent->clique->size) return ncclInProgress;
    if (*out != nullptr) return split.formed;
    std::vector<std::pair<int, int>> members;  // key, rank
    for (int r = 0; r < parent->clique->size; ++r) {
      const auto& [theirs, key] = split.moves[static_cast<std::size_t>(r)];
      if (theirs == color) members.emplace_back(key, r);
    }
    std::sort(members.begin(), members.end());
    auto& group_of_color = split.groups[color];
    if (!group_of_color)
      group_of_color = std::make_shared<Clique>(static_cast<int>(members.size()));
    const auto self =
        std::pair(split.moves[static_cast<std::size_t>(parent->rank)].second, parent->rank);
    const auto place = std::find(members.begin(), members.end(), self) - members.begin();
    come(*group_of_color, static_cast<int>(place));
    const auto child = enlist(group_of_color, static_cast<int>(place));
    child->stillborn = split.formed != ncclSuccess;
    *out = child.get();
    // The child is handed out a moment before the parent is done.
    return state().polls.load() > 0 ? ncclInProgress : split.formed;
  });
  return begun == ncclInProgress ? ncclSuccess : begun;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t* error) {
  if (const auto fault = asked_to_fail(__func__); fault != ncclSuccess) return fault;
  const Use use(handle, __func__, true);
  if (use.result() != ncclSuccess) return use.result();
  *error = look(*use.comm());
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t handle) {
  if (const auto error = asked_to_fail(__func__); error != ncclSuccess) return error;
  const Use use(handle, __func__, false);
  if (use.result() != ncclSuccess) return use.result();
  use.comm()->finalized = true;
  return begin(*use.comm(),
               [comm = use.comm().get()] { return unused(*comm) ? ncclSuccess : ncclInProgress; });
}

ncclResult_t ncclCommDestroy(ncclComm_t handle) {
  const Use use(handle, __func__, false);
  if (use.result() != ncclSuccess) return use.result();
  if (!use.comm()->finalized || use.comm()->in_flight.load(std::memory_order_relaxed) > 0)
    misuse("ncclCommDestroy before ncclCommFinalize was done");
  if (!use.comm()->memory.empty()) misuse("ncclCommDestroy with memory that is registered");
  asked_to_block(__func__);
  const std::lock_guard lock(state().hosts);
  use.comm()->dead = true;
  --state().live;
  ++state().destroyed;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t handle) {
  const Use use(handle, __func__, true);
  if (use.comm() == nullptr) return use.result();
  ncclComm& comm = *use.comm();
  comm.aborted.store(true, std::memory_order_relaxed);
  comm.clique->broken_up.store(true);
  if (comm.pending && comm.finalized)  // the thread that finalizes is joined at once
    await_unused(comm, "ncclCommAbort of a communicator that is being finalized");
  if (comm.pending && comm.captured != nullptr && !captures(comm.captured))
    misuse("ncclCommAbort while a call is being added to a graph whose capture has ended");
  comm.pending = nullptr;
  if (group_depth > 0)
    aborts.push_back(use.comm());
  else {
    asked_to_block(__func__);
    finish_abort(comm);
  }
  return ncclSuccess;
}

ncclResult_t ncclCommUserRank(const ncclComm_t handle, int* rank) {
  const Use use(handle, __func__, false);
  if (use.result() == ncclSuccess) *rank = use.comm()->rank;
  return use.result();
}
ncclResult_t ncclCommCount(const ncclComm_t handle, int* count) {
  const Use use(handle, __func__, false);
  if (use.result() == ncclSuccess) *count = use.comm()->clique->size;
  return use.result();
}

ncclResult_t ncclMemAlloc(void** out, size_t bytes) {
  if (const auto error = asked_to_fail(__func__); error != ncclSuccess) return error;
  if (cudaMalloc(out, bytes) != cudaSuccess) return ncclUnhandledCudaError;
  const std::lock_guard lock(state().hosts);
  state().memory[*out] = bytes;
  return ncclSuccess;
}
ncclResult_t ncclMemFree(void* at) {
  {
    const std::lock_guard lock(state().hosts);
    if (state().memory.erase(at) == 0) return misuse("ncclMemFree of other memory");
    for (const auto& [handle, comm] : state().comms)
      for (const auto& [registered, memory] : comm->memory)
        if (!comm->dead && memory.begin == at) misuse("ncclMemFree of memory that is registered");
  }
  if (cohort::cuda_double::busy()) misuse("ncclMemFree while work may use the memory");
  return cudaFree(at) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}
ncclResult_t ncclCommWindowRegister(ncclComm_t handle, void* at, size_t bytes, ncclWindow_t* out,
                                    int flags) {
  if (const auto error = asked_to_fail(__func__); error != ncclSuccess) return error;
  const Use use(handle, __func__, false);
  if (use.result() != ncclSuccess) return use.result();
  if (flags != NCCL_WIN_COLL_SYMMETRIC) return misuse("only symmetric windows are offered");
  const auto& comm = use.comm();
  *out = nullptr;
  if (state().registration.load() != Registration::windows) return ncclSuccess;
  const std::uint64_t number = ++comm->registered;
  {
    const std::lock_guard lock(state().hosts);
    const auto found = state().memory.find(at);
    if (found == state().memory.end() || bytes > found->second)
      return misuse("ncclCommWindowRegister of other memory than ncclMemAlloc's");
    auto& meeting = comm->clique->registrations[number];
    if (meeting.arrived++ == 0) meeting.bytes = bytes;
    if (meeting.bytes != bytes) misuse("ranks register different numbers of bytes");
  }
  const ncclResult_t begun = begin(*comm, [comm = comm.get(), number, at, bytes, out] {
    const std::lock_guard lock(state().hosts);
    if (comm->clique->registrations[number].arrived < comm->clique->size) return ncclInProgress;
    *out = reinterpret_cast<ncclWindow_t>(number);
    comm->memory[*out] = {static_cast<const char*>(at), bytes, true};
    return ncclSuccess;
  });
  return begun == ncclInProgress ? ncclSuccess : begun;
}
ncclResult_t ncclCommWindowDeregister(ncclComm_t handle, ncclWindow_t window) {
  const Use use(handle, __func__, false);
  if (use.result() != ncclSuccess) return use.result();
  asked_to_block(__func__);
  const std::lock_guard lock(state().hosts);
  if (use.comm()->memory.erase(window) == 0) return misuse("a window that is not there");
  return ncclSuccess;
}
// Local: no rank waits for another. (NCCL waits where a collective uses the memory for the first time.)
ncclResult_t ncclCommRegister(const ncclComm_t handle, void* at, size_t bytes, void** out) {
  if (const auto error = asked_to_fail(__func__); error != ncclSuccess) return error;
  const Use use(handle, __func__, false);
  if (use.result() != ncclSuccess) return use.result();
  *out = nullptr;
  if (state().registration.load() == Registration::none) return ncclSuccess;
  const std::lock_guard lock(state().hosts);
  const auto found = state().memory.find(at);
  if (found == state().memory.end() || bytes > found->second)
    return misuse("ncclCommRegister of other memory than ncclMemAlloc's");
  *out = reinterpret_cast<void*>(++use.comm()->registered);
  use.comm()->memory[*out] = {static_cast<const char*>(at), bytes, false};
  return ncclSuccess;
}
ncclResult_t ncclCommDeregister(const ncclComm_t handle, void* registered) {
  const Use use(handle, __func__, false);
  if (use.result() != ncclSuccess) return use.result();
  asked_to_block(__func__);
  const std::lock_guard lock(state().hosts);
  if (registered != nullptr && use.comm()->memory.erase(registered) == 0)
    return misuse("a buffer that is not registered");
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* in, void* out, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return collective(__func__, count, type, op, 0, in, out, comm, stream);
}
ncclResult_t ncclReduceScatter(const void* in, void* out, size_t count, ncclDataType_t type,
                               ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return collective(__func__, count, type, op, 0, in, out, comm, stream);
}
ncclResult_t ncclAllGather(const void* in, void* out, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  return collective(__func__, count, type, ncclSum, 0, in, out, comm, stream);
}
ncclResult_t ncclBroadcast(const void* in, void* out, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return collective(__func__, count, type, ncclSum, root, in, out, comm, stream);
}

ncclResult_t ncclSend(const void* from, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  const Transfer t{true, peer, count * bytes_of(type), from, nullptr};
  return transfer(__func__, t, count, type, comm, stream);
}
ncclResult_t ncclRecv(void* to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  const Transfer t{false, peer, count * bytes_of(type), nullptr, to};
  return transfer(__func__, t, count, type, comm, stream);
}

ncclResult_t ncclGroupStart() {
  ++group_depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (group_depth == 0) return misuse("ncclGroupEnd without ncclGroupStart");
  if (--group_depth > 0) return ncclSuccess;
  if (const auto ended = std::exchange(aborts, {}); !ended.empty()) {
    if (!group.empty()) misuse("aborts and collectives in one group");
    group.clear();
    exchanges.clear();
    asked_to_block("ncclCommAbort");
    for (const auto& comm : ended) finish_abort(*comm);
    return ncclSuccess;
  }
  auto error = std::exchange(refused, ncclSuccess);
  if (error == ncclSuccess) error = asked_to_fail(__func__);
  const auto calls = std::exchange(group, {});
  exchanges.clear();
  if (error != ncclSuccess) return error;
  std::vector<ncclComm*> comms;
  for (const auto& call : calls) {
    if (std::count(comms.begin(), comms.end(), call.first) == 0) comms.push_back(call.first);
  }
  ncclResult_t result = ncclSuccess;
  for (ncclComm* handle : comms) {
    const Use use(handle, __func__, false);
    if (use.result() != ncclSuccess) return use.result();
    const ncclResult_t begun = begin(*use.comm(), [handle, calls] {
      ncclResult_t last = ncclSuccess;
      for (const auto& [comm, effect] : calls) {
        if (const auto r = comm == handle ? effect() : ncclSuccess; r != ncclSuccess) last = r;
      }
      return last;
    });
    if (begun != ncclSuccess) result = begun;
  }
  return result;
}
}
