// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/checkpoint_index.hpp: a checkpoint as whole tensors, whoever wrote which piece of them.
#pragma once
#include <algorithm>
#include <cohort/io/checkpoint_directory.hpp>
#include <cohort/io/checkpoint_part.hpp>
#include <deque>
#include <map>

namespace cohort::io {

/// Opens a complete checkpoint and finds elements by tensor and range. Reads headers only until elements
/// are asked for; for use by one thread.
///
/// Cost     a map of all ranks' pieces, 1 MiB for the block that was read last.
/// Errors   ReadFailed, MalformedFile: a file is missing, cut, damaged, or of another save; pieces that
///          contradict each other, overlap or leave a hole.
class CheckpointIndex {
 public:
  explicit CheckpointIndex(const std::filesystem::path& checkpoint)
      : path_(checkpoint.string()), manifest_(read_manifest(checkpoint / "checkpoint.json")) {
    for (const auto& listed : manifest_.files) {
      files_.emplace_back(checkpoint / listed.name);
      if (files_.back().hash() != listed.header_hash)
        malformed("'" + listed.name + "' is not the file that the manifest lists");
      add(files_.back());
    }
    for (auto& [name, tensor] : tensors_) complete(name, tensor);
  }
  CheckpointIndex(const CheckpointIndex&) = delete;

  /// A whole tensor, by the stretches of files that hold it.
  struct Tensor {
    StoredType type = StoredType::F32;
    std::vector<std::uint64_t> extents;
    /// Neighbouring elements that lie in one piece of one file.
    struct Stretch {
      const CheckpointPart* file = nullptr;
      std::size_t piece = 0;
      std::uint64_t first = 0, count = 0;
    };
    std::vector<Stretch> parts;  // in order; together the tensor, once
  };

  const std::string& path() const { return path_; }
  const Manifest& manifest() const { return manifest_; }
  const std::map<std::string, Tensor, std::less<>>& tensors() const { return tensors_; }
  const Tensor* find(std::string_view name) const {
    const auto at = tensors_.find(name);
    return at == tensors_.end() ? nullptr : &at->second;
  }

  /// Calls f(at, bytes) for consecutive stretches that are elements [first, first + count) of a tensor,
  /// `at` counted from `first`; each stretch is at most a block long.
  template <class F>
  void read(const Tensor& tensor, std::uint64_t first, std::uint64_t count, F f) {
    const std::uint64_t size = static_cast<std::uint64_t>(bits(tensor.type)) / 8;
    for (const Tensor::Stretch& part : tensor.parts) {
      const std::uint64_t low = std::max(first, part.first);
      const std::uint64_t high = std::min(first + count, part.first + part.count);
      for (std::uint64_t at = low; at < high;) {
        const auto bytes = part.file->view(part.piece, (at - part.first) * size, block_);
        std::uint64_t n = std::min<std::uint64_t>(high - at, bytes.size() / size);
        if (n > 0) {
          f(at - first, bytes.first(n * size));
        } else {  // an element in two blocks: cohort writes none
          n = 1;
          element_.resize(size);
          part.file->read(part.piece, (at - part.first) * size, element_, block_);
          f(at - first, std::span<const std::byte>(element_));
        }
        at += n;
      }
    }
  }

 private:
  [[noreturn]] void malformed(const std::string& what) const {
    throw MalformedFile(-1, "checkpoint '" + path_ + "'",
                        what + ": it is damaged or put together from several; load another one");
  }
  void add(const CheckpointPart& file) {
    for (std::size_t i = 0; i < file.pieces().size(); ++i) {
      const CheckpointPiece& piece = file.pieces()[i];
      auto [at, is_new] = tensors_.try_emplace(piece.name);
      Tensor& tensor = at->second;
      if (is_new) {
        tensor.type = piece.type;
        tensor.extents = piece.extents;
      } else if (tensor.type != piece.type || tensor.extents != piece.extents) {
        malformed("the ranks' files disagree about the shape of '" + piece.name + "'");
      }
      tensor.parts.push_back({&file, i, piece.first, piece.count});
    }
  }
  void complete(const std::string& name, Tensor& tensor) const {
    std::sort(tensor.parts.begin(), tensor.parts.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    std::uint64_t end = 0, numel = 1;
    for (const std::uint64_t extent : tensor.extents) numel *= extent;  // checked piece by piece
    for (const auto& part : tensor.parts) {
      if (part.first != end)
        malformed("elements " + std::to_string(std::min(end, part.first)) + " to " +
                  std::to_string(std::max(end, part.first)) + " of '" + name + "' are " +
                  (part.first > end ? "in no file" : "in two files"));
      end += part.count;
    }
    if (end != numel)
      malformed("the last " + std::to_string(numel - end) + " elements of '" + name +
                "' are in no file");
  }

  std::string path_;
  Manifest manifest_;
  std::deque<CheckpointPart> files_;
  std::map<std::string, Tensor, std::less<>> tensors_;
  CheckpointPart::Block block_;
  std::vector<std::byte> element_;
};

}  // namespace cohort::io
