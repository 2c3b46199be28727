// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/module.cpp: what stands outside the bodies: variables, kernels and functions with their parameters.
#include <cstring>
#include <new>
#include <support/ptx/decode.hpp>
#include <support/ptx/module.hpp>

namespace cohort::ptx {

namespace {
/// Bytes of ".b32" and its like; 0: no such type.
std::size_t bytes_of_type(std::string_view word) {
  static const std::map<std::string_view, std::size_t> known = {
      {".b8", 1},  {".u8", 1},  {".s8", 1},  {".b16", 2}, {".u16", 2},
      {".s16", 2}, {".f16", 2}, {".b32", 4}, {".u32", 4}, {".s32", 4},
      {".f32", 4}, {".b64", 8}, {".u64", 8}, {".s64", 8}, {".f64", 8}};
  const auto found = known.find(word);
  return found == known.end() ? 0 : found->second;
}
std::size_t count(const Tokens& tokens, std::size_t at) {
  std::uint64_t value = 0;
  if (!number(tokens[at].text, value)) tokens.refuse(at, "a number is expected");
  return value;
}
}  // namespace

Module::Module(std::string text) : text_(std::move(text)), tokens_(text_) { top_level(); }

bool Module::has(const std::string& kernel) const {
  const auto found = functions_.find(kernel);
  return found != functions_.end() && found->second.entry;
}

std::vector<std::string> Module::kernels() const {
  std::vector<std::string> names;
  for (const auto& [name, function] : functions_)
    if (function.entry) names.push_back(name);
  return names;
}

const Program& Module::program(const std::string& kernel) {
  const std::lock_guard lock(mutex_);
  auto& known = programs_[kernel];
  if (!known) {
    if (!has(kernel)) throw Mistake("there is no kernel " + kernel + " in this module");
    known = decode(*this, kernel);
  }
  return *known;
}

void Module::top_level() {
  std::size_t at = 0;
  while (at < tokens_.size()) {
    const std::string_view word = tokens_[at].text;
    if (word == ".visible" || word == ".extern" || word == ".weak" || word == ".common" ||
        word == ";") {
      ++at;
    } else if (word == ".entry" || word == ".func") {
      function(++at, word == ".entry");
    } else if (word == ".global" || word == ".const" || word == ".shared") {
      variable(++at, word == ".global"  ? Space::global
                     : word == ".const" ? Space::constant
                                        : Space::shared);
    } else {
      tokens_.refuse(at, "'" + std::string(word) + "' is not known outside functions");
    }
  }
}

void Module::variable(std::size_t& at, Space space) {
  Variable made;
  made.space = space;
  std::size_t element = 0;
  for (; element == 0; ++at) {
    if (tokens_[at].text == ".align")
      made.alignment = count(tokens_, ++at);
    else if ((element = bytes_of_type(tokens_[at].text)) == 0)
      tokens_.refuse(at, "a type is expected");
  }
  const std::string name(tokens_[at++].text);
  made.bytes = element;
  if (tokens_[at].text == "[") {
    const bool open = tokens_[at + 1].text == "]";
    made.bytes = open ? 0 : element * count(tokens_, at + 1);
    at = tokens_.expect(at + (open ? 1 : 2), "]");
  }
  made.alignment = std::max(made.alignment, element);
  if (space != Space::shared) {
    const std::align_val_t alignment{std::max<std::size_t>(made.alignment, 16)};
    made.memory = {static_cast<std::byte*>(::operator new(made.bytes, alignment)),
                   [=](std::byte* p) { ::operator delete(p, alignment); }};
    std::memset(made.memory.get(), 0, made.bytes);
  }
  if (tokens_[at].text == "=") {
    if (space == Space::shared) tokens_.refuse(at, "shared memory has no first value");
    ++at;
    std::size_t written = 0;
    const bool list = tokens_[at].text == "{";
    if (list) ++at;
    for (;;) {
      const bool minus = tokens_[at].text == "-";
      if (minus) ++at;
      std::uint64_t bits = count(tokens_, at++);
      if (minus) bits = -bits;
      if (written + element > made.bytes) tokens_.refuse(at, "more values than the variable holds");
      std::memcpy(made.memory.get() + written, &bits, element);
      written += element;
      if (!list || tokens_[at].text != ",") break;
      ++at;
    }
    if (list) at = tokens_.expect(at, "}");
  }
  at = tokens_.expect(at, ";");
  variables_[name] = std::move(made);
}

std::vector<Parameter> Module::parameters(std::size_t& at) {
  std::vector<Parameter> all;
  std::size_t end = 0;
  at = tokens_.expect(at, "(");
  while (tokens_[at].text != ")") {
    at = tokens_.expect(at, ".param");
    std::size_t element = 0, alignment = 1;
    for (; element == 0; ++at) {
      if (tokens_[at].text == ".align")
        alignment = count(tokens_, ++at);
      else if (tokens_[at].text == ".ptr" || tokens_[at].text == ".global")
        continue;
      else if ((element = bytes_of_type(tokens_[at].text)) == 0)
        tokens_.refuse(at, "a parameter's type is expected");
    }
    while (tokens_[at].text == ".ptr" || tokens_[at].text == ".global" ||
           tokens_[at].text == ".align")
      at += tokens_[at].text == ".align" ? 2 : 1;
    Parameter made{std::string(tokens_[at++].text), 0, element, std::max(alignment, element)};
    if (tokens_[at].text == "[") {
      made.bytes = element * count(tokens_, at + 1);
      at = tokens_.expect(at + 2, "]");
    }
    made.offset = end = (end + made.alignment - 1) / made.alignment * made.alignment;
    end += made.bytes;
    all.push_back(std::move(made));
    if (tokens_[at].text == ",") ++at;
  }
  ++at;
  return all;
}

void Module::function(std::size_t& at, bool entry) {
  Function made;
  made.entry = entry;
  if (tokens_[at].text == "(") made.results = parameters(at);
  const std::string name(tokens_[at++].text);
  if (tokens_[at].text == "(") made.parameters = parameters(at);
  while (tokens_[at].text != "{" && tokens_[at].text != ";") {
    if (tokens_[at].text == ".maxntid")
      made.most_threads = static_cast<int>(count(tokens_, at + 1));
    else if (at >= tokens_.size())
      tokens_.refuse(at, "a body is missing");
    ++at;  // .minnctapersm, .noreturn and the numbers of these
  }
  if (tokens_[at].text == ";") {  // says only that there is one
    ++at;
    return;
  }
  made.body = at + 1;
  at = tokens_.after_block(at);
  made.end = at - 1;
  functions_[name] = std::move(made);
}

}  // namespace cohort::ptx
