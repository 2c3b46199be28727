// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/golden/golden.hpp: read the files that the scripts of this folder wrote with PyTorch.
#pragma once
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace golden {

/// One array of a file: its shape and its values as double (exact for every stored type).
struct Array {
  char type = 'f';  // 'f' float32, 'd' float64, 'i' int32, 'b' uint8
  std::vector<std::size_t> shape;
  std::vector<double> values;

  template <class T> std::vector<T> as() const {
    return std::vector<T>(values.begin(), values.end());
  }
};

/// The notes and arrays of one file; golden_file.py describes the bytes.
///
/// Errors   std::runtime_error that names the file: missing, truncated, not a golden file, no such
///          note or array.
class Golden {
 public:
  static Golden load(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
      throw std::runtime_error("golden: cannot open " + path + ". Run the script beside it.");
    Golden golden(path, std::string(std::istreambuf_iterator<char>(file), {}));
    golden.parse();
    golden.bytes_.clear();
    return golden;
  }

  const std::string& note(const std::string& key) const { return find(notes_, key); }
  double number(const std::string& key) const { return std::stod(note(key)); }
  bool flag(const std::string& key) const { return note(key) == "True"; }

  const Array& array(const std::string& name) const { return find(arrays_, name); }
  const std::vector<double>& values(const std::string& name) const { return array(name).values; }
  template <class T> std::vector<T> as(const std::string& name) const {
    return array(name).as<T>();
  }

  /// The names that start with prefix, without it, in alphabetic order.
  std::vector<std::string> names(const std::string& prefix = "") const {
    std::vector<std::string> found;
    for (const auto& [name, unused] : arrays_)
      if (name.starts_with(prefix)) found.push_back(name.substr(prefix.size()));
    return found;
  }

  /// Adds the arrays of another file of the same run.
  void merge(const Golden& other) { arrays_.insert(other.arrays_.begin(), other.arrays_.end()); }

 private:
  Golden(std::string path, std::string bytes) : path_(std::move(path)), bytes_(std::move(bytes)) {}

  void parse() {
    if (bytes_.substr(0, 8) != "GOLDEN01")
      throw std::runtime_error("golden: not a golden file: " + path_);
    at_ = 8;
    for (auto left = take<std::uint32_t>(); left > 0; --left) {
      auto key = take_text();
      notes_[key] = take_text();
    }
    for (auto left = take<std::uint32_t>(); left > 0; --left) {
      auto name = take_text();
      arrays_[name] = take_array();
    }
  }

  Array take_array() {
    Array array;
    array.type = take<char>();
    std::size_t count = 1;
    for (auto dims = take<std::uint32_t>(); dims > 0; --dims) {
      array.shape.push_back(static_cast<std::size_t>(take<std::uint64_t>()));
      count *= array.shape.back();
    }
    if (count > bytes_.size()) throw std::runtime_error("golden: truncated file: " + path_);
    array.values.reserve(count);
    for (; count > 0; --count) array.values.push_back(take_value(array.type));
    return array;
  }

  double take_value(char type) {
    if (type == 'f') return static_cast<double>(take<float>());
    if (type == 'd') return take<double>();
    if (type == 'i') return static_cast<double>(take<std::int32_t>());
    return static_cast<double>(take<std::uint8_t>());
  }

  template <class T>
  T take() {  // the files are little-endian, as every machine that runs the tests
    T value;
    std::memcpy(&value, claim(sizeof(T)), sizeof(T));
    return value;
  }

  std::string take_text() {
    const auto size = take<std::uint32_t>();
    return {claim(size), size};
  }

  const char* claim(std::size_t size) {
    if (size > bytes_.size() - at_) throw std::runtime_error("golden: truncated file: " + path_);
    at_ += size;
    return bytes_.data() + at_ - size;
  }

  template <class Map>
  const typename Map::mapped_type& find(const Map& map, const std::string& key) const {
    const auto found = map.find(key);
    if (found == map.end()) throw std::runtime_error("golden: no '" + key + "' in " + path_);
    return found->second;
  }

  std::string path_, bytes_;
  std::size_t at_ = 0;
  std::map<std::string, std::string> notes_;
  std::map<std::string, Array> arrays_;
};

}  // namespace golden
