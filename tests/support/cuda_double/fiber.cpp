// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/fiber.cpp: switching stacks, and telling the sanitizers.
#include <pthread.h>
#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <support/cuda_double/fiber.hpp>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COHORT_DOUBLE_ADDRESSES 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define COHORT_DOUBLE_ADDRESSES 1
#endif

extern "C" {
#if defined(COHORT_DOUBLE_ADDRESSES)
void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, std::size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom, std::size_t* size);
void __asan_unpoison_memory_region(const volatile void* address, std::size_t size);
#endif
void* __tsan_get_current_fiber() __attribute__((weak));
void* __tsan_create_fiber(unsigned flags) __attribute__((weak));
void __tsan_destroy_fiber(void* fiber) __attribute__((weak));
void __tsan_switch_to_fiber(void* fiber, unsigned flags) __attribute__((weak));
}

#if !defined(COHORT_DOUBLE_SWITCH_BY_UCONTEXT)
// Keeps what the ABI asks a callee to keep on the stack that is left, and takes it from the one that is entered.
extern "C" void cohort_double_switch(void** left, void* entered);
asm(R"(
.text
.globl cohort_double_switch
.type cohort_double_switch, @function
cohort_double_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cohort_double_switch, .-cohort_double_switch
)");
#endif

namespace cohort::cuda_double {

namespace {
#if defined(COHORT_DOUBLE_ADDRESSES) || defined(__SANITIZE_THREAD__)
constexpr std::size_t default_stack = std::size_t{512} << 10;
#else
constexpr std::size_t default_stack = std::size_t{128} << 10;
#endif
constexpr std::size_t guard = 4096, mapped = default_stack + guard;
thread_local Fiber* entering = nullptr;
}  // namespace

Fiber::Fiber() {
  pthread_attr_t attributes;
  void* lowest = nullptr;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &lowest, &stack_bytes_);
  pthread_attr_destroy(&attributes);
  stack_ = static_cast<char*>(lowest);
  if constexpr (races_are_watched) race_fiber_ = __tsan_get_current_fiber();
}

Fiber::Fiber(void (*entry)(Fiber&), void* owned_by, int number, bool watched)
    : owner(owned_by), entry_(entry), stack_bytes_(default_stack), watched_(watched) {
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, guard,
           PROT_NONE);  // a stack that overflows ends the process instead of a neighbour
  stack_ = static_cast<char*>(memory) + guard;
  stack_bytes_ -=
      static_cast<std::size_t>(number % 16) * 256;  // not all in the same sets of the cache
  restart();
}

Fiber::~Fiber() {
  if (entry_ == nullptr) return;
  drop_fake_stack();
  if constexpr (races_are_watched) {
    if (watched_) __tsan_destroy_fiber(race_fiber_);
  }
#if defined(COHORT_DOUBLE_ADDRESSES)
  __asan_unpoison_memory_region(stack_, stack_bytes_);  // a thread's stack may come to lie here
#endif
  munmap(stack_ - guard, mapped);
}

void Fiber::restart() {
  drop_fake_stack();
#if defined(COHORT_DOUBLE_ADDRESSES)
  __asan_unpoison_memory_region(stack_, stack_bytes_);
#endif
  if constexpr (races_are_watched) {
    if (watched_ && race_fiber_ != nullptr) {
      __tsan_destroy_fiber(race_fiber_);
      // Memory that is mapped anew has no history of races with the fiber that was here.
      if (mmap(stack_, default_stack, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        throw std::bad_alloc();
    }
    race_fiber_ = watched_ ? __tsan_create_fiber(0) : __tsan_get_current_fiber();
  }
#if defined(COHORT_DOUBLE_SWITCH_BY_UCONTEXT)
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_;
  context_.uc_stack.ss_size = stack_bytes_;
  context_.uc_link = nullptr;
  makecontext(&context_, &Fiber::begin, 0);
#else
  auto** top = reinterpret_cast<void**>(stack_ + stack_bytes_) - 1;
  *top = nullptr;                                   // where begin() would return to: nowhere
  *--top = reinterpret_cast<void*>(&Fiber::begin);  // where the switch returns to
  for (int i = 0; i < 6; ++i) *--top = nullptr;     // registers
  saved_ = top;
#endif
}

// AddressSanitizer frees it when the fiber itself says that it leaves for good: some hundred KiB each.
void Fiber::drop_fake_stack() {
  if (fake_stack_ == nullptr) return;
  Fiber here;
  dropper_ = &here;
  change(here, *this);
  dropper_ = nullptr, fake_stack_ = nullptr;
}

// These two run while ThreadSanitizer's idea of the running fiber changes: it must not look.
__attribute__((no_sanitize("thread"))) void Fiber::begin() {
  Fiber& self = *entering;
#if defined(COHORT_DOUBLE_ADDRESSES)
  __sanitizer_finish_switch_fiber(self.fake_stack_, nullptr, nullptr);
#endif
  self.entry_(self);
}

// (And what it keeps on the stack must not lie in one that AddressSanitizer frees.)
__attribute__((no_sanitize("thread"), no_sanitize("address"))) void Fiber::change(Fiber& from,
                                                                                  Fiber& to) {
  entering = &to;
#if defined(COHORT_DOUBLE_ADDRESSES)
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.stack_, to.stack_bytes_);
#endif
  if constexpr (races_are_watched) {
    if (to.race_fiber_ != from.race_fiber_)
      __tsan_switch_to_fiber(to.race_fiber_, 1);  // 1: orders nothing
  }
#if defined(COHORT_DOUBLE_SWITCH_BY_UCONTEXT)
  swapcontext(&from.context_, &to.context_);
#else
  cohort_double_switch(&from.saved_, to.saved_);
#endif
#if defined(COHORT_DOUBLE_ADDRESSES)
  __sanitizer_finish_switch_fiber(from.fake_stack_, nullptr, nullptr);
  if (from.dropper_ != nullptr) {
    const Fiber& last = *from.dropper_;
    __sanitizer_start_switch_fiber(nullptr, last.stack_, last.stack_bytes_);
#if defined(COHORT_DOUBLE_SWITCH_BY_UCONTEXT)
    setcontext(&last.context_);
#else
    cohort_double_switch(&from.saved_, last.saved_);
#endif
  }
#endif
}

}  // namespace cohort::cuda_double
