// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/checkpoint_part_writer.hpp: writes one rank's file of a checkpoint, each block with its hash, from any memory or an image.
#pragma once
#include <cohort/io/checkpoint_part.hpp>
#include <cohort/io/direct_writer.hpp>

namespace cohort::io {

/// How a file came to the disk: past the page cache, or, where the file system refuses that, through it.
enum class Written { direct, through_page_cache };
/// For people.
constexpr std::string_view name(Written how) {
  return how == Written::direct ? "direct" : "through the page cache";
}

namespace detail {

/// A rank's file in the making. Bytes come in the order of the image; whole pages are written as they come;
/// what stands before the image, and hashes, last.
class PartInProgress {
 public:
  PartInProgress(const std::filesystem::path& path, const CheckpointPartLayout& layout)
      : layout_(layout), file_(File::to_write(path)), pages_(file_), at_(layout.image_begin()) {}

  /// Where the pieces begin in the image's first page.
  std::size_t lead() const { return layout_.begin() - layout_.image_begin(); }
  /// `bytes` are those of the image from where the last call ended; the first `known` have been here before
  /// (lead() of them in the first call) and are hashed. What is new are whole blocks, but at the end. Returns
  /// how many bytes are done with: whole pages. The rest comes again.
  std::size_t add(std::span<const std::byte> bytes, std::size_t known) {
    xxh64_blocks(bytes.subspan(known), checkpoint_block, hashes_);
    std::size_t done = bytes.size() / page_bytes * page_bytes, skip = 0;
    if (at_ == layout_.image_begin() && done > 0) {  // the first page waits for the hashes
      first_.assign(reinterpret_cast<const char*>(bytes.data()), page_bytes);
      skip = page_bytes;
    }
    pages_.write(at_ + skip, bytes.subspan(skip, done - skip));
    at_ += done;
    return done;
  }
  /// `rest`: what add() has not been done with. Returns when the file would survive a loss of power.
  Written finish(std::span<const std::byte> rest) {
    const Written how = pages_.end() ? Written::direct : Written::through_page_cache;
    const std::size_t skip = first_.empty() ? lead() : 0;
    file_.write(at_ + skip, rest.subspan(skip));
    std::string head(layout_.file().header());
    head.append(reinterpret_cast<const char*>(hashes_.data()), hashes_.size() * sizeof(hashes_[0]));
    if (!first_.empty()) head.append(first_, lead());
    file_.write(0, std::as_bytes(std::span(head)));
    file_.sync();
    file_.close();
    return how;
  }

 private:
  const CheckpointPartLayout& layout_;
  File file_;
  DirectWriter pages_;
  std::uint64_t at_;   // of the file: the page that is written next
  std::string first_;  // page of the image, where hashes and pieces meet
  std::vector<std::uint64_t> hashes_;
};

/// What is hashed and written at a time.
inline constexpr std::size_t part_slice = 4 * checkpoint_block;

}  // namespace detail

/// Writes a rank's file and returns when it would survive a loss of power; its name is not yet durable.
/// source(i, at, to) fills `to` with the bytes of piece i from `at` on.
///
/// Cost     one pass; 4 MiB of memory beside the header.
/// Errors   WriteFailed, and what the source throws.
template <class Source>
Written write_checkpoint_part(const std::filesystem::path& path,
                              const std::vector<CheckpointPiece>& pieces, Source source) {
  const CheckpointPartLayout layout(pieces);
  const PageMemory memory(
      std::min<std::uint64_t>(layout.image_bytes(), page_bytes + detail::part_slice));
  const std::span<std::byte> window = memory.bytes();
  detail::PartInProgress file(path, layout);
  std::size_t known = file.lead(), filled = known;
  const auto flush = [&] {
    const std::size_t done = file.add(window.first(filled), known);
    known = filled -= done;
    std::memmove(window.data(), window.data() + done, filled);
  };
  for (const std::size_t i : layout.order()) {
    const std::uint64_t bytes = pieces[i].bytes();
    for (std::uint64_t done = 0; done < bytes;) {
      const std::size_t n =
          std::min<std::uint64_t>(known + detail::part_slice - filled, bytes - done);
      source(i, done, window.subspan(filled, n));
      done += n;
      filled += n;
      if (filled == known + detail::part_slice) flush();
    }
  }
  if (filled > known) flush();
  return file.finish(window.first(filled));
}

/// The same from an image (CheckpointPartLayout::place) that begins a page of memory.
///
/// Cost     one pass, nothing is copied.
/// Errors   WriteFailed.
inline Written write_checkpoint_part(const std::filesystem::path& path,
                                     const CheckpointPartLayout& layout,
                                     std::span<const std::byte> image) {
  detail::PartInProgress file(path, layout);
  for (std::size_t known = file.lead(); known < image.size();) {
    const std::size_t n = std::min(known + 2 * detail::part_slice, image.size());
    const std::size_t done = file.add(image.first(n), known);
    image = image.subspan(done);
    known = n - done;
  }
  return file.finish(image);
}

}  // namespace cohort::io
