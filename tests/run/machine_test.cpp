// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/machine_test.cpp: on the host a rank computes and communicates with what its world gives.
#include <cohort/run/machine.hpp>

#include <doctest/doctest.h>

#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/ops/default_gemm.hpp>

using namespace cohort;

namespace {

struct WorldOfGpus {
  using device = Cuda;
};
static_assert(std::is_same_v<detail::device_of_world<Threads>::type, DefaultCpu>);
static_assert(std::is_same_v<detail::device_of_world<WorldOfGpus>::type, Cuda>);

TEST_CASE("Machine: the host's communicator is the world itself, its two devices are one kind") {
  launch<Threads>({.ranks = 2}, [](Threads& world) {
    const detail::Machine<Threads, DefaultCpu> machine(world, 0, false);
    CHECK(&machine.comm() == &world);
    static_assert(std::is_same_v<decltype(machine.compute()), decltype(machine.communication())>);
    float value = 1;
    machine.comm().all_reduce(&value, std::size_t{1});
    CHECK(value == 2);
    std::uint8_t touched = 0;
    const auto g = machine.gradients(&value, &touched);
    CHECK((g.at == &value && g.touched == &touched));
    machine.settle();
  });
}

TEST_CASE("Totals: loss and squares are the words that ranks reduce") {
  detail::Totals<int, DefaultCpu> totals(0);
  totals.loss() = {3, 4};
  CHECK((totals.loss_words()[0] == 3 && totals.loss_words()[1] == 4));
  totals.squares().add(2.0);
  totals.squares().add(0.5);
  ops::ExactSum copy;
  for (int i = 0; i < ops::ExactSum::num_limbs; ++i) copy.limbs()[i] = totals.limbs()[i];
  CHECK(copy.value() == 2.5);
}

}  // namespace
