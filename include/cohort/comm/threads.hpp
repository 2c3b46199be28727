// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/threads.hpp: ranks are threads of this process; collectives read peers' memory.
#pragma once
#include <cohort/comm/channel.hpp>
#include <cohort/comm/launch_options.hpp>
#include <cohort/comm/sum.hpp>
#include <cohort/concepts/communicator.hpp>
#include <cohort/core/function_ref.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace cohort {

/// One rank's handle on a world whose ranks are threads of this process. Move-only: one thread at
/// a time makes calls on a handle; a second thread of the same rank takes a duplicate().
///
/// Shapes   count and count_per_rank are elements. reduce_scatter: in holds size() * count_per_rank
///          and must not overlap out. all_gather: in may be this rank's own part of out.
/// Comm     sums follow one fixed tree over ranks (comm/sum.hpp): all ranks hold identical bits,
///          and an element's bits do not depend on count, offset or bucketing.
/// Cost     small calls: copies to a stage and one phase. Others: two phases; all_reduce of n bytes
///          reads and writes n bytes per rank, like a memcpy. No allocation but in split and
///          duplicate.
/// Errors   Mismatch (ranks make different calls; nothing was written), PeerFailed (a rank threw,
///          aborted or left), Timeout (a rank is late), each on every rank. InvalidInput: bad root.
/// Laws     tests/comm/threads_test.cpp.
class Threads {
 public:
  Threads(Threads&&) noexcept = default;
  Threads& operator=(Threads&&) noexcept = default;

  static constexpr bool sums_in_tree_order = true;

  int rank() const { return rank_; }
  int size() const { return channel_->size(); }

  /// True when waiting ranks spin before they sleep: there is a core for every thread.
  bool spins() const { return channel_->fate().spins; }

  template <Summable T> void all_reduce(T* inout, std::size_t count) {
    const Collective call{CollectiveKind::all_reduce, dtype_of<T>, count, 0};
    if (channel_->is_small(count * sizeof(T))) {
      open(call, staged(inout, count));
      detail::sum_into([&](int r) { return shown<const T>(r); }, size(), count, inout);
      return;
    }
    open(call, inout);
    const Slice mine = slice(count, 64 / sizeof(T));
    detail::sum_in_place<T>([&](int r) { return shown<T>(r) + mine.first; }, size(), mine.count);
    close();
  }

  template <Summable T> void reduce_scatter(const T* in, T* out, std::size_t count_per_rank) {
    const Collective call{CollectiveKind::reduce_scatter, dtype_of<T>, count_per_rank, 0};
    const std::size_t count = count_per_rank * static_cast<std::size_t>(size());
    const std::size_t first = count_per_rank * static_cast<std::size_t>(rank_);
    const bool small = channel_->is_small(count * sizeof(T));
    open(call, small ? staged(in, count) : in);
    detail::sum_into([&](int r) { return shown<const T>(r) + first; }, size(), count_per_rank, out);
    if (!small) close();
  }

  template <class T> void all_gather(const T* in, T* out, std::size_t count_per_rank) {
    const Collective call{CollectiveKind::all_gather, dtype_of<T>, count_per_rank, 0};
    const bool small = channel_->is_small(count_per_rank * sizeof(T));
    open(call, small ? staged(in, count_per_rank) : in);
    for (int k = 0; k < size(); ++k) {
      const int r = (rank_ + k) % size();  // everybody starts elsewhere
      T* part = out + static_cast<std::size_t>(r) * count_per_rank;
      copy(r == rank_ ? in : shown<const T>(r), part, count_per_rank);
    }
    if (!small) close();
  }

  template <class T> void broadcast(T* inout, std::size_t count, int root) {
    const Collective call{CollectiveKind::broadcast, dtype_of<T>, count, root};
    if (root < 0 || root >= size()) {
      throw InvalidInput(channel_->world_rank(rank_), text(call),
                         detail::phrase("the root must be a rank from 0 to ", size() - 1, "."));
    }
    const bool small = channel_->is_small(count * sizeof(T));
    open(call, small && rank_ == root ? staged(inout, count) : inout);
    if (rank_ != root) copy(shown<const T>(root), inout, count);
    if (!small) close();
  }

  void barrier() { open({CollectiveKind::barrier, DType::u8, 0, 0}, nullptr); }

  /// One group per color, ranked by key, then by rank here. Collective.
  Threads split(int color, int key) { return regroup(CollectiveKind::split, color, key); }

  /// The same ranks on a channel of their own, in the same failure domain. Collective.
  Threads duplicate() { return regroup(CollectiveKind::duplicate, 0, rank_); }

  /// Fails the whole world: every rank that waits in a collective of any group, or calls one later,
  /// throws PeerFailed. launch() rethrows the error of the first rank that failed. Any thread may
  /// call it at any time.
  void abort(std::exception_ptr error) {
    const int world_rank = channel_->world_rank(rank_);
    channel_->fate().fail(detail::Cause::aborted, error,
                          detail::phrase("rank ", world_rank, " failed: ", what(error)));
  }

  /// Runs f(Threads&) on every rank of a new world and joins them; rank 0 is the calling thread.
  /// Throws the first failing rank's own exception. For launch(); see launch.hpp.
  static void run(const LaunchOptions& wanted, detail::FunctionRef<void(Threads&)> f);

 private:
  Threads(std::shared_ptr<detail::Channel> channel, int rank)
      : channel_(std::move(channel)), rank_(rank) {}

  void open(const Collective& call, const void* data) {
    channel_->open(rank_, phase_ + 1, calls_ + 1, call, data);
    ++phase_;
    ++calls_;
  }
  void close() { channel_->close(rank_, ++phase_); }

  template <class T> T* shown(int rank) const {
    return static_cast<T*>(const_cast<void*>(channel_->data(rank, calls_)));
  }
  template <class T> const void* staged(const T* in, std::size_t count) {
    T* stage = static_cast<T*>(channel_->stage(rank_, calls_ + 1));
    copy(in, stage, count);
    return stage;
  }
  template <class T> static void copy(const T* from, T* to, std::size_t count) {
    if (count > 0 && from != to) std::memcpy(to, from, count * sizeof(T));
  }
  /// This rank's share of an array, in whole cache lines.
  struct Slice {
    std::size_t first;
    std::size_t count;
  };
  Slice slice(std::size_t count, std::size_t line) const {
    const std::size_t ranks = static_cast<std::size_t>(size());
    const std::size_t share = (count + ranks * line - 1) / (ranks * line) * line;
    const std::size_t first = std::min(count, share * static_cast<std::size_t>(rank_));
    return {first, std::min(share, count - first)};
  }

  struct Move {
    int color;
    int key;
    std::shared_ptr<detail::Channel> channel;
  };
  Threads regroup(CollectiveKind kind, int color, int key);
  std::vector<int> members(int color) const;
  static std::string what(const std::exception_ptr& error);
  static void refuse_other_launchers();

  std::shared_ptr<detail::Channel> channel_;
  int rank_;
  std::uint32_t phase_ = 0;
  std::uint32_t calls_ = 0;
};

/// The ranks here that move to the group of this color, in their new order.
inline std::vector<int> Threads::members(int color) const {
  std::vector<int> ranks;
  for (int r = 0; r < size(); ++r) {
    if (shown<const Move>(r)->color == color) ranks.push_back(r);
  }
  const auto key = [&](int r) { return std::pair(shown<const Move>(r)->key, r); };
  std::sort(ranks.begin(), ranks.end(), [&](int a, int b) { return key(a) < key(b); });
  return ranks;
}

inline Threads Threads::regroup(CollectiveKind kind, int color, int key) {
  Move move{color, key, nullptr};
  std::shared_ptr<detail::Channel> channel;
  int leader = 0, place = 0;
  open({kind, DType::u8, 0, 0}, &move);
  try {  // nothing may escape between open and close: peers look at this rank's move
    std::vector<int> ranks = members(color);
    leader = ranks.front();
    place = static_cast<int>(std::find(ranks.begin(), ranks.end(), rank_) - ranks.begin());
    for (int& r : ranks) r = channel_->world_rank(r);
    if (place == 0) {
      move.channel = std::make_shared<detail::Channel>(channel_->shared_fate(), std::move(ranks));
    }
  } catch (const std::bad_alloc&) {
    leader = rank_;
  }
  close();
  channel = shown<const Move>(leader)->channel;
  close();
  if (!channel) throw std::bad_alloc();
  return Threads(std::move(channel), place);
}

inline std::string Threads::what(const std::exception_ptr& error) {
  try {
    if (error) std::rethrow_exception(error);
    return "no reason given";
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception that is not a std::exception";
  }
}

/// A world of threads in each of several processes would train as many separate copies.
inline void Threads::refuse_other_launchers() {
  const auto number = [](const char* variable) {
    const char* text = std::getenv(variable);
    return text == nullptr ? 0 : std::atoi(text);
  };
  const auto refuse = [](const char* launcher, int processes) {
    throw InvalidInput(-1, "launch",
                       detail::phrase("this is one of ", processes, " processes of ", launcher,
                                      ", and launch<Threads> would train a separate copy in each; "
                                      "use launch<Mpi> under mpirun, or start one process with "
                                      "--ranks N."));
  };
  const int torchrun = std::getenv("RANK") == nullptr ? 0 : number("WORLD_SIZE");
  const int slurm = std::getenv("SLURM_STEP_ID") == nullptr ? 0 : number("SLURM_NTASKS");
  if (torchrun > 1) refuse("torchrun (RANK and WORLD_SIZE are set)", torchrun);
  if (const int n = number("OMPI_COMM_WORLD_SIZE"); n > 1) refuse("mpirun", n);
  if (const int n = number("PMI_SIZE"); n > 1) refuse("mpiexec", n);
  if (slurm > 1) refuse("srun", slurm);
}

inline void Threads::run(const LaunchOptions& wanted, detail::FunctionRef<void(Threads&)> f) {
  refuse_other_launchers();
  const LaunchOptions options = detail::checked(wanted);
  const bool spin = options.ranks <= usable_cores() / options.streams_per_rank;
  auto fate = std::make_shared<detail::Fate>(options.ranks, spin, options.timeout);
  std::vector<int> ranks(static_cast<std::size_t>(options.ranks));
  for (int r = 0; r < options.ranks; ++r) ranks[static_cast<std::size_t>(r)] = r;
  auto channel = std::make_shared<detail::Channel>(fate, std::move(ranks));
  const auto live = [&](int rank) {
    Threads world(channel, rank);
    try {
      f(world);
      fate->leave(rank);
    } catch (...) {
      world.abort(std::current_exception());
    }
  };
  std::vector<std::jthread> threads;
  try {
    for (int r = 1; r < options.ranks; ++r) threads.emplace_back(live, r);
    live(0);
  } catch (const std::system_error& e) {
    const InvalidInput error(
        -1, "launch",
        detail::phrase("the system refused thread ", threads.size() + 1, " of ", options.ranks - 1,
                       " (", e.what(), "). Use fewer ranks."));
    fate->fail(detail::Cause::aborted, std::make_exception_ptr(error), error.what());
  }
  threads.clear();  // joins
  if (fate->failed()) std::rethrow_exception(fate->first());
}

static_assert(Communicator<Threads>);

}  // namespace cohort
