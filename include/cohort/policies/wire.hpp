// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/wire.hpp: gradients on their way between ranks, in the type that they are reduced in.
#pragma once
#include <cohort/comm/exchanged_memory.hpp>
#include <cohort/core/arena.hpp>
#include <cohort/core/float16.hpp>
#include <cohort/ops/convert.hpp>
#include <cohort/ops/elementwise.hpp>
#include <cstddef>
#include <type_traits>

namespace cohort {

/// The power of two that fp16 gradients are divided by before they are added over `ranks` ranks, near
/// the square root of their number: neither the parts vanish nor the sum overflows first.
///
/// Source   PyTorch FSDP2, _get_gradient_divide_factors.
constexpr int predivide(int ranks) {
  int p = 1;
  while (ranks % p == 0 && ranks / p > p) p *= 2;
  return p;
}

namespace detail {

/// What casting gradients for their reduction takes; plans know it without the device's headers.
template <class Plan> struct WireSize {
  using R = typename Plan::reduce;
  /// Room for `count` elements; 0 where nothing is cast.
  static constexpr std::size_t bytes(std::size_t count) {
    return Plan::casts_reductions ? round_up(count * sizeof(R), alignment) : 0;
  }
  /// What gradients are divided by when they have been reduced over a world of `ranks`.
  static constexpr int divisor(int ranks) { return std::is_same_v<R, fp16> ? predivide(ranks) : 1; }
};

/// Reduces fp32 gradients as Plan::reduce: rounds them into memory of its own, reduces there, converts
/// the sum back. Where the types are one, it reduces in place. Works on the communication stream's device.
template <class Plan, class Comm> class Wire : public WireSize<Plan> {
 public:
  using WireSize<Plan>::bytes, WireSize<Plan>::divisor;
  using D = typename Plan::gradient;
  using R = typename Plan::reduce;
  using Device = typename Plan::device;
  static constexpr bool casts = Plan::casts_reductions;

  Wire(const Device& device, std::size_t count, int ranks)
      : device_(device), memory_(bytes(count)), factor_(D(1) / D(divisor(ranks))) {}

  /// This communicator will reduce. Collective.
  void announce_to(Comm& comm) { announce(comm, memory_); }
  /// `divides`: this is the first reduction of these gradients.
  void all_reduce(Comm& comm, D* inout, std::size_t count, bool divides = true) const {
    if constexpr (casts) {
      R* wire = narrowed(inout, count, divides);
      comm.all_reduce(wire, count);
      ops::convert(device_, count, static_cast<const R*>(wire), inout);
    } else {
      comm.all_reduce(inout, count);
    }
  }
  /// This rank's part, of `per` elements, of the sum of everybody's `whole` is written or added to `own`,
  /// which may be its place in `whole`.
  void reduce_scatter(Comm& comm, D* whole, D* own, std::size_t per, bool adds) const {
    const auto ranks = static_cast<std::size_t>(comm.size()),
               first = static_cast<std::size_t>(comm.rank()) * per;
    if constexpr (casts) {
      R* wire = narrowed(whole, ranks * per, true);
      R* sum = wire + first;  // in place: peers read other slices
      comm.reduce_scatter(static_cast<const R*>(wire), sum, per);
      if (adds)
        ops::add_to(device_, per, own, static_cast<const R*>(sum));
      else
        ops::convert(device_, per, static_cast<const R*>(sum), own);
    } else {
      D* sum = adds ? whole + first : own;
      comm.reduce_scatter(static_cast<const D*>(whole), sum, per);
      if (adds) ops::add_to(device_, per, own, static_cast<const D*>(sum));
    }
  }

 private:
  R* narrowed(const D* from, std::size_t count, bool divides) const {
    R* wire = memory_.template as<R>();
    if (divides && factor_ != D(1))
      ops::convert_scaled(device_, count, factor_, from, wire);
    else
      ops::convert(device_, count, from, wire);
    return wire;
  }

  [[no_unique_address]] Device device_;
  ExchangedMemory<Comm, Device> memory_;
  D factor_;
};

/// to[n] = from[n], exact where a 16-bit type becomes fp32; both in the device's memory.
template <class Device, class From, class To>
void copy_converted(const Device& device, std::size_t n, const From* from, To* to) {
  if constexpr (std::is_same_v<From, To>)
    device.copy(to, from, n * sizeof(To));
  else
    ops::convert(device, n, from, to);
}

/// Waits for what a communicator of a GPU has queued; a peer that is gone ends the wait.
template <class Comm> void settle(Comm& comm) {
  if constexpr (requires { comm.synchronize(); }) comm.synchronize();
}

/// The same with `to` on the host, which may read it when this returns.
template <class Device, class From>
void fetch_converted(const Device& device, std::size_t n, const From* from, float* to) {
  if constexpr (on_host<Device>) {
    copy_converted(device, n, from, to);
  } else if constexpr (std::is_same_v<From, float>) {
    device.download(to, from, n * sizeof(float));
  } else {
    constexpr std::size_t most = workspace_bytes<Device> / sizeof(float);
    for (std::size_t at = 0; at < n; at += most) {
      const std::size_t count = n - at < most ? n - at : most;
      float* wide = device.template take<float>(count, "fetch");
      ops::convert(device, count, from + at, wide);
      device.download(to + at, wide, count * sizeof(float));
    }
  }
}

}  // namespace detail
}  // namespace cohort
