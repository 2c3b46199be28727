// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/mapped_file.hpp: a file that is read as if it were memory.
#pragma once
#include <sys/mman.h>

#include <cerrno>
#include <cohort/io/file.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace cohort::io {

/// Owns an open file and its pages, which the system reads when they are first touched.
///
/// Cost     address space of the file's size; memory only for what is touched, given back under
///          pressure.
/// Errors   ReadFailed: not there, not readable, a directory. A file that somebody cuts off while
///          it is mapped ends the process with SIGBUS when the lost part is touched: file().read()
///          throws instead.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path)
      : file_(File::to_read(path)), bytes_(file_.size()) {
    if (bytes_ == 0) return;
    std::byte first{};
    file_.read(0, {&first, 1});  // says what is wrong with a directory
    void* start = ::mmap(nullptr, static_cast<std::size_t>(bytes_), PROT_READ, MAP_PRIVATE,
                         file_.descriptor(), 0);
    if (start == MAP_FAILED) detail::fail<ReadFailed>("map", file_.path(), errno);
    start_ = static_cast<const std::byte*>(start);
  }
  MappedFile(MappedFile&& other) noexcept
      : file_(std::move(other.file_)),
        start_(std::exchange(other.start_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(start_, other.start_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile() {
    if (start_ != nullptr)
      ::munmap(const_cast<std::byte*>(start_), static_cast<std::size_t>(bytes_));
  }

  const File& file() const { return file_; }
  const std::string& path() const { return file_.path(); }
  std::span<const std::byte> bytes() const { return {start_, static_cast<std::size_t>(bytes_)}; }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(start_), static_cast<std::size_t>(bytes_)};
  }

 private:
  File file_;
  const std::byte* start_ = nullptr;
  std::uint64_t bytes_ = 0;
};

}  // namespace cohort::io
