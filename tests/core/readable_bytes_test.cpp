// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/readable_bytes_test.cpp: bytes as people read them.
#include <cohort/core/readable_bytes.hpp>

#include <doctest/doctest.h>

using namespace cohort;

TEST_CASE("readable_bytes: bytes as people read them") {
  CHECK(readable_bytes(0) == "0 B");
  CHECK(readable_bytes(1023) == "1023 B");
  CHECK(readable_bytes(1024) == "1.00 KiB");
  CHECK(readable_bytes(1536) == "1.50 KiB");
  CHECK(readable_bytes(25 << 20) == "25.00 MiB");
  CHECK(readable_bytes(497759232) == "474.70 MiB");
  CHECK(readable_bytes(std::size_t{80} << 30) == "80.00 GiB");
  CHECK(readable_bytes(std::size_t{5000} << 40) == "5000.00 TiB");
}
