// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/shard_tables.hpp: what an optimizer knows of the chunks of a rank's shard.
#pragma once
#include <cohort/core/arena.hpp>
#include <cohort/run/formation.hpp>

namespace cohort::detail {

/// The tables of a rank's shard that its optimizer reads.
struct ShardTables {
  const std::uint8_t* decays = nullptr;
  const std::uint32_t* chunk_numbers = nullptr;  // where parameters are rounded at random
};

/// Owns them, in the device's memory. Numbers of chunks stand behind the flags of decay, where
/// parameters are rounded at random.
template <class Plan, class Device> class ShardTableMemory {
 public:
  template <class Storage>
  ShardTableMemory(std::size_t bytes, const Device& device, const Storage& storage)
      : memory_(bytes),
        numbers_at_(Plan::rounds_at_random ? round_up(storage.size() / chunk, alignment) : 0) {
    const HostMemory image(on_host<Device> ? 0 : memory_.bytes());
    auto* at = on_host<Device> ? memory_.template as<std::uint8_t>() : image.as<std::uint8_t>();
    mark_decaying<Plan>(storage, at);
    if constexpr (Plan::rounds_at_random)
      number_chunks<Plan>(storage, reinterpret_cast<std::uint32_t*>(at + numbers_at_));
    if constexpr (!on_host<Device>)
      device.upload(memory_.template as<std::uint8_t>(), at, memory_.bytes());
  }
  ShardTables tables() const {
    const auto* at = memory_.template as<std::uint8_t>();
    return {at, reinterpret_cast<const std::uint32_t*>(at + numbers_at_)};
  }

 private:
  typename Device::Memory memory_;
  std::size_t numbers_at_;
};

}  // namespace cohort::detail
