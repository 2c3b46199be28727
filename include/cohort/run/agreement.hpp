// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/agreement.hpp: an error of one rank as an error of every rank, where all could go on without it.
#pragma once
#include <cohort/core/error.hpp>
#include <cohort/io/file.hpp>
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

namespace cohort::detail {

/// What one rank tells the others about its error; kind 0: it has none.
struct Complaint {
  enum Kind : std::int32_t { none, write_failed, read_failed, malformed, invalid_input, other };
  std::int32_t kind = none;
  std::string text;

  static Complaint of(std::exception_ptr error) {
    if (!error) return {};
    try {
      std::rethrow_exception(error);
    } catch (const io::WriteFailed& e) {
      return {write_failed, sentence(e)};
    } catch (const io::ReadFailed& e) {
      return {read_failed, sentence(e)};
    } catch (const io::MalformedFile& e) {
      return {malformed, sentence(e)};
    } catch (const InvalidInput& e) {
      return {invalid_input, sentence(e)};
    } catch (const std::exception& e) {
      return {other, sentence(e)};
    } catch (...) {
      return {other, "something was thrown that is no std::exception"};
    }
  }
  [[noreturn]] void raise(int rank, const char* operation) const {
    switch (kind) {
      case write_failed:
        throw io::WriteFailed(rank, operation, text);
      case read_failed:
        throw io::ReadFailed(rank, operation, text);
      case malformed:
        throw io::MalformedFile(rank, operation, text);
      case invalid_input:
        throw InvalidInput(rank, operation, text);
      default:
        throw Error(rank, operation, text);
    }
  }

 private:
  static std::string sentence(const std::exception& e) {
    std::string text = e.what();
    return text.starts_with("cohort: ") ? text.substr(8) : text;
  }
};

/// Throws on every rank when `mine` is set on any: the first such rank's error, with its type and its
/// sentence. The world stays whole: whoever catches it can go on. Collective.
template <class World>
void raise_together(World& world, const char* operation, std::exception_ptr mine) {
  Complaint complaint = Complaint::of(mine);
  const std::string said_below = std::string(operation) + ": ";
  if (complaint.text.starts_with(said_below)) complaint.text.erase(0, said_below.size());
  const std::int32_t head[2] = {complaint.kind, static_cast<std::int32_t>(complaint.text.size())};
  std::vector<std::int32_t> all(2 * static_cast<std::size_t>(world.size()));
  world.all_gather(head, all.data(), std::size_t{2});
  for (int r = 0; r < world.size(); ++r) {
    const std::int32_t kind = all[2 * static_cast<std::size_t>(r)];
    if (kind == Complaint::none) continue;
    const auto length = static_cast<std::size_t>(all[2 * static_cast<std::size_t>(r) + 1]);
    std::vector<std::uint8_t> text(length);
    if (r == world.rank()) text.assign(complaint.text.begin(), complaint.text.end());
    world.broadcast(text.data(), length, r);
    std::string words(text.begin(), text.end());
    if (world.size() > 1 && !words.starts_with("rank "))
      words = "rank " + std::to_string(r) + ": " + words;
    Complaint{kind, words}.raise(world.rank(), operation);
  }
}

/// Calls f and raises its error, if any, on every rank. Collective: f itself must not communicate.
template <class World, class F> void together(World& world, const char* operation, F f) {
  std::exception_ptr mine;
  try {
    f();
  } catch (...) {
    mine = std::current_exception();
  }
  raise_together(world, operation, mine);
}

/// Rank 0's text on every rank. Collective.
template <class World> std::string text_of_rank_0(World& world, std::string text) {
  auto length = static_cast<std::int64_t>(text.size());
  world.broadcast(&length, std::size_t{1}, 0);
  std::vector<std::uint8_t> bytes(text.begin(), text.end());
  bytes.resize(static_cast<std::size_t>(length));
  world.broadcast(bytes.data(), bytes.size(), 0);
  return {bytes.begin(), bytes.end()};
}

}  // namespace cohort::detail
