// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/command_test.cpp: programs are found, heard, and ended when they are late; versions.
#include <cohort/doctor/command.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using namespace cohort::checkup;
using namespace std::chrono_literals;

namespace {
auto soon() { return std::chrono::steady_clock::now() + 10s; }
}  // namespace

TEST_CASE("command: the first executable of PATH") {
  test::FakeSystem fake;
  fake.file("a/tool", "no program").program("b/tool", "x").program("c/tool", "y");
  const std::string p = fake.path().string();
  const Environment path(
      Environment::Variables{{"PATH", p + "/none:" + p + "/a:" + p + "/b:" + p + "/c"}});
  CHECK(find_program(path, "tool") == p + "/b/tool");
  CHECK(find_program(path, "other") == "");
  CHECK(find_program(Environment::Variables(), "sh") == "");
}

TEST_CASE("command: what a program says, of both outputs, if it ends well and in time") {
  CHECK(Command({"/bin/sh", "-c", "echo one; echo two >&2"}).output(soon()) == "one\ntwo\n");
  CHECK(Command({"/bin/sh", "-c", "cat"}).output(soon()) == "");  // there is no input
  CHECK_FALSE(Command({"/bin/sh", "-c", "echo one; exit 3"}).output(soon()));
  CHECK_FALSE(Command({"/none/such"}).output(soon()));
  CHECK_FALSE(Command({}).output(soon()));
  const auto begin = std::chrono::steady_clock::now();
  CHECK_FALSE(Command({"/bin/sh", "-c", "exec sleep 30"}).output(begin + 50ms));
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("command: what was said in time is heard, however late it is asked for") {
  Command quick({"/bin/sh", "-c", "echo x"}), slow({"/bin/sh", "-c", "exec sleep 30"});
  const auto until = std::chrono::steady_clock::now() + 500ms;
  CHECK_FALSE(slow.output(until));
  CHECK(quick.output(until) == "x\n");
}

TEST_CASE("command: several run at once") {
  std::vector<Command> all;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) all.push_back(Command({"/bin/sh", "-c", "sleep 0.5; echo x"}));
  for (Command& each : all) CHECK(each.output(soon()) == "x\n");
  CHECK(std::chrono::steady_clock::now() - begin < 9s);  // 10 s one after the other
}

TEST_CASE("command: versions in what programs say") {
  CHECK(version_in("12") == Version{{12, 0, 0}});
  CHECK(version_in("cmake version 3.25.1\n") == Version{{3, 25, 1}});
  CHECK(version_in("mpirun (Open MPI) 4.1.4") == Version{{4, 1, 4}});
  CHECK(version_in("Cuda compilation tools, release 13.0, V13.0.48") == Version{{13, 0, 0}});
  CHECK(version_in("x86_64  535.104.05  Sat") == Version{{535, 104, 5}});
  CHECK_FALSE(version_in("no version 7 here"));
  CHECK_FALSE(version_in(""));
  CHECK(Version{{3, 24, 0}} < Version{{3, 25, 1}});
  CHECK(Version{{3, 9, 0}} < Version{{3, 24, 0}});
  CHECK(text(Version{{3, 24, 0}}) == "3.24");
  CHECK(text(Version{{3, 24, 1}}) == "3.24.1");
}
