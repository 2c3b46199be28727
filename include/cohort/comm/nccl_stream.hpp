// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_stream.hpp: collectives of NCCL on device memory, queued on one CUDA stream.
#pragma once
#include <cohort/comm/failure_report.hpp>
#include <cohort/comm/nccl_channel.hpp>
#include <cohort/comm/nccl_memory.hpp>
#include <cohort/comm/sum.hpp>
#include <cohort/concepts/communicator.hpp>
#include <cohort/plan/exchange.hpp>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace cohort {

namespace detail {

/// NCCL's name for an element type.
constexpr ncclDataType_t nccl_type(DType type) {
  constexpr ncclDataType_t types[] = {ncclFloat64, ncclFloat32, ncclBfloat16, ncclFloat16,
                                      ncclInt64,   ncclInt32,   ncclUint8};
  return types[static_cast<int>(type)];
}
static_assert(nccl_type(DType::f64) == ncclFloat64 && nccl_type(DType::fp16) == ncclFloat16 &&
              nccl_type(DType::u8) == ncclUint8);

}  // namespace detail

class NcclStream;

/// Collectives that NCCL fuses: those that are given this token, from its construction to end(). The
/// buffers of one must not depend on another of the same group. One flat buffer is faster than a
/// group of tensors; groups are for what must go on at the same time.
///
/// Errors   as the collectives, all thrown by end(). A token that is destroyed without end() launches
///          what it was given, for NCCL cannot forget it, and what goes wrong then the next call throws.
///          While an exception passes it does not wait for that: the communicators are to be aborted.
class NcclGroup {
 public:
  explicit NcclGroup(NcclStream& stream);
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;
  ~NcclGroup() {
    if (domain_ == nullptr) return;
    if (std::uncaught_exceptions() > 0) {
      domain_->ending().end_group();
      return;
    }
    try {
      end();
    } catch (...) {  // the world has failed, and keeps the error
    }
  }

  /// Launches the group.
  void end() {
    detail::NcclDomain& domain = *std::exchange(domain_, nullptr);
    const auto what = [] { return std::string("group"); };
    domain.settle_all(domain.ending().end_group(), what);
    for (std::size_t i = 0; i < num_last_; ++i) {
      const Last& last = last_[i];
      last.channel->noted(last.call, last.number, last.stream);
    }
  }

 private:
  friend class NcclStream;
  struct Last {
    detail::NcclChannel* channel;
    cudaStream_t stream;
    Collective call;
    std::uint64_t number;
  };
  /// The last collective of each communicator and stream is the one that the rank is known to wait for.
  void joined(detail::NcclChannel& channel, cudaStream_t stream, const Collective& call) {
    std::size_t i = 0;
    while (i < num_last_ && (last_[i].channel != &channel || last_[i].stream != stream)) ++i;
    if (i == last_.size()) return;
    num_last_ = i == num_last_ ? i + 1 : num_last_;
    last_[i] = {&channel, stream, call, channel.number()};
  }

  detail::NcclDomain* domain_;
  std::array<Last, 8> last_{};
  std::size_t num_last_ = 0;
};

/// One rank's communicator of NCCL, bound to a CUDA stream: collectives on device memory of this
/// rank's GPU that only queue work there. Made by Nccl::on, split() and duplicate(). Move-only. All
/// of a rank's handles are used by one host thread (NCCL is not thread-safe, not even across
/// communicators of one GPU); only abort() may be called by another.
///
/// Shapes   count and count_per_rank are elements. In place: all_gather with in == out + rank *
///          count_per_rank, reduce_scatter with out == in + rank * count_per_rank.
/// Comm     sums are ncclSum (never ncclAvg). All ranks hold identical bits; which ones depends on
///          how NCCL cuts and orders the array, so on its length and on the machine.
/// Cost     a call of NCCL and an event record on the host; allocates nothing but in split and
///          duplicate. Those wait for the host, too: they are collective among host threads.
/// Errors   PeerFailed, Timeout, Error: see NcclDomain; thrown here where NCCL knows at once, else by
///          synchronize(). InvalidInput: bad root, negative color. Calls that differ between ranks
///          are not detected by NCCL: they hang until the timeout, or worse. Plans are compared before
///          step 0, so no schedule of cohort has them.
/// Laws     tests/comm/nccl_stream_test.cpp.
class NcclStream {
 public:
  using Memory = NcclMemory;

  NcclStream(std::shared_ptr<detail::NcclChannel> channel, cudaStream_t stream)
      : channel_(std::move(channel)), stream_(stream) {}
  NcclStream(NcclStream&&) noexcept = default;
  NcclStream& operator=(NcclStream&&) noexcept = default;

  int rank() const { return channel_->rank(); }
  int size() const { return channel_->size(); }
  cudaStream_t stream() const { return stream_; }
  /// Hosts never spin for each other here.
  bool spins() const { return false; }

  template <Summable T> void all_reduce(T* inout, std::size_t count) {
    reduce(nullptr, inout, count);
  }
  template <Summable T> void all_reduce(NcclGroup& group, T* inout, std::size_t count) {
    reduce(&group, inout, count);
  }
  template <Summable T> void reduce_scatter(const T* in, T* out, std::size_t count_per_rank) {
    scatter(nullptr, in, out, count_per_rank);
  }
  template <Summable T>
  void reduce_scatter(NcclGroup& group, const T* in, T* out, std::size_t count_per_rank) {
    scatter(&group, in, out, count_per_rank);
  }
  template <class T> void all_gather(const T* in, T* out, std::size_t count_per_rank) {
    gather(nullptr, in, out, count_per_rank);
  }
  template <class T>
  void all_gather(NcclGroup& group, const T* in, T* out, std::size_t count_per_rank) {
    gather(&group, in, out, count_per_rank);
  }
  template <class T> void broadcast(T* inout, std::size_t count, int root) {
    spread(nullptr, inout, count, root);
  }
  template <class T> void broadcast(NcclGroup& group, T* inout, std::size_t count, int root) {
    spread(&group, inout, count, root);
  }

  /// Rank r receives slice r of everybody's `in`; rank p's begins at out + p * slices.each. This rank's own stays
  /// where it is. For sums in an order: see InTreeOrder.
  template <class T> void exchange_slices(const T* in, T* out, const Slices& slices) {
    channel_->issue({CollectiveKind::all_to_all, dtype_of<T>, slices.count, 0}, stream_,
                    [&](ncclComm_t comm) { return send_slices(in, out, slices, comm); });
  }

  /// What is queued after it begins when every rank's stream has come this far. The host goes on.
  void barrier() {
    const auto call = [&](ncclComm_t comm) {
      return ncclAllReduce(channel_->zero(), channel_->zero(), 1, ncclInt32, ncclSum, comm,
                           stream_);
    };
    channel_->issue({CollectiveKind::barrier, DType::u8, 0, 0}, stream_, call);
  }

  /// One group per color (0 or more), ranked by key, then by rank here, on the same stream.
  /// Collective.
  NcclStream split(int color, int key) {
    if (color < 0) {
      throw InvalidInput(channel_->domain().rank(), "split",
                         detail::phrase("colors begin at 0; ", color, " is none."));
    }
    return NcclStream(channel_->split(CollectiveKind::split, color, key), stream_);
  }

  /// The same ranks with a communicator of their own, on the same stream. Collective.
  NcclStream duplicate() {
    return NcclStream(channel_->split(CollectiveKind::duplicate, 0, rank()), stream_);
  }

  /// The same communicator on another stream of this rank. Not collective. NCCL runs the
  /// collectives of one communicator in the order of the calls, whatever their streams.
  NcclStream on(cudaStream_t stream) const { return NcclStream(channel_, stream); }

  /// The host waits until the stream has done all that was queued on it. Use this wherever
  /// cudaStreamSynchronize would wait for a peer, that is behind any collective.
  void synchronize() { synchronize(stream_); }
  void synchronize(cudaStream_t stream) {
    channel_->domain().await_stream(stream, [] { return std::string("synchronize"); });
  }
  /// The same until done() says so, which asks the GPU for something that was queued.
  template <class Done> void await(const Done& done) {
    channel_->domain().await(
        done, [] { return std::string("synchronize"); }, 100);
  }

  /// Fails the world: ranks of this process hear of it in their next call or wait, other processes
  /// when NCCL tells them or at the timeout. Any thread may call it; on the rank's own thread all
  /// communicators are aborted before it returns, so that device memory can be freed.
  void abort(std::exception_ptr error) {
    detail::NcclDomain& domain = channel_->domain();
    domain.fail(detail::Cause::aborted, error,
                detail::phrase("rank ", domain.rank(), " failed: ", detail::what(error)));
  }

  /// Aborts this rank's communicators, so that nothing queued waits for peers any more. They hear of it from
  /// whoever knows why.
  void abandon() { channel_->domain().abort_all(); }

  /// f is called before this rank's communicators are aborted, as long as what this returns is held: for
  /// whoever captures collectives into a graph, for which NCCL's abort would wait.
  std::shared_ptr<void> before_abort(std::function<void()> f) {
    return channel_->domain().ending().before(std::move(f));
  }
  /// For whoever captures collectives into a graph: told of it and of each launch, a wait for a replay knows for
  /// which ranks it waits. The communicator outlives it.
  detail::NcclReplays replays() { return detail::NcclReplays(channel_->domain().queue()); }

  const std::shared_ptr<detail::NcclChannel>& channel() const { return channel_; }
  detail::NcclDomain& domain() const { return channel_->domain(); }
  detail::NcclStage& stage() const { return channel_->stage(); }

 private:
  friend class NcclGroup;

  template <class T> static constexpr ncclDataType_t type_of = detail::nccl_type(dtype_of<T>);

  template <class T> void reduce(NcclGroup* group, T* inout, std::size_t count) {
    queue(group, {CollectiveKind::all_reduce, dtype_of<T>, count, 0}, [&](ncclComm_t comm) {
      return ncclAllReduce(inout, inout, count, type_of<T>, ncclSum, comm, stream_);
    });
  }
  template <class T> void scatter(NcclGroup* group, const T* in, T* out, std::size_t per_rank) {
    queue(group, {CollectiveKind::reduce_scatter, dtype_of<T>, per_rank, 0}, [&](ncclComm_t comm) {
      return ncclReduceScatter(in, out, per_rank, type_of<T>, ncclSum, comm, stream_);
    });
  }
  template <class T> void gather(NcclGroup* group, const T* in, T* out, std::size_t per_rank) {
    queue(group, {CollectiveKind::all_gather, dtype_of<T>, per_rank, 0}, [&](ncclComm_t comm) {
      return ncclAllGather(in, out, per_rank, type_of<T>, comm, stream_);
    });
  }
  template <class T> void spread(NcclGroup* group, T* inout, std::size_t count, int root) {
    queue(group, rooted<T>(count, root), [&](ncclComm_t comm) {
      return ncclBroadcast(inout, inout, count, type_of<T>, root, comm, stream_);
    });
  }
  /// One group: NCCL carries out all of it at once. Each rank begins with another peer.
  template <class T>
  ncclResult_t send_slices(const T* in, T* out, const Slices& slices, ncclComm_t comm) const {
    if (size() == 1) return ncclSuccess;
    const std::size_t mine = slices.size(rank());
    if (const ncclResult_t begun = ncclGroupStart(); begun != ncclSuccess) return begun;
    for (int k = 1; k < size(); ++k) {
      const int to = (rank() + k) % size(), from = (rank() + size() - k) % size();
      T* const at = out + static_cast<std::size_t>(from) * slices.each;
      if (const std::size_t n = slices.size(to); n > 0)
        ncclSend(in + slices.begin(to), n, type_of<T>, to, comm, stream_);
      if (mine > 0) ncclRecv(at, mine, type_of<T>, from, comm, stream_);
    }
    return ncclGroupEnd();  // with the first error of those above
  }
  template <class Call>
  void queue(NcclGroup* group, const Collective& collective, const Call& call) {
    if (group == nullptr) return channel_->issue(collective, stream_, call);
    channel_->join(collective, call);
    group->joined(*channel_, stream_, collective);
  }
  template <class T> Collective rooted(std::size_t count, int root) const {
    const Collective call{CollectiveKind::broadcast, dtype_of<T>, count, root};
    if (root < 0 || root >= size()) {
      throw InvalidInput(channel_->domain().rank(), text(call),
                         detail::phrase("the root must be a rank from 0 to ", size() - 1, "."));
    }
    return call;
  }

  std::shared_ptr<detail::NcclChannel> channel_;
  cudaStream_t stream_;
};

inline NcclGroup::NcclGroup(NcclStream& stream) : domain_(&stream.domain()) {
  detail::check_nccl(domain_->ending().begin_group(), domain_->rank(), "group");
}

static_assert(Communicator<NcclStream>);

}  // namespace cohort
