// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/groups_test.cpp: which units form a group, against tables made by hand.
#include <doctest/doctest.h>
#include <cohort/plan/groups.hpp>

#include <vector>

#include "support/models.hpp"

using namespace cohort;

namespace {
template <class How, class Model> std::vector<int> groups_of(std::size_t element_bytes = 4) {
  constexpr Layout<Model, typename How::cut> layout;
  const auto table = How::assign(layout, element_bytes);
  std::vector<int> out(table.of.begin(), table.of.end());
  out.push_back(table.count);  // last: how many groups there are
  return out;
}
using Table = std::vector<int>;

// Bytes of the units in fp32: 1 MiB | 8192 + 256 | 512 | 512 | 512.
using Wide = nn::Sequential<nn::Linear<512, 512, nn::NoBias>, nn::ReLU<512>, nn::Linear<512, 4>,
                            nn::Repeat<2, nn::Linear<4, 4>>, nn::Linear<4, 3>>;
using Square = nn::Linear<4, 4>;

static_assert(MinNotAboveMax<1, 2> && MinNotAboveMax<2, 2> && !MinNotAboveMax<3, 2>);
}  // namespace

TEST_CASE("groups: ByRepeat takes elements and direct children from 1 MiB, the rest is the root") {
  CHECK(groups_of<ByRepeat, Wide>() == Table{1, 0, 2, 3, 0, /*count*/ 4});
  CHECK(groups_of<ByRepeat, Wide>(2) == Table{0, 0, 1, 2, 0, 3});  // half the bytes: below 1 MiB
  CHECK(groups_of<ByRepeat, zoo::Gpt>() == Table{0, 0, 1, 2, 0, 0, 3});
}

TEST_CASE("groups: ByRepeat leaves own parameters of a divided layer in the root") {
  CHECK(groups_of<ByRepeat, zoo::TiedGpt>() == Table{0, 0, 1, 2, 0, 3});
}

TEST_CASE("groups: ByRepeat of a nested Repeat takes the outer elements only") {
  CHECK(groups_of<ByRepeat, zoo::NestedRepeat>() == Table{0, 1, 2, 0, 3});
}

TEST_CASE("groups: a model without Repeat is one unit in the root") {
  CHECK(groups_of<ByRepeat, zoo::OddMlp>() == Table{0, 1});
  CHECK(groups_of<One, zoo::OddMlp>() == Table{0, 1});
}

TEST_CASE("groups: Each finds a layer type wherever it stands, also inside Repeat in Repeat") {
  // Linear<6, 4>; twice (LayerNorm, three squares); Linear<4, 3>.
  CHECK(groups_of<Each<Square>, zoo::NestedRepeat>() == Table{0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 7});
  CHECK(groups_of<Each<Square>, Wide>() == Table{0, 0, 1, 2, 0, 3});
  // Block: LayerNorm | attention | the second branch, which holds no attention and is whole.
  CHECK(groups_of<Each<nn::Attention<8, 2>>, zoo::TiedGpt>() ==
        Table{0, 0, 0, 1, 0, 0, 2, 0, 0, 3});
}

TEST_CASE("groups: Each of several types numbers them in forward order") {
  CHECK(groups_of<Each<nn::Linear<4, 3>, Square, nn::Linear<6, 4>>, zoo::NestedRepeat>() ==
        Table{1, 0, 2, 3, 4, 0, 5, 6, 7, 8, 9});
}

TEST_CASE("groups: Each of the Repeat's element is ByRepeat") {
  CHECK(groups_of<Each<zoo::Block<8, 2>>, zoo::Gpt>() == groups_of<ByRepeat, zoo::Gpt>());
}

TEST_CASE("groups: layers without parameters have no unit and change no number") {
  using Plain = nn::Sequential<nn::Linear<6, 4>, nn::Repeat<2, Square>, nn::Linear<4, 3>>;
  using Sprinkled =
      nn::Sequential<nn::ReLU<6>, nn::Linear<6, 4>, nn::Gelu<4>, nn::Repeat<2, Square>,
                     nn::Repeat<3, nn::ReLU<4>>, nn::Linear<4, 3>, nn::ReLU<3>>;
  CHECK(groups_of<ByRepeat, Sprinkled>() == groups_of<ByRepeat, Plain>());
  CHECK(groups_of<Each<Square>, Sprinkled>() == groups_of<Each<Square>, Plain>());
  CHECK(groups_of<BySize<1, 2>, Sprinkled>() == groups_of<BySize<1, 2>, Plain>());
}

TEST_CASE("groups: BySize joins neighbours up to Min, never beyond Max by joining") {
  // From 1024: the two elements join to 1024, the last stays alone.
  CHECK(groups_of<BySize<1024, 1 << 20>, Wide>() == Table{1, 2, 3, 3, 4, 5});
  // From 10000: 8448 + 512 + 512 + 512 = 9984 stays below.
  CHECK(groups_of<BySize<10000, 10000>, Wide>() == Table{1, 2, 2, 2, 2, 3});
  // At most 9000: 8448 + 512 = 8960 fits, another 512 does not.
  CHECK(groups_of<BySize<9000, 9000>, Wide>() == Table{1, 2, 2, 3, 3, 4});
  // At most 8960: a group may reach Max exactly.
  CHECK(groups_of<BySize<8960, 8960>, Wide>() == Table{1, 2, 2, 3, 3, 4});
  // Min of one byte: nothing joins.
  CHECK(groups_of<BySize<1, 1>, Wide>() == Table{1, 2, 3, 4, 5, 6});
}

TEST_CASE("groups: BySize leaves own parameters of a divided layer in the root") {
  CHECK(groups_of<BySize<1, 1>, zoo::TiedGpt>() == Table{0, 1, 2, 3, 4, 5});
}

TEST_CASE("groups: One puts everything into the root") {
  CHECK(groups_of<One, zoo::Gpt>() == Table{0, 0, 0, 0, 0, 0, 1});
}

TEST_CASE("groups: numbers grow in forward order and every number is used") {
  const auto check = [](const std::vector<int>& table) {
    int highest = 0;
    for (std::size_t i = 0; i + 1 < table.size(); ++i) {
      CHECK((table[i] == 0 || table[i] == highest || table[i] == highest + 1));
      highest = std::max(highest, table[i]);
    }
    CHECK(table.back() == highest + 1);
  };
  zoo::for_each_case([&]<class Case>() {
    check(groups_of<ByRepeat, typename Case::Model>());
    check(groups_of<One, typename Case::Model>());
    check(groups_of<BySize<600, 1500>, typename Case::Model>());
  });
  check(groups_of<Each<Square>, zoo::NestedRepeat>());
}
