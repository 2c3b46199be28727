// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/failing_files.cpp: the C library's calls on files, replaced by ones that ask a test first
// (Linux).
#include "failing_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace {
namespace fs = std::filesystem;
using cohort::test::FailingFiles;

struct Rename {
  std::string from, to;
  std::optional<std::string> replaced;  // what the file held that had the name
};

/// What one FailingFiles was told, and has seen.
struct Test {
  std::string root;
  std::vector<std::string> log;
  int fail_at = 0, code = 0, kill_before = 0, kill_after = 0;
  bool lasting = false, power = false;
  unsigned lost = 0;
  std::size_t most = SIZE_MAX;
  // What no fsync has made last, by the paths of now.
  std::set<std::string> written, made;
  std::vector<Rename> renamed;
};

constinit std::atomic<bool> watching{false};
std::mutex mutex;
Test test;

[[noreturn]] void die() {
  ::syscall(SYS_kill, ::getpid(), SIGKILL);
  for (;;) ::pause();
}

std::string link_of(const char* path) {
  std::array<char, 4096> text;
  const long n = ::syscall(SYS_readlinkat, AT_FDCWD, path, text.data(), text.size());
  return {text.data(), n < 0 ? 0 : static_cast<std::size_t>(n)};
}
std::string path_of(int file) { return link_of(("/proc/self/fd/" + std::to_string(file)).c_str()); }
std::string path_of(int directory, const char* name) {
  if (name[0] == '/') return fs::path(name).lexically_normal().string();
  const std::string before = directory == AT_FDCWD ? link_of("/proc/self/cwd") : path_of(directory);
  return (fs::path(before) / name).lexically_normal().string();
}

bool is_at_or_below(std::string_view path, std::string_view root) {
  return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/');
}
std::string below_root(const std::string& path) {
  if (path == test.root) return ".";
  return is_at_or_below(path, test.root) ? path.substr(test.root.size() + 1) : path;
}
std::string parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

bool removes(std::string_view call) {
  return call.starts_with("unlink") || call == "rmdir" || call == "remove";
}

/// Gives everything that is remembered below `from` its name below `to`.
void rename_remembered(const std::string& from, const std::string& to) {
  const auto moved = [&](const std::string& path) {
    return is_at_or_below(path, from) ? to + path.substr(from.size()) : path;
  };
  for (std::set<std::string>* paths : {&test.written, &test.made}) {
    std::set<std::string> out;
    for (const std::string& path : *paths) out.insert(moved(path));
    *paths = std::move(out);
  }
  for (Rename& each : test.renamed) {
    each.from = moved(each.from);
    each.to = moved(each.to);
  }
}

[[noreturn]] void lose_power() {
  watching = false;
  std::vector<Rename>& renamed = test.renamed;
  for (std::size_t i = renamed.size(); i-- > 0;) {
    const unsigned kind = i == 0                    ? FailingFiles::first_rename
                          : i + 1 == renamed.size() ? FailingFiles::last_rename
                                                    : FailingFiles::other_renames;
    if ((test.lost & kind) == 0) continue;
    const Rename back = renamed[i];
    std::error_code error;
    fs::rename(back.to, back.from, error);
    rename_remembered(back.to, back.from);
    if (back.replaced) std::ofstream(back.to, std::ios::binary) << *back.replaced;
  }
  if ((test.lost & FailingFiles::bytes) != 0)
    for (const std::string& path : test.written)
      if (::truncate(path.c_str(), 0) != 0) continue;  // removed meanwhile
  if ((test.lost & FailingFiles::new_names) != 0)
    for (const std::string& path : test.made) fs::remove_all(path);
  die();
}

/// Remembers what a call that succeeded did.
void remember(std::string_view call, const std::string& path, const std::string& to, bool made,
              std::optional<std::string> replaced) {
  if (call.find("write") != call.npos || call == "ftruncate") test.written.insert(path);
  if (made) test.made.insert(path);
  if (call == "fsync" || call == "fdatasync") {
    test.written.erase(path);
    std::erase_if(test.made, [&](const std::string& name) { return parent(name) == path; });
    std::erase_if(test.renamed, [&](const Rename& each) { return parent(each.to) == path; });
  }
  if (call == "rename") {
    rename_remembered(path, to);
    test.renamed.push_back({path, to, std::move(replaced)});
  }
  if (removes(call)) {
    test.written.erase(path);
    test.made.erase(path);
  }
}

/// What precedes a call that is watched: the errno that it is to fail with, 0: none; its number.
std::pair<int, int> before(std::string_view call, const std::string& path, const std::string& to) {
  test.log.push_back(std::string(call) + " " + below_root(path) +
                     (to.empty() ? "" : " -> " + below_root(to)));
  const int k = static_cast<int>(test.log.size());
  if (k == test.kill_before) test.power ? lose_power() : die();
  const bool gives_back = call == "close" || removes(call);
  const bool later = test.lasting && k > test.fail_at && !gives_back;
  return {test.fail_at > 0 && (k == test.fail_at || later) ? test.code : 0, k};
}

/// Asks the test, calls `real` where it says nothing else, and remembers what was done.
template <class F>
long watched(std::string_view call, const std::string& path, const std::string& to, bool makes,
             F real) {
  const std::unique_lock lock(mutex);
  if (!watching || (!is_at_or_below(path, test.root) && !is_at_or_below(to, test.root)))
    return real();
  const auto [code, k] = before(call, path, to);
  if (code != 0) {
    if (call == "close") real();
    errno = code;
    return -1;
  }
  const bool made = makes && ::syscall(SYS_faccessat, AT_FDCWD, path.c_str(), F_OK) != 0;
  std::optional<std::string> replaced;
  if (!to.empty() && ::syscall(SYS_faccessat, AT_FDCWD, to.c_str(), F_OK) == 0) {
    watching = false;  // its own reading is not to be seen
    std::ifstream old(to, std::ios::binary);
    replaced = std::string(std::istreambuf_iterator<char>(old), {});
    watching = true;
  }
  const long result = real();
  const int error = errno;
  if (result >= 0) remember(call, path, to, made, std::move(replaced));
  if (k == test.kill_after) die();
  errno = error;
  return result;
}

long opened(std::string_view call, int directory, const char* path, int flags, mode_t mode) {
  const auto real = [&] { return ::syscall(SYS_openat, directory, path, flags, mode); };
  if (!watching) return real();
  return watched(call, path_of(directory, path), "", (flags & O_CREAT) != 0, real);
}
template <class F> long on_file(std::string_view call, int file, F real) {
  return watching ? watched(call, path_of(file), "", false, real) : real();
}
template <class F> long on_path(std::string_view call, int directory, const char* path, F real) {
  return watching ? watched(call, path_of(directory, path), "", call == "mkdir", real) : real();
}
long most(std::size_t bytes) {
  const std::size_t limit = watching ? test.most : SIZE_MAX;
  return static_cast<long>(std::min(bytes, limit));
}
mode_t mode_of(int flags, std::va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}
}  // namespace

namespace cohort::test {

FailingFiles::FailingFiles(const std::filesystem::path& root) {
  if (watching) throw std::logic_error("FailingFiles: one is already there");
  const std::unique_lock lock(mutex);
  ::test = Test{};
  ::test.root = fs::canonical(root).string();
  watching = true;
}
FailingFiles::~FailingFiles() { watching = false; }

void FailingFiles::fail(int k, int code, bool lasting) {
  const std::unique_lock lock(mutex);
  ::test.fail_at = k;
  ::test.code = code;
  ::test.lasting = lasting;
}
void FailingFiles::shorten_writes(std::size_t most) {
  const std::unique_lock lock(mutex);
  ::test.most = most;
}
void FailingFiles::kill_before(int k) {
  const std::unique_lock lock(mutex);
  ::test.kill_before = k;
}
void FailingFiles::kill_after(int k) {
  const std::unique_lock lock(mutex);
  ::test.kill_after = k;
}
void FailingFiles::lose_power_before(int k, unsigned lost) {
  const std::unique_lock lock(mutex);
  ::test.kill_before = k;
  ::test.power = true;
  ::test.lost = lost;
}
int FailingFiles::calls() const { return static_cast<int>(log().size()); }
std::vector<std::string> FailingFiles::log() const {
  const std::unique_lock lock(mutex);
  return ::test.log;
}

}  // namespace cohort::test

// The C library's names, of which a program that links this file gets these. What they do is asked of the
// system directly, so that they work before main and under a sanitizer.
extern "C" {

int open(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return static_cast<int>(opened("open", AT_FDCWD, path, flags, mode));
}
int open64(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return static_cast<int>(opened("open", AT_FDCWD, path, flags, mode));
}
int openat(int directory, const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return static_cast<int>(opened("openat", directory, path, flags, mode));
}
int openat64(int directory, const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return static_cast<int>(opened("openat", directory, path, flags, mode));
}
ssize_t write(int file, const void* from, std::size_t bytes) {
  return on_file("write", file, [&] { return ::syscall(SYS_write, file, from, most(bytes)); });
}
ssize_t pwrite(int file, const void* from, std::size_t bytes, off_t at) {
  return on_file("pwrite", file,
                 [&] { return ::syscall(SYS_pwrite64, file, from, most(bytes), at); });
}
ssize_t pwrite64(int file, const void* from, std::size_t bytes, off64_t at) {
  return on_file("pwrite", file,
                 [&] { return ::syscall(SYS_pwrite64, file, from, most(bytes), at); });
}
int ftruncate(int file, off_t bytes) noexcept {
  return static_cast<int>(
      on_file("ftruncate", file, [&] { return ::syscall(SYS_ftruncate, file, bytes); }));
}
int ftruncate64(int file, off64_t bytes) noexcept {
  return static_cast<int>(
      on_file("ftruncate", file, [&] { return ::syscall(SYS_ftruncate, file, bytes); }));
}
int fsync(int file) {
  return static_cast<int>(on_file("fsync", file, [&] { return ::syscall(SYS_fsync, file); }));
}
int fdatasync(int file) {
  return static_cast<int>(
      on_file("fdatasync", file, [&] { return ::syscall(SYS_fdatasync, file); }));
}
int close(int file) {
  return static_cast<int>(on_file("close", file, [&] { return ::syscall(SYS_close, file); }));
}
int rename(const char* from, const char* to) noexcept {
  const auto real = [&] { return ::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); };
  if (!watching) return static_cast<int>(real());
  return static_cast<int>(
      watched("rename", path_of(AT_FDCWD, from), path_of(AT_FDCWD, to), false, real));
}
int mkdir(const char* path, mode_t mode) noexcept {
  return static_cast<int>(on_path("mkdir", AT_FDCWD, path,
                                  [&] { return ::syscall(SYS_mkdirat, AT_FDCWD, path, mode); }));
}
int unlink(const char* path) noexcept {
  return static_cast<int>(on_path("unlink", AT_FDCWD, path,
                                  [&] { return ::syscall(SYS_unlinkat, AT_FDCWD, path, 0); }));
}
int unlinkat(int directory, const char* path, int flags) noexcept {
  return static_cast<int>(on_path("unlinkat", directory, path,
                                  [&] { return ::syscall(SYS_unlinkat, directory, path, flags); }));
}
int remove(const char* path) noexcept {
  return static_cast<int>(on_path("remove", AT_FDCWD, path, [&] {
    const long result = ::syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    return result == 0 || errno != EISDIR ? result
                                          : ::syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
  }));
}
int rmdir(const char* path) noexcept {
  return static_cast<int>(on_path("rmdir", AT_FDCWD, path, [&] {
    return ::syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
  }));
}

}  // extern "C"
