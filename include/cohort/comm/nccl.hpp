// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl.hpp: ranks with a GPU each, as processes of a launcher or threads of one process.
#pragma once
#include <cohort/comm/failure_report.hpp>
#include <cohort/comm/nccl_bootstrap.hpp>
#include <cohort/comm/nccl_stream.hpp>
#include <cohort/core/function_ref.hpp>
#include <cohort/device/cuda/context.hpp>
#include <cohort/device/traits.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace cohort {

/// One rank's handle on a world of GPUs, one GPU a rank. Its collectives take host memory and return
/// when they are done: they are for control data, a few numbers now and then. Tensors on the GPU go
/// through on(stream), which shares this rank's one communicator. Move-only; all handles of a rank are
/// used by one host thread, whose current GPU is gpu().
///
/// Shapes   count and count_per_rank are elements. all_gather: in may be this rank's own part of out.
/// Comm     every collective is an all_gather of messages of 512 bytes, each with the call that its
///          rank made; longer arrays follow in pieces. Sums are formed on the host in the tree of
///          comm/sum.hpp: the same bits on every rank, and the same as on Threads.
/// Cost     short arrays: two copies, one ncclAllGather and one wait. all_reduce of n bytes moves n
///          from each rank to each. No allocation but in split and duplicate.
/// Errors   Mismatch (ranks make different calls here; nothing was written), PeerFailed, Timeout and
///          Error as NcclStream. InvalidInput: bad root, negative color.
/// Laws     tests/comm/nccl_test.cpp.
class Nccl {
 public:
  using device = Cuda;

  Nccl(Nccl&&) noexcept = default;
  Nccl& operator=(Nccl&&) noexcept = default;

  int rank() const { return control_.rank(); }
  int size() const { return control_.size(); }
  /// The ordinal of this rank's GPU among those that its process sees.
  int gpu() const { return control_.domain().gpu(); }
  bool spins() const { return false; }
  /// Collectives on device memory, queued on the stream. Not collective: no communicator is made, and
  /// calls here and there must come in the same order on all ranks, as in one program they do.
  NcclStream on(cudaStream_t stream) const { return control_.on(stream); }
  /// The host waits for a stream of this rank, never for ever: see NcclStream::synchronize.
  void synchronize(cudaStream_t stream) { control_.synchronize(stream); }
  template <Summable T> void all_reduce(T* inout, std::size_t count) {
    exchange({CollectiveKind::all_reduce, dtype_of<T>, count, 0}, inout, count * sizeof(T),
             [&](std::size_t first, std::size_t bytes, const auto& at) {
               const auto from = [&](int r) { return reinterpret_cast<const T*>(at(r)); };
               detail::sum_into(from, size(), bytes / sizeof(T), inout + first / sizeof(T));
             });
  }

  template <Summable T> void reduce_scatter(const T* in, T* out, std::size_t count_per_rank) {
    const std::size_t begin = count_per_rank * static_cast<std::size_t>(rank());
    const std::size_t all = count_per_rank * static_cast<std::size_t>(size());
    exchange({CollectiveKind::reduce_scatter, dtype_of<T>, count_per_rank, 0}, in, all * sizeof(T),
             [&](std::size_t first, std::size_t bytes, const auto& at) {
               first /= sizeof(T);
               const std::size_t low = std::max(first, begin);
               const std::size_t high = std::min(first + bytes / sizeof(T), begin + count_per_rank);
               if (low >= high) return;
               const auto from = [&](int r) {
                 return reinterpret_cast<const T*>(at(r)) + (low - first);
               };
               detail::sum_into(from, size(), high - low, out + (low - begin));
             });
  }

  template <class T> void all_gather(const T* in, T* out, std::size_t count_per_rank) {
    auto* const to = reinterpret_cast<std::byte*>(out);
    const std::size_t part = count_per_rank * sizeof(T);
    exchange({CollectiveKind::all_gather, dtype_of<T>, count_per_rank, 0}, in, part,
             [&](std::size_t first, std::size_t bytes, const auto& at) {
               for (int r = 0; r < size(); ++r) {
                 std::memcpy(to + static_cast<std::size_t>(r) * part + first, at(r), bytes);
               }
             });
  }

  template <class T> void broadcast(T* inout, std::size_t count, int root) {
    const Collective call{CollectiveKind::broadcast, dtype_of<T>, count, root};
    if (root < 0 || root >= size()) {
      throw InvalidInput(control_.domain().rank(), text(call),
                         detail::phrase("the root must be a rank from 0 to ", size() - 1, "."));
    }
    auto* const to = reinterpret_cast<std::byte*>(inout);
    exchange(call, inout, count * sizeof(T),
             [&](std::size_t first, std::size_t bytes, const auto& at) {
               if (rank() != root) std::memcpy(to + first, at(root), bytes);
             });
  }

  void barrier() { agree({CollectiveKind::barrier, DType::u8, 0, 0}); }
  /// One group per color (0 or more), ranked by key, then by rank here. Collective.
  Nccl split(int color, int key) {
    agree({CollectiveKind::split, DType::u8, 0, 0});
    return Nccl(control_.split(color, key));
  }
  /// The same ranks with a communicator of their own. Collective.
  Nccl duplicate() {
    agree({CollectiveKind::duplicate, DType::u8, 0, 0});
    return Nccl(control_.duplicate());
  }
  /// See NcclStream::abort.
  void abort(std::exception_ptr error) { control_.abort(std::move(error)); }

  /// This process's or thread's rank of a new world, on the GPU of its seat, which becomes current.
  /// Ranks of one process share the fate. Collective: all ranks give the same id.
  static Nccl join(std::shared_ptr<detail::Fate> fate, const detail::NcclSeat& seat,
                   const ncclUniqueId& id);
  /// Runs f(Nccl&) on this process's rank, or on one thread per GPU. For launch(); see launch.hpp.
  static void run(const LaunchOptions& options, detail::FunctionRef<void(Nccl&)> f,
                  FailureReport& report);
  static void run(const LaunchOptions& options, detail::FunctionRef<void(Nccl&)> f) {
    FailureReport unread;
    unread.settle();
    run(options, f, unread);
  }

 private:
  explicit Nccl(NcclStream control) : control_(std::move(control)) {}

  /// The head of a message: the call as its rank made it.
  struct alignas(64) Head {
    std::uint64_t protocol = 0x316c63636e686f63;  // "cohnccl1"
    std::uint64_t number = 0;
    std::uint64_t count = 0;
    std::int32_t root = 0;
    CollectiveKind kind{};
    DType dtype{};

    Collective call() const { return {kind, dtype, count, root}; }
  };

  void agree(const Collective& call) {
    exchange(call, nullptr, 0, [](std::size_t, std::size_t, const auto&) {});
  }
  template <class Take>
  void exchange(const Collective& call, const void* in, std::size_t bytes, const Take& take);
  void pass(std::size_t message);
  void compare(const Collective& call) const;
  Head head(int r) const {
    Head theirs;
    std::memcpy(&theirs, stage().host() + static_cast<std::size_t>(r) * stage().message,
                sizeof theirs);
    return theirs;
  }
  detail::NcclStage& stage() const { return control_.stage(); }
  static void run_threads(const LaunchOptions& options, int visible,
                          detail::FunctionRef<void(Nccl&)> f);
  static void run_process(const LaunchOptions& options, const Launcher& launcher, int visible,
                          detail::FunctionRef<void(Nccl&)> f);

  NcclStream control_;
  std::uint64_t number_ = 0;
};

/// Shows everybody this rank's call and `bytes` of its array, piece by piece: take(first, bytes, at)
/// sees rank r's piece at at(r). Pieces begin at multiples of 64 bytes.
template <class Take>
void Nccl::exchange(const Collective& call, const void* in, std::size_t bytes, const Take& take) {
  const auto* const from = static_cast<const std::byte*>(in);
  const std::size_t ranks = static_cast<std::size_t>(size());
  const std::size_t most = detail::NcclStage::bytes(size()) / ranks / 64 * 64;
  Head mine{.number = ++number_,
            .count = call.count,
            .root = call.root,
            .kind = call.kind,
            .dtype = call.dtype};
  std::size_t head = sizeof(Head);
  for (std::size_t first = 0; first < bytes || head != 0; head = 0) {
    const std::size_t room = head != 0 ? detail::NcclStage::message : most;
    const std::size_t piece = std::min(bytes - first, room - head);
    const std::size_t message = head != 0 ? room : (piece + 63) / 64 * 64;
    std::byte* const slot = stage().host() + static_cast<std::size_t>(rank()) * message;
    if (head != 0) std::memcpy(slot, &mine, head);
    if (piece > 0) std::memcpy(slot + head, from + first, piece);
    pass(message);
    if (head != 0) compare(call);
    const auto at = [&](int r) {
      return static_cast<const std::byte*>(stage().host()) + static_cast<std::size_t>(r) * message +
             head;
    };
    if (piece > 0) take(first, piece, at);
    first += piece;
  }
}

/// Every rank's message of so many bytes to every rank, from its slot of the stage.
inline void Nccl::pass(std::size_t message) {
  const std::size_t own = static_cast<std::size_t>(rank()) * message;
  const std::size_t all = static_cast<std::size_t>(size()) * message;
  std::byte *const host = stage().host(), *const gpu = stage().device();
  const cudaStream_t stream = control_.stream();
  cuda::check(cudaMemcpyAsync(gpu + own, host + own, message, cudaMemcpyHostToDevice, stream));
  auto* const out = reinterpret_cast<std::uint8_t*>(gpu);
  control_.all_gather(static_cast<const std::uint8_t*>(out + own), out, message);
  cuda::check(cudaMemcpyAsync(host, gpu, all, cudaMemcpyDeviceToHost, stream));
  control_.synchronize();
}

/// Throws on every rank unless all made this call.
inline void Nccl::compare(const Collective& call) const {
  const Head first = head(0);
  for (int r = 1; r < size(); ++r) {
    const Head other = head(r);
    if (other.call() == first.call() && other.number == first.number) continue;
    const std::string operation = detail::nccl_operation(call, number_);
    control_.domain().fail<Mismatch>(
        detail::Cause::mismatch, operation,
        detail::phrase("rank 0 calls ", text(first.call()), " but rank ", r, " calls ",
                       text(other.call()), " (number ", first.number, " and ", other.number,
                       " of this world). All ranks must make the same calls in the same order."));
  }
}

inline Nccl Nccl::join(std::shared_ptr<detail::Fate> fate, const detail::NcclSeat& seat,
                       const ncclUniqueId& id) {
  const auto [rank, size, gpu] = seat;
  detail::refuse_blocking(rank, [](const char* name) { return std::getenv(name); });
  cuda::check(cudaSetDevice(gpu));
  auto domain = std::make_shared<detail::NcclDomain>(std::move(fate), rank, size, gpu);
  auto stage = std::make_shared<detail::NcclStage>(size);
  auto channel = std::make_shared<detail::NcclChannel>(std::move(domain), stage, id);
  return Nccl(NcclStream(std::move(channel), stage->stream()));
}

inline void Nccl::run_threads(const LaunchOptions& options, int visible,
                              detail::FunctionRef<void(Nccl&)> f) {
  const std::vector<int> gpus = detail::nccl_gpus(options, visible);
  const int ranks = static_cast<int>(gpus.size());
  const bool spin = 2 * ranks <= usable_cores();  // NCCL has threads of its own
  const auto fate = std::make_shared<detail::Fate>(ranks, spin, options.timeout);
  const ncclUniqueId id = detail::nccl_unique_id("");
  const auto live = [&](int rank) {
    try {
      Nccl world = join(fate, {rank, ranks, gpus[static_cast<std::size_t>(rank)]}, id);
      f(world);
    } catch (...) {
      const auto error = std::current_exception();
      const auto words = detail::phrase("rank ", rank, " failed: ", detail::what(error));
      fate->fail(detail::Cause::aborted, error, words);
    }
    fate->leave(rank);
  };
  std::vector<std::jthread> threads;
  try {
    for (int r = 1; r < ranks; ++r) threads.emplace_back(live, r);
    live(0);
  } catch (const std::system_error& e) {
    const InvalidInput error(
        -1, "launch",
        detail::phrase("the system refused thread ", threads.size() + 1, " of ", ranks - 1, " (",
                       e.what(), "). Use fewer ranks."));
    fate->fail(detail::Cause::aborted, std::make_exception_ptr(error), error.what());
  }
  threads.clear();  // joins
  if (fate->failed()) std::rethrow_exception(fate->first());
}

inline void Nccl::run_process(const LaunchOptions& options, const Launcher& launcher, int visible,
                              detail::FunctionRef<void(Nccl&)> f) {
  const auto lookup = [](const char* name) { return std::getenv(name); };
  const detail::NcclSeat seat = detail::nccl_seat(options, launcher, visible, lookup);
  const std::string where = seat.size == 1 ? "" : detail::nccl_meeting_point(launcher, lookup);
  const int here = launcher.local_size > 0 ? launcher.local_size : visible;
  const bool spin = 2 * std::min(here, seat.size) <= usable_cores();
  const auto fate = std::make_shared<detail::Fate>(seat.size, spin, options.timeout);
  {
    Nccl world = join(fate, seat, detail::nccl_unique_id(where, options.timeout));
    f(world);
  }
  if (fate->failed()) std::rethrow_exception(fate->first());
}

inline void Nccl::run(const LaunchOptions& wanted, detail::FunctionRef<void(Nccl&)> f,
                      FailureReport& report) {
  detail::checked({.ranks = 1, .timeout = wanted.timeout});
  int rank = -1;
  try {
    const std::vector<Launcher> found = launchers();
    const bool threads = detail::nccl_in_threads(wanted, found);
    const int visible = cuda::num_gpus();
    if (threads) return run_threads(wanted, visible, f);
    rank = found[0].rank;
    run_process(wanted, found[0], visible, f);
  } catch (...) {
    report.print(std::current_exception(), rank);
    throw;
  }
}

static_assert(Communicator<Nccl>);

}  // namespace cohort
