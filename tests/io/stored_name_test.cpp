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

TEST_CASE("stored_name: rows are cut first, what is left is transposed") {
  CHECK(io::stored_shape({"w", true}, std::vector{2304, 768}) == Shape{768, 2304});
  CHECK(io::stored_shape({"w", false, 50257}, std::vector{50304, 768}) == Shape{50257, 768});
  CHECK(io::stored_shape({"w", true, 5}, std::vector{8, 3}) == Shape{3, 5});
  CHECK(io::stored_shape({"w", false, 8}, std::vector{8}) == Shape{8});
}

TEST_CASE("stored_name: what cannot be is refused by name") {
  CHECK_THROWS_WITH_AS(io::stored_shape({"wte", false, 9}, std::vector{8, 3}),
                       doctest::Contains("'wte' is to hold 9 rows of a parameter of 8"),
                       InvalidInput);
  CHECK_THROWS_AS(io::stored_shape({"wte", false, -1}, std::vector{8, 3}), InvalidInput);
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
  names.for_each(extents, [&](const io::StoredName& name, int first, std::span<const int> left) {
    seen.emplace_back(name.name, first, io::stored_shape(name, left));
  });
  return seen;
}
}  // namespace

TEST_CASE("stored_name: one tensor is a parameter, several are its rows in order") {
  CHECK((parts(io::StoredName{"w", true}, {8, 3}) == Seen{{"w", 0, {3, 8}}}));
  const io::StoredNames qkv{
      {.name = "q", .rows = 4}, {.name = "k", .transposed = true, .rows = 2}, {"v"}};
  CHECK((parts(qkv, {8, 3}) == Seen{{"q", 0, {4, 3}}, {"k", 4, {3, 2}}, {"v", 6, {2, 3}}}));
  const io::StoredNames bias{
      {"q", false, 4}, {"k", false, 2}, {"v", false, 1}};  // and one of padding
  CHECK((parts(bias, {8}) == Seen{{"q", 0, {4}}, {"k", 4, {2}}, {"v", 6, {1}}}));
}

TEST_CASE("stored_name: parts that do not fit are refused by name") {
  const auto refused = [](const io::StoredNames& names, const char* why) {
    CHECK_THROWS_WITH_AS(parts(names, {8, 3}), doctest::Contains(why), InvalidInput);
  };
  refused({}, "a parameter without a tensor");
  refused({{"q"}, {"k"}}, "'q' is followed by 'k': say how many rows it holds");
  refused({{"q", false, 8}, {"k"}}, "no rows are left for 'k': those before it hold all 8");
  refused({{"q", false, 5}, {"k", false, 4}}, "'k' is to hold 4 rows of a parameter of 3");
}
