// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/decode.cpp: registers get places, names get operations, labels become numbers.
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <support/ptx/contract.hpp>
#include <support/ptx/decode.hpp>
#include <support/ptx/module.hpp>
#include <support/ptx/operations.hpp>
#include <support/ptx/warp.hpp>
#include <unordered_map>

namespace cohort::ptx {

namespace {

std::vector<std::string_view> split(std::string_view name) {
  std::vector<std::string_view> parts;
  for (std::size_t from = 0;;) {
    const std::size_t dot = name.find('.', from);
    parts.push_back(name.substr(from, dot - from));
    if (dot == name.npos) return parts;
    from = dot + 1;
  }
}
std::size_t type_bytes(std::string_view type) {
  if (type == "pred") return 0;
  std::uint64_t bits = 0;
  if (type.size() < 2 || !number(type.substr(1), bits)) return 0;
  return bits == 8 || bits == 16 || bits == 32 || bits == 64 ? bits / 8 : 0;
}
/// Is it a number that is written as the bits of a float?
bool has_point(std::string_view text) {
  return text.size() > 1 && text[0] == '0' && std::string_view("fFdD").find(text[1]) != text.npos;
}
/// mov of several registers into a wider one, the first lowest, and back.
void pack(Warp& warp, const Instruction& i, Mask mask) {
  for (Mask left = mask; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    std::uint64_t whole = 0;
    for (std::size_t n = 0; n < i.inputs; ++n)
      whole |= warp.word(i.from[n], lane) << (8 * i.from[n].bytes * n);
    warp.set_word(i.to[0], lane, whole);
  }
}
void unpack(Warp& warp, const Instruction& i, Mask mask) {
  for (Mask left = mask; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    const std::uint64_t whole = warp.word(i.from[0], lane);
    for (std::size_t n = 0; n < i.outputs; ++n)
      warp.set_word(i.to[n], lane, whole >> (8 * i.to[n].bytes * n));
  }
}

/// What a name in a body stands for.
struct Symbol {
  enum class What : std::uint8_t { reg, local, shared, call_parameter } what;
  Operand reg{};           // of reg and call_parameter
  std::size_t offset = 0;  // of local and shared
};
using Names = std::unordered_map<std::string_view, Symbol>;

class Decoder {
 public:
  Decoder(const Module& module, const std::string& kernel)
      : module_(module), tokens_(module.tokens()), out_(std::make_unique<Program>()) {
    const Function& function = module.functions().find(kernel)->second;
    out_->name = kernel;
    out_->parameters = function.parameters;
    out_->most_threads = function.most_threads;
    out_->files = tokens_.files();
    for (const auto& [name, variable] : module.variables())
      if (variable.memory)
        out_->variables.emplace_back(reinterpret_cast<std::uintptr_t>(variable.memory.get()),
                                     variable.bytes);
    for (const Parameter& p : function.parameters) out_->parameter_bytes = p.offset + p.bytes;
    for (const Parameter& p : function.parameters) kernel_parameters_[p.name] = p.offset;
    body(function, {}, 0);
  }
  std::unique_ptr<Program> finished() {
    out_->frame_bytes = (out_->frame_bytes + 63) / 64 * 64;
    if (std::getenv("COHORT_PTX_CONTRACT") != nullptr) contract(*out_);
    return std::move(out_);
  }

 private:
  struct Frame {
    Names names;
    std::vector<std::pair<std::string_view, std::optional<Symbol>>> hidden;  // by inner blocks
    std::vector<std::size_t> blocks;                                         // sizes of `hidden`
    std::unordered_map<std::string_view, int> labels;
    std::vector<std::pair<std::size_t, std::pair<std::string_view, std::size_t>>> branches;
    std::vector<std::size_t> returns;  // instructions that leave an inlined function
    bool inlined = false;

    void name(std::string_view text, Symbol what) {
      const auto found = names.find(text);
      hidden.emplace_back(text, found == names.end() ? std::nullopt : std::optional(found->second));
      names[text] = what;
    }
    void end_block() {
      for (; hidden.size() > blocks.back(); hidden.pop_back()) {
        if (hidden.back().second)
          names[hidden.back().first] = *hidden.back().second;
        else
          names.erase(hidden.back().first);
      }
      blocks.pop_back();
    }
  };

  // ---- names ----
  Operand place(std::size_t bytes) {
    Operand made{out_->frame_bytes, static_cast<std::uint8_t>(bytes), nullptr};
    out_->frame_bytes += static_cast<std::uint32_t>(bytes == 0 ? 4 : bytes * lanes);
    out_->frame_bytes = (out_->frame_bytes + 7) / 8 * 8;
    return made;
  }
  Operand constant(std::uint64_t bits, std::size_t bytes) {
    auto& values = out_->constants.emplace_back();
    if (bytes == 0) {
      const Mask all = bits != 0 ? all_lanes : 0;
      std::memcpy(values.data(), &all, sizeof all);
    }
    for (std::size_t l = 0; bytes > 0 && l < lanes; ++l)
      std::memcpy(values.data() + l * bytes, &bits, bytes);
    return {0, static_cast<std::uint8_t>(bytes), values.data()};
  }
  static std::optional<Operand> fixed(std::string_view name) {
    static const std::unordered_map<std::string_view, Operand> known = [] {
      std::unordered_map<std::string_view, Operand> all;
      const auto axes = [&](std::string_view x, std::string_view y, std::string_view z,
                            std::uint32_t at) {
        all[x] = {at, 4, nullptr}, all[y] = {at + 128, 4, nullptr}, all[z] = {at + 256, 4, nullptr};
      };
      axes("%tid.x", "%tid.y", "%tid.z", Fixed::tid),
          axes("%ntid.x", "%ntid.y", "%ntid.z", Fixed::ntid);
      axes("%ctaid.x", "%ctaid.y", "%ctaid.z", Fixed::ctaid);
      axes("%nctaid.x", "%nctaid.y", "%nctaid.z", Fixed::nctaid);
      all["%laneid"] = {Fixed::laneid, 4, nullptr}, all["%warpid"] = {Fixed::warpid, 4, nullptr};
      return all;
    }();
    const auto found = known.find(name);
    if (found == known.end()) return std::nullopt;
    return found->second;
  }
  void declare(std::size_t& at, Frame& frame) {  // after .reg
    const std::string_view type = tokens_[at].text;
    const bool scalar =
        type.size() >= 3 && type.size() <= 4 && std::string_view("bfsu").find(type[1]) != type.npos;
    const std::size_t bytes = scalar ? type_bytes(type.substr(1)) : 0;
    if (bytes == 0 && type != ".pred") tokens_.refuse(at, "a register's type is expected");
    for (++at;; ++at) {
      const std::string_view name = tokens_[at++].text;
      if (tokens_[at].text == "<") {
        std::uint64_t n = 0;
        number(tokens_[at + 1].text, n);
        for (std::uint64_t i = 0; i < n; ++i)
          frame.name(kept(std::string(name) + std::to_string(i)),
                     {Symbol::What::reg, place(bytes)});
        at = tokens_.expect(at + 2, ">");
      } else {
        frame.name(name, {Symbol::What::reg, place(bytes)});
      }
      if (tokens_[at].text != ",") break;
    }
    at = tokens_.expect(at, ";");
  }
  void memory(std::size_t& at, Frame& frame, std::string_view space) {
    std::size_t alignment = 1, element = 0;
    for (; element == 0; ++at) {
      if (tokens_[at].text == ".align") {
        std::uint64_t value = 0;
        number(tokens_[++at].text, value);
        alignment = value;
      } else if ((element = type_bytes(tokens_[at].text.substr(1))) == 0) {
        tokens_.refuse(at, "a type is expected");
      }
    }
    const std::string_view name = tokens_[at++].text;
    std::size_t bytes = element;
    if (tokens_[at].text == "[") {
      std::uint64_t n = 0;
      number(tokens_[at + 1].text, n);
      bytes = element * n;
      at = tokens_.expect(at + 2, "]");
    }
    at = tokens_.expect(at, ";");
    alignment = std::max(alignment, element);
    if (space == ".param" && bytes == element && bytes > 1) {
      frame.name(name, {Symbol::What::call_parameter, place(bytes)});
      return;
    }
    if (space == ".param") space = ".local";  // a structure lies in each lane's own memory
    if (space == ".shared" && dynamic_used_)
      tokens_.refuse(at - 1, "shared memory after a use of the launch's own, which follows it");
    std::size_t& end = space == ".local" ? out_->local_bytes : out_->shared_bytes;
    end = (end + alignment - 1) / alignment * alignment;
    frame.name(name, {space == ".local" ? Symbol::What::local : Symbol::What::shared, {}, end});
    end += bytes;
  }
  std::string_view kept(std::string text) { return names_.emplace_back(std::move(text)); }

  const Symbol* symbol(const Names& names, std::string_view name) const {
    const auto found = names.find(name);
    return found == names.end() ? nullptr : &found->second;
  }

  // ---- bodies ----
  /// Decodes a function's instructions at the end of the program. `given`: its parameters and results by name.
  void body(const Function& function, const Names& given, int depth) {
    if (depth > 8) tokens_.refuse(function.body, "calls are nested too deep, or recursive");
    Frame frame;
    frame.names = given;
    frame.inlined = depth > 0;
    std::size_t at = function.body;
    while (at < function.end) statement(at, frame, depth);
    for (const auto& [instruction, label] : frame.branches) {
      const auto found = frame.labels.find(label.first);
      if (found == frame.labels.end()) tokens_.refuse(label.second, "there is no such label");
      out_->code[instruction].target = found->second;
    }
    for (const std::size_t instruction : frame.returns)
      out_->code[instruction].target = static_cast<int>(out_->code.size());
    if (!frame.inlined) {
      Instruction end;
      end.kind = Kind::exit;
      end.pipe = Pipe::control;
      out_->code.push_back(end);
    }
  }

  void statement(std::size_t& at, Frame& frame, int depth) {
    const std::string_view word = tokens_[at].text;
    if (word == "{") {
      frame.blocks.push_back(frame.hidden.size());
      ++at;
    } else if (word == "}") {
      frame.end_block();
      ++at;
    } else if (word == ";") {
      ++at;
    } else if (word == ".reg") {
      declare(++at, frame);
    } else if (word == ".local" || word == ".shared" || word == ".param") {
      memory(++at, frame, word);
    } else if (word == ".pragma") {
      at += 3;
    } else if (tokens_[at + 1].text == ":") {
      if (!frame.labels.emplace(word, static_cast<int>(out_->code.size())).second)
        tokens_.refuse(at, "the label " + std::string(word) + " is there twice");
      at += 2;
    } else {
      instruction(at, frame, depth);
    }
  }

  // ---- operands ----
  Operand value(std::size_t& at, const Frame& frame, std::size_t bytes, bool flexible = false) {
    const std::string_view word = tokens_[at].text;
    Operand found;
    if (word == "-" || word == "!") {
      std::uint64_t bits = 0;
      if (word == "!" || !number(tokens_[at + 1].text, bits) || has_point(tokens_[at + 1].text))
        tokens_.refuse(at, "the sign stands before something that is no whole number");
      at += 2;
      return constant(-bits, bytes);
    }
    std::uint64_t bits = 0;
    if (number(word, bits)) {
      if (has_point(word) && word.size() != 2 + 2 * bytes)
        tokens_.refuse(at, "a number of another width");
      ++at;
      return constant(bits, bytes);
    }
    if (const auto special = fixed(word)) {
      found = *special;
    } else if (const Symbol* s = symbol(frame.names, word);
               s != nullptr && s->what == Symbol::What::reg) {
      found = s->reg;
    } else if (const auto address = address_of(word, frame)) {
      if (bytes != 8 && bytes != 4)
        tokens_.refuse(at, "an address of " + std::to_string(bytes) + " bytes");
      ++at;
      if (address->first.bytes == 0)
        return constant(static_cast<std::uint64_t>(address->second), bytes);
      // An address that lanes or launches change is computed before the instruction.
      const Operand sum = place(8);
      Instruction add;
      add.execute = operation("add.s64")->execute;
      add.outputs = 1, add.inputs = 2;
      add.to[0] = sum;
      add.from[0] = address->first;
      add.from[1] = constant(static_cast<std::uint64_t>(address->second), 8);
      add.text = word;
      out_->code.push_back(add);
      found = sum;
    } else {
      tokens_.refuse(at, "'" + std::string(word) + "' is not known");
    }
    if (address_of(word, frame) == std::nullopt) ++at;
    if (flexible ? found.bytes < bytes : found.bytes != bytes)
      tokens_.refuse(at - 1, "'" + std::string(word) + "' has " + std::to_string(found.bytes) +
                                 " bytes where " + std::to_string(bytes) + " are expected");
    return found;
  }
  /// A register that may be written.
  Operand result(std::size_t& at, const Frame& frame, std::size_t bytes, bool flexible = false) {
    const std::string_view word = tokens_[at].text;
    std::uint64_t bits = 0;
    if (fixed(word) || number(word, bits) || word == "-")
      tokens_.refuse(at, "'" + std::string(word) + "' is no register to write");
    return value(at, frame, bytes, flexible);
  }
  /// The register that a variable's address is relative to (0 bytes: none), and the rest.
  std::optional<std::pair<Operand, std::int64_t>> address_of(std::string_view name,
                                                             const Frame& frame) {
    if (const Symbol* s = symbol(frame.names, name)) {
      if (s->what == Symbol::What::local)
        return std::pair{Operand{Fixed::local, 8, nullptr}, static_cast<std::int64_t>(s->offset)};
      if (s->what == Symbol::What::shared)
        return std::pair{Operand{}, static_cast<std::int64_t>(shared_begin + s->offset)};
      return std::nullopt;
    }
    if (const auto p = kernel_parameters_.find(name); p != kernel_parameters_.end())
      return std::pair{Operand{Fixed::params, 8, nullptr}, static_cast<std::int64_t>(p->second)};
    const auto v = module_.variables().find(name);
    if (v == module_.variables().end()) return std::nullopt;
    if (v->second.space == Space::shared) {
      if (v->second.bytes != 0)
        throw Mistake("shared memory outside kernels has no place in this machine");
      dynamic_used_ = true;
      return std::pair{Operand{}, static_cast<std::int64_t>(
                                      shared_begin + (out_->shared_bytes + 127) / 128 * 128)};
    }
    return std::pair{Operand{}, static_cast<std::int64_t>(
                                    reinterpret_cast<std::uintptr_t>(v->second.memory.get()))};
  }
  /// [base + displacement]
  void address(std::size_t& at, const Frame& frame, Instruction& made) {
    at = tokens_.expect(at, "[");
    const std::string_view word = tokens_[at].text;
    std::uint64_t bits = 0;
    if (const Symbol* s = symbol(frame.names, word);
        s != nullptr && s->what != Symbol::What::local && s->what != Symbol::What::shared) {
      if (s->what == Symbol::What::reg && s->reg.bytes != 4 && s->reg.bytes != 8)
        tokens_.refuse(at,
                       "an address in a register of " + std::to_string(s->reg.bytes) + " bytes");
      if (s->what == Symbol::What::call_parameter && made.space != Space::param)
        tokens_.refuse(at, "a call's argument has no address");
      made.base = s->reg;
    } else if (const auto found = address_of(word, frame)) {
      made.base = found->first.bytes == 0 ? constant(0, 8) : found->first;
      made.displacement = found->second;
    } else if (number(word, bits)) {
      made.base = constant(bits, 8);
    } else {
      tokens_.refuse(at, "'" + std::string(word) + "' is not known");
    }
    ++at;
    if (tokens_[at].text == "+" || tokens_[at].text == "-") {
      bool minus = tokens_[at++].text == "-";
      if (tokens_[at].text == "-") minus = !minus, ++at;
      if (!number(tokens_[at].text, bits)) tokens_.refuse(at, "a number is expected");
      ++at;
      made.displacement +=
          minus ? -static_cast<std::int64_t>(bits) : static_cast<std::int64_t>(bits);
    }
    at = tokens_.expect(at, "]");
  }
  /// One operand, or several in braces.
  template <class Array>
  void values(std::size_t& at, const Frame& frame, std::size_t bytes, bool flexible, Array& to,
              std::uint8_t& count) {
    const bool list = tokens_[at].text == "{";
    if (list) ++at;
    for (;;) {
      if (count >= to.size()) tokens_.refuse(at, "more operands than the machine has places for");
      to[count++] = std::is_same_v<Array, decltype(Instruction::to)>
                        ? result(at, frame, bytes, flexible)
                        : value(at, frame, bytes, flexible);
      if (!list || tokens_[at].text != ",") break;
      ++at;
    }
    if (list) at = tokens_.expect(at, "}");
  }

  // ---- instructions ----
  void instruction(std::size_t& at, Frame& frame, int depth) {
    Instruction made;
    const std::size_t begin = at;
    made.file = tokens_[at].file;
    made.line = static_cast<int>(tokens_[at].source);
    if (tokens_[at].text == "@") {
      made.guarded = true;
      if (tokens_[++at].text == "!") made.negated = true, ++at;
      const Symbol* p = symbol(frame.names, tokens_[at].text);
      if (p == nullptr || p->what != Symbol::What::reg || p->reg.bytes != 0)
        tokens_.refuse(at, "a predicate is expected");
      made.guard = p->reg.offset;
      ++at;
    }
    const std::size_t name_at = at;
    const std::string_view name = tokens_[at++].text;
    const auto parts = split(name);
    const std::string_view op = parts[0];
    if (op == "ld" || op == "ldu" || op == "st") {
      access(at, frame, made, parts);
    } else if (op == "atom" || op == "red") {
      atomic(at, frame, made, parts);
    } else if (name == "bra" || name == "bra.uni") {
      made.kind = Kind::branch, made.pipe = Pipe::control;
      frame.branches.push_back({out_->code.size(), {tokens_[at].text, at}});
      ++at;
    } else if (op == "ret" || op == "exit") {
      made.kind = frame.inlined && op == "ret" ? Kind::branch : Kind::exit;
      made.pipe = Pipe::control;
      if (made.kind == Kind::branch) frame.returns.push_back(out_->code.size());
    } else if (op == "call") {
      if (made.guarded) tokens_.refuse(name_at, "a call under a predicate");
      call(at, frame, depth);
      at = tokens_.expect(at, ";");
      return;
    } else if (op == "cvta") {
      convert_address(at, frame, made, parts, name_at);
    } else if (name == "bar.sync" || name == "barrier.sync" || name == "barrier.sync.aligned") {
      made.kind = Kind::barrier, made.pipe = Pipe::control;
      if (tokens_[at].text != "0" || tokens_[at + 1].text != ";")
        tokens_.refuse(at, "only barrier 0 of all threads is known");
      ++at;
    } else if (name == "bar.warp.sync") {
      made.kind = Kind::warp_barrier, made.pipe = Pipe::control;
      made.from[made.inputs++] = value(at, frame, 4);
    } else if (op == "membar" || op == "fence") {
      made.kind = Kind::fence, made.pipe = Pipe::memory;
    } else if (op == "trap") {
      made.kind = Kind::trap, made.pipe = Pipe::control;
    } else if (op == "ldmatrix") {
      load_matrix(at, frame, made, name, name_at);
    } else if (op == "cp") {
      async_copy(at, frame, made, name, name_at);
    } else if (op == "mov" && tokens_[at].text == "{") {
      made.execute = &unpack;
      const std::size_t whole = type_bytes(parts.back());
      pieces(at, frame, whole, made.to, made.outputs);
      at = tokens_.expect(at, ",");
      made.from[made.inputs++] = value(at, frame, whole);
    } else if (op == "mov" && tokens_[at + 2].text == "{") {
      made.execute = &pack;
      const std::size_t whole = type_bytes(parts.back());
      made.to[made.outputs++] = result(at, frame, whole);
      at = tokens_.expect(at, ",");
      pieces(at, frame, whole, made.from, made.inputs);
    } else {
      compute(at, frame, made, name, name_at);
    }
    if (tokens_[at].text != ";")
      tokens_.refuse(at, "'" + std::string(tokens_[at].text) + "' where the instruction " +
                             std::string(name) + " should end");
    const char* first = tokens_[begin].text.data();
    made.text = {first, static_cast<std::size_t>(tokens_[at].text.data() - first)};
    out_->code.push_back(made);
    ++at;
  }

  template <class Array>
  void pieces(std::size_t& at, const Frame& frame, std::size_t whole, Array& to,
              std::uint8_t& count) {
    std::size_t n = 1;
    for (std::size_t i = at; tokens_[i].text != "}"; ++i) n += tokens_[i].text == ",";
    values(at, frame, whole / n, false, to, count);
  }

  void compute(std::size_t& at, Frame& frame, Instruction& made, std::string_view name,
               std::size_t name_at) {
    const Operation* known = operation(name);
    if (known == nullptr)
      tokens_.refuse(name_at, "the machine does not know the instruction " + std::string(name));
    made.kind = known->kind, made.pipe = known->pipe, made.execute = known->execute;
    std::size_t i = 0;
    const auto in_list = [&] { return tokens_[at].text == "{"; };
    while (i < known->to.size()) {
      const std::uint8_t before = made.outputs;
      if (tokens_[at].text == "_") tokens_.refuse(at, "a result that nobody takes");
      if (in_list())
        values(at, frame, known->to[i], known->flexible, made.to, made.outputs);
      else
        made.to[made.outputs++] = result(at, frame, known->to[i], known->flexible);
      i += static_cast<std::size_t>(made.outputs - before);
      if (tokens_[at].text == "|") {
        ++at;
      } else {
        if (i < known->to.size() && i == 1 && known->to[1] == 0)
          break;  // the second one may be left out
        if (i < known->to.size()) at = tokens_.expect(at, ",");
      }
    }
    const std::string_view type = name.substr(std::min(name.rfind('.'), name.size() - 1) + 1);
    for (i = 0; i < known->from.size();) {
      at = tokens_.expect(at, ",");
      const std::string_view word = tokens_[at].text;
      if (std::uint64_t bits = 0; number(word, bits) && known->from[i] != 0) {
        if (type[0] == 'f' && !has_point(word))
          tokens_.refuse(at, "a whole number where one with a point is expected");
        if ((type[0] == 's' || type[0] == 'u') && has_point(word))
          tokens_.refuse(at, "a number with a point where a whole one is expected");
      }
      const std::uint8_t before = made.inputs;
      values(at, frame, known->from[i], known->flexible, made.from, made.inputs);
      i += static_cast<std::size_t>(made.inputs - before);
    }
    if (made.kind == Kind::together && made.pipe == Pipe::tensor) made.number = 1;  // all lanes
  }

  void access(std::size_t& at, Frame& frame, Instruction& made,
              const std::vector<std::string_view>& parts) {
    const bool loads = parts[0] != "st";
    made.kind = loads ? Kind::load : Kind::store;
    made.pipe = Pipe::memory;
    for (std::size_t i = 1; i + 1 < parts.size(); ++i) {
      const std::string_view part = parts[i];
      if (part == "global")
        made.space = Space::global;
      else if (part == "shared")
        made.space = Space::shared;
      else if (part == "local")
        made.space = Space::local;
      else if (part == "param")
        made.space = Space::param;
      else if (part == "const")
        made.space = Space::constant;
      else if (part == "v2")
        made.vector = 2;
      else if (part == "v4")
        made.vector = 4;
      else if (part == "volatile" || part == "relaxed" || part == "acquire" || part == "release")
        made.relaxed = true;
      else if (part != "cs" && part != "cg" && part != "ca" && part != "lu" && part != "cv" &&
               part != "nc" && part != "wb" && part != "wt" && part != "gpu" && part != "sys" &&
               part != "weak" && part != "L1::no_allocate")
        tokens_.refuse(at - 1,
                       "the machine does not know '" + std::string(part) + "' of an access");
    }
    const std::string_view type = parts.back();
    made.element = static_cast<std::uint8_t>(type_bytes(type));
    made.by_signed = type[0] == 's';
    if (made.element == 0) tokens_.refuse(at - 1, "an access without a type");
    const auto of_call = [&](std::size_t where) -> const Symbol* {
      const Symbol* s = symbol(frame.names, tokens_[where].text);
      return s != nullptr && s->what == Symbol::What::call_parameter ? s : nullptr;
    };
    if (loads) {
      values(at, frame, made.element, true, made.to, made.outputs);
      at = tokens_.expect(at, ",");
      const Symbol* parameter = made.space == Space::param ? of_call(at + 1) : nullptr;
      address(at, frame, made);
      if (parameter != nullptr) moved(made, made.to[0], parameter->reg, at);
    } else {
      const Symbol* parameter = made.space == Space::param ? of_call(at + 1) : nullptr;
      address(at, frame, made);
      at = tokens_.expect(at, ",");
      values(at, frame, made.element, true, made.from, made.inputs);
      if (parameter != nullptr) moved(made, parameter->reg, made.from[0], at);
    }
    const bool of_lane = made.base.constant == nullptr && made.base.offset == Fixed::local;
    if (made.space == Space::param && of_lane) made.space = Space::local;  // a structure of a call
    const int taken = loads ? made.outputs : made.inputs;
    if (made.kind != Kind::compute && taken != made.vector)
      tokens_.refuse(at, "another number of registers");
  }
  /// An argument or result of a call is a register here.
  void moved(Instruction& made, Operand to, Operand from, std::size_t at) {
    if (made.displacement != 0 || made.vector != 1 || to.bytes != from.bytes)
      tokens_.refuse(at, "a part of a call's argument");
    made.kind = Kind::compute;
    made.execute = operation("mov.b" + std::to_string(8 * to.bytes))->execute;
    made.outputs = made.inputs = 1;
    made.to[0] = to, made.from[0] = from;
  }

  void atomic(std::size_t& at, Frame& frame, Instruction& made,
              const std::vector<std::string_view>& parts) {
    made.kind = Kind::atomic, made.pipe = Pipe::memory;
    static const std::map<std::string_view, int> known = {{"add", 0},  {"min", 1}, {"max", 2},
                                                          {"and", 3},  {"or", 4},  {"xor", 5},
                                                          {"exch", 6}, {"cas", 7}};
    made.number = -1;
    for (std::size_t i = 1; i + 1 < parts.size(); ++i) {
      const std::string_view part = parts[i];
      if (const auto found = known.find(part); found != known.end())
        made.number = found->second;
      else if (part == "global")
        made.space = Space::global;
      else if (part == "shared")
        made.space = Space::shared;
      else if (part != "relaxed" && part != "gpu" && part != "sys" && part != "acq_rel")
        tokens_.refuse(at - 1,
                       "the machine does not know '" + std::string(part) + "' of an atomic");
    }
    const std::string_view type = parts.back();
    made.element = static_cast<std::uint8_t>(type_bytes(type));
    made.by_signed = type[0] == 's';
    if (made.number < 0 || type[0] == 'f' || (made.element != 4 && made.element != 8))
      tokens_.refuse(at - 1, "the machine does not know this atomic (floats add in no order)");
    if (parts[0] == "atom") {
      made.to[made.outputs++] = result(at, frame, made.element);
      at = tokens_.expect(at, ",");
    }
    address(at, frame, made);
    for (int n = made.number == 7 ? 2 : 1; n > 0; --n) {
      at = tokens_.expect(at, ",");
      made.from[made.inputs++] = value(at, frame, made.element);
    }
  }

  void convert_address(std::size_t& at, Frame& frame, Instruction& made,
                       const std::vector<std::string_view>& parts, std::size_t name_at) {
    const bool to = parts.size() > 1 && parts[1] == "to";
    const std::string_view space = parts.size() > 2 ? parts[to ? 2 : 1] : "";
    if (parts.back() != "u64") tokens_.refuse(name_at, "an address of other than 64 bits");
    made.to[made.outputs++] = result(at, frame, 8);
    at = tokens_.expect(at, ",");
    made.from[made.inputs++] = value(at, frame, 8);
    if (space == "shared") {
      // Generic addresses of shared memory are a window of their own.
      made.execute = operation(to ? "sub.s64" : "add.s64")->execute;
      made.from[made.inputs++] = constant(shared_window, 8);
    } else if (space == "global" || space == "local" || space == "const" || space == "param") {
      made.execute = operation("mov.b64")->execute;
    } else {
      tokens_.refuse(name_at, "a conversion of an address that the machine does not know");
    }
  }

  void load_matrix(std::size_t& at, Frame& frame, Instruction& made, std::string_view name,
                   std::size_t name_at) {
    static const std::map<std::string_view, std::pair<int, bool>> known = {
        {"ldmatrix.sync.aligned.m8n8.x1.shared.b16", {1, false}},
        {"ldmatrix.sync.aligned.m8n8.x2.shared.b16", {2, false}},
        {"ldmatrix.sync.aligned.m8n8.x4.shared.b16", {4, false}},
        {"ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16", {1, true}},
        {"ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16", {2, true}},
        {"ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", {4, true}}};
    const auto found = known.find(name);
    if (found == known.end()) tokens_.refuse(name_at, "the machine does not know this ldmatrix");
    made.kind = Kind::load_matrix, made.pipe = Pipe::memory, made.space = Space::shared;
    made.vector = static_cast<std::uint8_t>(found->second.first);
    made.transposed = found->second.second;
    made.number = 1;  // all lanes
    values(at, frame, 4, false, made.to, made.outputs);
    at = tokens_.expect(at, ",");
    address(at, frame, made);
    if (made.outputs != made.vector) tokens_.refuse(at, "another number of registers");
  }

  void async_copy(std::size_t& at, Frame& frame, Instruction& made, std::string_view name,
                  std::size_t name_at) {
    made.pipe = Pipe::memory;
    if (name == "cp.async.commit_group") {
      made.kind = Kind::async_commit;
    } else if (name == "cp.async.wait_group") {
      made.kind = Kind::async_wait;
      std::uint64_t pending = 0;
      if (!number(tokens_[at++].text, pending))
        tokens_.refuse(at - 1, "a number of groups is expected");
      made.number = static_cast<int>(pending);
    } else if (name == "cp.async.cg.shared.global" || name == "cp.async.ca.shared.global") {
      made.kind = Kind::async_copy;
      address(at, frame, made);  // of shared memory; the source is from[0] + number
      at = tokens_.expect(at, ",");
      Instruction source;
      address(at, frame, source);
      made.from[0] = source.base;
      made.number = static_cast<int>(source.displacement);
      at = tokens_.expect(at, ",");
      std::uint64_t bytes = 0;
      if (!number(tokens_[at].text, bytes) || (bytes != 4 && bytes != 8 && bytes != 16) ||
          (bytes != 16 && name == "cp.async.cg.shared.global"))
        tokens_.refuse(at, "a copy of so many bytes");
      made.element = static_cast<std::uint8_t>(bytes);
      ++at;
      made.inputs = 2;
      made.from[1] = constant(bytes, 4);
      if (tokens_[at].text == ",") made.from[1] = value(++at, frame, 4);
    } else {
      tokens_.refuse(name_at, "the machine does not know the instruction " + std::string(name));
    }
  }

  /// call.uni (results), function, (arguments);
  void call(std::size_t& at, Frame& frame, int depth) {
    std::vector<Symbol> results, arguments;
    const auto list = [&](std::vector<Symbol>& into) {
      for (++at; tokens_[at].text != ")"; ++at) {
        if (tokens_[at].text == ",") continue;
        const Symbol* s = symbol(frame.names, tokens_[at].text);
        if (s == nullptr ||
            (s->what != Symbol::What::call_parameter && s->what != Symbol::What::local))
          tokens_.refuse(at, "an argument of a call is no .param");
        into.push_back(*s);
      }
      ++at;
    };
    if (tokens_[at].text == "(") list(results), at = tokens_.expect(at, ",");
    const std::string_view name = tokens_[at].text;
    const auto found = module_.functions().find(name);
    if (found == module_.functions().end())
      tokens_.refuse(at, "there is no function " + std::string(name) + " in this module");
    ++at;
    if (tokens_[at].text == ",") ++at, list(arguments);
    const Function& callee = found->second;
    if (callee.parameters.size() != arguments.size() || callee.results.size() != results.size())
      tokens_.refuse(at, "a call with another number of arguments");
    Names given;
    for (std::size_t i = 0; i < arguments.size(); ++i)
      given[callee.parameters[i].name] = arguments[i];
    for (std::size_t i = 0; i < results.size(); ++i) given[callee.results[i].name] = results[i];
    body(callee, given, depth + 1);
  }

  const Module& module_;
  const Tokens& tokens_;
  std::unique_ptr<Program> out_;
  std::unordered_map<std::string_view, std::size_t> kernel_parameters_;
  std::deque<std::string> names_;
  bool dynamic_used_ = false;  // the launch's shared memory, whose place is behind the kernel's own
};

}  // namespace

std::unique_ptr<Program> decode(const Module& module, const std::string& kernel) {
  return Decoder(module, kernel).finished();
}

}  // namespace cohort::ptx
