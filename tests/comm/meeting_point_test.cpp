// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/meeting_point_test.cpp: all processes find the same place to meet, or a sentence says why not.
#include <cohort/comm/meeting_point.hpp>

#include <doctest/doctest.h>

#include <cohort/doctor/system.hpp>
#include <string>
#include <utility>

#include "../support/message.hpp"

using namespace cohort;

namespace {

using Variables = checkup::Environment::Variables;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const Launcher second_of_4{LauncherKind::torchrun, 1, 4, 1, 4};

TEST_CASE(
    "nccl_meeting_point: NCCL_COMM_ID, else MASTER_ADDR and MASTER_PORT; under torchrun the next "
    "port") {
  const auto point = [](Variables variables) {
    return detail::nccl_meeting_point(second_of_4, checkup::Environment(std::move(variables)));
  };
  CHECK(point({{"NCCL_COMM_ID", "host:29500"}, {"MASTER_ADDR", "other"}}) == "host:29500");
  CHECK(point({{"NCCL_COMM_ID", "[fe80::1]:1"}}) == "[fe80::1]:1");
  CHECK(point({{"MASTER_ADDR", "10.0.0.1"}, {"MASTER_PORT", "29500"}}) == "10.0.0.1:29500");
  CHECK(point({{"MASTER_ADDR", "fe80::1"}, {"MASTER_PORT", "29500"}}) == "[fe80::1]:29500");
  CHECK(point({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "29500"}, {"TORCHELASTIC_RUN_ID", "none"}}) ==
        "a:29501");
  CHECK(point({{"MASTER_ADDR", "a"}, {"MASTER_PORT", "65535"}, {"TORCHELASTIC_RUN_ID", "none"}}) ==
        "a:65534");
}

TEST_CASE("nccl_meeting_point: what is missing or malformed is named, with what to set instead") {
  const auto words = [](Variables variables) {
    return test::message<InvalidInput>([&] {
      detail::nccl_meeting_point(second_of_4, checkup::Environment(std::move(variables)));
    });
  };
  CHECK(contains(words({}), "cohort: rank 1: launch: this is one of 4 processes of torchrun"));
  CHECK(contains(words({}), "MASTER_ADDR, MASTER_PORT and NCCL_COMM_ID are missing"));
  CHECK(contains(words({}), "launch<NcclMpi>"));
  CHECK(contains(words({{"MASTER_ADDR", "a"}}), "MASTER_ADDR is set but MASTER_PORT is missing"));
  CHECK(contains(words({{"MASTER_PORT", "1"}}), "MASTER_PORT is set but MASTER_ADDR is missing"));
  CHECK(contains(words({{"MASTER_ADDR", ""}, {"MASTER_PORT", "1"}}), "MASTER_ADDR is empty"));
  for (const char* bad : {"", "0", "65536", "-1", "29500x", " 29500", "1e3", "99999999999999"}) {
    CAPTURE(bad);
    CHECK(contains(words({{"MASTER_ADDR", "a"}, {"MASTER_PORT", bad}}),
                   detail::phrase("MASTER_PORT='", bad, "' is no whole number from 1 to 65535")));
    CHECK(contains(words({{"NCCL_COMM_ID", detail::phrase("host:", bad)}}),
                   detail::phrase("the port of NCCL_COMM_ID='", bad, "'")));
  }
  CHECK(contains(words({{"NCCL_COMM_ID", "29500"}}), "NCCL_COMM_ID='29500' is no host:port"));
  CHECK(contains(words({{"NCCL_COMM_ID", ":29500"}}), "is no host:port"));
}

}  // namespace
