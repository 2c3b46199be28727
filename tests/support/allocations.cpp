// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/allocations.cpp: malloc and kin, operator new and mmap, counted (glibc).
#include "allocations.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <stdexcept>

namespace {

using cohort::test::AllocationTotals;

struct CallSite {
  std::atomic<void*> address{nullptr};
  std::atomic<std::int64_t> count{0}, bytes{0};
};

// Plain data with constant initialisers: usable before main and after it, from any thread.
constinit std::atomic<bool> counting{false};
constinit std::atomic<std::int64_t> epoch{0};  // which count the thread's totals belong to
constinit std::atomic<std::int64_t> all_count{0}, all_bytes{0}, all_live{0}, all_peak{0};
constinit std::array<CallSite, 4096> call_sites{};
constinit thread_local std::int64_t own_epoch = 0;
constinit thread_local AllocationTotals own{};

AllocationTotals& own_totals() {
  const auto now = epoch.load(std::memory_order_relaxed);
  if (own_epoch != now) {
    own_epoch = now;
    own = AllocationTotals{};
  }
  return own;
}

std::string library_of(void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return "unknown";
  const std::string path = info.dli_fname;
  return path.substr(path.find_last_of('/') + 1);
}

std::string function_of(void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || info.dli_sname == nullptr) return "?";
  return info.dli_sname;
}

}  // namespace

namespace cohort::test {

Allocations::Allocations() {
  if (counting.load()) throw std::logic_error("Allocations: a count is already running");
  for (CallSite& site : call_sites) {
    site.address = nullptr;
    site.count = site.bytes = 0;
  }
  all_count = all_bytes = all_live = all_peak = 0;
  ++epoch;
  counting = true;
}

Allocations::~Allocations() { stop(); }

void Allocations::stop() { counting = false; }

AllocationTotals Allocations::all_threads() const {
  return {all_count, all_bytes, all_live, all_peak};
}

AllocationTotals Allocations::this_thread() const { return own_totals(); }

std::vector<LibraryAllocations> Allocations::by_library() const {
  std::map<std::string, LibraryAllocations> found;
  for (const CallSite& site : call_sites) {
    if (site.count == 0) continue;
    LibraryAllocations& entry = found[library_of(site.address)];
    entry.count += site.count;
    entry.bytes += site.bytes;
  }
  std::vector<LibraryAllocations> out;
  for (auto& [name, entry] : found) {
    entry.library = name;
    out.push_back(entry);
  }
  std::ranges::stable_sort(out, std::ranges::greater{}, &LibraryAllocations::count);
  return out;
}

AllocationTotals Allocations::without(const std::vector<std::string_view>& left_out) const {
  AllocationTotals out;
  for (const LibraryAllocations& entry : by_library()) {
    const bool skip = std::ranges::any_of(left_out, [&](std::string_view name) {
      return entry.library.find(name) != std::string::npos;
    });
    if (skip) continue;
    out.count += entry.count;
    out.bytes += entry.bytes;
  }
  return out;
}

std::string Allocations::report() const {
  std::string out;
  for (const CallSite& site : call_sites) {
    if (site.count == 0) continue;
    out += std::to_string(site.count) + " calls, " + std::to_string(site.bytes) +
           " bytes: " + library_of(site.address) + " " + function_of(site.address) + "\n";
  }
  return out;
}

}  // namespace cohort::test

#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // they interpose malloc themselves

#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

extern "C" {  // glibc's own allocator under its other names
void* __libc_malloc(std::size_t) noexcept;
void* __libc_calloc(std::size_t, std::size_t) noexcept;
void* __libc_memalign(std::size_t, std::size_t) noexcept;
void __libc_free(void*) noexcept;
}

namespace {

/// Stands before every block, so that free knows how many bytes were asked for.
struct BlockHeader {
  std::size_t bytes;   // asked for
  std::size_t offset;  // from the start of glibc's block to the user's
};
static_assert(sizeof(BlockHeader) == 16);

void note_call_site(void* address, std::int64_t bytes) {
  const std::size_t start = reinterpret_cast<std::uintptr_t>(address) * 0x9E3779B97F4A7C15u >> 52;
  for (std::size_t probe = 0; probe < call_sites.size(); ++probe) {
    CallSite& site = call_sites[(start + probe) % call_sites.size()];
    void* expected = nullptr;
    if (site.address.compare_exchange_strong(expected, address) || expected == address) {
      ++site.count;
      site.bytes += bytes;
      return;
    }
  }
  std::abort();  // more than 4096 places allocate: the table is too small to be honest
}

void note_allocated(std::int64_t bytes, void* caller) {
  if (!counting.load(std::memory_order_relaxed)) return;
  ++all_count;
  all_bytes += bytes;
  const std::int64_t live = all_live += bytes;
  for (std::int64_t peak = all_peak; peak < live && !all_peak.compare_exchange_weak(peak, live);) {
  }
  AllocationTotals& mine = own_totals();
  ++mine.count;
  mine.bytes += bytes;
  mine.live_bytes += bytes;
  mine.peak_bytes = std::max(mine.peak_bytes, mine.live_bytes);
  note_call_site(caller, bytes);
}

void note_freed(std::int64_t bytes) {
  if (!counting.load(std::memory_order_relaxed)) return;
  all_live -= bytes;
  own_totals().live_bytes -= bytes;
}

BlockHeader& header_of(void* block) { return static_cast<BlockHeader*>(block)[-1]; }

/// `bytes` at a multiple of `alignment`, counted for `caller`; null and ENOMEM where there is no
/// room.
void* allocate(std::size_t bytes, std::size_t alignment, bool zeroed, void* caller) {
  const std::size_t offset = std::max(alignment, sizeof(BlockHeader));
  const std::size_t total = bytes + offset;
  if (total < bytes) {
    errno = ENOMEM;
    return nullptr;
  }
  void* const start = zeroed                          ? __libc_calloc(1, total)
                      : offset == sizeof(BlockHeader) ? __libc_malloc(total)
                                                      : __libc_memalign(alignment, total);
  if (start == nullptr) return nullptr;
  void* const block = static_cast<char*>(start) + offset;
  header_of(block) = {bytes, offset};
  note_allocated(static_cast<std::int64_t>(bytes), caller);
  return block;
}

void release(void* block) {
  if (block == nullptr) return;
  const BlockHeader header = header_of(block);
  note_freed(static_cast<std::int64_t>(header.bytes));
  __libc_free(static_cast<char*>(block) - header.offset);
}

void* allocate_or_throw(std::size_t bytes, std::size_t alignment, void* caller) {
  void* const block = allocate(bytes, alignment, false, caller);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void* map(void* at, std::size_t bytes, int protection, int flags, int file, off_t offset,
          void* caller) {
  const long result = syscall(SYS_mmap, at, bytes, protection, flags, file, offset);
  if (result == -1) return MAP_FAILED;
  note_allocated(static_cast<std::int64_t>(bytes), caller);
  return reinterpret_cast<void*>(result);
}

}  // namespace

extern "C" {

void* malloc(std::size_t bytes) noexcept {
  return allocate(bytes, 0, false, __builtin_return_address(0));
}

void* calloc(std::size_t count, std::size_t bytes) noexcept {
  std::size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) {
    errno = ENOMEM;
    return nullptr;
  }
  return allocate(total, 0, true, __builtin_return_address(0));
}

void* realloc(void* block, std::size_t bytes) noexcept {
  void* const caller = __builtin_return_address(0);
  if (block != nullptr && bytes == 0) {
    release(block);
    return nullptr;
  }
  void* const fresh = allocate(bytes, 0, false, caller);
  if (fresh == nullptr || block == nullptr) return fresh;
  std::memcpy(fresh, block, std::min(bytes, header_of(block).bytes));
  release(block);
  return fresh;
}

void free(void* block) noexcept { release(block); }

std::size_t malloc_usable_size(void* block) noexcept {
  return block == nullptr ? 0 : header_of(block).bytes;
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return allocate(bytes, alignment, false, __builtin_return_address(0));
}

void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  return allocate(bytes, alignment, false, __builtin_return_address(0));
}

int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) noexcept {
  if (alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
  void* const block = allocate(bytes, alignment, false, __builtin_return_address(0));
  if (block == nullptr) return ENOMEM;
  *out = block;
  return 0;
}

void* valloc(std::size_t bytes) noexcept {
  return allocate(bytes, 4096, false, __builtin_return_address(0));
}

void* mmap(void* at, std::size_t bytes, int protection, int flags, int file,
           off_t offset) noexcept {
  return map(at, bytes, protection, flags, file, offset, __builtin_return_address(0));
}

void* mmap64(void* at, std::size_t bytes, int protection, int flags, int file,
             off64_t offset) noexcept {
  return map(at, bytes, protection, flags, file, offset, __builtin_return_address(0));
}

int munmap(void* at, std::size_t bytes) noexcept {
  const long result = syscall(SYS_munmap, at, bytes);
  if (result == 0) note_freed(static_cast<std::int64_t>(bytes));
  return static_cast<int>(result);
}

}  // extern "C"

// The forms of new that are not here call these; of delete, all that -Wsized-deallocation wants.
void* operator new(std::size_t bytes) {
  return allocate_or_throw(bytes, 0, __builtin_return_address(0));
}
void* operator new[](std::size_t bytes) {
  return allocate_or_throw(bytes, 0, __builtin_return_address(0));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate_or_throw(bytes, std::size_t(alignment), __builtin_return_address(0));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return allocate_or_throw(bytes, std::size_t(alignment), __builtin_return_address(0));
}
void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { release(block); }

#endif
