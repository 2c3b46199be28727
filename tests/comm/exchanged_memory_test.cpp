// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/exchanged_memory_test.cpp: a communicator's own memory is found, also through those around it.
#include <cohort/comm/exchanged_memory.hpp>

#include <doctest/doctest.h>

#include <cohort/device/cpu.hpp>
#include <type_traits>

using namespace cohort;

namespace {
struct Plain {};
struct Particular {
  struct Memory {
    Particular* told = nullptr;
    void share(Particular& comm) { told = &comm; }
  };
};
template <class C> struct Around {
  C comm;
  C& wrapped() { return comm; }
};
template <class C> using MemoryOf = detail::ExchangedMemory<C, DefaultCpu>;
static_assert(std::is_same_v<MemoryOf<Plain>, DefaultCpu::Memory>);
static_assert(std::is_same_v<MemoryOf<Around<Plain>>, DefaultCpu::Memory>);
static_assert(std::is_same_v<MemoryOf<Particular>, Particular::Memory>);
static_assert(std::is_same_v<MemoryOf<Around<Around<Particular>>>, Particular::Memory>);
}  // namespace

TEST_CASE("announce: the innermost communicator is told, where it wants to know") {
  Around<Around<Particular>> comm;
  Particular::Memory memory;
  detail::announce(comm, memory);
  CHECK(memory.told == &comm.comm.comm);
  Plain plain;
  DefaultCpu::Memory none;
  detail::announce(plain, none);
}
