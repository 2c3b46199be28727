// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/machine.cpp: blocks, their memory, and what a GPU's memory would have been asked for.
#include <algorithm>
#include <numeric>
#include <support/ptx/machine.hpp>

namespace cohort::ptx {

std::uint64_t Counts::all_instructions() const {
  return std::accumulate(instructions.begin(), instructions.end(), std::uint64_t{0});
}
Counts& Counts::operator+=(const Counts& other) {
  for (std::size_t i = 0; i < instructions.size(); ++i) instructions[i] += other.instructions[i];
  lanes += other.lanes;
  load_bytes += other.load_bytes, load_sectors += other.load_sectors;
  store_bytes += other.store_bytes, store_sectors += other.store_sectors;
  shared_passes += other.shared_passes, shared_least += other.shared_least;
  local_bytes += other.local_bytes, atomics += other.atomics, unwatched += other.unwatched;
  return *this;
}

Block::Block(const Program& program, const Launch& launch, std::uint32_t index, Watched& watched,
             Counts& counts)
    : program_(program), launch_(launch), index_(index), watched_(watched), counts_(counts) {
  const std::size_t bytes = (program.shared_bytes + 127) / 128 * 128 + launch.shared_bytes;
  shared_.assign(bytes, std::byte{0xff});
  shared_accesses_.resize((bytes + 1) / 2);
  arriving_.resize((bytes + 1) / 2);
  warps_.reserve(static_cast<std::size_t>(launch.threads + lanes - 1) / lanes);
  for (int first = 0; first < launch.threads; first += lanes)
    warps_.emplace_back(*this, first / lanes, std::min(lanes, launch.threads - first), program);
}

void Block::run() {
  for (;;) {
    bool running = false;
    for (std::size_t i = 0; i < warps_.size(); ++i) {
      Warp& warp = warps_[launch_.backwards ? warps_.size() - 1 - i : i];
      if (warp.done()) continue;
      warp.run();
      running = running || !warp.done();
    }
    if (!running) return;
    // All that have not ended wait at the barrier; ended threads are not waited for.
    ++barriers_;
    for (Warp& warp : warps_)
      if (!warp.done()) warp.released();
  }
}

std::byte* Block::parameter(std::uint64_t address, int bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(launch_.params.data());
  if (address < begin || address + static_cast<unsigned>(bytes) > begin + launch_.params.size())
    throw Mistake("reads outside the kernel's arguments");
  return reinterpret_cast<std::byte*>(address);
}

std::byte* Block::shared(const Warp& warp, int lane, std::uint64_t offset, int bytes,
                         Accesses::How how) {
  const std::uint64_t at = offset - shared_begin;
  if (offset < shared_begin || at + static_cast<unsigned>(bytes) > shared_.size())
    throw Mistake("accesses byte " + std::to_string(static_cast<std::int64_t>(at)) + " of " +
                  std::to_string(shared_.size()) + " bytes of shared memory");
  const Moment now = moment(warp, lane);
  for (std::uint64_t i = at / 2; i < (at + static_cast<unsigned>(bytes) + 1) / 2; ++i) {
    if (arriving_[i]) throw Mistake("touches shared memory that a copy is under way to");
    if (how == Accesses::How::read && !shared_accesses_[i].written())
      throw Mistake("reads byte " + std::to_string(2 * i) +
                    " of shared memory, which nothing wrote");
    if (bytes == 1 && how != Accesses::How::read) shared_accesses_[i].wrote(now);
    if (bytes > 1)
      if (const char* wrong = shared_accesses_[i].note(how, now))
        throw Mistake(std::string("in shared memory, at byte ") + std::to_string(2 * i) + ", " +
                      wrong + " without a barrier between them");
  }
  return shared_.data() + at;
}

std::byte* Block::memory(const Warp& warp, int lane, Space space, std::uint64_t address, int bytes,
                         Accesses::How how) {
  if (address % static_cast<unsigned>(bytes) != 0)
    throw Mistake("accesses " + std::to_string(bytes) + " bytes at an address that is " +
                  std::to_string(address % static_cast<unsigned>(bytes)) +
                  " bytes off their alignment");
  if (space == Space::shared) return shared(warp, lane, address, bytes, how);
  if (space == Space::generic && address >= shared_window)
    return shared(warp, lane, address - shared_window, bytes, how);
  if (address < allocation_.first ||
      address + static_cast<unsigned>(bytes) > allocation_.first + allocation_.second) {
    allocation_ = {};
    for (const auto& variable : program_.variables)
      if (address - variable.first < variable.second) allocation_ = variable;
    if (allocation_.second == 0 && launch_.allocation) allocation_ = launch_.allocation(address);
    if (allocation_.second == 0 ||
        address + static_cast<unsigned>(bytes) > allocation_.first + allocation_.second)
      throw Mistake(std::string(how == Accesses::How::read ? "reads " : "writes ") +
                    std::to_string(bytes) + " bytes of global memory outside any allocation");
  }
  if (bytes > 1) {
    const Moment now = moment(warp, lane);
    for (int i = 0; i < bytes; i += 2) {
      Accesses* accesses = watched_.at(address + static_cast<unsigned>(i));
      if (accesses == nullptr) {
        ++counts_.unwatched;
        break;
      }
      if (const char* wrong = accesses->note(how, now))
        throw Mistake(std::string("in global memory, ") + wrong +
                      " in the same kernel, and nothing orders them");
    }
  }
  return reinterpret_cast<std::byte*>(address);
}

// A copy may write from the moment it is issued until it is waited for: nobody may touch its place in
// between. What it reads is taken at the latest moment.
void Block::begin(const Warp& warp, const AsyncCopy& copy) {
  memory(warp, copy.lane, Space::shared, copy.to, copy.bytes, Accesses::How::write);
  for (int i = 0; i < copy.bytes; i += 2)
    arriving_[(copy.to - shared_begin + static_cast<unsigned>(i)) / 2] = true;
}
void Block::arrive(const Warp& warp, const AsyncCopy& copy) {
  for (int i = 0; i < copy.bytes; i += 2)
    arriving_[(copy.to - shared_begin + static_cast<unsigned>(i)) / 2] = false;
  std::byte* to = memory(warp, copy.lane, Space::shared, copy.to, copy.bytes, Accesses::How::write);
  std::memset(to, 0, static_cast<std::size_t>(copy.bytes));
  if (copy.from % static_cast<unsigned>(copy.bytes) != 0)
    throw Mistake("copies from an address that is not aligned to " + std::to_string(copy.bytes) +
                  " bytes");
  // What is read is a whole, aligned piece, of which `read` bytes count.
  if (copy.read > 0)
    std::memcpy(to,
                memory(warp, copy.lane, Space::global, copy.from, copy.read, Accesses::How::read),
                static_cast<std::size_t>(copy.read));
}

void Block::count_global(std::span<const std::uint64_t> addresses, int bytes, bool store) {
  std::array<std::uint64_t, 2 * lanes> sectors;
  std::size_t n = 0;
  for (const std::uint64_t address : addresses) {
    const std::uint64_t first = address / 32;
    if (n == 0 || sectors[n - 1] != first) sectors[n++] = first;
  }
  if (!std::is_sorted(sectors.begin(), sectors.begin() + static_cast<std::ptrdiff_t>(n)))
    std::sort(sectors.begin(), sectors.begin() + static_cast<std::ptrdiff_t>(n));
  n = static_cast<std::size_t>(
      std::unique(sectors.begin(), sectors.begin() + static_cast<std::ptrdiff_t>(n)) -
      sectors.begin());
  (store ? counts_.store_bytes : counts_.load_bytes) +=
      addresses.size() * static_cast<unsigned>(bytes);
  (store ? counts_.store_sectors : counts_.load_sectors) += n;
}

void Block::count_shared(std::span<const std::uint64_t> addresses, int bytes) {
  // 128 bytes at a time: whole warps of 4 bytes a lane, halves of 8, quarters of 16.
  const std::size_t lanes_at_once =
      std::min<std::size_t>(lanes, 128 / static_cast<unsigned>(std::max(bytes, 4)));
  for (std::size_t first = 0; first < addresses.size(); first += lanes_at_once) {
    const auto part = addresses.subspan(first, std::min(lanes_at_once, addresses.size() - first));
    std::array<std::array<std::uint64_t, lanes>, 32> words;
    std::array<std::size_t, 32> in_bank{};
    std::size_t most = 1;
    for (const std::uint64_t address : part) {
      for (std::uint64_t word = address / 4;
           word <= (address + static_cast<unsigned>(bytes) - 1) / 4; ++word) {
        auto& bank = words[word % 32];
        std::size_t& n = in_bank[word % 32];
        if (std::find(bank.begin(), bank.begin() + static_cast<std::ptrdiff_t>(n), word) ==
            bank.begin() + static_cast<std::ptrdiff_t>(n))
          bank[n++] = word;
        most = std::max(most, n);
      }
    }
    counts_.shared_passes += most;
    counts_.shared_least += 1;
  }
}

Counts run(const Program& program, const Launch& launch) {
  Counts counts;
  if (launch.threads > program.most_threads)
    throw Mistake(program.name + ": more threads in a block than its launch bounds say");
  if (launch.params.size() < program.parameter_bytes)
    throw Mistake(program.name + ": arguments are missing");
  Watched watched(8192);
  for (int i = 0; i < launch.blocks; ++i) {
    const int index = launch.backwards ? launch.blocks - 1 - i : i;
    Block(program, launch, static_cast<std::uint32_t>(index), watched, counts).run();
  }
  return counts;
}

}  // namespace cohort::ptx
