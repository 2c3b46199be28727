// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/page_memory_test.cpp: memory of files begins a page, has the size asked for, or there is an error.
#include <cohort/io/page_memory.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "support/message.hpp"

using namespace cohort;
using cohort::io::page_bytes;
using cohort::io::PageMemory;

static_assert(!std::is_copy_constructible_v<PageMemory>);

TEST_CASE(
    "PageMemory: begins a page, a large one where it is large, and can be written to its end") {
  constexpr std::size_t large = std::size_t{2} << 20;
  for (const std::size_t bytes :
       {std::size_t{1}, page_bytes - 1, page_bytes, large - 1, large, 3 * large + 17}) {
    CAPTURE(bytes);
    PageMemory memory(bytes);
    REQUIRE(memory.size() == bytes);
    REQUIRE(memory.bytes().size() == bytes);
    const auto at = reinterpret_cast<std::uintptr_t>(memory.bytes().data());
    CHECK(at % (bytes < large ? page_bytes : large) == 0);
    std::ranges::fill(memory.bytes(), std::byte{7});
    const PageMemory other = std::move(memory);
    CHECK(std::ranges::count(other.bytes(), std::byte{7}) == static_cast<std::ptrdiff_t>(bytes));
  }
}

TEST_CASE("PageMemory: none is none") {
  CHECK(PageMemory().size() == 0);
  CHECK(PageMemory(0).bytes().empty());
}

#if !defined(__SANITIZE_ADDRESS__)  // which ends the program instead
TEST_CASE("PageMemory: what the host does not have is an error that says how many bytes") {
  for (const std::size_t bytes :
       {std::numeric_limits<std::size_t>::max() / 4, std::numeric_limits<std::size_t>::max()})
    CHECK(test::message<Error>([&] {
            PageMemory memory(bytes);
          }).find("the host refused " + std::to_string(bytes) + " bytes") != std::string::npos);
}
#endif
