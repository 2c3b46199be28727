// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/checkpoint_name_test.cpp: names are read as they are written, and no others.
#include <doctest/doctest.h>

#include <cohort/io/checkpoint_name.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

using cohort::io::CheckpointName;
using cohort::io::is_temporary_checkpoint;

TEST_CASE("CheckpointName: of(text()) is the name") {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  for (const CheckpointName name : {CheckpointName{0, 0},
                                    CheckpointName{1000, 0},
                                    {99'999'999, 3},
                                    {100'000'000, 0},
                                    {most, 12}})
    CHECK(CheckpointName::of(name.text()) == name);
  CHECK(CheckpointName{1000}.text() == "step-00001000");
  CHECK(CheckpointName{1000, 2}.text() == "step-00001000.2");
  CHECK(CheckpointName{1234567890}.text() == "step-1234567890");
}

TEST_CASE("CheckpointName: of takes no name that text does not write") {
  for (const char* name : {"",
                           "step-",
                           "step",
                           "step-1",
                           "step-0000001000",
                           "step--0000001",
                           "step-00001000.",
                           "step-00001000.0",
                           "step-00001000.01",
                           "step-00001000.-1",
                           "step-00001000 ",
                           "step-00001000/",
                           "step-00001000\n",
                           "Step-00001000",
                           "step-0000100a",
                           "step-00001000.1.1",
                           "step-99999999999999999999",
                           "step-00001000.99999999999999999999",
                           "tmp-step-00001000",
                           "latest",
                           "../step-00001000",
                           "step-+0000001"}) {
    CAPTURE(name);
    CHECK_FALSE(CheckpointName::of(name).has_value());
  }
  CHECK_FALSE(CheckpointName::of(std::string_view("step-00001000\0", 14)).has_value());
}

TEST_CASE("CheckpointName: later steps are newer, then later saves of a step") {
  CHECK(CheckpointName{2} > CheckpointName{1, 5});
  CHECK(CheckpointName{2, 1} > CheckpointName{2});
  CHECK(CheckpointName{100'000'000} > CheckpointName{99'999'999});  // unlike their texts
}

TEST_CASE("is_temporary_checkpoint: of this library's making only") {
  for (const char* name : {"tmp-step-00001000", "tmp-step-00001000.1", "tmp-old-step-00001000"})
    CHECK(is_temporary_checkpoint(name));
  for (const char* name : {"tmp", "tmp-", "tmp-mine", "tmp-step-1", "step-00001000", "tmp-old-",
                           "tmp-old-old-step-00001000", "latest.tmp"})
    CHECK_FALSE(is_temporary_checkpoint(name));
}
