// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/loading.hpp: a checkpoint on its way into a run, whatever strategy and world it came from.
#pragma once
#include <fnmatch.h>

#include <charconv>
#include <cohort/io/checkpoint_index.hpp>
#include <cohort/io/stored_name.hpp>
#include <cohort/run/run_state.hpp>
#include <cohort/run/state_runs.hpp>
#include <filesystem>
#include <map>
#include <set>

namespace cohort::detail {

/// "parameters/2.weight" -> "2.weight", or "" for what is no value.
inline std::string_view parameter_of(std::string_view name) {
  constexpr std::string_view values = "parameters/";
  return name.starts_with(values) ? name.substr(values.size()) : std::string_view{};
}

/// The facts of a manifest as what they are.
class Facts {
 public:
  explicit Facts(const io::CheckpointIndex& index) : index_(index) {}
  const std::string& text(const std::string& key) const {
    const auto at = index_.manifest().facts.find(key);
    if (at == index_.manifest().facts.end()) bad(key, "is missing");
    return at->second;
  }
  template <class T> T number(const std::string& key) const {
    const std::string& t = text(key);
    T value{};
    const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), value);
    if (error != std::errc{} || end != t.data() + t.size()) bad(key, "is '" + t + "', no number");
    return value;
  }
  Loaded loaded() const {
    Loaded out;
    out.path = index_.path();
    out.step = number<std::int64_t>("step");
    out.data = {number<std::int64_t>("data_epoch"), number<std::int64_t>("data_samples")};
    out.ranks = number<int>("ranks");
    out.batch = number<int>("batch");
    if (index_.manifest().facts.contains("order_ranks"))  // older ones do not say it
      out.order_ranks = number<int>("order_ranks");
    for (const auto& [key, value] : index_.manifest().facts)
      if (key.starts_with("note.")) out.notes[key.substr(5)] = value;
    return out;
  }

 private:
  [[noreturn]] void bad(const std::string& key, const std::string& what) const {
    throw io::MalformedFile(-1, "checkpoint '" + index_.path() + "'",
                            "'" + key + "' of its manifest " + what +
                                ": it is damaged or of another version of cohort");
  }
  const io::CheckpointIndex& index_;
};

/// A checkpoint and what of it a run's state takes. Made by every rank; check() finds the same faults on all, before
/// anything is changed.
class ChosenState {
 public:
  ChosenState(const std::filesystem::path& path, const LoadOptions& options, StateList list)
      : index_(path), options_(options), list_(std::move(list)) {}
  const io::CheckpointIndex& index() const { return index_; }
  bool values_only() const { return options_.weights_only || !options_.only.empty(); }

  void check() const {
    bool matched = false;
    for (std::size_t i = 0; i < list_.names.size(); ++i) {
      for (int kind = state_value; kind < list_.kinds(i); ++kind)
        if (takes(kind, i)) check_tensor(kind, i);
      matched = matched || takes(state_value, i);
    }
    if (!matched)
      refuse("no parameter of the model matches '" + options_.only + "'; it has " + some_names());
    if (options_.only.empty()) check_nothing_left();
  }
  /// Tensors that this run has no place for.
  std::vector<std::string> unused() const {
    const auto known = places();
    std::vector<std::string> names;
    for (const auto& [name, tensor] : index_.tensors())
      if (!known.contains(name)) names.push_back(name);
    return names;
  }

 protected:
  bool takes(int kind, std::size_t param) const {
    if (kind != state_value && values_only()) return false;
    return options_.only.empty() ||
           ::fnmatch(options_.only.c_str(), list_.names[param].c_str(), 0) == 0;
  }
  io::CheckpointIndex index_;
  LoadOptions options_;
  StateList list_;

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw InvalidInput(-1, "checkpoint '" + index_.path() + "'", why + ".");
  }
  std::string some_names() const {
    std::string text;
    const auto& names = list_.names;
    for (std::size_t i = 0; i < names.size() && i < 6; ++i) text += (i ? ", " : "") + names[i];
    return text + (names.size() > 6 ? ", ..." : "");
  }
  void check_tensor(int kind, std::size_t i) const {
    const std::string& parameter = list_.names[i];
    const std::string name = list_.name(kind, i);
    const auto* tensor = index_.find(name);
    if (tensor == nullptr && kind != state_value)
      refuse("it has no '" + name +
             "': it was saved with another optimizer, or with this parameter frozen. Make both as "
             "they were, or load with {.weights_only = true} to begin with fresh moments");
    if (tensor == nullptr)
      refuse("it has no parameter '" + parameter + "', which the model has: it is of another " +
             "model (it has " + stored_names() + ")");
    const auto want = list_.shape(i);
    if (tensor->extents != want)
      refuse("'" + parameter + "' is " + io::readable_shape(tensor->extents) + " there and " +
             io::readable_shape(want) +
             " in the model: make the model as it was when it was saved");
    if (!holds_exactly(list_.type(kind, i), tensor->type))
      refuse("'" + name + "' is " + std::string(io::name(tensor->type)) + " there and " +
             std::string(io::name(list_.type(kind, i))) +
             " in this run, which would lose bits: use the MixedPrecision that it was saved with, "
             "or save_full() there and load_full() here, which round");
  }
  /// The names of everything that all ranks hold.
  std::set<std::string, std::less<>> places() const {
    std::set<std::string, std::less<>> all;
    for (std::size_t i = 0; i < list_.names.size(); ++i)
      for (int kind = state_value; kind < list_.kinds(i); ++kind) all.insert(list_.name(kind, i));
    return all;
  }
  void check_nothing_left() const {
    const auto known = places();
    for (const auto& [name, tensor] : index_.tensors())
      if (!parameter_of(name).empty() && !known.contains(name))
        refuse("it has a parameter '" + std::string(parameter_of(name)) + "' " +
               io::readable_shape(tensor.extents) +
               " that the model lacks: it is of another model. To load only what matches, name it: "
               "{.only = \"pattern*\"}");
    for (const auto& [name, tensor] : index_.tensors())
      if (!values_only() && !known.contains(name))
        refuse("it has '" + name +
               "', for which this run has no place: it was saved with another optimizer, or with a "
               "parameter trained that is frozen now. Make both as they were, or load with "
               "{.weights_only = true} to begin with fresh moments");
  }
  std::string stored_names() const {
    std::string text;
    int count = 0;
    for (const auto& [name, tensor] : index_.tensors()) {
      if (parameter_of(name).empty()) continue;
      if (count++ == 4) return text + ", ...";
      text += (count > 1 ? ", " : "") + std::string(parameter_of(name));
    }
    return text;
  }
};

/// Fills a run's state from it.
template <class Plan> class CheckpointLoad : public ChosenState {
 public:
  CheckpointLoad(const std::filesystem::path& path, const LoadOptions& options)
      : ChosenState(path, options, state_list<Plan>()) {}

  /// Reads what this rank holds.
  template <class Device, class Storage> void read(const Device& device, const Storage& storage) {
    std::vector<std::byte> image;
    for_each_state<Plan>(storage, false, [&]<class T>(int kind, const HeldRun& run, T* at) {
      const auto param = static_cast<std::size_t>(run.param);
      if (!takes(kind, param)) return;
      const auto& tensor = *index_.find(list_.name(kind, param));
      const std::size_t size = static_cast<std::size_t>(io::bits(tensor.type)) / 8;
      index_.read(tensor, run.first, run.count,
                  [&](std::uint64_t to, std::span<const std::byte> bytes) {
                    store_elements(device, tensor.type, bytes, at + to, bytes.size() / size, image);
                  });
    });
  }
};

}  // namespace cohort::detail
