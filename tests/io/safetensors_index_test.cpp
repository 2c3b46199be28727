// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/safetensors_index_test.cpp: tensors are found in whichever file holds them; bad indexes are refused.
#include <doctest/doctest.h>

#include <cohort/io/safetensors_index.hpp>
#include <cohort/io/safetensors_writer.hpp>
#include <set>
#include <string>
#include <vector>

#include "files.hpp"

using cohort::io::MalformedFile;
using cohort::io::ReadFailed;
using cohort::io::SafetensorsSet;
using cohort::io::StoredType;
using cohort::test::message;
using cohort::test::put_bytes;
using cohort::test::TemporaryDirectory;

namespace {

/// A file whose tensors of one byte each hold `value`.
void write(const std::filesystem::path& path, const std::vector<std::string>& names, char value) {
  const std::string data(1, value);
  std::vector<cohort::io::TensorData> tensors;
  for (const std::string& name : names)
    tensors.push_back({{name, StoredType::U8, {1}}, std::as_bytes(std::span(data))});
  cohort::io::write_safetensors(path, tensors);
}

struct TwoFiles {
  TemporaryDirectory folder;
  std::filesystem::path index = folder / "model.safetensors.index.json";
  TwoFiles() {
    write(folder / "1.safetensors", {"a", "b"}, 1);
    write(folder / "2.safetensors", {"c", "d"}, 2);
    describe(R"({"metadata":{"total_size":4,"x":[null,-1.5e3]},"weight_map":{"a":"1.safetensors",)"
             R"("c":"2.safetensors","b":"1.safetensors","\u0064":"\u0032.safetensors"}})");
  }
  void describe(std::string_view json) const { put_bytes(index, json); }
  std::string refusal(std::string_view json) const {
    describe(json);
    const std::string start = "cohort: read '" + index.string() + "': ";
    const std::string text = message<MalformedFile>([&] { SafetensorsSet set(index); });
    return text.starts_with(start) ? text.substr(start.size()) : text;
  }
};

char value(const SafetensorsSet& set, std::string_view name) {
  const auto found = set.find(name);
  return found ? static_cast<char>(found->file->view(found->tensor)[0]) : '?';
}

}  // namespace

TEST_CASE("SafetensorsSet: one file, an index, a directory of either: the same names") {
  const TwoFiles files;
  const SafetensorsSet set(files.index);
  CHECK(set.size() == 4);
  CHECK(set.files().size() == 2);
  for (const char* name : {"a", "b"}) CHECK(value(set, name) == 1);
  for (const char* name : {"c", "d"}) CHECK(value(set, name) == 2);
  CHECK(!set.find("e"));
  CHECK(set[0].tensor.name == "a");
  CHECK(set[3].tensor.name == "d");
  CHECK(value(SafetensorsSet(files.folder.path()), "d") == 2);
  CHECK(value(SafetensorsSet(files.folder / "1.safetensors"), "b") == 1);

  const TemporaryDirectory other;
  write(other / "model.safetensors", {"x"}, 3);
  CHECK(value(SafetensorsSet(other.path()), "x") == 3);
  CHECK_THROWS_AS(SafetensorsSet(TemporaryDirectory().path()), ReadFailed);
}

TEST_CASE(
    "SafetensorsSet: a tensor that the index leaves out is found, one in two files is refused") {
  const TwoFiles files;
  files.describe(R"({"weight_map":{"a":"1.safetensors","c":"2.safetensors"}})");
  CHECK(value(SafetensorsSet(files.index), "d") == 2);
  write(files.folder / "2.safetensors", {"c", "b"}, 2);
  CHECK(files.refusal(R"({"weight_map":{"a":"1.safetensors","c":"2.safetensors"}})") ==
        "tensor \"b\" is in two files: '" + (files.folder / "1.safetensors").string() + "' and '" +
            (files.folder / "2.safetensors").string() + "'");
}

TEST_CASE("SafetensorsSet: an index that is not true of its files is MalformedFile or ReadFailed") {
  const TwoFiles files;
  CHECK(files.refusal(R"({"weight_map":{"a":"2.safetensors"}})") ==
        "byte 34: tensor \"a\" is not in the file \"2.safetensors\"");
  CHECK(files.refusal(R"({"weight_map":{"a":"1.safetensors","a":"2.safetensors"}})") ==
        "byte 35: tensor \"a\" comes twice");
  CHECK(files.refusal(R"({"weight_map":{"a":"1.safetensors","\u0061":"1.safetensors"}})") ==
        "byte 35: tensor \"\\u0061\" comes twice");
  CHECK(files.refusal(R"({"weight_map":{},"weight_map":{}})") ==
        "byte 30: \"weight_map\" comes twice");
  CHECK(
      files.refusal(R"({"metadata":{}})") ==
      "it is no index, having no \"weight_map\": name a .safetensors file, its .index.json, or the "
      "folder that holds them");
  CHECK(files.refusal(R"({"weight_map":{"a":1}})") ==
        "byte 19: expected a file's name in quotes, found '1'");
  CHECK(files.refusal(R"({"weight_map":["a"]})") == "byte 14: expected an object ('{'), found '['");
  CHECK(files.refusal(R"({"weight_map":{}} x)") ==
        "byte 18: expected the end of the text, found 'x'");
  CHECK(files.refusal("") == "byte 0: expected an object ('{'), found the end of the text");
  files.describe(R"({"weight_map":{"a":"3.safetensors"}})");
  CHECK(message<ReadFailed>([&] { SafetensorsSet set(files.index); }) ==
        "cohort: open '" + (files.folder / "3.safetensors").string() +
            "': No such file or directory (2); name a path that exists");
  put_bytes(files.folder / "3.safetensors", "no tensors");
  CHECK_THROWS_AS(SafetensorsSet{files.index}, MalformedFile);
}

TEST_CASE("SafetensorsSet: an index names files beside it, and nothing else") {
  const TwoFiles files;
  std::filesystem::create_directory(files.folder / "below");
  write(files.folder / "below/1.safetensors", {"a"}, 1);
  for (const std::string name :
       {"below/1.safetensors", "../1.safetensors", "/etc/passwd", "..", ".", "", "./1.safetensors",
        "below\\\\1.safetensors", "1.safetensors\\u0000", "\\u002e\\u002e\\u002f1.safetensors"}) {
    CAPTURE(name);
    CHECK(files.refusal(R"({"weight_map":{"a":")" + name + "\"}}") ==
          "byte 19: tensor \"a\" is said to be in \"" + name +
              "\", which is no name of a file beside the index");
  }
}

TEST_CASE("SafetensorsSet: files that are links are followed, as caches of models make them") {
  const TwoFiles files;
  const TemporaryDirectory other;
  for (const char* name : {"1.safetensors", "2.safetensors"})
    std::filesystem::create_symlink(files.folder / name, other / name);
  std::filesystem::copy_file(files.index, other / "model.safetensors.index.json");
  CHECK(value(SafetensorsSet(other.path()), "d") == 2);
}

TEST_CASE("SafetensorsSet: an index above 100 MB is refused unread") {
  const TwoFiles files;
  std::filesystem::resize_file(files.index, 100'000'001);
  CHECK(message<MalformedFile>([&] {
          SafetensorsSet set(files.index);
        }).ends_with("an index has at most 100000000 bytes, this one 100000001"));
}

TEST_CASE("files_named_by: what an index names; nothing where there is none, or no index") {
  const TemporaryDirectory dir;
  const auto named = [&](const std::string& text) {
    put_bytes(dir / "i.json", text);
    return cohort::io::files_named_by(dir / "i.json");
  };
  CHECK(cohort::io::files_named_by(dir / "i.json").empty());
  using Names = std::set<std::string>;
  CHECK(named(R"({"metadata": {"a": [1]}, "weight_map": {"x": "b", "y": "a", "z": "b"}})") ==
        Names{"a", "b"});
  CHECK(named(R"({"weight_map": {"x": "b", "y": 3}})").empty());
  CHECK(named(R"({"weight_map": {"x": "b")").empty());
  CHECK(named("{}").empty());
  CHECK(named("").empty());
}
