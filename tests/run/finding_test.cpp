// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/finding_test.cpp: what was found, in words.
#include <cohort/run/finding.hpp>

#include <doctest/doctest.h>

#include <limits>

using namespace cohort;
using namespace cohort::detail;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
const std::vector<std::string> parameters{"0.weight", "1.bias"}, units{"0", ""};

TEST_CASE("count_text: NaN, infinities, both") {
  CHECK(count_text({.size = 64, .nans = 17, .first = 12}) ==
        "17 NaN of 64 elements, the first at 12");
  CHECK(count_text({.size = 64, .infinities = 1, .first = 3, .value = -infinity}) ==
        "1 infinity of 64 elements, the first (-inf) at 3");
  CHECK(count_text({.size = 9, .nans = 1, .infinities = 2, .first = 0, .value = infinity}) ==
        "1 NaN and 2 infinities of 9 elements, the first (inf) at 0");
}

TEST_CASE("findings_text: ranks with a finding, micro-batches where there are several") {
  std::vector<Finding> none(6), found(6);
  CHECK(findings_text(none, found, 1, parameters, units).find("sum over ranks overflowed") !=
        std::string::npos);
  found[2] = {Place::gradient, 1, 1, 4, 1, 0, 3, 0};
  CHECK(findings_text(none, found, 1, parameters, units) ==
        "rank 2: the gradient of '1.bias' has 1 NaN of 4 elements, the first at 3.");
  CHECK(findings_text(none, found, 2, parameters, units).starts_with("rank 2, micro-batch 1: "));
  found[3] = {Place::output, 0, 0, 4, 1, 0, 3, 0};
  CHECK(findings_text(none, found, 1, parameters, units)
            .ends_with("; rank 3: the output of '0' has 1 NaN of 4 elements, the first at 3."));
  found[0] = found[1] = found[4] = found[3];
  const std::string many = findings_text(none, found, 1, parameters, units);
  CHECK(many.find("; rank 3: ") != std::string::npos);
  CHECK(many.ends_with("; 1 more ranks."));
}

TEST_CASE("findings_text: a parameter that was wrong before is the cause, the first of all ranks") {
  std::vector<Finding> before(3), found(3);
  found[0] = {Place::loss, 0, -1, 1, 1, 0, 0, 0};
  before[1] = {Place::parameter, 0, 1, 4, 1, 0, 2, 0};
  before[2] = {Place::parameter, 0, 0, 4, 1, 0, 3, 0};
  CHECK(findings_text(before, found, 4, parameters, units)
            .starts_with(
                "rank 2: parameter '0.weight' had 1 NaN of 4 elements, the first at 3 before "
                "the step: look at what wrote it"));
}

TEST_CASE("finding_text: the model where a unit has no name of its own") {
  CHECK(finding_text({Place::output, 0, 1, 4, 1, 0, 3, 0}, parameters, units)
            .starts_with("the output of the model has"));
  CHECK(finding_text({Place::output, 0, -1, 4, 1, 0, 3, 0}, parameters, units)
            .starts_with("the output of the model has"));
  CHECK(finding_text({Place::average, 0, 1, 4, 1, 0, 3, 0}, parameters, units)
            .starts_with("what this rank adds to the average '1.bias' has"));
  CHECK(finding_text({Place::passed_back, 0, 0, 4, 1, 0, 3, 0}, parameters, units)
            .starts_with("the gradient that '0' passes back has"));
  CHECK(finding_text({Place::loss, 0, -1, 1, 0, 1, 0, infinity}, parameters, units) ==
        "the loss is inf while the model's output is finite");
}

}  // namespace
