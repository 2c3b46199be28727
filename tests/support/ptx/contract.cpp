// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/contract.cpp: which product a sum takes, and whether that product still holds there.
#include <support/ptx/contract.hpp>
#include <support/ptx/operations.hpp>
#include <unordered_map>

namespace cohort::ptx {

namespace {
/// "add.f32" of "@%p1 add.f32 %f1, ..."
std::string_view name_of(const Instruction& i) {
  std::string_view text = i.text;
  if (i.guarded) text.remove_prefix(std::min(text.find_first_of(" \t"), text.size()));
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text.substr(0, text.find_first_of(" \t"));
}
}  // namespace

int contract(Program& program) {
  std::unordered_map<std::uint32_t, int> definitions;  // of a register, by its place
  std::unordered_map<std::uint32_t, std::size_t> products;
  for (std::size_t n = 0; n < program.code.size(); ++n) {
    const Instruction& i = program.code[n];
    for (std::size_t k = 0; k < i.outputs; ++k) ++definitions[i.to[k].offset];
    const std::string_view name = name_of(i);
    if (!i.guarded && (name == "mul.f32" || name == "mul.f64")) products[i.to[0].offset] = n;
  }
  const auto once = [&](const Operand& o) {
    return o.constant != nullptr || definitions[o.offset] == 1;
  };
  const auto product = [&](const Operand& o) -> const Instruction* {
    const auto found = o.constant != nullptr ? products.end() : products.find(o.offset);
    if (found == products.end() || !once(o)) return nullptr;
    const Instruction& mul = program.code[found->second];
    return once(mul.from[0]) && once(mul.from[1]) ? &mul : nullptr;
  };
  int fused = 0;
  for (Instruction& i : program.code) {
    const std::string_view name = name_of(i);
    const bool adds = name == "add.f32" || name == "add.f64";
    if (!adds && name != "sub.f32" && name != "sub.f64") continue;
    const std::string type(name.substr(4));
    const Instruction* first = product(i.from[0]);
    const Instruction* second = first == nullptr ? product(i.from[1]) : nullptr;
    const Instruction* mul = first != nullptr ? first : second;
    if (mul == nullptr) continue;
    const Operand rest = i.from[first != nullptr ? 1 : 0];
    const char* how = adds ? "fma.rn." : first != nullptr ? "(fms)." : "(fnma).";
    i.execute = operation(how + type)->execute;
    i.inputs = 3;
    i.from[0] = mul->from[0], i.from[1] = mul->from[1], i.from[2] = rest;
    ++fused;
  }
  return fused;
}

}  // namespace cohort::ptx
