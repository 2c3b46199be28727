// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/check_sync.hpp: do all ranks hold the same bits of what each must hold alike?
#pragma once
#include <array>
#include <cohort/core/error.hpp>
#include <cohort/io/xxh64.hpp>
#include <cohort/policies/dynamic_loss_scale.hpp>
#include <cohort/run/copies.hpp>
#include <cohort/run/formation.hpp>
#include <cohort/run/state_runs.hpp>
#include <cohort/run/sync_report.hpp>
#include <span>
#include <type_traits>

namespace cohort {
namespace detail {

/// The sets of ranks among `ranks` that have equal words, in the order of their lowest ranks.
inline std::vector<std::vector<int>> equal_sets(const std::vector<int>& ranks, auto word) {
  std::vector<std::vector<int>> sets;
  for (const int r : ranks) {
    const auto same = std::find_if(sets.begin(), sets.end(),
                                   [&](const auto& set) { return word(set.front()) == word(r); });
    if (same == sets.end())
      sets.push_back({r});
    else
      same->push_back(r);
  }
  return sets;
}

/// One comparison of all ranks. Everything that decides what is exchanged next is gathered first, so that
/// all ranks decide alike.
template <class Plan, class World, class Device, class Storage> class SyncCheck {
 public:
  using Optimizer = typename Plan::slots::optimizer;
  static constexpr int kinds = held_moment + Optimizer::moments;
  static constexpr std::size_t num_params = Plan::layout.num_params;

  SyncCheck(World& world, const Device& device, const Storage& storage)
      : world_(world), device_(device), storage_(storage), hashes_(num_params * kinds) {}

  SyncReport operator()(std::int64_t step, LossScale scale, std::uint64_t options) {
    hash_copies();
    std::array<std::int64_t, Plan::averages ? 6 : 5> mine{
        step, std::bit_cast<std::int64_t>(scale.scale), scale.good_steps,
        std::bit_cast<std::int64_t>(options), std::bit_cast<std::int64_t>(digest(false))};
    if constexpr (Plan::averages) mine[5] = std::bit_cast<std::int64_t>(digest(true));
    const std::vector<std::int64_t> words = gathered(mine.data(), mine.size());
    const auto word = [&](std::size_t i) {
      return [&, i](int r) { return words[static_cast<std::size_t>(r) * mine.size() + i]; };
    };
    report_.step = words[0];
    report_.ranks = world_.size();
    report_.copies = world_.size() / period<Plan>(world_.size());
    report_.tensors = compared();
    const int parts = period<Plan>(world_.size());
    bool same = true;
    if constexpr (Plan::averages) same = equal_sets(holders(0, 1), word(5)).size() == 1;
    for (int part = 0; part < parts; ++part)
      same = same && equal_sets(holders(part, parts), word(4)).size() == 1;
    if (!same) compare_tensors();
    const char* const numbers[] = {"step", "loss scale", "good steps of the loss scale", "options"};
    for (std::size_t i = 4; i-- > 0;) compare_number(numbers[i], word(i), i == 1);
    return report_;
  }

 private:
  static constexpr std::size_t block_bytes = std::size_t{1} << 18;
  static std::size_t place(int param, int kind) {
    return static_cast<std::size_t>(param) * kinds + static_cast<std::size_t>(kind);
  }
  std::vector<std::int64_t> gathered(const std::int64_t* mine, std::size_t count) {
    std::vector<std::int64_t> all(count * static_cast<std::size_t>(world_.size()));
    world_.all_gather(mine, all.data(), count);
    return all;
  }
  /// The ranks that hold the same as rank `part`, the lowest of them, of as many `parts`.
  std::vector<int> holders(int part, int parts) const {
    std::vector<int> ranks;
    for (int r = part; r < world_.size(); r += parts) ranks.push_back(r);
    return ranks;
  }
  /// Tensors that are held by several ranks, whoever holds which part.
  int compared() const {
    const bool shards = storage_.copies().count > 1, frozen = storage_.frozen_copies().count > 1;
    const bool whole = !Plan::data::shards_params && frozen;  // every rank's parameters are whole
    int sum = 0;
    for (const ParamInfo& p : Plan::layout.params) {
      if (p.averages())
        sum += world_.size() > 1;
      else if (!p.trains)
        sum += frozen;
      else
        sum += (whole || (shards && !Plan::has_masters)) +
               (shards ? Optimizer::moments + int{Plan::has_masters} : 0);
    }
    return sum;
  }

  /// Calls f(bytes) for pieces of what the device holds at `at`, which the host can read until f returns.
  template <class T, class F>
  void for_each_block(const T* at, std::size_t first, std::size_t count, F f) {
    const auto* from = reinterpret_cast<const std::byte*>(at + first);
    if constexpr (on_host<Device>) {
      f(std::span(from, count * sizeof(T)));
    } else {
      buffer_.resize(block_bytes);
      for (std::size_t k = 0; k < count * sizeof(T); k += block_bytes) {
        const std::span part(buffer_.data(), std::min(block_bytes, count * sizeof(T) - k));
        fetch_bytes(device_, from + k, part);
        f(std::span<const std::byte>(part));
      }
    }
  }
  void hash_copies() {
    for_each_copy<Plan>(storage_, [&]<class T>(int kind, const HeldRun& run, const T* at) {
      io::Xxh64 hash;
      for_each_block(at, 0, run.count, [&](std::span<const std::byte> part) { hash.add(part); });
      hashes_[place(run.param, kind)] = hash.value();
    });
  }
  /// Of averages, which all ranks hold, or of everything else.
  std::uint64_t digest(bool averages) const {
    io::Xxh64 hash;
    for (std::size_t i = 0; i < num_params; ++i)
      if (Plan::layout.params[i].averages() == averages)
        hash.add(std::as_bytes(std::span(hashes_).subspan(i * kinds, kinds)));
    return hash.value();
  }

  void compare_number(const char* what, auto word, bool is_double) {
    std::vector<int> ranks(static_cast<std::size_t>(world_.size()));
    for (int r = 0; r < world_.size(); ++r) ranks[static_cast<std::size_t>(r)] = r;
    const auto sets = equal_sets(ranks, word);
    if (sets.size() == 1) return;
    Difference& d = begin_difference(what, "", sets,
                                     [&](int r) { return std::bit_cast<std::uint64_t>(word(r)); });
    const auto value = [&](int r) {
      return is_double ? std::bit_cast<double>(word(r)) : static_cast<double>(word(r));
    };
    d.elements = 1;
    for (Deviation& o : d.others) {
      o.elements = 1;
      o.expected = value(d.ranks.front());
      o.found = value(o.rank);
    }
  }
  /// Fills in who differs from whom; the values come later.
  Difference& begin_difference(const std::string& what, const std::string& name,
                               const std::vector<std::vector<int>>& sets, auto hash) {
    std::size_t most = 0;
    for (std::size_t i = 1; i < sets.size(); ++i)
      if (sets[i].size() > sets[most].size()) most = i;
    Difference& d = report_.first.emplace();
    d = {what, name, sets[most], hash(sets[most].front()), 0, {}};
    for (std::size_t i = 0; i < sets.size(); ++i)
      for (std::size_t k = 0; k < sets[i].size() && i != most; ++k)
        d.others.push_back({sets[i][k], hash(sets[i][k]), 0, 0, 0, 0});
    std::sort(d.others.begin(), d.others.end(),
              [](const Deviation& a, const Deviation& b) { return a.rank < b.rank; });
    return d;
  }

  /// Finds the first tensor, in declaration order, that ranks hold differently.
  void compare_tensors() {
    std::vector<std::int64_t> mine(hashes_.size());
    for (std::size_t i = 0; i < mine.size(); ++i) mine[i] = std::bit_cast<std::int64_t>(hashes_[i]);
    const std::vector<std::int64_t> all = gathered(mine.data(), mine.size());
    int param = -1, kind = 0;
    std::vector<std::vector<int>> sets;
    const auto hash_at = [&](std::size_t at) {
      return [&, at](int r) { return all[static_cast<std::size_t>(r) * mine.size() + at]; };
    };
    for (std::size_t at = 0; at < mine.size(); ++at) {
      bool differs = false;
      const int parts = period<Plan>(world_.size(), static_cast<int>(at) / kinds);
      for (int part = 0; part < parts; ++part) {
        auto found = equal_sets(holders(part, parts), hash_at(at));
        if (found.size() == 1) continue;
        differs = true;
        if (param >= 0) continue;
        param = static_cast<int>(at) / kinds;
        kind = static_cast<int>(at) % kinds;
        sets = std::move(found);
      }
      report_.differing += differs;
    }
    const std::vector<std::string> names = parameter_names<typename Plan::model>();
    Difference& d = begin_difference(
        held_name<Optimizer>(kind), names[static_cast<std::size_t>(param)], sets,
        [&](int r) { return std::bit_cast<std::uint64_t>(hash_at(place(param, kind))(r)); });
    compare_elements(param, kind, d);
  }
  /// The first of the ranks that agree shows its elements, block by block; the others compare.
  void compare_elements(int param, int kind, Difference& d) {
    const int root = d.ranks.front();
    const int parts = period<Plan>(world_.size(), param);
    const bool holds = world_.rank() % parts == root % parts;
    std::array<std::int64_t, 2> extent{};  // elements, bytes of one
    for_each_copy<Plan>(storage_, [&]<class T>(int k, const HeldRun& run, const T*) {
      if (k == kind && run.param == param)
        extent = {static_cast<std::int64_t>(run.count), sizeof(T)};
    });
    world_.broadcast(extent.data(), extent.size(), root);
    d.elements = static_cast<std::size_t>(extent[0]);
    const std::size_t size = static_cast<std::size_t>(extent[1]), step = block_bytes / size;
    std::vector<std::byte> theirs(std::min(step, d.elements) * size);
    std::array<std::int64_t, 4> found{};  // elements that differ, the first, both values
    for (std::size_t at = 0; at < d.elements; at += step) {
      const std::size_t count = std::min(step, d.elements - at);
      if (world_.rank() == root)
        with_block(param, kind, at, count, [&](auto, const auto* own, auto) {
          std::memcpy(theirs.data(), own, count * size);
        });
      world_.broadcast(reinterpret_cast<std::uint8_t*>(theirs.data()), count * size, root);
      if (!holds) continue;
      with_block(param, kind, at, count, [&]<class T>(T, const std::byte* own, std::size_t first) {
        for (std::size_t i = 0; i < count; ++i) {
          T a, b;
          std::memcpy(&a, theirs.data() + i * sizeof(T), sizeof(T));
          std::memcpy(&b, own + i * sizeof(T), sizeof(T));
          if (std::memcmp(&a, &b, sizeof(T)) == 0 || found[0]++ > 0) continue;
          found[1] = static_cast<std::int64_t>(first + at + i);
          found[2] = std::bit_cast<std::int64_t>(converted<double>(a));
          found[3] = std::bit_cast<std::int64_t>(converted<double>(b));
        }
      });
    }
    const std::vector<std::int64_t> all = gathered(found.data(), found.size());
    for (Deviation& o : d.others) {
      const std::int64_t* of = all.data() + static_cast<std::size_t>(o.rank) * found.size();
      o = {o.rank,
           o.hash,
           static_cast<std::size_t>(of[0]),
           static_cast<std::size_t>(of[1]),
           std::bit_cast<double>(of[2]),
           std::bit_cast<double>(of[3])};
    }
  }
  /// Calls f(T(), bytes, first element of the run) for elements [at, at + count) of what this rank holds.
  template <class F> void with_block(int param, int kind, std::size_t at, std::size_t count, F f) {
    for_each_copy<Plan>(storage_, [&]<class T>(int k, const HeldRun& run, const T* values) {
      if (k != kind || run.param != param) return;
      for_each_block(values, at, count,
                     [&](std::span<const std::byte> part) { f(T(), part.data(), run.first); });
    });
  }

  World& world_;
  const Device& device_;
  const Storage& storage_;
  std::vector<std::uint64_t> hashes_;  // by parameter and kind; 0 where this rank holds no copy
  std::vector<std::byte> buffer_;
  SyncReport report_;
};

}  // namespace detail

/// Compares by hash what several ranks must hold alike: the step, the loss scale, options, and every
/// tensor that the strategy keeps on more than one rank: averages; parameters (frozen ones too), masters
/// and moments under Replicate; parameters under ShardOptimizer and ShardGradients; the shards of
/// HybridShard's copies. Under FullShard every other element has one owner: where no tensor can differ the
/// report says so. What is gathered during a step is made anew before it is used and is not looked at; nor
/// is what a layer keeps outside its parameters.
///
/// Comm     40 bytes a rank, 48 where there are averages. Where hashes differ, 8 bytes a tensor of each
///          rank and the first tensor that differs from one rank to all. Collective, between steps.
/// Cost     one read of what is compared; a block of host memory, no copy of any tensor.
/// Errors   what a step under way has found. That ranks differ is no error: in_sync() says it.
/// Laws     one changed bit of a value is found and named, padding is not looked at
///          (tests/run/check_sync_test.cpp).
template <class Run> SyncReport check_sync(Run& run) {
  if constexpr (requires { typename Run::plan_type::slots; }) {
    run.wait();
    const std::int64_t step = run.steps_done();
    const auto scale = run.loss_scale();
    const std::uint64_t options = detail::hash_options(run.options());
    return run.inspect([&]<class W, class D, class S>(W& world, const D& device, const S& storage) {
      using Plan = typename Run::plan_type;
      return detail::SyncCheck<Plan, W, D, S>(world, device, storage)(step, scale, options);
    });
  } else {
    return {};  // a Trainer that was refused has said why
  }
}

/// check_sync, and OutOfSync on every rank when ranks differ. The world stays whole: who catches it can
/// load a checkpoint, which makes ranks equal again. Collective.
template <class Run> void require_sync(Run& run) {
  const SyncReport report = check_sync(run);
  if (report.in_sync()) return;
  throw OutOfSync(
      run.rank(), "require_sync",
      report.text() +
          ". Usual causes: a parameter written past set_parameter, or by it with other values on "
          "one rank; a layer that writes to its parameters; machines or builds with other "
          "instructions; damaged memory. Ask after every step to find the one that parts them; "
          "load() makes ranks equal again.");
}

}  // namespace cohort
