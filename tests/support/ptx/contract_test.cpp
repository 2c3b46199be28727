// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/ptx/contract_test.cpp: which products and sums become one rounding, and which may not.
#include <support/ptx/contract.hpp>

#include "harness.hpp"

using namespace cohort::ptx;
using namespace cohort::ptx::test;

namespace {

/// What `body` makes of x in %f0 and y in %f1 in %f3, rounded where it says and with every pair fused.
struct Both {
  float apart, fused;
  int pairs;
};
Both both(const std::string& body, float x, float y) {
  std::vector<float> in = {x, y, 0};
  Module module(kernel("ld.global.f32 %f0, [%a0];\nld.global.f32 %f1, [%a0+4];\n" + body +
                       "\nst.global.f32 [%a0+8], %f3;\n"));
  const auto params = arguments(in.data());
  Launch launch;
  launch.threads = 1;
  launch.params = params;
  launch.allocation = [&](u64) {
    return std::pair<u64, u64>{reinterpret_cast<std::uintptr_t>(in.data()), 12};
  };
  Both made{};
  run(module.program("k"), launch);
  made.apart = in[2];
  Program copy = module.program("k");
  made.pairs = contract(copy);
  run(copy, launch);
  made.fused = in[2];
  return made;
}

}  // namespace

// x^2 = 1 + 2^-11 + 2^-24 loses its last bit when it is rounded.
constexpr float x = 1 + 0x1p-12f, square = 1 + 0x1p-11f;

TEST_CASE("contract: sums and differences of products, on either side") {
  const std::string mul = "mul.f32 %f2, %f0, %f0;\n";
  for (const auto& [sum, y, exact] : {std::tuple{"add.f32 %f3, %f2, %f1;", -square, 0x1p-24f},
                                      std::tuple{"add.f32 %f3, %f1, %f2;", -square, 0x1p-24f},
                                      std::tuple{"sub.f32 %f3, %f2, %f1;", square, 0x1p-24f},
                                      std::tuple{"sub.f32 %f3, %f1, %f2;", square, -0x1p-24f}}) {
    CAPTURE(sum);
    const Both made = both(mul + sum, x, y);
    CHECK(made.pairs == 1);
    CHECK(made.apart == 0);
    CHECK(made.fused == exact);
  }
}

TEST_CASE("contract: what says how it rounds, or changes in between, stays apart") {
  for (const std::string body :
       {"mul.rn.f32 %f2, %f0, %f0;\nadd.f32 %f3, %f2, %f1;",
        "mul.f32 %f2, %f0, %f0;\nadd.rn.f32 %f3, %f2, %f1;",
        "mov.f32 %f4, %f0;\nmul.f32 %f2, %f4, %f0;\nmov.f32 %f4, 0f00000000;\n"
        "add.f32 %f3, %f2, %f1;",
        "mul.f32 %f2, %f0, %f0;\nmov.f32 %f2, %f1;\nadd.f32 %f3, %f2, %f1;",
        "setp.eq.f32 %p0, %f0, %f0;\nmov.f32 %f2, %f1;\n@%p0 mul.f32 %f2, %f0, %f0;\n"
        "add.f32 %f3, %f2, %f1;"}) {
    CAPTURE(body);
    const Both made = both(body, x, -square);
    CHECK(made.pairs == 0);
    CHECK(made.fused == made.apart);
  }
}
