// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/team.cpp: which thread of a block runs next, and what a block can do wrong.
#include <cxxabi.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <support/cuda_double/fiber.hpp>
#include <support/cuda_double/team.hpp>

namespace cohort::cuda_double {

namespace {
constexpr const char* words_for[] = {"sync", "sync_warp", "shuffle", "shuffle_xor", "ballot"};
const char* word(Team::What what) { return words_for[static_cast<int>(what)]; }
std::string text(std::source_location place) {
  return std::string(place.file_name()) + ":" + std::to_string(place.line());
}
bool same(std::source_location a, std::source_location b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

/// A block's shared memory, 0xFF throughout. ThreadSanitizer gets pages without a past for each block.
class Shared {
 public:
  Shared(std::size_t bytes, bool watched)
      : bytes_(std::max<std::size_t>(bytes, 1)), watched_(watched) {
    if (!watched_) memory_ = ::operator new (bytes_, std::align_val_t{128});
  }
  Shared(const Shared&) = delete;
  ~Shared() {
    if (!watched_)
      ::operator delete (memory_, std::align_val_t{128});
    else if (memory_ != nullptr)
      munmap(memory_, bytes_);
  }
  void* fresh() {
    if (watched_) {
      if (memory_ != nullptr) munmap(memory_, bytes_);
      memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    return std::memset(memory_, 0xFF, bytes_);
  }

 private:
  std::size_t bytes_;
  bool watched_;
  void* memory_ = nullptr;
};
}  // namespace

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return text ? text.get() : name;
}

// Only where fibers are threads to ThreadSanitizer.
void Team::watch(bool on) {
  if (races_are_watched && watched_) watch_races(on);
}
void Team::tell(void* clock) {
  if (races_are_watched && watched_) clock_release(clock);
}
void Team::ask(void* clock) {
  if (races_are_watched && watched_) clock_acquire(clock);
}

Team::Team(bool watched)
    : watched_(watched && races_are_watched),
      main_(std::make_unique<Fiber>()),
      current_(main_.get()) {}
Team::~Team() = default;

void Team::run(const KernelType& type, const void* kernel, int blocks) {
  watch(false);
  run_blocks(type, kernel, blocks);
  watch(true);
}

void Team::run_blocks(const KernelType& type, const void* kernel, int blocks) {
  type_ = &type, kernel_ = kernel, blocks_ = blocks;
  backward_ = order() == Order::backward;
  if (warps_.size() < static_cast<std::size_t>(type.threads / 32)) {
    warps_.resize(static_cast<std::size_t>(type.threads / 32));
  }
  // Made by a fiber that ran threads, a new one would be ordered after these.
  while (watched_ && fibers_.size() < static_cast<std::size_t>(type.threads)) add_fiber();
  Shared shared(type.shared_bytes, watched_);
  for (int i = 0; i < blocks && mistake_.empty(); ++i) {
    shared_ = shared.fresh();
    if (i == 0 || watched_) tell(&start_clock_);
    run_block(backward_ ? blocks - 1 - i : i);
  }
  ask(&end_clock_);
  if (mistake_.empty()) return;
  report_failure("kernel " + demangled(type.mangled_name) + ", block " + std::to_string(block_) +
                 " of " + std::to_string(blocks) + ": " + mistake_);
  mistake_.clear();
}

void Team::run_block(int block) {
  block_ = block, started_ = returned_ = 0;
  ready_.clear();
  switch_to(fresh_fiber());
  if (mistake_.empty() && returned_ != type_->threads) mistake_ = stuck();
  if (!mistake_.empty()) forget_block();
}

void Team::run_thread(int thread) {
  watch(true);
  try {
    type_->run(kernel_, *this, thread, block_, shared_);
    watch(false);
  } catch (const std::exception& error) {
    watch(false);
    mistake_ = "thread " + std::to_string(thread) + " threw: " + error.what();
  } catch (...) {
    watch(false);
    mistake_ = "thread " + std::to_string(thread) + " threw what is no std::exception";
  }
  if (!mistake_.empty()) stop();
}

// A fiber's life: run the next thread from its beginning, then look for other work.
void Team::run_threads(Fiber& self) {
  watch(false);
  for (;;) {
    const int n = started_++;
    const int thread = backward_ ? threads() - 1 - n : n;
    ask(&start_clock_);
    run_thread(thread);
    tell(&end_clock_);
    ++returned_;
    Fiber* next = next_ready();
    if (next == nullptr && started_ != threads()) {
      if (!watched_) continue;  // a stack serves many threads, unless each is watched
      next = fresh_fiber();
    }
    free_.push_back(&self);
    switch_to(next != nullptr ? next : main_.get());
  }
}

Fiber* Team::add_fiber() {
  fibers_.push_back(std::make_unique<Fiber>(
      [](Fiber& fiber) { static_cast<Team*>(fiber.owner)->run_threads(fiber); }, this,
      static_cast<int>(fibers_.size()), watched_));
  return fibers_.back().get();
}

Fiber* Team::fresh_fiber() {
  if (watched_) {  // the n-th thread to start always has the n-th fiber
    free_.clear();
    return fibers_[static_cast<std::size_t>(started_)].get();
  }
  if (free_.empty()) return add_fiber();
  Fiber* fiber = free_.back();
  free_.pop_back();
  return fiber;
}

Fiber* Team::next_ready() {
  if (ready_.empty()) return nullptr;
  Fiber* fiber = ready_.back();
  ready_.pop_back();
  return fiber;
}

void Team::switch_to(Fiber* fiber) {
  Fiber& from = *current_;
  current_ = fiber;
  watch(true);  // as each fiber begins and ends
  Fiber::change(from, *fiber);
  watch(false);
}

void Team::suspend() {
  Fiber* next = next_ready();
  if (next == nullptr) next = started_ != threads() ? fresh_fiber() : main_.get();
  switch_to(next);
}

void Team::arrive(Barrier& barrier, int needed, What what, std::source_location place) {
  if (barrier.arrived == 0) {
    barrier.what = what, barrier.place = place;
  } else if (barrier.what != what || !same(barrier.place, place)) {
    mistake_ = std::string("some threads call ") + word(what) + " at " + text(place) +
               ", others of the same " + (&barrier == &all_ ? "block" : "warp") + " are in " +
               word(barrier.what) + " at " + text(barrier.place);
    stop();
  }
  char* clock = &barrier.clock[barrier.generation % 2];
  tell(clock);
  if (++barrier.arrived == needed) {
    barrier.arrived = 0, ++barrier.generation;
    ready_.insert(ready_.end(), barrier.waiting.rbegin(), barrier.waiting.rend());
    barrier.waiting.clear();
  } else {
    barrier.waiting.push_back(current_);
    suspend();
  }
  ask(clock);
}

void Team::meet(std::source_location place) {
  watch(false);
  arrive(all_, threads(), What::sync, place);
  watch(true);
}

const Team::Words& Team::meet_warp(int thread, What what, std::uint64_t word,
                                   std::source_location place) {
  watch(false);
  Warp& warp = warps_[static_cast<std::size_t>(thread / 32)];
  Words& words = warp.words[warp.generation % 2];
  words[static_cast<std::size_t>(thread % 32)] = word;
  arrive(warp, 32, what, place);
  watch(true);
  return words;
}

void Team::refuse(const char* mistake) {
  watch(false);
  mistake_ = mistake;
  stop();
}

void Team::stop() {
  switch_to(main_.get());
  std::abort();  // nothing comes back here
}

// Nobody can go on, yet not all have returned.
std::string Team::stuck() const {
  std::string out;
  if (all_.arrived != 0) {
    out = "sync at " + text(all_.place) + " is reached by " + std::to_string(all_.arrived) +
          " of " + std::to_string(threads()) + " threads. ";
  }
  for (std::size_t w = 0; w < warps_.size(); ++w) {
    if (warps_[w].arrived == 0) continue;
    out += std::string(word(warps_[w].what)) + " at " + text(warps_[w].place) + " is reached by " +
           std::to_string(warps_[w].arrived) + " of 32 lanes of warp " + std::to_string(w) + ". ";
  }
  return out + std::to_string(returned_) + " threads have returned.";
}

void Team::forget_block() {
  auto forget = [](Barrier& barrier) { barrier.arrived = 0, barrier.waiting.clear(); };
  forget(all_);
  for (Warp& warp : warps_) forget(warp);
  free_.clear();
  for (auto& fiber : fibers_) {
    fiber->restart();
    free_.push_back(fiber.get());
  }
}

}  // namespace cohort::cuda_double
