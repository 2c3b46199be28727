// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/program.hpp: a kernel as the machine runs it: decoded instructions over lanes of registers.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::ptx {

inline constexpr int lanes = 32;
/// One bit per lane of a warp.
using Mask = std::uint32_t;
inline constexpr Mask all_lanes = 0xffffffffu;

/// What a text says that the machine does not know, or a kernel does that a GPU would not forgive.
struct Mistake : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A register of a warp (32 values, or one Mask for a predicate) or a constant of the same shape.
struct Operand {
  std::uint32_t offset = 0;             // in the warp's frame, in bytes
  std::uint8_t bytes = 0;               // of one lane's value; 0: a predicate
  const std::byte* constant = nullptr;  // 32 equal values in place of the frame's
};

/// Where shared memory begins in its own space (below lies what the driver takes), and where its window
/// lies among generic addresses: no address of a host.
inline constexpr std::uint64_t shared_begin = 1024, shared_window = std::uint64_t{1} << 60;

/// Where an address points. A generic one may be of any of the others.
enum class Space : std::uint8_t { generic, global, shared, local, param, constant };

/// Which of a multiprocessor's units an instruction occupies.
enum class Pipe : std::uint8_t { integer, fp32, fp64, special, tensor, memory, control };
inline constexpr int pipes = 7;

class Warp;
struct Instruction;
using Execute = void (*)(Warp&, const Instruction&, Mask);

enum class Kind : std::uint8_t {
  compute,  // execute() does it, lane by lane
  load,
  store,
  atomic,
  async_copy,
  async_commit,
  async_wait,
  load_matrix,  // ldmatrix, as the next ones: by lanes together
  together,     // execute() does it once the lanes that it names have come
  branch,
  exit,
  barrier,
  warp_barrier,
  fence,
  trap
};

struct Instruction {
  Kind kind = Kind::compute;
  Pipe pipe = Pipe::integer;
  Space space = Space::generic;
  bool guarded = false, negated = false;  // @p, @!p
  bool transposed = false;                // ldmatrix.trans
  bool by_signed = false;                 // loads extend the sign
  bool relaxed = false;                   // volatile or relaxed: ordered by the memory itself
  std::uint8_t vector = 1;                // elements per lane of a load or store
  std::uint8_t element = 0;               // bytes of one of them
  std::uint8_t outputs = 0, inputs = 0;
  std::uint32_t guard = 0;  // offset of the predicate
  Execute execute = nullptr;
  std::array<Operand, 4> to{};
  std::array<Operand, 10> from{};
  Operand base{};  // of an address
  std::int64_t displacement = 0;
  int target = -1;         // of a branch
  int number = 0;          // wait_group's; the mode of a shuffle
  int file = 0, line = 0;  // of the source, 0: unknown
  std::string_view text;   // in the module
};

/// Registers that every kernel has, by their offsets in a frame.
struct Fixed {
  static constexpr std::uint32_t tid = 0;  // x, y, z: 3 x 128 bytes
  static constexpr std::uint32_t ntid = 3 * 128;
  static constexpr std::uint32_t ctaid = 6 * 128;
  static constexpr std::uint32_t nctaid = 9 * 128;
  static constexpr std::uint32_t laneid = 12 * 128;
  static constexpr std::uint32_t warpid = 13 * 128;
  static constexpr std::uint32_t params = 14 * 128;     // 64 bits: where the arguments lie
  static constexpr std::uint32_t local = params + 256;  // 64 bits: each lane's own memory
  static constexpr std::uint32_t carry = local + 256;   // a predicate: the condition code
  static constexpr std::uint32_t bytes = carry + 64;
};

struct Parameter {
  std::string name;
  std::size_t offset, bytes, alignment;
};

struct Program {
  std::string name;  // mangled
  std::vector<Parameter> parameters;
  std::size_t parameter_bytes = 0;
  std::size_t shared_bytes = 0;  // static
  std::size_t local_bytes = 0;   // of a lane
  std::uint32_t frame_bytes = Fixed::bytes;
  int most_threads = 1024;
  std::vector<Instruction> code;
  std::deque<std::array<std::byte, 256>> constants;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> variables;  // of the module: begin, bytes
  std::map<int, std::string> files;                                // of the source
};

}  // namespace cohort::ptx
