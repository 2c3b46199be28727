// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/exchanged_memory.hpp: the memory that a communicator likes best for what its collectives move.
#pragma once
#include <type_traits>
#include <utility>

namespace cohort::detail {

/// The communicator inside those that log or delay.
template <class Comm> auto& innermost(Comm& comm) {
  if constexpr (requires { comm.wrapped(); })
    return innermost(comm.wrapped());
  else
    return comm;
}

template <class Comm, class Device> struct exchanged_memory {
  using type = typename Device::Memory;
};
template <class Comm, class Device>
requires requires {
  typename std::remove_reference_t<decltype(innermost(std::declval<Comm&>()))>::Memory;
}
struct exchanged_memory<Comm, Device> {
  using type = typename std::remove_reference_t<decltype(innermost(std::declval<Comm&>()))>::Memory;
};

/// What parameters and gradients lie in: the device's memory, unless the communicator has a kind of its own
/// (Comm::Memory: made of a number of bytes, with as<T>() and bytes()).
template <class Comm, class Device>
using ExchangedMemory = typename exchanged_memory<Comm, Device>::type;

/// Tells the communicator that its collectives will read and write this memory, where it wants to know.
/// Collective; the memory is gone before the communicator is.
template <class Comm, class Memory>
void announce([[maybe_unused]] Comm& comm, [[maybe_unused]] Memory& memory) {
  if constexpr (requires { memory.share(innermost(comm)); }) memory.share(innermost(comm));
}

}  // namespace cohort::detail
