// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/data/token_file.hpp: a file of 16-bit tokens, mapped into memory and dealt out in rows.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cohort/core/error.hpp>
#include <cohort/data/position.hpp>
#include <cohort/data/text_file.hpp>
#include <cohort/data/windows.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace cohort::data {

/// How a file says what it holds.
enum class TokenFormat : std::uint8_t {
  detect,  // llm_c where the file begins with its magic number, else raw
  llm_c,   // 256 int32 (magic 20240520, version 1, count of tokens), then the tokens
  raw,     // tokens only, as nanoGPT's prepare.py writes them
};

namespace detail {

static_assert(std::endian::native == std::endian::little, "token files are little-endian");

inline constexpr std::int32_t llm_c_magic = 20240520;
inline constexpr std::size_t llm_c_header_bytes = 256 * sizeof(std::int32_t);

/// A file mapped read-only. Owns the mapping.
class Mapping {
 public:
  explicit Mapping(const std::filesystem::path& path) {
    using enum std::filesystem::file_type;
    std::error_code error;
    const auto type = std::filesystem::status(path, error).type();
    if (type == not_found) {
      refuse(path,
             "no such file; give the path of a file of 16-bit tokens, as llm.c's dev/data or "
             "nanoGPT's data folders make them");
    }
    if (type == none) refuse(path, error.message() + "; give a file that this user can reach");
    if (type != regular) {
      refuse(path, "this is " + std::string(type == fifo ? "a pipe" : kind_of(type)) +
                       ", which cannot be mapped into memory; give the path of a file");
    }
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0)
      refuse(path, "cannot be opened (" + reason() + "); make it readable for this user");
    const off_t size = ::lseek(file, 0, SEEK_END);
    void* at = size > 0
                   ? ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_SHARED, file, 0)
                   : nullptr;
    const std::string why = reason();
    ::close(file);
    if (size == 0) refuse(path, "the file is empty (0 bytes); make or fetch it again");
    if (size < 0 || at == MAP_FAILED)
      refuse(path, "cannot be mapped into memory (" + why + "); copy it to a local disk");
    bytes_ = {static_cast<const std::byte*>(at), static_cast<std::size_t>(size)};
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  static std::string reason() { return std::generic_category().message(errno); }
  std::span<const std::byte> bytes_;
};

using LlmcHeader = std::array<std::int32_t, 3>;  // magic, version, count

/// The first words of a file; zeros where it is shorter.
inline LlmcHeader header_of(std::span<const std::byte> bytes) {
  LlmcHeader header{};
  std::memcpy(header.data(), bytes.data(), std::min(sizeof header, bytes.size()));
  return header;
}

inline std::span<const std::uint16_t> tokens_at(std::span<const std::byte> bytes,
                                                std::size_t first) {
  return {reinterpret_cast<const std::uint16_t*>(bytes.data() + first),
          (bytes.size() - first) / sizeof(std::uint16_t)};
}

/// llm.c numbers its kinds of file by the day they were made up: 2024MMDD. No GPT-2 text begins so.
inline bool is_of_llm_c(std::int32_t magic) { return magic / 10000 == 2024; }

inline std::span<const std::uint16_t> llm_c_tokens(const std::filesystem::path& path,
                                                   std::span<const std::byte> bytes) {
  const auto [magic, version, count] = header_of(bytes);
  if (magic != llm_c_magic) {
    refuse(path, "begins with " + std::to_string(magic) +
                     ", and llm.c's files of 16-bit tokens with " + std::to_string(llm_c_magic) +
                     (is_of_llm_c(magic) ? "; this is another kind of llm.c's files: give one that "
                                           "its GPT-2 tokenizer made"
                                         : "; give such a file, or read it as TokenFormat::raw"));
  }
  if (bytes.size() < llm_c_header_bytes) {
    refuse(path, "ends inside its header, after " + std::to_string(bytes.size()) + " of " +
                     std::to_string(llm_c_header_bytes) + " bytes; make or fetch it again");
  }
  if (version != 1) {
    refuse(path,
           "has version " + std::to_string(version) +
               " of llm.c's token files, and 1 is known; make it again with the GPT-2 tokenizer");
  }
  const auto tokens = tokens_at(bytes, llm_c_header_bytes);
  const std::size_t found = bytes.size() - llm_c_header_bytes;
  if (count < 0 || found != static_cast<std::size_t>(count) * sizeof(std::uint16_t)) {
    refuse(path, "its header promises " + std::to_string(count) + " tokens of 2 bytes, and " +
                     std::to_string(found) +
                     " bytes follow; the file was cut or is still being "
                     "written: make or fetch it again");
  }
  return tokens;
}

inline std::span<const std::uint16_t> raw_tokens(const std::filesystem::path& path,
                                                 std::span<const std::byte> bytes) {
  if (bytes.size() % sizeof(std::uint16_t) != 0) {
    refuse(path, "has " + std::to_string(bytes.size()) +
                     " bytes, an odd number, so it does not hold 16-bit tokens or was cut; make or "
                     "fetch it again");
  }
  return tokens_at(bytes, 0);
}

}  // namespace detail

/// The tokens of a file, without reading it: pages come when rows do, and all ranks of a machine share
/// them. Copies share the mapping. The file must not be cut while it is in use.
///
/// Cost     a few system calls. No memory but the system's page cache.
/// Errors   InvalidInput, naming the path, what was found and what to do: missing, no file, not
///          readable, empty, cut, an odd number of bytes, another kind or version of llm.c's files.
/// Source   llm.c dev/data/data_common.py (write_datafile); nanoGPT data/openwebtext/prepare.py.
class TokenFile {
 public:
  explicit TokenFile(const std::filesystem::path& path, TokenFormat format = TokenFormat::detect)
      : source_(path.string()), mapping_(std::make_shared<const detail::Mapping>(path)) {
    const auto bytes = mapping_->bytes();
    const bool header = format == TokenFormat::llm_c ||
                        (format == TokenFormat::detect && bytes.size() >= sizeof(std::int32_t) &&
                         detail::is_of_llm_c(detail::header_of(bytes)[0]));
    tokens_ = header ? detail::llm_c_tokens(path, bytes) : detail::raw_tokens(path, bytes);
  }

  std::span<const std::uint16_t> tokens() const { return tokens_; }
  std::int64_t size() const { return static_cast<std::int64_t>(tokens_.size()); }
  const std::string& source() const { return source_; }

 private:
  std::string source_;
  std::shared_ptr<const detail::Mapping> mapping_;
  std::span<const std::uint16_t> tokens_;
};

/// Fills batch `step` with rows that follow each other in the file and do not overlap. Global row k holds
/// tokens [k * block, k * block + block) and their successors as targets; after the last whole row
/// comes the first again, be it in the middle of a batch. Batch 0 begins at row `from`: a resumed run
/// gives its position and counts its batches from 0, whatever the number of ranks and rows was.
///
/// Shapes   rows_per_epoch() = (tokens - 1) / block: each of these rows is seen once before any is seen
///          again; the up to block - 1 tokens behind them are left out.
/// Errors   InvalidInput: fewer than block + 1 tokens, a position that the file does not have; when a
///          batch is filled, a token outside of the vocabulary in it, with its place in the file.
/// Laws     a step's global batch depends on world * rows, not on world (tests/data/token_file_test.cpp);
///          batches from position(n) are those after n batches (tests/data/position_test.cpp).
class TokenBlocks {
 public:
  TokenBlocks(TokenFile file, int block, Place place, int vocabulary = 65536, Position from = {})
      : file_(std::move(file)), block_(block), place_(place), vocabulary_(vocabulary), from_(from) {
    place.check();
    if (block < 1) {
      throw InvalidInput(-1, "TokenBlocks",
                         "rows need at least 1 token; got " + std::to_string(block));
    }
    if (rows_per_epoch() < 1) {
      detail::refuse(file_.source(), "has " + std::to_string(file_.size()) +
                                         " tokens, but rows of " + std::to_string(block) +
                                         " need at least " +
                                         std::to_string(std::int64_t(block) + 1) +
                                         "; give a longer file or shorter rows");
    }
    if (from.epoch < 0 || from.samples < 0 || from.samples >= rows_per_epoch()) {
      detail::refuse(file_.source(), "has " + std::to_string(rows_per_epoch()) + " rows of " +
                                         std::to_string(block) + " tokens, and none after " +
                                         std::to_string(from.samples) + " of epoch " +
                                         std::to_string(from.epoch) +
                                         "; give the file and the block that the run began with");
    }
  }

  TokenBatch batch() const { return TokenBatch(place_.rows, block_); }
  std::int64_t rows_per_epoch() const { return (file_.size() - 1) / block_; }
  /// Whole global batches in the file; 0 where it is shorter than one.
  std::int64_t batches_per_epoch() const {
    return rows_per_epoch() / (std::int64_t(place_.world) * place_.rows);
  }

  /// Where batch `step` begins: what a checkpoint after so many batches keeps.
  Position position(std::int64_t step) const {
    const std::int64_t rows = from_.samples + step * place_.world * place_.rows;
    return {from_.epoch + rows / rows_per_epoch(), rows % rows_per_epoch()};
  }

  void operator()(std::int64_t step, TokenBatch& out) const {
    const std::int64_t first = from_.samples + (step * place_.world + place_.rank) * place_.rows;
    for (int row = 0; row < place_.rows; ++row) {
      const std::int64_t at = (first + row) % rows_per_epoch() * block_;
      const auto from =
          file_.tokens().subspan(static_cast<std::size_t>(at), std::size_t(block_) + 1);
      check(from, at);
      const std::ptrdiff_t to = std::ptrdiff_t(row) * block_;
      std::copy_n(from.begin(), block_, out.inputs.begin() + to);
      std::copy_n(from.begin() + 1, block_, out.targets.begin() + to);
    }
  }

 private:
  void check(std::span<const std::uint16_t> row, std::int64_t at) const {
    const auto worst = std::max_element(row.begin(), row.end());
    if (*worst < vocabulary_) return;
    detail::refuse(file_.source(),
                   "token " + std::to_string(at + (worst - row.begin())) + " is " +
                       std::to_string(*worst) + ", and the model has ids 0 to " +
                       std::to_string(vocabulary_ - 1) +
                       "; give a file of the model's tokenizer, or check its format");
  }

  TokenFile file_;
  int block_;
  Place place_;
  int vocabulary_;
  Position from_;
};

}  // namespace cohort::data
