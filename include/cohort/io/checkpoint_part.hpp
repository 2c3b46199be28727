// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/checkpoint_part.hpp: one rank's file of a checkpoint: where its pieces go, and a reader that compares every block with its hash.
#pragma once
#include <algorithm>
#include <charconv>
#include <cohort/io/page_memory.hpp>
#include <cohort/io/safetensors.hpp>
#include <cohort/io/safetensors_writer.hpp>
#include <cohort/io/xxh64.hpp>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

namespace cohort::io {

/// Elements [first, first + count) of a tensor of these extents, row-major.
struct CheckpointPiece {
  std::string name;
  StoredType type = StoredType::F32;
  std::vector<std::uint64_t> extents;
  std::uint64_t first = 0, count = 0;
  std::uint64_t bytes() const { return count * static_cast<std::uint64_t>(bits(type)) / 8; }
};

/// Bytes of a file that have one hash: what is read to check one element.
inline constexpr std::size_t checkpoint_block = std::size_t{1} << 20;

namespace detail {

inline constexpr std::string_view hashes_name = "block_hashes";

/// "128 of 64,32": a piece's place in its tensor, as the file's metadata says it under the tensor's name.
inline std::string place_text(const CheckpointPiece& piece) {
  std::string text = std::to_string(piece.first) + " of ";
  for (std::size_t i = 0; i < piece.extents.size(); ++i)
    (text += i ? "," : "") += std::to_string(piece.extents[i]);
  return text;
}
/// Reads it; false when it is something else, or the piece does not fit into the tensor.
inline bool read_place(std::string_view text, CheckpointPiece& piece) {
  const auto number = [&](std::uint64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
  };
  if (!number(piece.first) || !text.starts_with(" of ")) return false;
  text.remove_prefix(4);
  std::uint64_t numel = 1;
  for (bool more = true; more;) {
    std::uint64_t extent = 0;
    if (!number(extent) || __builtin_mul_overflow(numel, extent, &numel)) return false;
    piece.extents.push_back(extent);
    more = text.starts_with(",");
    if (more) text.remove_prefix(1);
  }
  return text.empty() && piece.first <= numel && piece.count <= numel - piece.first;
}

}  // namespace detail

/// Where the pieces of a file go: safetensors with one flat tensor a piece, its place under its name in
/// __metadata__, and the hashes of all blocks of 1 MiB as a tensor that stands first.
class CheckpointPartLayout {
 public:
  explicit CheckpointPartLayout(const std::vector<CheckpointPiece>& pieces)
      : layout_(specs(pieces), places(pieces)), order_(pieces.size()) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(layout_.offset(a), a) < std::pair(layout_.offset(b), b);
    });
    if (!order_.empty() && layout_.offset(order_[0]) < hashes_at())
      throw InvalidInput(
          -1, "lay out a checkpoint's file",
          "'" + pieces[order_[0]].name + "' of type U64 would stand before the hashes");
  }
  const SafetensorsLayout& file() const { return layout_; }
  /// Pieces in the order of their bytes.
  const std::vector<std::size_t>& order() const { return order_; }
  std::uint64_t hashes_at() const { return layout_.offset(order_.size()); }
  std::uint64_t begin() const { return hashes_at() + layout_.bytes(order_.size()); }

  /// A file's image is its bytes from the page on in which the pieces begin: what is written page by page.
  std::uint64_t image_begin() const { return begin() / page_bytes * page_bytes; }
  std::uint64_t image_bytes() const { return layout_.file_bytes() - image_begin(); }
  /// Where a piece's bytes are in the image.
  std::uint64_t place(std::size_t piece) const { return layout_.offset(piece) - image_begin(); }

 private:
  static std::vector<TensorSpec> specs(const std::vector<CheckpointPiece>& pieces) {
    std::vector<TensorSpec> all;
    std::uint64_t sum = 0;
    for (const CheckpointPiece& piece : pieces) {
      all.push_back({piece.name, piece.type, {piece.count}});
      sum += piece.bytes();
    }
    const std::uint64_t blocks = (sum + checkpoint_block - 1) / checkpoint_block;
    all.push_back({std::string(detail::hashes_name), StoredType::U64, {blocks}});
    return all;
  }
  static std::vector<std::pair<std::string, std::string>> places(
      const std::vector<CheckpointPiece>& pieces) {
    std::vector<std::pair<std::string, std::string>> all;
    for (const CheckpointPiece& piece : pieces)
      all.emplace_back(piece.name, detail::place_text(piece));
    return all;
  }

  SafetensorsLayout layout_;
  std::vector<std::size_t> order_;
};

/// Reads a rank's file back, each block against its hash. Not for use by several threads at once.
///
/// Errors   ReadFailed; MalformedFile: no safetensors, a piece without a place, a block whose hash differs.
class CheckpointPart {
 public:
  explicit CheckpointPart(const std::filesystem::path& path) : file_(path) {
    for (std::size_t i = 0; i < file_.size(); ++i) {
      StoredTensor tensor = file_[i];
      if (tensor.name == detail::hashes_name) {
        read_hashes(tensor);
        continue;
      }
      CheckpointPiece piece{tensor.name, tensor.type, {}, 0, 0};
      if (tensor.shape.size() == 1) piece.count = tensor.shape[0];
      const auto place = file_.metadata(tensor.name);
      if (tensor.shape.size() != 1 || bits(tensor.type) % 8 != 0 || !place ||
          !detail::read_place(*place, piece))
        malformed("'" + tensor.name + "' does not say which part of a tensor it is");
      pieces_.push_back(std::move(piece));
      tensors_.push_back(std::move(tensor));
    }
    const std::uint64_t end = tensors_.empty() ? begin_ : tensors_.back().end;
    if (tensors_.empty()
            ? !hashes_.empty()
            : tensors_.front().begin != begin_ ||
                  hashes_.size() != (end - begin_ + checkpoint_block - 1) / checkpoint_block)
      malformed("its hashes do not belong to its tensors");
    end_ = end;
  }

  const std::string& path() const { return file_.path(); }
  std::string_view header() const { return file_.header(); }
  const std::vector<CheckpointPiece>& pieces() const { return pieces_; }
  /// Of the header and the blocks' hashes: files with other elements have another one.
  std::uint64_t hash() const {
    Xxh64 hash;
    hash.add(std::as_bytes(std::span(header())));
    hash.add(std::as_bytes(std::span(hashes_)));
    return hash.value();
  }

  /// The block of a file that was read last.
  struct Block {
    const CheckpointPart* file = nullptr;
    std::uint64_t index = 0;
    std::vector<std::byte> bytes;
  };
  /// The bytes of piece i from `at` on, as far as their block goes; until the next call with this block.
  std::span<const std::byte> view(std::size_t i, std::uint64_t at, Block& block) const {
    const StoredTensor& tensor = tensors_[i];
    const std::uint64_t from = tensor.begin - begin_ + at;
    fetch(from / checkpoint_block, block);
    const std::size_t skip = from % checkpoint_block;
    const std::size_t here = block.bytes.size() - skip;
    return std::span<const std::byte>(block.bytes)
        .subspan(skip, std::min<std::uint64_t>(here, tensor.bytes() - at));
  }
  /// Fills `to` with the bytes of piece i from `at` on. `block` is used again by the next call.
  void read(std::size_t i, std::uint64_t at, std::span<std::byte> to, Block& block) const {
    while (!to.empty()) {
      const auto from = view(i, at, block);
      const std::size_t n = std::min(to.size(), from.size());
      std::memcpy(to.data(), from.data(), n);
      to = to.subspan(n);
      at += n;
    }
  }

 private:
  [[noreturn]] void malformed(const std::string& what) const {
    throw MalformedFile(-1, "checkpoint file '" + path() + "'",
                        what +
                            ": the file is damaged or of another program; load another "
                            "checkpoint");
  }
  void read_hashes(const StoredTensor& tensor) {
    if (tensor.type != StoredType::U64 || tensor.shape.size() != 1 || tensor.begin != 0)
      malformed("its hashes are not a list");
    hashes_.resize(tensor.shape[0]);
    file_.read(tensor, 0, std::as_writable_bytes(std::span(hashes_)));
    begin_ = tensor.end;
  }
  void fetch(std::uint64_t index, Block& block) const {
    if (block.file == this && block.index == index) return;
    const std::uint64_t from = begin_ + index * checkpoint_block;
    block.file = nullptr;
    block.bytes.resize(std::min<std::uint64_t>(checkpoint_block, end_ - from));
    file_.read_data(from, block.bytes);
    if (xxh64(block.bytes) != hashes_[index])
      malformed("block " + std::to_string(index) + " (1 MiB from byte " + std::to_string(from) +
                " of its data) does not have the hash it was written with");
    block.file = this;
    block.index = index;
  }

  Safetensors file_;
  std::vector<CheckpointPiece> pieces_;
  std::vector<StoredTensor> tensors_;
  std::vector<std::uint64_t> hashes_;
  std::uint64_t begin_ = 0, end_ = 0;  // of the pieces' bytes in the data area
};

}  // namespace cohort::io
