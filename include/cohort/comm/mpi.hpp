// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/mpi.hpp: ranks are processes that an MPI launcher started, on one machine or many.
#pragma once
#include <cohort/comm/failure_report.hpp>
#include <cohort/comm/launch_options.hpp>
#include <cohort/comm/mpi_channel.hpp>
#include <cohort/concepts/communicator.hpp>
#include <cohort/core/function_ref.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

namespace cohort {

/// One rank's handle on a world of processes. Move-only: one thread at a time makes calls on a
/// handle; a second thread of the same rank takes a duplicate(). One thread of a rank at a time
/// makes groups (split, duplicate).
///
/// Shapes   count and count_per_rank are elements. reduce_scatter: in holds size() * count_per_rank
///          and must not overlap out. all_gather: in may be this rank's own part of out.
/// Comm     point-to-point messages on one communicator of its own, each with the call it belongs
///          to (comm/rounds.hpp says which). Sums follow the tree of comm/sum.hpp: the same bits on
///          every rank, and the same as on Threads.
/// Cost     bytes sent and received per rank: all_reduce 2 (N - 1) / N of the array, reduce_scatter
///          and all_gather N - 1 parts, a broadcast two arrays at most. Short arrays go to all in
///          one round; each message adds 64 bytes. No allocation but in split and duplicate, which
///          take stage_bytes(size()) each.
/// Errors   Mismatch (ranks make different calls; nothing was written), PeerFailed (a rank threw,
///          aborted or left), Timeout (a rank is late), each on every rank. InvalidInput: bad root.
///          A process that is killed: the launcher ends the job and says which one (MPICH's: its
///          process id); under mpirun --with-ft ulfm every rank gets PeerFailed that names it.
/// Laws     tests/comm/mpi_test.cpp.
class Mpi {
 public:
  Mpi(Mpi&&) noexcept = default;
  Mpi& operator=(Mpi&&) noexcept = default;

  static constexpr bool sums_in_tree_order = true;

  int rank() const { return channel_->rank(); }
  int size() const { return channel_->size(); }

  /// True when waiting ranks spin before they sleep: there is a core for every thread.
  bool spins() const { return channel_->domain()->fate().spins; }

  /// Memory that a handle on a group of so many ranks holds for messages.
  static constexpr std::size_t stage_bytes(int ranks) {
    return detail::MpiChannel::stage_bytes(ranks);
  }

  template <Summable T> void all_reduce(T* inout, std::size_t count) {
    channel_->run({CollectiveKind::all_reduce, dtype_of<T>, count, 0},
                  detail::AllReduceRounds<T>(channel_->seating(), inout, count));
  }

  template <Summable T> void reduce_scatter(const T* in, T* out, std::size_t count_per_rank) {
    channel_->run({CollectiveKind::reduce_scatter, dtype_of<T>, count_per_rank, 0},
                  detail::ReduceScatterRounds<T>(channel_->seating(), in, out, count_per_rank));
  }

  template <class T> void all_gather(const T* in, T* out, std::size_t count_per_rank) {
    channel_->run({CollectiveKind::all_gather, dtype_of<T>, count_per_rank, 0},
                  detail::GatherRounds(channel_->seating(), in, out, count_per_rank * sizeof(T)));
  }

  template <class T> void broadcast(T* inout, std::size_t count, int root) {
    const Collective call{CollectiveKind::broadcast, dtype_of<T>, count, root};
    if (root < 0 || root >= size()) {
      throw InvalidInput(channel_->world_rank(rank()), text(call),
                         detail::phrase("the root must be a rank from 0 to ", size() - 1, "."));
    }
    channel_->run(call,
                  detail::BroadcastRounds(channel_->seating(), inout, count * sizeof(T), root));
  }

  void barrier() {
    channel_->run({CollectiveKind::barrier, DType::u8, 0, 0},
                  detail::GatherRounds(channel_->seating(), nullptr, nullptr, 0));
  }

  /// One group per color, ranked by key, then by rank here. Collective.
  Mpi split(int color, int key) { return regroup(CollectiveKind::split, color, key); }

  /// The same ranks on a channel of their own, in the same failure domain. Collective.
  Mpi duplicate() { return regroup(CollectiveKind::duplicate, 0, rank()); }

  /// Fails the whole world: every rank that waits in a collective of any group, or calls one later,
  /// throws PeerFailed. Any thread may call it at any time.
  void abort(std::exception_ptr error) {
    const int world_rank = channel_->world_rank(rank());
    channel_->domain()->fail(detail::Cause::aborted, error,
                             detail::phrase("rank ", world_rank, " failed: ", detail::what(error)));
  }

  /// Runs f(Mpi&) on this process's rank of a new world. Throws this rank's own exception, or
  /// PeerFailed with the sentence of the rank that failed first. For launch(); see launch.hpp.
  ///
  /// After a failure ranks have failure_grace to end by themselves before MPI_Abort ends them, and
  /// the report is given on the rank that failed, before any launcher can stop it.
  static void run(const LaunchOptions& options, detail::FunctionRef<void(Mpi&)> f,
                  FailureReport& report);
  static void run(const LaunchOptions& options, detail::FunctionRef<void(Mpi&)> f) {
    FailureReport unread;
    unread.settle();
    run(options, f, unread);
  }

  static constexpr std::chrono::milliseconds failure_grace{5000};

 private:
  explicit Mpi(std::unique_ptr<detail::MpiChannel> channel) : channel_(std::move(channel)) {}

  struct Move {
    std::int32_t color;
    std::int32_t key;
    std::int32_t next_tag;
  };
  Mpi regroup(CollectiveKind kind, int color, int key);
  static Mpi world(const std::shared_ptr<detail::MpiDomain>& domain);
  static LaunchOptions checked(LaunchOptions options, int size);

  std::unique_ptr<detail::MpiChannel> channel_;
};

/// Both groups of a pair of ranks that share them were made by calls in which both took part: the
/// second took a higher tag than any member had seen before.
inline Mpi Mpi::regroup(CollectiveKind kind, int color, int key) {
  detail::MpiDomain& domain = *channel_->domain();
  const Move mine{color, key, domain.next_tag()};
  std::vector<Move> moves(static_cast<std::size_t>(size()));
  channel_->run({kind, DType::u8, 0, 0},
                detail::GatherRounds(channel_->seating(), &mine, moves.data(), sizeof(Move)));
  std::vector<int> members;
  int tag = 0;
  for (int r = 0; r < size(); ++r) {
    const Move& move = moves[static_cast<std::size_t>(r)];
    tag = std::max(tag, move.next_tag);
    if (move.color == color) members.push_back(r);
  }
  domain.took_tag(tag);
  const auto key_of = [&](int r) { return moves[static_cast<std::size_t>(r)].key; };
  std::sort(members.begin(), members.end(),
            [&](int a, int b) { return key_of(a) != key_of(b) ? key_of(a) < key_of(b) : a < b; });
  const auto place = std::find(members.begin(), members.end(), rank()) - members.begin();
  for (int& r : members) r = channel_->world_rank(r);
  return Mpi(std::make_unique<detail::MpiChannel>(channel_->domain(), std::move(members),
                                                  static_cast<int>(place), tag));
}

inline Mpi Mpi::world(const std::shared_ptr<detail::MpiDomain>& domain) {
  std::vector<int> ranks(static_cast<std::size_t>(domain->size()));
  for (int r = 0; r < domain->size(); ++r) ranks[static_cast<std::size_t>(r)] = r;
  const int tag = domain->next_tag();
  domain->took_tag(tag);
  return Mpi(std::make_unique<detail::MpiChannel>(domain, std::move(ranks), domain->rank(), tag));
}

/// The launcher decides how many ranks there are; --ranks may only repeat it.
inline LaunchOptions Mpi::checked(LaunchOptions options, int size) {
  if (options.ranks != 0 && options.ranks != size) {
    throw InvalidInput(-1, "launch",
                       detail::phrase(options.ranks, " ranks were asked for but MPI started ", size,
                                      ": start the program with mpirun -n ", options.ranks,
                                      ", or leave the number to the launcher."));
  }
  options.ranks = 1;
  options = detail::checked(options);
  options.ranks = size;
  return options;
}

inline void Mpi::run(const LaunchOptions& wanted, detail::FunctionRef<void(Mpi&)> f,
                     FailureReport& report) {
  detail::MpiProcess process;
  const LaunchOptions options = checked(wanted, process.size());
  const auto domain =
      std::make_shared<detail::MpiDomain>(options.timeout, options.streams_per_rank);
  std::exception_ptr error;
  try {
    Mpi self = world(domain);
    f(self);
  } catch (...) {
    error = std::current_exception();
    domain->fail(detail::Cause::aborted, error,
                 detail::phrase("rank ", domain->rank(), " failed: ", detail::what(error)));
  }
  if (!error && domain->part()) return process.ended_well();
  try {
    if (error) std::rethrow_exception(error);
    domain->fate().raise(domain->rank(), "launch");
  } catch (...) {
    if (domain->speaks()) report.print(std::current_exception(), domain->rank());
    report.settle();
    domain->dissolve(failure_grace);
    throw;
  }
}

static_assert(Communicator<Mpi>);

}  // namespace cohort
