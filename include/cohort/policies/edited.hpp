// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/edited.hpp: memory of a device that the host writes single elements of, outside steps.
#pragma once
#include <cohort/core/arena.hpp>
#include <cohort/device/traits.hpp>
#include <cstddef>

namespace cohort::detail {

/// Owns memory of the device. Between open() and close() host(p) is where the host reads and writes the
/// element that p points to in the device's memory: p itself, or its place in an image that close() copies
/// back. Only one thread edits at a time, and nothing runs on the device meanwhile.
///
/// Cost     on the host's own memory nothing; else the image, and a copy each way.
template <class Device, class Memory = typename Device::Memory> class Edited {
 public:
  explicit Edited(std::size_t bytes) : memory_(bytes) {}
  template <class T> T* as() const { return memory_.template as<T>(); }
  std::size_t bytes() const { return memory_.bytes(); }
  Memory& memory() { return memory_; }

  void open(const Device& device) {
    if constexpr (!on_host<Device>) {
      image_ = HostMemory(bytes());
      device.download(image_.as<std::byte>(), as<std::byte>(), bytes());
    }
  }
  void close(const Device& device) {
    if constexpr (!on_host<Device>) {
      device.upload(as<std::byte>(), image_.as<std::byte>(), bytes());
      image_ = {};
    }
  }
  template <class T> T* host(T* p) const {
    if constexpr (on_host<Device>)
      return p;
    else
      return image_.as<T>() + (p - as<T>());
  }

 private:
  Memory memory_;
  HostMemory image_;
};

}  // namespace cohort::detail
