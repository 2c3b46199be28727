// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tools/checkpoint.hpp: what cohort-checkpoint does: tells what a checkpoint holds, reads all of it, makes weights of it.
#pragma once
#include <cohort/io/checkpoint_index.hpp>
#include <cohort/run/full_files.hpp>
#include <cohort/run/weights.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tools {

using namespace cohort;
namespace fs = std::filesystem;

struct Arguments {
  std::string command, directory, file;
  std::uint64_t max_file_bytes = 0;  // 0: one file
  std::string type;                  // of what is written; "": as it is
};

/// Told after each block that was read: bytes so far, of all.
using Progress = std::function<void(std::uint64_t done, std::uint64_t all)>;

/// 1384448 -> "1,384,448".
inline std::string grouped(std::uint64_t n) {
  std::string text = std::to_string(n);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}
inline std::uint64_t elements(const io::CheckpointIndex::Tensor& tensor) {
  std::uint64_t n = 1;
  for (const std::uint64_t extent : tensor.extents) n *= extent;
  return n;
}
inline std::uint64_t bytes(const io::CheckpointIndex::Tensor& tensor) {
  return elements(tensor) * static_cast<std::uint64_t>(io::bits(tensor.type)) / 8;
}
/// "optimizer/exp_avg/0.weight" -> "exp_avg"; "" for what is no moment.
inline std::string moment_of(const std::string& name) {
  constexpr std::string_view moments = "optimizer/";
  if (!name.starts_with(moments)) return {};
  return name.substr(moments.size(), name.find('/', moments.size()) - moments.size());
}
inline std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

/// The lines of a table, each column as wide as it must be.
inline std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size() + 2);
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      text += padded(row[i], i + 1 < row.size() ? widths[i] : 0);
    text += '\n';
  }
  return text;
}

/// What a checkpoint holds, for people.
inline std::string info(const fs::path& directory) {
  const io::CheckpointIndex index(io::CheckpointDirectory::resolve(directory));
  std::uint64_t file_bytes = 0, numbers = 0;
  for (const auto& file : index.manifest().files) file_bytes += file.bytes;
  std::vector<std::vector<std::string>> head, parameters{{"parameter", "shape", "type", "bytes"}},
      facts;
  std::map<std::string, std::uint64_t> moments;
  for (const auto& [name, tensor] : index.tensors()) {
    const std::string parameter(detail::parameter_of(name));
    if (const std::string moment = moment_of(name); !moment.empty())
      moments[moment] += bytes(tensor);
    if (parameter.empty()) continue;
    numbers += elements(tensor);
    parameters.push_back({parameter, io::readable_shape(tensor.extents),
                          std::string(io::name(tensor.type)), grouped(bytes(tensor))});
  }
  const detail::Facts said(index);
  head.push_back({"step", said.text("step")});
  head.push_back({"ranks", said.text("ranks")});
  head.push_back({"files", grouped(file_bytes) + " bytes in " +
                               std::to_string(index.manifest().files.size()) + " files"});
  head.push_back({"parameters",
                  grouped(numbers) + " in " + std::to_string(parameters.size() - 1) + " tensors"});
  for (const auto& [moment, size] : moments)
    head.push_back({"optimizer", moment + ", " + grouped(size) + " bytes"});
  for (const auto& [key, value] : index.manifest().facts)
    if (key != "step" && key != "ranks" && key != "parameters" && key != "layout")
      facts.push_back({key, value});
  return index.path() + "\n" + table(head) + "\n" + table(parameters) + "\n" + table(facts);
}

/// Reads every byte against its hash; a sentence for each tensor that cannot be read.
inline std::vector<std::string> check(const fs::path& checkpoint, const Progress& progress = {}) {
  io::CheckpointIndex index(checkpoint);
  std::vector<std::string> wrong;
  std::uint64_t all = 0, done = 0;
  for (const auto& each : index.tensors()) all += bytes(each.second);
  for (const auto& [name, tensor] : index.tensors()) {
    const std::uint64_t end = done + bytes(tensor);
    try {
      index.read(tensor, 0, elements(tensor), [&](std::uint64_t, std::span<const std::byte> block) {
        done += block.size();
        if (progress) progress(done, all);
      });
    } catch (const Error& e) {
      wrong.push_back("'" + name + "': " + e.what());
    }
    done = end;
  }
  return wrong;
}

/// Values of a checkpoint on their way into files of whole tensors; a few MiB of memory, whatever the model.
class Full {
 public:
  Full(const fs::path& checkpoint, const fs::path& file, const FullOptions& options)
      : index_(checkpoint), path_(file) {
    for (const auto& [name, tensor] : index_.tensors()) {
      const std::string parameter(detail::parameter_of(name));
      if (parameter.empty()) continue;
      if (options.type && options.type != tensor.type &&
          !(detail::is_real(tensor.type) && detail::is_real(*options.type)))
        throw InvalidInput(-1, "checkpoint '" + index_.path() + "'",
                           "'" + parameter + "' is " + std::string(io::name(tensor.type)) +
                               " and cannot be written as " + std::string(io::name(*options.type)) +
                               ": F64, F32, BF16 and F16 can be converted.");
      tensors_.push_back(&tensor);
      parameters_.push_back({{parameter}, tensor.extents, 1, elements(tensor)});
      types_.push_back(options.type.value_or(tensor.type));
    }
    files_.emplace(parameters_, types_, file, options.max_file_bytes);
  }
  const detail::FullFiles& files() const { return *files_; }
  /// What write() has made.
  const std::vector<fs::path>& written() const { return written_; }
  std::size_t num_parameters() const { return parameters_.size(); }

  /// Under temporary names first; the index last. What was there under the names is replaced.
  void write(const Progress& progress = {}) {
    try {
      for (std::size_t k = 0; k < files_->paths.size(); ++k) write_file(k, progress);
      written_ = files_->publish(path_, parameters_);
    } catch (const Error&) {
      files_->discard(path_);
      throw;
    }
  }

 private:
  void write_file(std::size_t k, const Progress& progress) {
    io::File file = io::File::to_write(detail::FullFiles::temporary(files_->paths[k]));
    file.write(0, std::as_bytes(std::span(files_->layouts[k].header())));
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      if (files_->place[i].first == k)
        write_tensor(file, i, files_->layouts[k].offset(files_->place[i].second), progress);
    file.sync();
    file.close();
  }
  void write_tensor(const io::File& file, std::size_t i, std::uint64_t offset,
                    const Progress& progress) {
    const io::StoredType from = tensors_[i]->type, to = types_[i];
    const std::size_t from_size = static_cast<std::size_t>(io::bits(from)) / 8;
    const std::size_t to_size = static_cast<std::size_t>(io::bits(to)) / 8;
    index_.read(*tensors_[i], 0, parameters_[i].numel,
                [&](std::uint64_t at, std::span<const std::byte> block) {
                  const std::size_t n = block.size() / from_size;
                  file.write(offset + at * to_size,
                             from == to ? block : converted(from, to, block, n));
                  done_ += n * to_size;
                  if (progress) progress(done_, files_->bytes);
                });
  }
  std::span<const std::byte> converted(io::StoredType from, io::StoredType to,
                                       std::span<const std::byte> block, std::size_t n) {
    floats_.resize(n);
    out_.resize(n * static_cast<std::size_t>(io::bits(to)) / 8);
    detail::convert_stored(from, block, floats_.data(), n);
    detail::store_as(to, floats_.data(), 1, n, out_.data());
    return out_;
  }

  io::CheckpointIndex index_;
  fs::path path_;
  std::vector<const io::CheckpointIndex::Tensor*> tensors_;
  std::vector<detail::StoredParameter> parameters_;
  std::vector<io::StoredType> types_;
  std::optional<detail::FullFiles> files_;
  std::vector<fs::path> written_;
  std::vector<float> floats_;
  std::vector<std::byte> out_;
  std::uint64_t done_ = 0;
};

}  // namespace tools
