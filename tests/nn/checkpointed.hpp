// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/checkpointed.hpp: a layer computed again beside the same one that keeps what it needs.
#pragma once
#include <cohort/nn/checkpointed.hpp>

#include "run/support.hpp"
#include "support.hpp"
#include "support/models.hpp"

namespace cohort::testing {
template <class L, class T = float> using Of = zoo::OneLayer<L, T>;

template <class L> auto inputs(Rows rows, auto type) {
  const auto count = static_cast<std::size_t>(rows.count());
  if constexpr (std::is_same_v<typename L::Input, Tokens>) {
    std::vector<int> ids(count);
    for (std::size_t i = 0; i < count; ++i) ids[i] = int(i % 5);
    return ids;
  } else {
    return zoo::normals<decltype(type)>(count * L::Input::extent, 1);
  }
}

/// One step of L and of L computed again: every bit.
template <class L, class T = float> void check_same(Rows rows) {
  Of<L, T> kept(rows);
  Of<nn::Checkpointed<L>, T> again(rows);
  kept.draw(3);
  again.draw(3);
  const auto x = inputs<L>(rows, T{});
  const auto dy = zoo::normals<T>(static_cast<std::size_t>(rows.count()) * L::Output::extent, 2);
  for (int step = 0; step < 2; ++step) {
    kept.run(x, dy);
    again.run(x, dy);
    CHECK(as<double>(again.y) == as<double>(kept.y));
    CHECK(as<double>(again.dx) == as<double>(kept.dx));
    for (const auto& name : parameter_names<L>()) {
      CAPTURE(name);
      CHECK(again.parameter(name).size() == kept.parameter(name).size());
      CHECK(again.gradient(name) == kept.gradient(name));
    }
    CHECK(again.scratch().used() == 0);
  }
  CHECK(as<double>(again.evaluate(x)) == as<double>(kept.y));
}

using KeptCase = zoo::GptCase;
using AgainCase = zoo::CheckpointedGptCase;
template <class C, class... Policies>
using RunOf = Trainer<typename C::Model, typename C::Loss, Policies...>;

template <class... Policies> void check_law(const test::Setup& setup) {
  using Kept = RunOf<KeptCase, Policies...>;
  using Again = RunOf<AgainCase, Policies...>;
  const auto kept = test::train<Kept, KeptCase>(setup),
             again = test::train<Again, AgainCase>(setup);
  for (std::size_t rank = 0; rank < kept.size(); ++rank) {
    CHECK(test::same_bits(again[rank], kept[rank]));
    CHECK(again[rank].calls == kept[rank].calls);
    CHECK(!kept[rank].calls.empty());
  }
  const Sizes sizes{.ranks = setup.ranks, .batch = setup.each, .tokens = 4};
  const MemoryBytes a = Kept::plan.memory(sizes), b = Again::plan.memory(sizes);
  CHECK(b.activations < a.activations);
  CHECK(b.total() < a.total());  // one block's activations are scratch now, of two
  CHECK(b.backward == a.backward);
  CHECK(b.wire == a.wire);
}

}  // namespace cohort::testing
