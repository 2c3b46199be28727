// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/module.hpp: one text of PTX: its kernels, decoded when they are asked for.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <support/ptx/program.hpp>
#include <support/ptx/tokens.hpp>
#include <vector>

namespace cohort::ptx {

/// A variable of global, constant or shared memory, outside kernels.
struct Variable {
  Space space = Space::global;
  std::size_t bytes = 0, alignment = 1;  // 0 bytes: as long as the launch says
  std::shared_ptr<std::byte> memory;     // of global and constant ones
};

struct Function {
  bool entry = false;
  int most_threads = 1024;
  std::vector<Parameter> parameters, results;
  std::size_t body = 0, end = 0;  // tokens between its braces
};

/// A translation unit's PTX, as nvcc writes it (.version 7.0 to 9.x, 64-bit addresses).
///
/// Errors   Mistake, with the line of the text, for anything that the machine does not know: nothing is
///          passed over. Bodies are looked at when a kernel is asked for.
class Module {
 public:
  explicit Module(std::string text);

  bool has(const std::string& kernel) const;
  std::vector<std::string> kernels() const;
  /// Decoded once; any thread.
  const Program& program(const std::string& kernel);

  const std::map<std::string, Function, std::less<>>& functions() const { return functions_; }
  const std::map<std::string, Variable, std::less<>>& variables() const { return variables_; }
  const Tokens& tokens() const { return tokens_; }

 private:
  void top_level();
  void variable(std::size_t& at, Space space);
  void function(std::size_t& at, bool entry);
  std::vector<Parameter> parameters(std::size_t& at);

  std::string text_;
  Tokens tokens_;
  std::map<std::string, Function, std::less<>> functions_;
  std::map<std::string, Variable, std::less<>> variables_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Program>, std::less<>> programs_;
};

}  // namespace cohort::ptx
