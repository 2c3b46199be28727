// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/safetensors_index.hpp: reads tensors that lie in one safetensors file or in several.
#pragma once
#include <cohort/io/file.hpp>
#include <cohort/io/json.hpp>
#include <cohort/io/mapped_file.hpp>
#include <cohort/io/name_index.hpp>
#include <cohort/io/safetensors.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::io {

/// Owns the files of a set: one .safetensors file; those that a model.safetensors.index.json names;
/// or what a directory holds of the two, the single file first (as transformers does).
///
/// Cost     as Safetensors, and 8 bytes a tensor (at most 24 while it is made).
/// Errors   ReadFailed: the index or a file that it names cannot be read. MalformedFile: the index is
///          not JSON, above 100 MB or without weight_map; a name in it comes twice, or points outside
///          its directory; a tensor that is not in the file which the index says, or in two files.
/// Laws     every tensor of every file is found, also those that the index does not name
///          (tests/io/safetensors_index_test.cpp).
class SafetensorsSet {
 public:
  /// A tensor, and the file that holds it.
  struct Found {
    const Safetensors* file;
    StoredTensor tensor;
  };

  explicit SafetensorsSet(const std::filesystem::path& path) {
    std::filesystem::path one = path;
    if (std::filesystem::is_directory(path)) {
      const std::filesystem::path index = path / "model.safetensors.index.json";
      one = path / "model.safetensors";
      if (!std::filesystem::exists(one) && std::filesystem::exists(index)) one = index;
    }
    if (one.extension() == ".json")
      read_index(one);
    else
      files_.emplace_back(one);
    collect_names(one.string());
  }

  const std::vector<Safetensors>& files() const { return files_; }
  /// The number of tensors in all files.
  std::size_t size() const { return places_.size(); }
  /// File by file, in order of their bytes.
  Found operator[](std::size_t i) const {
    const auto [file, tensor] = places_[i];
    return {&files_[file], files_[file][tensor]};
  }
  std::optional<Found> find(std::string_view wanted) const {
    const auto is = [&](std::uint32_t i) { return name(i) == wanted; };
    const auto found = names_.find(names_.hash(wanted), is);
    if (!found) return {};
    return (*this)[*found];
  }

 private:
  std::string name(std::size_t i) const { return files_[places_[i].first].name(places_[i].second); }
  static constexpr std::uint64_t most_index = 100'000'000;  // bytes: as a header's

  void read_index(const std::filesystem::path& path) {
    const MappedFile mapped(path);
    if (mapped.bytes().size() > most_index)
      refuse(mapped.path(), "an index has at most 100000000 bytes, this one " +
                                std::to_string(mapped.bytes().size()));
    JsonReader json(mapped.text(), mapped.path());
    std::optional<std::size_t> weights;
    json.object([&](JsonString key) {
      json.peek();
      if (key != "weight_map") return json.skip_value();
      if (weights) json.refuse(json.at(), "\"weight_map\" comes twice");
      weights = json.at();
      open_files(json, mapped, path.parent_path());
    });
    json.end();
    if (!weights)
      refuse(mapped.path(),
             "it is no index, having no \"weight_map\": name a .safetensors file, its .index.json, "
             "or the folder that holds them");
    JsonReader again(mapped.text().substr(*weights), mapped.path(), *weights);
    again.object([&](JsonString key) {
      const JsonString file = again.string();
      if (!files_[numbers_.at(file.text())].find(key.text()))
        again.refuse(again.at(), "tensor " + key.quoted() + " is not in the file " + file.quoted());
    });
  }

  void open_files(JsonReader& json, const MappedFile& index, const std::filesystem::path& folder) {
    NameIndex keys;
    json.object([&](JsonString key) {
      keys.add(keys.hash(key.text()), place(key, index));
      const JsonString value = json.string("a file's name in quotes");
      const std::string file = value.text();
      if (numbers_.contains(file)) return;
      if (file.empty() || file == "." || file == ".." ||
          file.find_first_of(std::string_view("/\\\0", 3)) != file.npos)
        json.refuse(place(value, index), "tensor " + key.quoted() + " is said to be in " +
                                             value.quoted() +
                                             ", which is no name of a file beside the index");
      files_.emplace_back(folder / file);
      numbers_.emplace(file, files_.size() - 1);
    });
    const auto key = [&](std::uint32_t at) {
      return JsonReader(index.text().substr(at), index.path(), at).string();
    };
    const auto same = [&](std::uint32_t a, std::uint32_t b) { return key(a) == key(b); };
    if (const auto twice = keys.sort_and_find_twice(same))
      json.refuse(twice->second, "tensor " + key(twice->second).quoted() + " comes twice");
  }

  void collect_names(const std::string& path) {
    for (std::uint32_t f = 0; f < files_.size(); ++f)
      for (std::uint32_t t = 0; t < files_[f].size(); ++t) {
        names_.add(names_.hash(files_[f].name(t)), static_cast<std::uint32_t>(places_.size()));
        places_.emplace_back(f, t);
      }
    const auto same = [&](std::uint32_t a, std::uint32_t b) { return name(a) == name(b); };
    if (const auto twice = names_.sort_and_find_twice(same))
      refuse(path, "tensor \"" + name(twice->first) + "\" is in two files: '" +
                       files_[places_[twice->first].first].path() + "' and '" +
                       files_[places_[twice->second].first].path() + "'");
  }

  static std::uint32_t place(JsonString s, const MappedFile& in) {
    return static_cast<std::uint32_t>(s.raw().data() - in.text().data() - 1);
  }
  [[noreturn]] static void refuse(const std::string& path, const std::string& sentence) {
    throw MalformedFile(-1, "read '" + path + "'", sentence);
  }

  std::vector<Safetensors> files_;
  std::map<std::string, std::size_t, std::less<>> numbers_;      // of the files in files_
  std::vector<std::pair<std::uint32_t, std::uint32_t>> places_;  // file, tensor in it
  NameIndex names_;
};

/// The files that an index names, as it names them; none where it cannot be read.
inline std::set<std::string> files_named_by(const std::filesystem::path& index) {
  std::set<std::string> names;
  try {
    const MappedFile mapped(index);
    JsonReader json(mapped.text(), mapped.path());
    json.object([&](JsonString key) {
      json.peek();
      if (key != "weight_map") return json.skip_value();
      json.object([&](JsonString) { names.insert(json.string("a file's name in quotes").text()); });
    });
  } catch (const Error&) {
    return {};
  }
  return names;
}

}  // namespace cohort::io
