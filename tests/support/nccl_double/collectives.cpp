// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/nccl_double/collectives.cpp: collectives as tasks on streams that meet.
#include <chrono>
#include <cohort/core/float16.hpp>
#include <cstring>
#include <support/cuda_double/double.hpp>
#include <support/nccl_double/collectives.hpp>
#include <thread>

namespace cohort::nccl_double {

std::size_t bytes_of(ncclDataType_t type) {
  constexpr std::size_t sizes[] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2, 1, 1};
  return sizes[type];
}

namespace {

template <class T> T sum(T a, T b) {
  if constexpr (Float16<T>)
    return T(float(a) + float(b));
  else if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) +
                          static_cast<std::make_unsigned_t<T>>(b));
  else
    return a + b;
}

template <class T> std::vector<std::byte> sums(const Meeting& meeting, std::size_t count) {
  std::vector<std::byte> bytes(count * sizeof(T));
  auto* out = reinterpret_cast<T*>(bytes.data());
  for (std::size_t k = meeting.parts.size(); k-- > 0;) {
    const T* in = static_cast<const T*>(meeting.parts[k].in);
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = k + 1 == meeting.parts.size() ? in[i] : sum(out[i], in[i]);
    }
  }
  return bytes;
}

std::vector<std::byte> sums_of_type(const Meeting& meeting, std::size_t count) {
  switch (meeting.call.type) {
    case ncclFloat64:
      return sums<double>(meeting, count);
    case ncclFloat32:
      return sums<float>(meeting, count);
    case ncclBfloat16:
      return sums<bf16>(meeting, count);
    case ncclFloat16:
      return sums<fp16>(meeting, count);
    case ncclInt64:
      return sums<std::int64_t>(meeting, count);
    case ncclInt32:
      return sums<std::int32_t>(meeting, count);
    default:
      cuda_double::report_failure("NCCL double: a sum of this type is not offered");
  }
  return std::vector<std::byte>(count * bytes_of(meeting.call.type));
}

void copy(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0 && to != from) std::memmove(to, from, bytes);
}

/// The transfers of one rank with one peer in one direction, in order.
std::vector<const Transfer*> between(const Meeting& meeting, std::size_t rank, std::size_t peer,
                                     bool sends) {
  std::vector<const Transfer*> found;
  for (const Transfer& t : meeting.parts[rank].transfers)
    if (t.sends == sends && t.peer == static_cast<int>(peer)) found.push_back(&t);
  return found;
}
/// Each send meets the receive of the same number between the two ranks.
void transfer(const Meeting& meeting) {
  std::vector<std::pair<std::vector<std::byte>, void*>> copies;
  const std::size_t ranks = meeting.parts.size();
  for (std::size_t from = 0; from < ranks; ++from) {
    for (std::size_t to = 0; to < ranks; ++to) {
      const auto sent = between(meeting, from, to, true);
      const auto received = between(meeting, to, from, false);
      bool fit = sent.size() == received.size();
      for (std::size_t i = 0; fit && i < sent.size(); ++i) {
        const auto* bytes = static_cast<const std::byte*>(sent[i]->from);
        fit = sent[i]->bytes == received[i]->bytes;
        if (fit) copies.push_back({{bytes, bytes + sent[i]->bytes}, received[i]->to});
      }
      if (!fit)
        cuda_double::report_failure("NCCL double: rank " + std::to_string(from) +
                                    " sends what rank " + std::to_string(to) + " does not receive");
    }
  }
  for (const auto& [bytes, to] : copies) copy(to, bytes.data(), bytes.size());
}

/// What the collective does, by the last stream that came. Inputs are read before anything is written.
void execute(Meeting& meeting) {
  const Call& call = meeting.call;
  const std::size_t ranks = meeting.parts.size(), part = call.count * bytes_of(call.type);
  if (call.function == transfers) {
    transfer(meeting);
  } else if (call.function == "ncclAllReduce") {
    const auto result = sums_of_type(meeting, call.count);
    for (const auto& p : meeting.parts) copy(p.out, result.data(), part);
  } else if (call.function == "ncclReduceScatter") {
    const auto result = sums_of_type(meeting, call.count * ranks);
    for (std::size_t r = 0; r < ranks; ++r)
      copy(meeting.parts[r].out, result.data() + r * part, part);
  } else if (call.function == "ncclAllGather") {
    std::vector<std::byte> result(part * ranks);
    for (std::size_t r = 0; r < ranks; ++r)
      copy(result.data() + r * part, meeting.parts[r].in, part);
    for (const auto& p : meeting.parts) copy(p.out, result.data(), part * ranks);
  } else {
    const std::vector<std::byte> result(
        static_cast<const std::byte*>(meeting.parts[static_cast<std::size_t>(call.root)].in),
        static_cast<const std::byte*>(meeting.parts[static_cast<std::size_t>(call.root)].in) +
            part);
    for (const auto& p : meeting.parts) copy(p.out, result.data(), part);
  }
}

void wait_until(const std::function<bool()>& done) {
  for (int looks = 0; !done(); ++looks) {
    if (looks < 3)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(30));
  }
}

bool same(const Call& a, const Call& b) {
  return a.function == b.function && a.count == b.count && a.type == b.type && a.op == b.op &&
         a.root == b.root;
}
std::string words(const Call& call) {
  return call.function + " (count " + std::to_string(call.count) + ", type " +
         std::to_string(call.type) + ", root " + std::to_string(call.root) + ") of rank " +
         std::to_string(call.rank);
}

/// Does the communicator's end reach a kernel of this call?
bool told_to_quit(const ncclComm& comm, const Call& call) {
  return comm.given_up.load(std::memory_order_relaxed) ||
         (comm.aborted.load(std::memory_order_relaxed) && !deaf(call));
}

/// This rank's stream comes to the meeting of this number.
void attend(ncclComm& comm, const Call& call, const Meeting::Part& arrays, std::uint64_t number) {
  Clique& clique = *comm.clique;
  {
    const std::lock_guard lock(clique.mutex);
    Meeting& meeting = clique.meetings[number];
    if (meeting.arrived == 0) {
      meeting.parts.resize(static_cast<std::size_t>(clique.size));
      meeting.call = call;
    } else if (!same(meeting.call, call)) {
      cuda_double::report_failure("NCCL double: calls differ: " + words(meeting.call) + ", " +
                                  words(call));
    }
    meeting.parts[static_cast<std::size_t>(call.rank)] = arrays;
    if (++meeting.arrived == clique.size && !meeting.broken) {
      if (cuda_double::executes()) execute(meeting);
      meeting.done = true;
    }
  }
  wait_until([&] {
    const std::lock_guard lock(clique.mutex);
    Meeting& meeting = clique.meetings[number];
    if (!meeting.done && told_to_quit(comm, call)) {
      meeting.broken = true;  // this rank's arrays may be gone
      return true;
    }
    if (!meeting.done) return false;
    if (++meeting.left == clique.size) clique.meetings.erase(number);
    return true;
  });
}

}  // namespace

bool deaf(const Call& call) {
  return call.in_windows && state().version.load() < NCCL_VERSION(2, 29, 7);
}

void work(ncclComm& comm, const Call& call, const Meeting::Part& arrays, std::uint64_t issued,
          ncclResult_t fault, bool hangs) {
  const auto aborted = [&] { return comm.aborted.load(std::memory_order_relaxed); };
  // A communicator runs its collectives in the order of the calls, whatever their streams.
  wait_until([&] {
    return issued == 0 || aborted() || comm.done.load(std::memory_order_relaxed) + 1 >= issued;
  });
  const std::uint64_t number = comm.executed.fetch_add(1, std::memory_order_relaxed) + 1;
  if (fault != ncclSuccess) comm.async_error.store(fault, std::memory_order_relaxed);
  if (hangs || fault != ncclSuccess) wait_until([&] { return told_to_quit(comm, call); });
  if (!told_to_quit(comm, call)) attend(comm, call, arrays, number);
  if (issued == 0) return;
  comm.done.store(issued, std::memory_order_relaxed);
  comm.in_flight.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace cohort::nccl_double
