// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_channel.hpp: one communicator of NCCL: how it forms, splits, is used and ends.
#pragma once
#include <cohort/comm/failure_report.hpp>
#include <cohort/comm/nccl_domain.hpp>
#include <cohort/comm/nccl_stage.hpp>

#include <nccl.h>

#include <exception>
#include <memory>
#include <numeric>
#include <string>
#include <utility>

namespace cohort::detail {

inline ncclConfig_t nccl_config() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;  // the only mode in which an abort is safe at any point
  return config;
}

/// What NCCL knows a piece of memory by; nothing where it does not register it.
struct NcclRegistration {
  ncclWindow_t window = nullptr;  // symmetric memory
  void* buffer = nullptr;
};

/// May collectives use symmetric memory? Their kernels look at aborts since NCCL 2.29.7; before, one whose
/// peer is gone holds the abort of its communicator for ever.
///
/// Source   NCCL: testAbort in src/include/nccl_device (lsa_barrier, ll_a2a), which 2.27.3 to 2.29.3 have not.
inline bool nccl_symmetric_ends() {
  int version = 0;
  return ncclGetVersion(&version) == ncclSuccess && version >= NCCL_VERSION(2, 29, 7);
}

/// The operation as messages have it: "all_reduce #17".
inline std::string nccl_operation(const Collective& call, std::uint64_t number) {
  return phrase(name(call.kind), " #", number);
}

/// Owns one communicator; the members are those of the rank's host thread. Shared by handles that
/// use it on different streams: NCCL orders the collectives of one communicator as they were issued.
///
/// Cost     a collective: one call of NCCL, which hands it to a thread of its own (communicators do
///          not block), looks until that is done, and an event record.
class NcclChannel {
 public:
  /// All ranks of a world meet. Collective.
  NcclChannel(std::shared_ptr<NcclDomain> domain, std::shared_ptr<NcclStage> stage,
              const ncclUniqueId& id)
      : domain_(std::move(domain)), stage_(std::move(stage)) {
    live_.members.resize(static_cast<std::size_t>(domain_->size()));
    std::iota(live_.members.begin(), live_.members.end(), 0);
    form([&] {
      ncclConfig_t config = nccl_config();
      const auto what = [&] { return phrase("meeting of ", domain_->size(), " ranks"); };
      const ncclResult_t result =
          ncclCommInitRankConfig(&live_.comm, domain_->size(), id, domain_->rank(), &config);
      domain_->settle(live_, result, what);
    });
  }
  NcclChannel(const NcclChannel&) = delete;
  NcclChannel& operator=(const NcclChannel&) = delete;
  ~NcclChannel() { close(); }

  NcclDomain& domain() const { return *domain_; }
  NcclStage& stage() const { return *stage_; }
  int rank() const { return rank_; }
  int size() const { return static_cast<int>(live_.members.size()); }
  std::uint64_t number() const { return live_.number; }
  const std::vector<int>& members() const { return live_.members; }
  /// Four bytes on the device, always 0: what a barrier adds up.
  std::int32_t* zero() const { return zero_; }

  /// Queues a collective: call(ncclComm_t) is NCCL's function.
  template <class Call>
  void issue(const Collective& collective, cudaStream_t stream, const Call& call) {
    const std::uint64_t number = live_.number + 1;
    const auto what = [&] { return nccl_operation(collective, number); };
    domain_->look(what);
    const ncclResult_t result = call(live_.comm);
    live_.number = number;
    domain_->settle(live_, result, what);
    add_to_graph(collective);
    noted(collective, number, stream);
  }
  /// In a group: the group's end begins it, reports its errors and waits.
  template <class Call> void join(const Collective& collective, const Call& call) {
    const auto what = [&] { return nccl_operation(collective, live_.number + 1); };
    if (live_.comm == nullptr) domain_->look(what);
    call(live_.comm);
    ++live_.number;
    add_to_graph(collective);
  }
  /// The collective has been queued, and nothing behind it.
  void noted(const Collective& collective, std::uint64_t number, cudaStream_t stream) {
    live_.log.note({collective, number, ++domain_->queue().queued}, stream);
  }

  /// Registers memory of ncclMemAlloc that collectives will use: as a symmetric window where that is to be
  /// had and ends with its communicator, else as a buffer, where NCCL does that. Collective.
  NcclRegistration enter(void* memory, std::size_t bytes) {
    const auto what = [&] { return phrase("registration of ", bytes, " bytes"); };
    domain_->look(what);
    NcclRegistration made;
    if (nccl_symmetric_ends()) {
      ncclWindow_t& window = domain_->window_slot();
      const ncclResult_t result =
          ncclCommWindowRegister(live_.comm, memory, bytes, &window, NCCL_WIN_COLL_SYMMETRIC);
      domain_->settle_begun(live_, result, what);
      made.window = window;
    }
    if (made.window == nullptr)  // (NCCL has none where GPUs do not reach each other)
      domain_->settle(live_, ncclCommRegister(live_.comm, memory, bytes, &made.buffer), what);
    return made;
  }
  /// Nothing uses the memory any more. A communicator that was aborted has forgotten it.
  void leave(const NcclRegistration& made) {
    if (live_.comm == nullptr) return;
    const NcclGuard guard = domain_->guard_end("giving registered memory back");
    if (made.window != nullptr) ncclCommWindowDeregister(live_.comm, made.window);
    if (made.buffer != nullptr) ncclCommDeregister(live_.comm, made.buffer);
  }

  /// A group of this channel's ranks. Collective.
  std::shared_ptr<NcclChannel> split(CollectiveKind kind, int color, int key) {
    return std::shared_ptr<NcclChannel>(new NcclChannel(*this, kind, color, key));
  }

 private:
  void add_to_graph(const Collective& collective) {
    if (NcclReplays* const graph = domain_->queue().capturing)
      graph->add(collective, live_.members);
  }
  NcclChannel(NcclChannel& parent, CollectiveKind kind, int color, int key)
      : domain_(parent.domain_), stage_(parent.stage_) {
    const std::uint64_t number = ++parent.live_.number;
    const auto what = [&] { return nccl_operation({kind}, number); };
    domain_->look(what);
    form([&] {
      ncclConfig_t config = nccl_config();
      arriving_ = &domain_->slot();
      const ncclResult_t result = ncclCommSplit(parent.live_.comm, color, key, arriving_, &config);
      domain_->settle_begun(parent.live_, result, what);  // a group is there even if this throws
      live_.comm = std::exchange(*arriving_, nullptr);
      domain_->settle(live_, ncclInProgress, what);
      meet(what);
    });
  }

  /// Runs f, which makes the communicator; whatever it throws, nothing is left behind and the world has failed.
  template <class F> void form(F f) {
    domain_->enroll(live_);
    try {
      f();
      check_nccl(ncclCommUserRank(live_.comm, &rank_), domain_->rank(), "ncclCommUserRank");
    } catch (...) {
      const auto error = std::current_exception();
      domain_->fail(Cause::aborted, error,
                    phrase("rank ", domain_->rank(), " failed: ", detail::what(error)));
      abandon();
      throw;
    }
  }

  /// Who is here: for messages, and for who left. It also shows that the new communicator works.
  template <class What> void meet(const What& what) {
    int count = 0;
    check_nccl(ncclCommCount(live_.comm, &count), domain_->rank(), what());
    check_nccl(ncclCommUserRank(live_.comm, &rank_), domain_->rank(), what());
    live_.members.resize(static_cast<std::size_t>(count));
    auto* const host = reinterpret_cast<std::int32_t*>(stage_->host());
    auto* const device = reinterpret_cast<std::int32_t*>(stage_->device());
    const cudaStream_t stream = stage_->stream();
    host[rank_] = domain_->rank();
    cuda::check(cudaMemcpyAsync(device + rank_, host + rank_, sizeof(std::int32_t),
                                cudaMemcpyHostToDevice, stream));
    const ncclResult_t result =
        ncclAllGather(device + rank_, device, 1, ncclInt32, live_.comm, stream);
    domain_->settle(live_, result, what);
    cuda::check(cudaMemcpyAsync(host, device, sizeof(std::int32_t) * live_.members.size(),
                                cudaMemcpyDeviceToHost, stream));
    domain_->await_stream(stream, what);
    std::copy(host, host + count, live_.members.begin());
  }

  /// Ends without a wait for anybody. A communicator that has to be aborted takes the others along.
  void abandon() {
    const bool arrived = arriving_ != nullptr && *arriving_ != nullptr;
    if (live_.comm != nullptr || arrived) domain_->abort_all();
    domain_->withdraw(live_);
    if (!arrived) return;
    const NcclGuard guard = domain_->guard_abort();
    ncclCommAbort(std::exchange(*arriving_, nullptr));
  }

  /// Ends in peace: what was queued is done first. A world that failed or a peer that does not come to
  /// the end is no peace, and the communicator is aborted; so are all when an exception passes.
  void close() {
    const auto what = [] { return std::string("closing a communicator"); };
    // One communicator less would leave peers stuck in it, and this rank's others waiting for them.
    if (std::uncaught_exceptions() > 0) domain_->abort_all();
    if (live_.comm != nullptr) {
      try {
        domain_->settle(live_, ncclCommFinalize(live_.comm), what);
        domain_->withdraw(live_);
        const NcclGuard guard = domain_->guard_end("closing a communicator");
        ncclCommDestroy(std::exchange(live_.comm, nullptr));
      } catch (...) {  // the world has failed: whoever waits for this rank hears of it
      }
    }
    abandon();
  }

  std::shared_ptr<NcclDomain> domain_;
  std::shared_ptr<NcclStage> stage_;
  NcclLive live_;
  ncclComm_t* arriving_ = nullptr;
  std::int32_t* zero_ = stage_->zero();
  int rank_ = 0;
};

}  // namespace cohort::detail
