// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/data/corpus.hpp: a text file as tokens, one a byte, split into training and validation.
#pragma once
#include <array>
#include <cohort/core/error.hpp>
#include <cohort/data/text_file.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::data {

/// What a token id means.
enum class Vocabulary : std::uint8_t {
  bytes,       // id = byte, 0 .. 255: any text and any prompt fits Embedding<256>
  characters,  // id = place in the sorted list of the bytes that occur, as nanoGPT numbers them
};

/// How a text is cut and numbered.
struct CorpusOptions {
  double train_fraction = 0.9;  // the head of the file trains, the tail validates
  Vocabulary vocabulary = Vocabulary::bytes;
  std::uint64_t max_bytes = default_max_bytes;
};

/// One part of a corpus. Borrows the corpus's tokens and name: keep the corpus alive.
struct Split {
  std::span<const std::uint8_t> tokens;
  std::string_view source;  // the corpus: a path
  std::string_view part;    // "training" or "validation"

  /// Throws InvalidInput unless a row of `block` inputs and their targets fits into this part.
  void require_block(int block) const {
    if (block >= 1 && tokens.size() > static_cast<std::size_t>(block)) return;
    if (block < 1)
      throw InvalidInput(-1, "Split", "rows need at least 1 token; got " + std::to_string(block));
    throw InvalidInput(-1, "corpus '" + std::string(source) + "'",
                       "the " + std::string(part) + " part has " + std::to_string(tokens.size()) +
                           " tokens, but rows of " + std::to_string(block) + " need at least " +
                           std::to_string(std::size_t(block) + 1) +
                           "; give a longer text, another train_fraction or shorter rows");
  }
};

namespace detail {
/// A byte as people know it: 'a', or 0x0a where it does not print.
inline std::string spelled(int byte) {
  if (byte >= 0x20 && byte < 0x7f) return {'\'', static_cast<char>(byte), '\''};
  constexpr char digits[] = "0123456789abcdef";
  return {'0', 'x', digits[byte >> 4 & 15], digits[byte & 15]};
}

/// The first few of `bytes`, spelled, and how many there are.
inline std::string spelled_list(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t shown = 8;
  std::string out = std::to_string(bytes.size()) + " (";
  for (std::size_t i = 0; i < bytes.size() && i < shown; ++i) {
    if (i > 0) out += ' ';
    out += spelled(bytes[i]);
  }
  return out + (bytes.size() > shown ? " ...)" : ")");
}
}  // namespace detail

/// The tokens of a text. Bytes, not code points: every file is a valid corpus, and UTF-8 letters
/// outside ASCII are two to four tokens.
///
/// Cost     one byte of memory for each token.
/// Errors   InvalidInput: what read_text refuses, an empty file, train_fraction outside (0, 1].
/// Laws     decode(encode(text)) == text. The split is nanoGPT's: training has int(0.9 * n) tokens.
class CharCorpus {
 public:
  CharCorpus(const CharCorpus&) = delete;  // splits point into it
  CharCorpus& operator=(const CharCorpus&) = delete;

  static CharCorpus from_file(const std::filesystem::path& path, CorpusOptions options = {}) {
    return CharCorpus(read_text(path, options.max_bytes), options, path.string());
  }
  static CharCorpus from_text(std::string_view text, CorpusOptions options = {}) {
    return CharCorpus(text, options, "text");
  }

  /// Ids run from 0 to vocabulary() - 1: 256 for bytes, the distinct bytes for characters.
  int vocabulary() const { return static_cast<int>(bytes_.size()); }
  std::size_t size() const { return tokens_.size(); }
  const std::string& source() const { return source_; }

  Split train() const { return {std::span(tokens_).first(num_train_), source_, "training"}; }
  Split validation() const {
    return {std::span(tokens_).subspan(num_train_), source_, "validation"};
  }

  /// Throws InvalidInput if the text has characters whose id a model of `extent` ids cannot take.
  void require_vocabulary(int extent) const {
    std::vector<std::uint8_t> beyond;
    for (std::size_t id = 0; id < bytes_.size(); ++id) {
      if (occurs_[bytes_[id]] && static_cast<int>(id) >= extent) beyond.push_back(bytes_[id]);
    }
    if (beyond.empty()) return;
    const int needed = ids_[beyond.back()] + 1;
    refuse("the model has " + std::to_string(extent) + " token ids and the text needs " +
           std::to_string(needed) + "; characters without an id: " + detail::spelled_list(beyond) +
           "; give the model's Embedding and output " + std::to_string(needed) +
           " rows or more, or clean the text");
  }

  std::vector<int> encode(std::string_view text) const {
    std::vector<int> out;
    out.reserve(text.size());
    for (const char c : text) {
      const auto byte = static_cast<std::uint8_t>(c);
      if (ids_[byte] < 0) {
        refuse(
            "the character " + detail::spelled(byte) +
            " does not occur in the text, so it has no id; leave it out or use Vocabulary::bytes");
      }
      out.push_back(ids_[byte]);
    }
    return out;
  }

  std::string decode(std::span<const int> ids) const {
    std::string out;
    out.reserve(ids.size());
    for (const int id : ids) {
      if (id < 0 || id >= vocabulary()) {
        refuse("id " + std::to_string(id) + " stands for no character; ids run from 0 to " +
               std::to_string(vocabulary() - 1));
      }
      out.push_back(static_cast<char>(bytes_[static_cast<std::size_t>(id)]));
    }
    return out;
  }

 private:
  CharCorpus(std::string_view text, CorpusOptions options, std::string source)
      : source_(std::move(source)) {
    if (!(options.train_fraction > 0.0 && options.train_fraction <= 1.0)) {
      refuse("train_fraction is " + std::to_string(options.train_fraction) +
             "; give a number above 0 and at most 1");
    }
    if (text.empty()) refuse("the text is empty (0 bytes); give a text to train on");
    for (const char c : text) occurs_[static_cast<std::uint8_t>(c)] = true;
    ids_.fill(-1);
    for (int byte = 0; byte < 256; ++byte) {
      if (options.vocabulary == Vocabulary::characters && !occurs_[std::size_t(byte)]) continue;
      ids_[std::size_t(byte)] = static_cast<int>(bytes_.size());
      bytes_.push_back(static_cast<std::uint8_t>(byte));
    }
    tokens_.reserve(text.size());
    for (const char c : text) {
      tokens_.push_back(static_cast<std::uint8_t>(ids_[static_cast<std::uint8_t>(c)]));
    }
    num_train_ =
        static_cast<std::size_t>(static_cast<double>(text.size()) * options.train_fraction);
  }

  [[noreturn]] void refuse(const std::string& sentence) const {
    throw InvalidInput(-1, "corpus '" + source_ + "'", sentence);
  }

  std::string source_;
  std::array<bool, 256> occurs_{};
  std::array<int, 256> ids_{};       // byte -> id, -1 where it has none
  std::vector<std::uint8_t> bytes_;  // id -> byte
  std::vector<std::uint8_t> tokens_;
  std::size_t num_train_ = 0;
};

}  // namespace cohort::data
