// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/data/text_file.hpp: a whole file as bytes, or one sentence that says why not.
#pragma once
#include <cerrno>
#include <cohort/core/error.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace cohort::data {

/// 4 GiB: keeps a wrong path (a disk image, an endless device) from filling the memory.
inline constexpr std::uint64_t default_max_bytes = std::uint64_t{4} << 30;

namespace detail {

[[noreturn]] inline void refuse(const std::filesystem::path& path, const std::string& sentence) {
  throw InvalidInput(-1, "read '" + path.string() + "'", sentence);
}

inline std::string_view kind_of(std::filesystem::file_type type) {
  using enum std::filesystem::file_type;
  switch (type) {
    case directory:
      return "a directory";
    case character:
      return "a character device";
    case block:
      return "a block device";
    case socket:
      return "a socket";
    default:
      return "not a file";
  }
}

/// Refuses everything that is neither a file nor a pipe.
inline void require_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  using enum std::filesystem::file_type;
  if (path.empty()) refuse(path, "the path is empty; give the path of a text file");
  if (type == not_found) refuse(path, "no such file; give the path of a text file");
  if (type == none) refuse(path, error.message() + "; give a file that this user can reach");
  if (type != regular && type != fifo) {
    refuse(path, "this is " + std::string(kind_of(type)) + "; give the path of a text file");
  }
}

inline void require_at_most(const std::filesystem::path& path, std::uint64_t max_bytes,
                            std::uint64_t found) {
  if (found <= max_bytes) return;
  refuse(path, "the file has more than the " + std::to_string(max_bytes) +
                   " bytes allowed; cut the file or raise max_bytes");
}

inline std::string read_stream(std::FILE* file, const std::filesystem::path& path,
                               std::uint64_t max_bytes) {
  constexpr std::size_t step = std::size_t{1} << 20;
  std::string text;
  for (std::size_t got = step; got == step;) {
    const std::size_t old = text.size();
    text.resize(old + step);
    got = std::fread(text.data() + old, 1, step, file);
    text.resize(old + got);
    require_at_most(path, max_bytes, text.size());
  }
  if (std::ferror(file) != 0) {
    refuse(path, "reading failed after " + std::to_string(text.size()) + " bytes (" +
                     std::generic_category().message(errno) + "); check the file and its disk");
  }
  return text;
}

}  // namespace detail

/// Reads a file or a pipe to its end.
///
/// Errors   InvalidInput, naming the path, what was found and what to do: missing, a directory or a
///          device, not readable, more than max_bytes, read failure, out of memory.
inline std::string read_text(const std::filesystem::path& path,
                             std::uint64_t max_bytes = default_max_bytes) {
  detail::require_file(path);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(path.c_str(), "rb"), [](std::FILE* f) { return std::fclose(f); });
  if (!file) {
    detail::refuse(path, "cannot be opened (" + std::generic_category().message(errno) +
                             "); make it readable for this user");
  }
  std::error_code ignored;  // a pipe has no size: read_stream counts
  const auto size = std::filesystem::file_size(path, ignored);
  if (!ignored) detail::require_at_most(path, max_bytes, size);
  try {
    return detail::read_stream(file.get(), path, max_bytes);
  } catch (const std::bad_alloc&) {
    detail::refuse(path, "the file does not fit into memory; cut it into parts");
  } catch (const std::length_error&) {
    detail::refuse(path, "the file does not fit into memory; cut it into parts");
  }
}

}  // namespace cohort::data
