// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/stored_name_test.cpp: the shape that a parameter has in a file of other names.
#include <doctest/doctest.h>

#include <cohort/io/stored_name.hpp>
#include <tuple>

using namespace cohort;
using Shape = std::vector<std::uint64_t>;

TEST_CASE("stored_name: by default a parameter lies in the file as it lies here") {
  const io::StoredName plain{"wpe.weight"};
  CHECK((!plain.transposed && plain.rows == 0));
  CHECK(io::stored_shape(plain, std::vector{1024, 768}) == Shape{1024, 768});
  CHECK(io::stored_shape(plain, std::vector{768}) == Shape{768});
  CHECK(plain == io::StoredName{"wpe.weight"});
  CHECK(plain != io::StoredName{"wpe.weight", true});
}

TEST_CASE("stored_name: a matrix may be transposed, and nothing else") {
  CHECK(io::stored_shape({"w", true}, std::vector{2304, 768}) == Shape{768, 2304});
  CHECK_THROWS_WITH_AS(io::stored_shape({"bias", true}, std::vector{8}),
                       doctest::Contains("'bias' is to be transposed, but its parameter has 1"),
                       InvalidInput);
}

TEST_CASE("stored_name: shapes are written as PyTorch writes them") {
  CHECK(io::readable_shape(Shape{768, 2304}) == "[768, 2304]");
  CHECK(io::readable_shape(Shape{}) == "[]");
}

namespace {
using Seen = std::vector<std::tuple<std::string, int, Shape>>;
Seen parts(const io::StoredNames& names, std::vector<int> extents) {
  Seen seen;
  names.for_each("x.weight", extents,
                 [&](const io::StoredName& name, int first, std::span<const int> held) {
                   seen.emplace_back(name.name, first, io::stored_shape(name, held));
                 });
  return seen;
}
}  // namespace

TEST_CASE(
    "stored_name: one tensor is a parameter or its first rows, several are its rows in order") {
  CHECK((parts(io::StoredName{"w", true}, {8, 3}) == Seen{{"w", 0, {3, 8}}}));
  CHECK((parts(io::StoredName{"w", true, 5}, {8, 3}) == Seen{{"w", 0, {3, 5}}}));
  CHECK((parts(io::StoredName{"w", false, 50257}, {50304, 768}) == Seen{{"w", 0, {50257, 768}}}));
  CHECK((parts(io::StoredName{"w", false, 8}, {8}) == Seen{{"w", 0, {8}}}));
  const io::StoredNames qkv{
      {.name = "q", .rows = 4}, {.name = "k", .transposed = true, .rows = 2}, {"v"}};
  CHECK((parts(qkv, {8, 3}) == Seen{{"q", 0, {4, 3}}, {"k", 4, {3, 2}}, {"v", 6, {2, 3}}}));
  const io::StoredNames bias{
      {"q", false, 4}, {"k", false, 2}, {"v", false, 1}};  // and one of padding
  CHECK((parts(bias, {8}) == Seen{{"q", 0, {4}}, {"k", 4, {2}}, {"v", 6, {1}}}));
}

TEST_CASE("stored_name: rows that do not fit are refused by name") {
  const auto refused = [](const io::StoredNames& names, const char* why) {
    CHECK_THROWS_WITH_AS(parts(names, {8, 3}), doctest::Contains(why), InvalidInput);
  };
  refused({}, "name at least one tensor of the file for 'x.weight'");
  refused(io::StoredName{"w", false, 9},
          "'w' is to hold 9 of the 8 rows of 'x.weight', of which 8 are left");
  refused(io::StoredName{"w", false, -1}, "'w' cannot hold -1 rows of 'x.weight'");
  refused({{"q"}, {"k"}},
          "'q' is followed by 'k': say how many of the 8 rows of 'x.weight' it holds");
  refused({{"q", false, 8}, {"k"}},
          "'k' is to hold the rest of the 8 rows of 'x.weight', of which 0 are left");
  refused({{"q", false, 4}, {"k", false, 2}, {"k"}}, "'k' is named twice for 'x.weight'");
  refused({{"q", false, 100}, {"k"}},
          "'q' is to hold 100 of the 8 rows of 'x.weight', of which 8 are left");
  refused({{"q", false, 5}, {"k", false, 4}},
          "'k' is to hold 4 of the 8 rows of 'x.weight', of which 3 are left");
}
