// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/allocations_test.cpp: the counter counts every way to allocate, per thread and per
// library.
#include "allocations.hpp"

#include <doctest/doctest.h>
#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

using cohort::test::Allocations;

namespace {

// Seen by the compiler as opaque, so that it cannot remove an allocation.
template <class T> T* kept(T* pointer) {
  asm volatile("" : "+r"(pointer) : : "memory");
  return pointer;
}

}  // namespace

TEST_CASE("Allocations: nothing allocated, nothing counted") {
  if (!Allocations::available) return;
  Allocations count;
  volatile int x = 3;
  x = x + 1;
  count.stop();
  CHECK(count.all_threads().count == 0);
  CHECK(count.all_threads().peak_bytes == 0);
  CHECK(count.report() == "");
}

TEST_CASE("Allocations: each way to allocate counts once with the bytes asked for") {
  if (!Allocations::available) return;
  struct Way {
    const char* name;
    void* (*get)();
    void (*give)(void*);
  };
  const Way ways[] = {
      {"malloc", [] { return std::malloc(1000); }, [](void* p) { std::free(p); }},
      {"calloc", [] { return std::calloc(10, 100); }, [](void* p) { std::free(p); }},
      {"realloc", [] { return std::realloc(nullptr, 1000); }, [](void* p) { std::free(p); }},
      {"aligned_alloc", [] { return std::aligned_alloc(64, 1000); }, [](void* p) { std::free(p); }},
      {"memalign", [] { return memalign(4096, 1000); }, [](void* p) { std::free(p); }},
      {"posix_memalign",
       [] {
         void* p = nullptr;
         return posix_memalign(&p, 128, 1000) == 0 ? p : nullptr;
       },
       [](void* p) { std::free(p); }},
      {"new", [] { return ::operator new(1000); }, [](void* p) { ::operator delete(p); }},
      {"new[]", [] { return ::operator new[](1000); }, [](void* p) { ::operator delete[](p); }},
      {"nothrow new", [] { return ::operator new(1000, std::nothrow); },
       [](void* p) { ::operator delete(p, std::nothrow); }},
      {"aligned new", [] { return ::operator new(1000, std::align_val_t(64)); },
       [](void* p) { ::operator delete(p, std::align_val_t(64)); }},
      {"mmap",
       [] {
         return mmap(nullptr, 1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
       },
       [](void* p) { munmap(p, 1000); }},
  };
  for (const Way& way : ways) {
    CAPTURE(way.name);
    Allocations count;
    void* const block = kept(way.get());
    const auto held = count.all_threads();
    std::memset(block, 1, 1000);
    way.give(block);
    const auto given = count.all_threads();
    count.stop();
    CHECK(held.count == 1);
    CHECK(held.bytes == 1000);
    CHECK(held.live_bytes == 1000);
    CHECK(given.count == 1);
    CHECK(given.live_bytes == 0);
    CHECK(given.peak_bytes == 1000);
  }
}

TEST_CASE("Allocations: alignment, zeroing and contents hold under the interposed functions") {
  for (std::size_t alignment = 16; alignment <= 4096; alignment *= 2) {
    void* const block = std::aligned_alloc(alignment, alignment);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % alignment == 0);
    std::free(block);
  }
  char* text = static_cast<char*>(std::calloc(5, 1));
  CHECK(text[4] == 0);
  std::memcpy(text, "abcd", 5);
  text = static_cast<char*>(std::realloc(text, 100000));
  CHECK(std::strcmp(text, "abcd") == 0);
  std::free(text);
  if (Allocations::available) {
    std::size_t third = SIZE_MAX / 2;
    asm volatile("" : "+r"(third));  // else the compiler itself complains
    CHECK(std::calloc(third, 3) == nullptr);
  }
}

TEST_CASE("Allocations: the peak is the highest sum held at one time") {
  if (!Allocations::available) return;
  Allocations count;
  for (int i = 0; i < 3; ++i) {
    void* const a = kept(std::malloc(100));
    void* const b = kept(std::malloc(50));
    std::free(a);
    void* const c = kept(std::malloc(20));
    std::free(b);
    std::free(c);
  }
  count.stop();
  CHECK(count.all_threads().count == 9);
  CHECK(count.all_threads().bytes == 3 * 170);
  CHECK(count.all_threads().peak_bytes == 150);
  CHECK(count.all_threads().live_bytes == 0);
}

TEST_CASE("Allocations: a thread sees its own, all_threads sees everyone's") {
  if (!Allocations::available) return;
  cohort::test::AllocationTotals others;
  Allocations count;
  std::thread other([&] {
    std::free(kept(std::malloc(5000)));
    others = count.this_thread();
  });
  other.join();
  const auto mine = count.this_thread();
  const auto all = count.all_threads();
  count.stop();
  CHECK(others.count == 1);
  CHECK(others.bytes == 5000);
  CHECK(mine.count >= 1);  // std::thread's state
  CHECK(mine.bytes < 5000);
  CHECK(all.bytes >= mine.bytes + 5000);
}

TEST_CASE("Allocations: calls are listed by the file that made them") {
  if (!Allocations::available) return;
  Allocations count;
  std::free(kept(std::malloc(10)));             // this program
  std::free(kept(strdup("from inside libc")));  // libc calls malloc
  count.stop();
  const auto by_library = count.by_library();
  REQUIRE(by_library.size() == 2);
  const auto apart = count.without({"libc.so"});
  CHECK(apart.count == 1);
  CHECK(apart.bytes == 10);
  CHECK(count.without({}).count == 2);
  CHECK(count.report().find("libc.so.6 ") != std::string::npos);
}

TEST_CASE("Allocations: two counts at a time are refused") {
  const Allocations count;
  if (Allocations::available) CHECK_THROWS_AS(Allocations(), std::logic_error);
}
