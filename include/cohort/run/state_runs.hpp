// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/state_runs.hpp: the training state that a rank holds, as named runs of elements, and how they are filled.
#pragma once
#include <bit>
#include <cmath>
#include <cohort/device/traits.hpp>
#include <cohort/io/safetensors.hpp>
#include <cohort/plan/held.hpp>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace cohort::detail {

/// What of a parameter a run of elements is: its value (masters where there are any), or a moment.
inline constexpr int state_value = -1;

/// Calls f(kind, HeldRun, T* at) for everything this rank holds: values, then each moment, of a trained
/// parameter; values of frozen and of averaged ones. `at` is in the device's memory. With `owned` only what this rank
/// answers for among those that hold the same.
template <class Plan, class Storage, class F>
void for_each_state(const Storage& storage, bool owned, F f) {
  constexpr int moments = Plan::slots::optimizer::moments;
  const auto part = [owned](Copies copies, std::size_t size, const HeldRun& run) {
    return owned ? clipped(run, copies.begin(size), copies.end(size)) : run;
  };
  storage.for_each_held([&](const HeldRun& all, auto* values, auto* moment) {
    const HeldRun run = part(storage.copies(), storage.size(), all);
    if (run.count == 0) return;
    const std::size_t skip = run.local - all.local;
    f(state_value, run, values + skip);
    for (int m = 0; m < moments; ++m)
      f(m, run, moment + static_cast<std::size_t>(m) * storage.size() + skip);
  });
  storage.for_each_held_frozen([&](const HeldRun& all, auto* values) {
    const HeldRun run = part(storage.frozen_copies(), storage.frozen_size(), all);
    if (run.count > 0) f(state_value, run, values + (run.local - all.local));
  });
  if constexpr (Plan::averages) {
    storage.for_each_held_average([&](const HeldRun& all, auto* values) {
      const HeldRun run = part(storage.averaged_copies(), storage.averaged_size(), all);
      if (run.count > 0) f(state_value, run, values + (run.local - all.local));
    });
  }
}

/// What the training state of a model consists of, as files know it: of each parameter its value, of a trained one
/// its moments. Made from a plan, so that what reads and writes names, shapes and types is compiled once.
struct StateList {
  std::vector<std::string> names;  // of parameters, in forward order
  std::span<const ParamInfo> params;
  std::vector<std::string> moments;  // "exp_avg"
  io::StoredType trained, frozen, averaged, moment;

  /// "parameters/0.weight", "optimizer/exp_avg/0.weight": PyTorch's names where the optimizer has them.
  std::string name(int kind, std::size_t param) const {
    if (kind == state_value) return "parameters/" + names[param];
    return "optimizer/" + moments[static_cast<std::size_t>(kind)] + "/" + names[param];
  }
  std::vector<std::uint64_t> shape(std::size_t param) const {
    return {params[param].extents().begin(), params[param].extents().end()};
  }
  /// What its elements are stored as, in a run and in its checkpoints.
  io::StoredType type(int kind, std::size_t param) const {
    const ParamInfo& p = params[param];
    return kind != state_value ? moment : p.averages() ? averaged : p.trains ? trained : frozen;
  }
  /// The kinds of a parameter are below this one, from state_value on.
  int kinds(std::size_t param) const {
    return params[param].trains ? static_cast<int>(moments.size()) : 0;
  }
};
template <class Optimizer> std::vector<std::string> moment_names() {
  std::vector<std::string> names;
  for (int m = 0; m < Optimizer::moments; ++m) {
    if constexpr (requires { Optimizer::moment_names; })
      names.emplace_back(Optimizer::moment_names[m]);
    else
      names.push_back("moment" + std::to_string(m));
  }
  return names;
}
template <class Plan> StateList state_list() {
  return {
      parameter_names<typename Plan::model>(),         Plan::layout.params,
      moment_names<typename Plan::slots::optimizer>(), io::stored_type_of<typename Plan::master>,
      io::stored_type_of<typename Plan::compute>,      io::stored_type_of<typename Plan::gradient>,
      io::stored_type_of<typename Plan::gradient>};
}

/// Is every number of type `from` one of type `to`?
constexpr bool holds_exactly(io::StoredType to, io::StoredType from) {
  using S = io::StoredType;
  if (from == to) return true;
  if (to != S::F32 && to != S::F64) return false;
  return from == S::BF16 || from == S::F16 || (to == S::F64 && from == S::F32);
}
/// Can it be rounded to one?
constexpr bool is_real(io::StoredType from) {
  using S = io::StoredType;
  return from == S::F64 || from == S::F32 || from == S::BF16 || from == S::F16;
}

/// A double as a T of 16 bits, rounded once: on its way through a float, which is rounded to an odd number
/// where it is not exact, no tie arises.
template <class T> T narrowed(double value) {
  const float near = static_cast<float>(value);
  if (near == value) return static_cast<T>(near);
  auto bits = std::bit_cast<std::uint32_t>(near);
  if (std::abs(static_cast<double>(near)) > std::abs(value)) --bits;
  return static_cast<T>(std::bit_cast<float>(bits | 1));
}
template <class To, class From> To converted(From value) {
  if constexpr (std::is_same_v<To, From> || (sizeof(To) >= 4 && sizeof(From) >= 4))
    return static_cast<To>(value);
  else if constexpr (sizeof(From) == 8)
    return narrowed<To>(value);
  else
    return static_cast<To>(static_cast<float>(value));
}
template <class From, class To>
void convert_elements(std::span<const std::byte> from, To* to, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    From value;
    std::memcpy(&value, from.data() + i * sizeof(From), sizeof(From));
    to[i] = converted<To>(value);
  }
}
/// to[n] = from[n] of a stored type, rounded where T is narrower.
template <class T>
void convert_stored(io::StoredType type, std::span<const std::byte> from, T* to, std::size_t n) {
  if (type == io::stored_type_of<T>) {
    std::memcpy(static_cast<void*>(to), from.data(), n * sizeof(T));
  } else {
    switch (type) {
      case io::StoredType::F64:
        return convert_elements<double>(from, to, n);
      case io::StoredType::F32:
        return convert_elements<float>(from, to, n);
      case io::StoredType::BF16:
        return convert_elements<bf16>(from, to, n);
      default:
        return convert_elements<fp16>(from, to, n);
    }
  }
}
template <class To, class From>
void write_elements(const From* from, std::size_t apart, std::size_t n, std::byte* to) {
  for (std::size_t i = 0; i < n; ++i) {
    const To value = converted<To>(from[i * apart]);
    std::memcpy(to + i * sizeof(To), &value, sizeof(To));
  }
}
/// Every `apart`-th element from `from` on as a stored type that is_real, rounded where it is narrower.
template <class T>
void store_as(io::StoredType type, const T* from, std::size_t apart, std::size_t n, std::byte* to) {
  switch (type) {
    case io::StoredType::F64:
      return write_elements<double>(from, apart, n, to);
    case io::StoredType::F32:
      return write_elements<float>(from, apart, n, to);
    case io::StoredType::BF16:
      return write_elements<bf16>(from, apart, n, to);
    default:
      return write_elements<fp16>(from, apart, n, to);
  }
}
/// convert_stored with `to` in the memory of a device; `image` is host memory that is used again.
template <class Device, class T>
void store_elements(const Device& device, io::StoredType type, std::span<const std::byte> from,
                    T* to, std::size_t n, std::vector<std::byte>& image) {
  if constexpr (on_host<Device>) {
    convert_stored(type, from, to, n);
  } else {
    image.resize(n * sizeof(T));
    convert_stored(type, from, reinterpret_cast<T*>(image.data()), n);
    device.upload(to, image.data(), n * sizeof(T));
  }
}
/// to = from, from in the memory of a device.
template <class Device>
void fetch_bytes(const Device& device, const std::byte* from, std::span<std::byte> to) {
  if constexpr (on_host<Device>)
    std::memcpy(to.data(), from, to.size());
  else
    device.download(to.data(), from, to.size());
}

}  // namespace cohort::detail
