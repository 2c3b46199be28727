// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/full_files.hpp: files of whole tensors, one or a numbered set, that take the place of older ones in one step.
#pragma once
#include <algorithm>
#include <cohort/core/error.hpp>
#include <cohort/io/file.hpp>
#include <cohort/io/metrics.hpp>
#include <cohort/io/safetensors_index.hpp>
#include <cohort/io/safetensors_writer.hpp>
#include <cohort/io/stored_name.hpp>
#include <cohort/io/stored_type.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace cohort::detail {

/// A parameter, or some of its rows, as one tensor of a file: its name and shape there, and how elements
/// correspond.
struct StoredParameter {
  io::StoredName name;
  std::vector<std::uint64_t> shape;
  std::uint64_t cols = 1, numel = 1;  // of the part that the file holds, row-major here
  std::uint64_t first = 0;            // its first element in the parameter
  int param = 0;                      // of the model
};

/// The files of a full save: names, and where each parameter goes. One file, or several of which none but
/// those with a single parameter hold more than `most` bytes, numbered, and an index that names them.
/// Rank 0 makes and publishes them; between the two any rank writes at the offsets of the layouts.
///
/// Units    bytes of tensors, without headers; most = 0: one file holds all.
/// Errors   InvalidInput: two tensors of one name, and what SafetensorsLayout refuses.
///          WriteFailed: path and reason; discard() then removes the temporary files, and nothing of this
///          save is left unless its index is there.
/// Laws     stopped at any call on files, the old save or the new one is whole; of files beside its own
///          none is touched (tests/run/full_files_test.cpp).
struct FullFiles {
  std::vector<std::filesystem::path> paths;
  std::vector<io::SafetensorsLayout> layouts;
  std::vector<std::pair<std::size_t, std::size_t>> place;  // of a parameter: file, tensor in it
  std::uint64_t bytes = 0;

  FullFiles(const std::vector<StoredParameter>& parameters,
            const std::vector<io::StoredType>& types, const std::filesystem::path& path,
            std::uint64_t most) {
    std::vector<std::vector<io::TensorSpec>> files(1);
    std::uint64_t here = 0;
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (!names.insert(parameters[i].name.name).second)
        throw InvalidInput(-1, "save_full",
                           "two tensors are to be called '" + parameters[i].name.name +
                               "' in the file: give each a name of its own.");
      const std::uint64_t size =
          parameters[i].numel * static_cast<std::uint64_t>(io::bits(types[i])) / 8;
      if (most > 0 && here > 0 && here + size > most) {
        files.emplace_back();
        here = 0;
      }
      here += size;
      bytes += size;
      place.emplace_back(files.size() - 1, files.back().size());
      files.back().push_back({parameters[i].name.name, types[i], parameters[i].shape});
    }
    for (std::size_t k = 0; k < files.size(); ++k) {
      layouts.emplace_back(files[k],
                           std::vector<std::pair<std::string, std::string>>{{"format", "pt"}});
      paths.push_back(files.size() == 1 ? path : numbered(path, k + 1, files.size()));
    }
  }
  static std::filesystem::path temporary(const std::filesystem::path& path) {
    return std::filesystem::path(path) += ".tmp";
  }
  static std::filesystem::path index(const std::filesystem::path& path) {
    return std::filesystem::path(path) += ".index.json";
  }

  /// Rank 0: the temporary files, each with its header and in its full length.
  void create() const {
    for (std::size_t k = 0; k < paths.size(); ++k) {
      const io::File file = io::File::to_write(temporary(paths[k]));
      file.write(0, std::as_bytes(std::span(layouts[k].header())));
      file.resize(layouts[k].file_bytes());
    }
  }
  /// Rank 0, when all ranks have written: durable, then under their names, the index last. What they take
  /// the place of lies beside them, whole, until one step puts them there: the renaming of the index, or of
  /// a single file. Then it is removed. Returns the names.
  std::vector<std::filesystem::path> publish(const std::filesystem::path& path,
                                             const std::vector<StoredParameter>& parameters) const {
    const std::filesystem::path folder = path.parent_path().empty() ? "." : path.parent_path();
    const std::set<std::string> before = io::files_named_by(index(path));
    const std::vector<std::filesystem::path> last = unused(path, before);
    std::error_code ignored;  // nobody reads what cannot be removed
    std::size_t moved = 0;
    try {
      for (; moved < paths.size(); ++moved) {
        io::File::to_change(temporary(paths[moved])).sync();  // its header
        io::move_to(temporary(paths[moved]), last[moved]);
      }
      io::sync_directory(folder);
      if (paths.size() > 1) io::write_atomically(index(path), index_json(parameters, last));
    } catch (...) {
      const bool named = io::files_named_by(index(path)).contains(last[0].filename().string());
      for (std::size_t k = 0; k < moved && paths.size() > 1 && !named; ++k)
        std::filesystem::remove(last[k], ignored);
      throw;
    }
    if (paths.size() > 1) {
      if (std::filesystem::is_regular_file(path, ignored)) std::filesystem::remove(path, ignored);
    } else {
      std::filesystem::remove(index(path), ignored);
      io::sync_directory(folder);  // before what it names is gone
    }
    for (const std::string& name : before)
      if (is_numbered(path, name) &&
          std::find(last.begin(), last.end(), path.parent_path() / name) == last.end())
        std::filesystem::remove(path.parent_path() / name, ignored);
    return last;
  }
  /// The text of the index of numbered files.
  std::string index_json(const std::vector<StoredParameter>& parameters,
                         const std::vector<std::filesystem::path>& last) const {
    std::string text =
        "{\n  \"metadata\": {\"total_size\": " + std::to_string(bytes) + "},\n  \"weight_map\": {";
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      text += i ? ",\n    " : "\n    ";
      io::append_json(text, parameters[i].name.name);
      text += ": ";
      io::append_json(text, last[place[i].first].filename().string());
    }
    return text + "\n  }\n}\n";
  }
  void discard(const std::filesystem::path& path) const noexcept {
    std::error_code ignored;
    for (const auto& each : paths) std::filesystem::remove(temporary(each), ignored);
    std::filesystem::remove(temporary(index(path)), ignored);
  }

 private:
  /// The names that the files get: the usual ones, or with a letter where the index names those.
  std::vector<std::filesystem::path> unused(const std::filesystem::path& path,
                                            const std::set<std::string>& taken) const {
    std::vector<std::filesystem::path> names = paths;
    const auto is_taken = [&](const auto& name) {
      return taken.contains(name.filename().string());
    };
    for (char letter = 'b'; names.size() > 1 && std::any_of(names.begin(), names.end(), is_taken);
         ++letter)
      for (std::size_t k = 0; k < names.size(); ++k)
        names[k] = numbered(path, k + 1, names.size(), std::string("-") + letter);
    return names;
  }
  /// Is it a name that numbered() makes?
  static bool is_numbered(const std::filesystem::path& path, const std::string& name) {
    const std::string stem = path.stem().string() + "-";
    return name.find('/') == name.npos && name.starts_with(stem) &&
           name.ends_with(path.extension().string()) && name.find("-of-") != name.npos;
  }
  static std::filesystem::path numbered(const std::filesystem::path& path, std::size_t k,
                                        std::size_t count, const std::string& series = "") {
    char part[60];
    std::snprintf(part, sizeof part, "%s-%05zu-of-%05zu", series.c_str(), k, count);
    std::filesystem::path out = path.parent_path() / path.stem();
    out += part;
    return out += path.extension();
  }
};

}  // namespace cohort::detail
