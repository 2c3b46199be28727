// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/disk.hpp: the directory where checkpoints would go: may it be written, how much fits, how fast.
#pragma once
#include <fcntl.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cohort/core/readable_bytes.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/memory.hpp>
#include <cohort/doctor/system.hpp>
#include <cohort/doctor/within.hpp>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace cohort::checkup {

/// Writes 8 MiB to a file without a name, which is gone when it is closed, to the disk itself.
struct Written {
  std::string error;  // empty: it was written
  double megabytes_per_s = 0;
};
inline Written write_some(const std::filesystem::path& directory) {
  int file = ::open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    std::string name = (directory / ".cohort-doctor-XXXXXX").string();
    file = ::mkostemp(name.data(), O_CLOEXEC);
    if (file >= 0) ::unlink(name.c_str());
  }
  if (file < 0) return {std::strerror(errno), 0};
  const std::vector<char> block(1 << 20, 'c');
  const auto begin = std::chrono::steady_clock::now();
  Written written;
  errno = 0;  // stays so where the disk takes only a part
  for (int i = 0; i < 8 && written.error.empty(); ++i)
    if (::write(file, block.data(), block.size()) != static_cast<ssize_t>(block.size()))
      written.error = std::strerror(errno == 0 ? ENOSPC : errno);
  if (written.error.empty() && ::fdatasync(file) != 0) written.error = std::strerror(errno);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  ::close(file);
  written.megabytes_per_s = 8 * 1.048576 / std::max(1e-6, time.count());
  return written;
}

/// What a directory is like. Nothing: no answer in time.
struct Disk {
  std::optional<Room> room;
  std::optional<Written> written;
  long kind = 0;  // statfs's f_type
};
/// Looks at a directory's file system, and writes and removes 8 MiB there.
inline Disk disk_of(const std::filesystem::path& directory) {
  Disk disk;
  disk.room = room(directory);
  if (!disk.room) return disk;
  struct statfs s {};
  if (::statfs(directory.c_str(), &s) == 0) disk.kind = static_cast<long>(s.f_type);
  disk.written =
      within(std::chrono::milliseconds(800), [directory] { return write_some(directory); });
  return disk;
}

/// Source   statfs(2) for the kinds of file systems.
inline std::vector<Finding> disk(const System& system, const Disk& disk) {
  constexpr std::uint64_t little = std::uint64_t{2} << 30;
  constexpr double slow = 50;
  constexpr long tmpfs = 0x01021994, overlay = 0x794c7630;
  Findings out("disk");
  std::error_code ignored;
  std::string path =
      std::filesystem::absolute(system.directory, ignored).lexically_normal().string();
  if (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const char* elsewhere = "Give checkpoints another directory (--save DIR).";
  if (!disk.room) {
    out.warning("here", phrase(path, ": no such directory, or no answer within 0.5 s"), elsewhere);
    return out.take();
  }
  const std::string found = phrase(readable_bytes(disk.room->free_bytes), " free in ", path);
  if (disk.room->free_bytes < little)
    out.warning(
        "room", found,
        "Make room, or give checkpoints another directory (--save DIR): one is three to four "
        "times the parameters, and .keep says how many stay.");
  else if (disk.kind == tmpfs)
    out.note("room", found + ", which is memory: gone with the machine's next start", elsewhere);
  else if (disk.kind == overlay)
    out.note("room", found + ", a container's own layer: gone with the container",
             "Mount a directory of the host (docker -v) for checkpoints.");
  else
    out.ok("room", found);
  if (!disk.written)
    out.warning("writing", "8 MiB took more than 0.8 s", elsewhere);
  else if (!disk.written->error.empty())
    out.warning("writing", phrase("not possible: ", disk.written->error), elsewhere);
  else if (disk.written->megabytes_per_s < slow)
    out.note("writing",
             phrase(static_cast<int>(disk.written->megabytes_per_s), " MB/s (8 MiB, synced)"),
             "Save with run.save_async, less often, or to another directory.");
  else
    out.ok("writing",
           phrase(static_cast<int>(disk.written->megabytes_per_s), " MB/s (8 MiB, synced)"));
  return out.take();
}
/// Can checkpoints be written here, and how fast?
inline std::vector<Finding> disk(const System& system) {
  return disk(system, disk_of(system.directory));
}

}  // namespace cohort::checkup
