// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/safetensors_test.cpp: files are read as the reference implementation reads them, or refused.
#include <doctest/doctest.h>

#include <cohort/io/safetensors.hpp>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>

#include "files.hpp"

using cohort::InvalidInput;
using cohort::io::MalformedFile;
using cohort::io::ReadFailed;
using cohort::io::Safetensors;
using cohort::io::StoredTensor;
using cohort::io::StoredType;
using cohort::test::bytes_of;
using cohort::test::message;
using cohort::test::put_bytes;
using cohort::test::reading;
using cohort::test::TemporaryDirectory;

static_assert(std::is_nothrow_move_constructible_v<Safetensors>);
static_assert(!std::is_copy_constructible_v<Safetensors>);

namespace {

const std::string golden = COHORT_TEST_DIR "/golden/safetensors/";

/// The lines of verdicts.txt of one kind, split at tabs: see safetensors_golden.py.
std::vector<std::vector<std::string>> verdicts(std::string_view kind) {
  std::vector<std::vector<std::string>> out;
  std::istringstream lines(bytes_of(golden + "verdicts.txt"));
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> parts;
    std::istringstream in(line);
    for (std::string part; std::getline(in, part, '\t');) parts.push_back(part);
    if (parts[0] == kind) out.push_back(parts);
  }
  return out;
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    out += static_cast<char>(std::stoi(std::string(text.substr(i + 2, 2)), nullptr, 16));
    i += 3;
  }
  return out;
}

/// What a file of these bytes says, or `refused` and, in `why`, the sentence without the path.
std::string read_bytes(const TemporaryDirectory& folder, std::string_view bytes,
                       std::string* why = nullptr) {
  const std::filesystem::path path = folder / "f.safetensors";
  put_bytes(path, bytes);
  try {
    return reading(Safetensors(path));
  } catch (const MalformedFile& error) {
    const std::string start = "cohort: read '" + path.string() + "': ", text = error.what();
    REQUIRE(text.starts_with(start));
    if (why) *why = text.substr(start.size());
    return "refused";
  }
}

struct Refused {
  const char* name;
  const char* sentence;
  const char* stricter = nullptr;  // why, where the reference accepts the file
};

// clang-format off
const Refused refused[] = {
    {"no bytes", "the file has 0 bytes, fewer than the 8 that hold the header's length"},
    {"7 bytes", "the file has 7 bytes, fewer than the 8 that hold the header's length"},
    {"8 bytes, no header", "the header does not begin with '{'"},
    {"header of 0 bytes, data behind it", "the header does not begin with '{'"},
    {"length one above the file", "the header's length of 54 bytes passes the end of the file, which has 53 bytes behind it"},
    {"length one below the header", "byte 60: expected ',' or '}', found the end of the text"},
    {"length takes in a byte of data", "byte 61: expected the end of the text, found byte 0x01"},
    {"length 100000001", "the header's length of 100000001 bytes is above the format's limit of 100000000"},
    {"length 2^32 + header", "the header's length of 4294967349 bytes is above the format's limit of 100000000"},
    {"length 2^63", "the header's length of 9223372036854775808 bytes is above the format's limit of 100000000"},
    {"length 2^64 - 8: wraps to 0", "the header's length of 18446744073709551608 bytes is above the format's limit of 100000000"},
    {"length 2^64 - 1: wraps to 7", "the header's length of 18446744073709551615 bytes is above the format's limit of 100000000"},
    {"length in big-endian", "the header's length of 3819052484010180608 bytes is above the format's limit of 100000000"},
    {"space in front", "the header does not begin with '{'", "the specification: the header begins with '{'"},
    {"newline in front", "the header does not begin with '{'", "the specification: the header begins with '{'"},
    {"zero byte behind", "byte 61: expected the end of the text, found byte 0x00"},
    {"byte order mark", "the header does not begin with '{'"},
    {"second object behind", "byte 61: expected the end of the text, found '{'"},
    {"brace too many", "byte 61: expected the end of the text, found '}'"},
    {"brace too few", "byte 60: expected ',' or '}', found the end of the text"},
    {"comma at the end of the object", "byte 61: expected a name in quotes, found '}'"},
    {"comma at the end of a list", "byte 38: expected an integer of 0 to 2^64 - 1, found ']'"},
    {"no comma between members", R"(byte 60: expected ',' or '}', found '"')"},
    {"no colon", "byte 13: expected ':' after the name, found '{'"},
    {"name without quotes", "byte 9: expected a name in quotes, found 'a'"},
    {"name in single quotes", "byte 9: expected a name in quotes, found '''"},
    {"comment", "byte 9: expected a name in quotes, found '/'"},
    {"a list", "the header does not begin with '{'"},
    {"a string", "the header does not begin with '{'"},
    {"a number", "the header does not begin with '{'"},
    {"null", "the header does not begin with '{'"},
    {"UTF-16", "byte 9: expected a name in quotes, found byte 0x00"},
    {"byte 0xff in a name", "byte 10: expected a character of UTF-8, found byte 0xff"},
    {"cut character in a name", "byte 10: expected a character of UTF-8, found byte 0xc3"},
    {"overlong character in a name", "byte 10: expected a character of UTF-8, found byte 0xc0"},
    {"surrogate in UTF-8 in a name", "byte 10: expected a character of UTF-8, found byte 0xed"},
    {"above U+10FFFF in a name", "byte 10: expected a character of UTF-8, found byte 0xf4"},
    {"byte 0xff between members", "byte 9: expected a name in quotes, found byte 0xff"},
    {"newline in a name", "byte 11: expected a character that a string may hold, found byte 0x0a"},
    {"zero byte in a name", "byte 11: expected a character that a string may hold, found byte 0x00"},
    {"first half of a pair", R"(byte 10: expected an escape that JSON has, found '\')"},
    {"first half, then a letter", R"(byte 10: expected an escape that JSON has, found '\')"},
    {"second half of a pair", R"(byte 10: expected an escape that JSON has, found '\')"},
    {"escape that is none", R"(byte 10: expected an escape that JSON has, found '\')"},
    {"escape in hexadecimal", R"(byte 10: expected an escape that JSON has, found '\')"},
    {"escape of three digits", R"(byte 10: expected an escape that JSON has, found '\')"},
    {"escape with a sign", R"(byte 10: expected an escape that JSON has, found '\')"},
    {"vertical tab", "byte 9: expected a name in quotes, found byte 0x0b"},
    {"no-break space", "byte 9: expected a name in quotes, found byte 0xc2"},
    {"nested 200 deep", "byte 13: expected an object ('{'), found '['"},
    {"objects nested 200 deep", R"(byte 14: tensor "a" has a field that the format does not know: "a")"},
    {"a tensor's name twice", R"(tensor "e" comes twice)", "the specification: no duplicate keys"},
    {"name twice, once escaped", R"(tensor "e" comes twice)", "the specification: no duplicate keys"},
    {"name twice, other offsets", R"(tensor "a" comes twice)", "the specification: no duplicate keys"},
    {"field twice", R"(byte 27: tensor "a" has the field "dtype" twice)"},
    {"shape twice, once escaped", R"(byte 39: tensor "a" has the field "sh\u0061pe" twice)"},
    {"offsets twice", R"(byte 60: tensor "a" has the field "data_offsets" twice)"},
    {"unknown field", R"(byte 60: tensor "a" has a field that the format does not know: "strides")", "nobody knows what such a field would change"},
    {"field in capitals", R"(byte 14: tensor "a" has a field that the format does not know: "DTYPE")"},
    {"no dtype", R"(byte 47: tensor "a" has no "dtype")"},
    {"no shape", R"(byte 48: tensor "a" has no "shape")"},
    {"no data_offsets", R"(byte 39: tensor "a" has no "data_offsets")"},
    {"no fields", R"(byte 15: tensor "a" has no "dtype")"},
    {"a tensor as a list", "byte 13: expected an object ('{'), found '['", "the specification: a tensor is an object"},
    {"a tensor as a string", R"(byte 13: expected an object ('{'), found '"')"},
    {"a tensor as null", "byte 13: expected an object ('{'), found 'n'"},
    {"unknown dtype", R"(byte 22: tensor "a" has a dtype that the format does not know: "F128")"},
    {"dtype in small letters", R"(byte 22: tensor "a" has a dtype that the format does not know: "i8")"},
    {"dtype empty", R"(byte 22: tensor "a" has a dtype that the format does not know: "")"},
    {"dtype a number", "byte 22: expected a type's name in quotes, found '8'"},
    {"dtype null", "byte 22: expected a type's name in quotes, found 'n'"},
    {"dtype as an object", "byte 22: expected a type's name in quotes, found '{'", "the specification: a dtype is a string"},
    {"dtype with a space", R"(byte 22: tensor "a" has a dtype that the format does not know: "I8 ")"},
    {"F4 in half bytes", R"(byte 60: tensor "a" has a shape of F4 that is not a whole number of bytes below 2^61)"},
    {"F6_E3M2 in parts of bytes", R"(byte 65: tensor "a" has a shape of F6_E3M2 that is not a whole number of bytes below 2^61)"},
    {"shape above the offsets", R"(byte 60: tensor "a" takes 3 bytes by its shape and dtype, 2 by its data_offsets)"},
    {"shape below the offsets", R"(byte 60: tensor "a" takes 1 bytes by its shape and dtype, 2 by its data_offsets)"},
    {"shape [2,2] over 2 bytes", R"(byte 62: tensor "a" takes 4 bytes by its shape and dtype, 2 by its data_offsets)"},
    {"no elements over 2 bytes", R"(byte 60: tensor "a" takes 0 bytes by its shape and dtype, 2 by its data_offsets)"},
    {"two elements over no bytes", R"(byte 60: tensor "a" takes 2 bytes by its shape and dtype, 0 by its data_offsets)"},
    {"elements wrap to 0: 2^32 x 2^32", R"(byte 35: tensor "a" has a shape of 2^64 elements or more)"},
    {"elements wrap to 2", R"(byte 35: tensor "a" has a shape of 2^64 elements or more)"},
    {"bits wrap to 0: 2^61 of I8", R"(byte 78: tensor "a" has a shape of I8 that is not a whole number of bytes below 2^61)"},
    {"bits wrap to 0: 2^58 of F64", R"(byte 78: tensor "a" has a shape of F64 that is not a whole number of bytes below 2^61)"},
    {"0 behind a product that wraps", R"(byte 35: tensor "a" has a shape of 2^64 elements or more)"},
    {"extent 2^64", "byte 36: expected an integer below 2^64, found '1'"},
    {"extent 2^64 + 2: wraps to 2", "byte 36: expected an integer below 2^64, found '1'"},
    {"extent negative", "byte 36: expected an integer of 0 to 2^64 - 1, found '-'"},
    {"extent minus zero", "byte 36: expected an integer of 0 to 2^64 - 1, found '-'"},
    {"extent with a plus", "byte 36: expected an integer of 0 to 2^64 - 1, found '+'"},
    {"extent with a fraction", "byte 36: expected an integer, without fraction or exponent, found '2'"},
    {"extent with an exponent", "byte 36: expected an integer, without fraction or exponent, found '2'"},
    {"extent with a leading zero", "byte 36: expected a number without leading zeros, found '0'"},
    {"extent in hexadecimal", "byte 37: expected ',' or ']', found 'x'"},
    {"extent a string", R"(byte 36: expected an integer of 0 to 2^64 - 1, found '"')"},
    {"extent null", "byte 36: expected an integer of 0 to 2^64 - 1, found 'n'"},
    {"extent true", "byte 38: expected an integer of 0 to 2^64 - 1, found 't'"},
    {"extent NaN", "byte 36: expected an integer of 0 to 2^64 - 1, found 'N'"},
    {"shape a number", "byte 35: expected an array ('['), found '2'"},
    {"shape null", "byte 35: expected an array ('['), found 'n'"},
    {"shape nested", "byte 36: expected an integer of 0 to 2^64 - 1, found '['"},
    {"shape an object", "byte 35: expected an array ('['), found '{'"},
    {"offsets: none", R"(byte 54: tensor "a" has 0 data_offsets, not 2)"},
    {"offsets: one", R"(byte 54: tensor "a" has 1 data_offsets, not 2)"},
    {"offsets: three", R"(byte 54: tensor "a" has 3 data_offsets, not 2)"},
    {"offsets null", "byte 54: expected an array ('['), found 'n'"},
    {"offsets an object", "byte 54: expected an array ('['), found '{'"},
    {"offsets swapped", R"(byte 54: tensor "a" begins behind its end)"},
    {"offsets negative", "byte 55: expected an integer of 0 to 2^64 - 1, found '-'"},
    {"offsets with a fraction", "byte 57: expected an integer, without fraction or exponent, found '2'"},
    {"offsets at the end of 64 bits", "byte 76: expected an integer below 2^64, found '1'"},
    {"offsets whose sum wraps", R"(tensor "a" begins at byte 18446744073709551615 of the data, behind a hole that begins at byte 0)"},
    {"end behind the file", "the tensors end at byte 3 of the data, the file at byte 2"},
    {"byte behind the tensors", "the tensors end at byte 2 of the data, the file at byte 3"},
    {"data but no tensor", "the tensors end at byte 0 of the data, the file at byte 2"},
    {"hole in front", R"(tensor "a" begins at byte 1 of the data, behind a hole that begins at byte 0)"},
    {"hole between", R"(tensor "b" begins at byte 3 of the data, behind a hole that begins at byte 2)"},
    {"overlap", R"(tensor "b" begins at byte 1 of the data, inside the tensor that ends at byte 2)"},
    {"two tensors on the same bytes", R"(tensor "b" begins at byte 0 of the data, inside the tensor that ends at byte 2)"},
    {"one inside the other", R"(tensor "b" begins at byte 1 of the data, inside the tensor that ends at byte 4)"},
    {"empty tensor inside another", R"(tensor "z" begins at byte 1 of the data, inside the tensor that ends at byte 2)"},
    {"empty tensor behind the end", R"(tensor "z" begins at byte 3 of the data, behind a hole that begins at byte 2)"},
    {"metadata null", "byte 24: expected an object ('{'), found 'n'", "the specification: metadata maps strings to strings"},
    {"metadata a list", "byte 24: expected an object ('{'), found '['"},
    {"metadata a string", R"(byte 24: expected an object ('{'), found '"')"},
    {"metadata with a number", "byte 29: expected a string in quotes, found '1'"},
    {"metadata with null", "byte 29: expected a string in quotes, found 'n'"},
    {"metadata nested", "byte 29: expected a string in quotes, found '{'"},
    {"metadata's key twice", R"(byte 33: the metadata "a" comes twice)", "the specification: no duplicate keys"},
    {"metadata's key twice, once escaped", R"(byte 33: the metadata "\u0061" comes twice)", "the specification: no duplicate keys"},
    {"metadata twice", R"(byte 49: "__metadata__" comes twice)"},
    {"metadata as a tensor", "byte 46: expected a string in quotes, found '['"},
    {"metadata that is not UTF-8", "byte 30: expected a character of UTF-8, found byte 0xff"},
};
// clang-format on

}  // namespace

TEST_CASE("Safetensors: files of Python's package, all its types, are read as it reads them") {
  const auto files = verdicts("file");
  REQUIRE(files.size() == 7);
  for (const auto& file : files)
    CHECK_MESSAGE(reading(Safetensors(golden + file[1] + ".safetensors")) == file[2], file[1]);
}

TEST_CASE(
    "Safetensors: malformed files: the reference's verdict, or a stricter one with its reason") {
  const TemporaryDirectory folder;
  std::map<std::string, Refused> table;
  for (const Refused& row : refused) REQUIRE(table.emplace(row.name, row).second);
  const auto cases = verdicts("case");
  std::set<std::string> met;
  for (const auto& one : cases) {
    const std::string &name = one[1], &theirs = one[2];
    CAPTURE(name);
    REQUIRE(met.insert(name).second);
    std::string why;
    const std::string ours = read_bytes(folder, unescaped(one.size() > 3 ? one[3] : ""), &why);
    const auto row = table.find(name);
    if (row == table.end()) {
      CHECK(ours == theirs);  // accepted by both, with one meaning
      CHECK(theirs != "refused");
      continue;
    }
    CHECK(ours == "refused");
    CHECK(why == row->second.sentence);
    CHECK((theirs != "refused") == (row->second.stricter != nullptr));
    table.erase(row);
  }
  CHECK(table.empty());  // every row was met
  CHECK(met.size() == 155);
}

TEST_CASE("Safetensors: a file cut off after any byte is refused") {
  const TemporaryDirectory folder;
  const std::string small = bytes_of(golden + "small.safetensors");
  const auto accepted = verdicts("cut");
  REQUIRE(accepted.size() == 1);  // the whole file, and by the reference nothing shorter
  CHECK(accepted[0][1] == std::to_string(small.size()));
  for (std::size_t n = 0; n < small.size(); ++n)
    REQUIRE_MESSAGE(read_bytes(folder, small.substr(0, n)) == "refused", n);
  CHECK(read_bytes(folder, small) == accepted[0][2]);
}

TEST_CASE(
    "Safetensors: a flip of any bit of the header is refused, or read as the reference reads it") {
  const TemporaryDirectory folder;
  const std::string small = bytes_of(golden + "small.safetensors");
  const std::string whole = read_bytes(folder, small);
  std::map<std::size_t, std::string> theirs;
  for (const auto& flip : verdicts("flip")) theirs[std::stoul(flip[1])] = flip[2];
  const std::size_t bits = 8 * Safetensors(golden + "small.safetensors").header().size();
  for (std::size_t bit = 0; bit < bits; ++bit) {
    CAPTURE(bit);
    std::string bytes = small;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    const std::string ours = read_bytes(folder, bytes);
    // Not one of these files is of the kinds in which we are stricter. Those that are accepted have
    // another name, key or text, which nothing in the format protects.
    REQUIRE(ours == (theirs.contains(bit) ? theirs[bit] : "refused"));
    REQUIRE(ours != whole);
  }
  CHECK(theirs.size() > 40);
  CHECK(theirs.size() < bits / 10);
}

TEST_CASE("Safetensors: header() is the first bytes of the file, metadata and names are found") {
  const Safetensors file(golden + "small.safetensors");
  const std::string all = bytes_of(golden + "small.safetensors");
  CHECK(file.path() == golden + "small.safetensors");
  CHECK(all.starts_with(file.header()));
  CHECK(all.size() == file.header().size() + 16);
  CHECK(file.size() == 2);
  CHECK(file.name(0) == "b");
  CHECK(file[0].type == StoredType::F32);
  CHECK(file[1].name == "w");
  CHECK(file[1].shape == std::vector<std::uint64_t>{2, 2});
  CHECK(file.metadata("step") == "17");
  CHECK(!file.metadata("steps"));
  CHECK(!file.metadata(""));
  CHECK(!file.find("__metadata__"));
  CHECK(!file.find("a"));
  CHECK(Safetensors(golden + "types.safetensors").metadata().empty());
}

TEST_CASE("Safetensors: parts of a tensor are read; what lies outside of it is InvalidInput") {
  const Safetensors file(golden + "types.safetensors");
  const StoredTensor t = *file.find("of.F64");
  std::string part(7, '\0');
  file.read(t, 5, std::as_writable_bytes(std::span(part)));
  const auto whole = file.view(t);
  CHECK(std::ranges::equal(whole.subspan(5, 7), std::as_bytes(std::span(part))));
  file.read(t, t.bytes(), {});
  StoredTensor foreign = t;
  foreign.end = std::uint64_t{1} << 40;
  StoredTensor turned = t;
  std::swap(turned.begin, turned.end);
  for (const auto& [tensor, at] :
       {std::pair(t, t.bytes() - 6), std::pair(t, ~std::uint64_t{0}),
        std::pair(foreign, std::uint64_t{0}), std::pair(turned, std::uint64_t{0})}) {
    CHECK_THROWS_AS(file.read(tensor, at, std::as_writable_bytes(std::span(part))), InvalidInput);
  }
  CHECK_THROWS_AS(static_cast<void>(file.view(foreign)), InvalidInput);
  CHECK(message<InvalidInput>([&] { file.read(t, 46, std::as_writable_bytes(std::span(part))); }) ==
        "cohort: read '" + file.path() +
            "': bytes 46 and 7 more are not all inside tensor \"of.F64\" of this file; ask find() "
            "for the tensor's place");
}

TEST_CASE("Safetensors: a file that shrinks after it was opened is MalformedFile to read()") {
  const TemporaryDirectory folder;
  put_bytes(folder / "f", bytes_of(golden + "small.safetensors"));
  const Safetensors file(folder / "f");
  const StoredTensor last = file[1];
  std::filesystem::resize_file(folder / "f", file.header().size() + last.begin + 3);
  std::string data(last.bytes(), '\0');
  CHECK(message<MalformedFile>([&] {
          file.read(last, 0, std::as_writable_bytes(std::span(data)));
        }).find("it was cut off, or changed while it was read") != std::string::npos);
}

TEST_CASE("Safetensors: what is no file is ReadFailed") {
  const TemporaryDirectory folder;
  CHECK_THROWS_AS(Safetensors(folder / "none"), ReadFailed);
  CHECK_THROWS_AS(Safetensors{folder.path()}, ReadFailed);
}
