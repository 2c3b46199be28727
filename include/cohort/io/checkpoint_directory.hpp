// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/checkpoint_directory.hpp: a directory of checkpoints whose newest one survives any crash.
#pragma once
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cohort/core/error.hpp>
#include <cohort/io/checkpoint_name.hpp>
#include <cohort/io/file.hpp>
#include <cohort/io/manifest.hpp>
#include <cohort/io/writer_lock.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace cohort::io {

namespace detail {
/// The names in a directory, sorted; ReadFailed.
inline std::vector<std::string> names_in(const std::filesystem::path& directory) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator at(directory, error), end;
  for (; !error && at != end; at.increment(error)) names.push_back(at->path().filename().string());
  if (error) fail<ReadFailed>("list directory", directory.string(), error.value());
  std::ranges::sort(names);
  return names;
}
}  // namespace detail

/// A directory that holds checkpoints, each complete or not there at all:
///
///     DIR/latest               the name of a complete checkpoint
///     DIR/step-00001000/       complete: checkpoint.json and the files that it lists
///     DIR/tmp-step-00002000/   being written, or left by a crash: never read
///
/// A save is begin(); every rank writes its files into the directory returned and syncs them;
/// commit(), by the process that began. latest() and resolve() may be called by any process, also
/// during a save. Several saves may be under way, of one process or of several.
///
/// Cost     commit: five fsyncs and two renames; begin: what a crash left is removed.
/// Errors   WriteFailed, ReadFailed: path, the system's reason, what to do. MalformedFile: a
///          checkpoint is damaged. InvalidInput: there is none, and what is there instead.
/// Laws     at every instant `latest` names a complete checkpoint once one was committed; a crash
///          or a loss of power between any two system calls loses no more than the save in flight;
///          no checkpoint is changed before its successor is durable
///          (tests/io/checkpoint_directory_test.cpp).
///          Two processes that save into one directory disturb each other only on a file system
///          without flock(): there begin() takes the other's save for one left by a crash.
class CheckpointDirectory {
 public:
  explicit CheckpointDirectory(std::filesystem::path directory) : path_(std::move(directory)) {}

  /// Makes DIR (its parent must exist), removes what crashes left, makes and returns the directory
  /// that the files of the next checkpoint are written to.
  std::filesystem::path begin(std::int64_t step) {
    if (step < 0)
      throw InvalidInput(-1, "save", "a step is 0 or more, not " + std::to_string(step));
    make_directory();
    for (const std::string& name : detail::names_in(path_)) {
      if (is_temporary_checkpoint(name)) remove_left_over(path_ / name);
      if (CheckpointName::of(name)) remove_pointer(path_ / name);
    }
    for (CheckpointName name{step};; ++name.again) {
      const std::filesystem::path temporary = path_ / ("tmp-" + name.text());
      if (::mkdir(temporary.c_str(), 0777) != 0) {
        if (errno == EEXIST) continue;  // another process is writing it
        detail::fail<WriteFailed>("make directory", temporary.string(), errno);
      }
      try {
        auto lock = WriterLock::take(temporary / manifest_name);
        if (!lock) continue;  // another process has just removed it
        WriterLock::keep(temporary, std::move(*lock));
      } catch (...) {
        ::rmdir(temporary.c_str());
        throw;
      }
      return temporary;
    }
  }

  /// Makes what stands in `temporary` a checkpoint, and the latest; returns its path: step-N, or
  /// step-N.1, ... where there is one already. When it throws, the latest is what it was, or this.
  std::filesystem::path commit(const std::filesystem::path& temporary, std::int64_t step,
                               const Manifest& manifest) {
    const std::string text = to_json(manifest);
    check_files<WriteFailed>(temporary, manifest);
    write(temporary / manifest_name, text);
    const std::filesystem::path done = publish(temporary, step);
    sync_directory(path_);  // now it lasts, and may be named
    move_to(done / pointer_name, path_ / "latest");
    sync_directory(path_);
    WriterLock::let_go(temporary);
    return done;
  }

  /// Gives a save up. What cannot be removed now is removed by a later begin().
  void discard(const std::filesystem::path& temporary) noexcept {
    WriterLock::let_go(temporary);
    std::error_code ignored;
    if (std::filesystem::exists(temporary, ignored)) remove_left_over(temporary);
  }

  /// Removes complete checkpoints until `keep` are left of those that are not newer than the latest
  /// (0: removes none); newer ones, of a run that was taken back to an older step, and damaged ones
  /// are left alone. Returns how many could not be removed: the next prune() or begin() tries again.
  int prune(int keep) noexcept try {
    const std::vector<CheckpointName> all = complete();
    const auto pointed = pointer();
    if (keep <= 0 || all.empty()) return 0;
    const CheckpointName latest = pointed ? *pointed : all.front();
    std::vector<std::filesystem::path> old;
    int kept = 0, failed = 0;
    for (const CheckpointName& name : all) {  // newest first
      if (name > latest || kept++ < keep) continue;
      const auto away = put_away(name);
      if (away) old.push_back(*away);
      failed += !away;
    }
    if (!old.empty()) sync_directory(path_);  // names that say complete go before the files do
    for (const std::filesystem::path& each : old) failed += !remove_left_over(each);
    return failed;
  } catch (...) {
    return 1;
  }

  /// The checkpoint to load: the one that `latest` names; where that is not there, the complete one
  /// of the highest step. InvalidInput, MalformedFile, ReadFailed.
  std::filesystem::path latest() const {
    const std::vector<std::string> names = detail::names_in(path_);
    if (const auto name = pointer()) return checked(path_ / name->text());
    if (const auto all = complete(); !all.empty()) return path_ / all.front().text();
    std::string found;
    for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 8); ++i)
      found += (i == 0 ? "'" : ", '") + names[i] + "'";
    if (names.size() > 8) found += " and " + std::to_string(names.size() - 8) + " more";
    throw InvalidInput(-1, "load '" + path_.string() + "'",
                       "there is no complete checkpoint in it; it " +
                           (names.empty() ? "is empty" : "holds " + found) +
                           "; name a directory that was saved to, or one of its checkpoints");
  }

  /// A checkpoint's path for what a user names: a directory of checkpoints or a checkpoint itself.
  static std::filesystem::path resolve(const std::filesystem::path& path) {
    const std::filesystem::path name = (path / "").parent_path().filename();
    if (is_temporary_checkpoint(name.string()))
      throw InvalidInput(-1, "load '" + path.string() + "'",
                         "it is being written, or was left by a crash; name the directory it is "
                         "in, for the newest complete checkpoint");
    std::error_code ignored;
    if (std::filesystem::exists(path / manifest_name, ignored)) return checked(path);
    return CheckpointDirectory(path).latest();
  }

 private:
  static constexpr const char *manifest_name = "checkpoint.json", *pointer_name = "latest.tmp";

  static std::filesystem::path checked(const std::filesystem::path& checkpoint) {
    check_files<MalformedFile>(checkpoint, read_manifest(checkpoint / manifest_name));
    return checkpoint;
  }
  /// What `latest` names, where that is the name of a directory that is there.
  std::optional<CheckpointName> pointer() const {
    std::string text;
    try {
      const File file = File::to_read(path_ / "latest");
      text.resize(std::min<std::uint64_t>(file.size(), 64));
      file.read(0, std::as_writable_bytes(std::span(text)));
    } catch (const Error&) {
      return {};
    }
    if (text.empty() || text.back() != '\n') return {};
    text.pop_back();
    const auto name = CheckpointName::of(text);
    std::error_code ignored;
    return name && std::filesystem::is_directory(path_ / text, ignored) ? name : std::nullopt;
  }
  /// The complete checkpoints, newest first.
  std::vector<CheckpointName> complete() const {
    std::vector<CheckpointName> out;
    for (const std::string& text : detail::names_in(path_)) {
      const auto name = CheckpointName::of(text);
      if (!name) continue;
      try {
        checked(path_ / text);
        out.push_back(*name);
      } catch (const Error&) {  // damaged: not one of them
      }
    }
    std::ranges::sort(out, std::greater{});
    return out;
  }

  void make_directory() const {
    std::error_code ignored;
    if (std::filesystem::is_directory(path_, ignored)) return;
    const std::filesystem::path parent = (path_ / "").parent_path().parent_path();
    if (::mkdir(path_.c_str(), 0777) != 0) {
      const int code = errno;
      if (code == ENOENT)
        throw WriteFailed(-1, "make directory '" + path_.string() + "'",
                          "its parent directory is not there: make it first, or name another path");
      if (code == EEXIST && std::filesystem::is_directory(path_, ignored)) return;
      detail::fail<WriteFailed>("make directory", path_.string(), code == EEXIST ? ENOTDIR : code);
    }
    try {
      sync_directory(parent.empty() ? "." : parent);
    } catch (...) {
      ::rmdir(path_.c_str());
      throw;
    }
  }

  /// Removes a temporary directory that no process writes; whether it is gone.
  static bool remove_left_over(const std::filesystem::path& path) noexcept try {
    const auto lock = WriterLock::take(path / manifest_name);
    if (!lock) return false;
    // The manifest last: as long as it is there, the lock on it keeps others away.
    for (const std::string& name : detail::names_in(path))
      if (name != manifest_name) std::filesystem::remove_all(path / name);
    ::unlink((path / manifest_name).c_str());
    return ::rmdir(path.c_str()) == 0;
  } catch (...) {
    return false;
  }

  /// Removes what a commit that did not finish left in a checkpoint that is complete.
  static void remove_pointer(const std::filesystem::path& checkpoint) noexcept try {
    const std::filesystem::path pointer = checkpoint / pointer_name;
    if (!std::filesystem::exists(pointer)) return;
    if (const auto lock = WriterLock::take(checkpoint / manifest_name)) ::unlink(pointer.c_str());
  } catch (...) {
  }

  /// Renames a checkpoint to a name that no load looks at.
  std::optional<std::filesystem::path> put_away(CheckpointName name) const {
    const std::filesystem::path from = path_ / name.text();
    for (int tries = 0; tries < 100; ++tries, ++name.again) {
      std::filesystem::path away = path_ / ("tmp-old-" + name.text());
      if (std::rename(from.c_str(), away.c_str()) == 0) return away;
      if (errno != EEXIST && errno != ENOTEMPTY) break;  // else one that could not be removed
    }
    return {};
  }

  static void write(const std::filesystem::path& path, std::string_view text) {
    File file = File::to_write(path);
    file.write(0, std::as_bytes(std::span(text)));
    file.sync();
    file.close();
  }

  /// Makes the temporary directory durable, with the `latest` to be in it so that a disk that is
  /// full says so now, and gives it the first free name of its step.
  std::filesystem::path publish(const std::filesystem::path& temporary, std::int64_t step) const {
    std::error_code ignored;
    for (CheckpointName name{step};; ++name.again) {
      const std::filesystem::path done = path_ / name.text();
      if (std::filesystem::exists(std::filesystem::symlink_status(done, ignored))) continue;
      write(temporary / pointer_name, name.text() + "\n");
      sync_directory(temporary);
      try {
        move_to(temporary, done);
      } catch (const WriteFailed&) {  // another process has just taken the name
        if (!std::filesystem::exists(std::filesystem::symlink_status(done, ignored))) throw;
        continue;
      }
      return done;
    }
  }

  std::filesystem::path path_;
};

}  // namespace cohort::io
