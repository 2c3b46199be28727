// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/layout_test.cpp: offsets, units and names against tables made by hand.
#include <doctest/doctest.h>
#include <cohort/plan/layout.hpp>

#include <string>
#include <vector>

#include "support/models.hpp"

using namespace cohort;

namespace {
using Model = nn::Sequential<nn::Linear<3, 5>, nn::ReLU<5>, nn::Repeat<2, nn::LayerNorm<5>>,
                             nn::Linear<5, 70, nn::NoBias>>;
constexpr Layout<Model, CutAtRepeat> layout;

struct Row {
  std::size_t offset, numel, padded;
  int unit, rank, fan_in;
  bool decays;
};
// clang-format off
constexpr Row params[] = {   // offset numel padded unit rank fan_in decays
    {  0,  15,  64, 0, 2, 3, true },   // 0.weight [5, 3]
    { 64,   5,  64, 0, 1, 5, false},   // 0.bias
    {128,   5,  64, 1, 1, 5, false},   // 2.0.weight
    {192,   5,  64, 1, 1, 5, false},   // 2.0.bias
    {256,   5,  64, 2, 1, 5, false},   // 2.1.weight
    {320,   5,  64, 2, 1, 5, false},   // 2.1.bias
    {384, 350, 384, 3, 2, 5, true },   // 3.weight [70, 5]
};
constexpr UnitInfo units[] = {  // offset size first_param num_params own element direct_child
    {  0, 128, 0, 2, false, false, true },
    {128, 128, 2, 2, false, true,  false},
    {256, 128, 4, 2, false, true,  false},
    {384, 384, 6, 1, false, false, true },
};
// clang-format on
static_assert(layout.num_params == 7 && layout.num_units == 4 && layout.size == 768);
static_assert(layout.num_elements() == 15 + 5 + 4 * 5 + 350);

/// What must hold in every layout: parameters and units tile [0, size) in order, on whole chunks; those
/// that are frozen [size, size + frozen) in the same way, and averages what is behind them.
template <class M, class Cut> void check_tiling() {
  constexpr Layout<M, Cut> l;
  std::size_t at = 0, frozen_at = l.size, averaged_at = l.first_averaged;
  for (const ParamInfo& p : l.params) {
    std::size_t& here = p.trains ? at : p.averages() ? averaged_at : frozen_at;
    CHECK(p.offset == here);
    CHECK(p.offset % chunk == 0);
    CHECK(p.padded % chunk == 0);
    CHECK(p.padded >= p.numel);
    CHECK(p.padded < p.numel + chunk);
    here += p.padded;
  }
  CHECK(at == l.size);
  CHECK(frozen_at == l.size + l.frozen);
  CHECK(averaged_at == l.first_averaged + l.averaged);
  at = 0;
  frozen_at = l.size;
  averaged_at = l.first_averaged;
  int param = 0;
  for (std::size_t u = 0; u < l.units.size(); ++u) {
    CHECK(l.units[u].offset == at);
    CHECK(l.units[u].frozen_offset == frozen_at);
    CHECK(l.units[u].averaged_offset == averaged_at);
    CHECK(l.units[u].first_param == param);
    for (int i = 0; i < l.units[u].num_params; ++i)
      CHECK(l.params[static_cast<std::size_t>(param + i)].unit == static_cast<int>(u));
    at += l.units[u].size;
    frozen_at += l.units[u].frozen_size;
    averaged_at += l.units[u].averaged_size;
    param += l.units[u].num_params;
  }
  CHECK(at == l.size);
  CHECK(frozen_at == l.size + l.frozen);
  CHECK(param == l.num_params);
  CHECK(parameter_names<M>().size() == static_cast<std::size_t>(l.num_params));
}
}  // namespace

TEST_CASE("layout: parameters, by hand") {
  for (std::size_t i = 0; i < 7; ++i) {
    CAPTURE(i);
    CHECK(layout.params[i].offset == params[i].offset);
    CHECK(layout.params[i].numel == params[i].numel);
    CHECK(layout.params[i].padded == params[i].padded);
    CHECK(layout.params[i].unit == params[i].unit);
    CHECK(layout.params[i].rank == params[i].rank);
    CHECK(layout.params[i].fan_in == params[i].fan_in);
    CHECK(layout.params[i].decays == params[i].decays);
  }
}

TEST_CASE("layout: units, by hand") {
  for (std::size_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    const UnitInfo &a = layout.units[i], &b = units[i];
    CHECK(a.offset == b.offset);
    CHECK(a.size == b.size);
    CHECK(a.first_param == b.first_param);
    CHECK(a.num_params == b.num_params);
    CHECK(a.own == b.own);
    CHECK(a.element == b.element);
    CHECK(a.direct_child == b.direct_child);
  }
}

TEST_CASE("layout: names are dotted paths in forward order, own parameters first") {
  CHECK(parameter_names<Model>() == std::vector<std::string>{"0.weight", "0.bias", "2.0.weight",
                                                             "2.0.bias", "2.1.weight", "2.1.bias",
                                                             "3.weight"});
  CHECK(parameter_names<zoo::Branching>() ==
        std::vector<std::string>{"0.weight", "0.bias", "1.gain", "1.left.weight", "1.left.bias",
                                 "1.right.0.weight", "2.weight", "2.bias"});
}

TEST_CASE("layout: the own parameters of a divided layer are a unit of their own") {
  constexpr Layout<zoo::TiedGpt, CutAtRepeat> l;
  CHECK(l.units[0].own);
  CHECK(l.units[0].num_params == 1);
  CHECK(l.units[0].size == 128);  // 11 x 8 = 88
  CHECK(!l.units[1].own);
  CHECK(l.units[2].element);
  CHECK(parameter_names<zoo::TiedGpt>()[0] == "weight");
  CHECK(parameter_names<zoo::TiedGpt>()[1] == "body.0.weight");
}

TEST_CASE("layout: parameters and units tile the flat order under every cut") {
  zoo::for_each_case([]<class Case>() { check_tiling<typename Case::Model, CutAtRepeat>(); });
  check_tiling<zoo::NestedRepeat, CutAt<nn::Linear<4, 4>>>();
  check_tiling<zoo::Gpt, CutAt<nn::Attention<8, 2>, nn::LayerNorm<8>>>();
}

TEST_CASE("layout: offsets do not depend on the cut, only units do") {
  constexpr Layout<zoo::NestedRepeat, CutAtRepeat> a;
  constexpr Layout<zoo::NestedRepeat, CutAt<nn::Linear<4, 4>>> b;
  for (std::size_t i = 0; i < a.params.size(); ++i) CHECK(a.params[i].offset == b.params[i].offset);
  CHECK(a.num_units == 4);
  CHECK(b.num_units == 10);
}

TEST_CASE("layout: for_each_parameter visits the declared types in the same order") {
  std::vector<std::size_t> numels;
  for_each_parameter<Model>([&]<class P>(int index) {
    CHECK(index == static_cast<int>(numels.size()));
    numels.push_back(P::numel);
  });
  CHECK(numels == std::vector<std::size_t>{15, 5, 5, 5, 5, 5, 350});
}
