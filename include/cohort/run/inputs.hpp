// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/inputs.hpp: the rows of a step on their way from the caller to the device: none on the host.
#pragma once
#include <cohort/run/machine.hpp>

namespace cohort::detail {

/// Makes a caller's rows readable for the device. run/cuda/inputs.hpp copies them.
template <class Plan, class Machine, class Device> class Inputs {
 public:
  Inputs(const Machine&, Rows) {}
  /// What the device reads of the caller's rows; valid until the next call.
  template <class X, class Y> std::pair<X, Y> operator()(X x, Y y) { return {x, y}; }
  template <class X> X operator()(X x) { return x; }
  /// The device's result, where the host can read it.
  template <class Y> Y result(Y y) { return y; }
};

/// An arena in the memory of the device.
template <class Device> class ArenaOn {
 public:
  ArenaOn(const char* purpose, std::size_t bytes)
      : memory_(bytes), arena_(purpose, memory_.template as<std::byte>(), memory_.bytes()) {}
  operator Arena&() { return arena_; }
  Arena* operator->() { return &arena_; }

 private:
  typename Device::Memory memory_;
  Arena arena_;
};

}  // namespace cohort::detail
