// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/meeting_test.cpp: a port that is taken, by whom; the machine of rank 0.
#include <cohort/doctor/meeting.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using checkup::Interface;
using test::FakeSystem, test::contains, test::found;
using Variables = checkup::Environment::Variables;

namespace {

/// A port that this process listens on.
class Listening {
 public:
  Listening() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket_, 1) == 0);
    REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  ~Listening() { ::close(socket_); }
  int port = 0;

 private:
  int socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

const std::vector<Interface> interfaces{{"eth0", true, false, {"10.0.0.5"}}};
std::optional<std::vector<std::string>> resolve(const std::string& name) {
  if (name == "slow") return std::nullopt;
  if (name == "unknown") return std::vector<std::string>{};
  if (name == "localhost") return std::vector<std::string>{"127.0.0.1", "::1"};
  if (name == "node-a") return std::vector<std::string>{"10.0.0.5"};
  return std::vector<std::string>{name};
}
std::vector<Finding> with(Variables variables, const std::filesystem::path& root = "/") {
  checkup::System system{root, checkup::Environment(std::move(variables))};
  const auto all = checkup::meeting(system, interfaces, resolve);
  CHECK(test::all_say_what_helps(all));
  return all;
}
Variables at(const std::string& host, int port) {
  return {{"MASTER_ADDR", host}, {"MASTER_PORT", std::to_string(port)}};
}

}  // namespace

TEST_CASE("meeting: a free port, and one that this very process listens on") {
  int port = 0;
  {
    const Listening listening;
    port = listening.port;
    CHECK(checkup::try_port(port) == 0);
    const auto all = with(at("node-a", port));
    CHECK(found(all, "rank 0's machine").verdict == Verdict::ok);
    const Finding f = found(all, "port " + std::to_string(port));
    CHECK(f.verdict == Verdict::problem);
    CHECK(contains(f.found, "(process " + std::to_string(::getpid()) + ")"));
    CHECK(contains(f.fix, "MASTER_PORT="));
    CHECK_FALSE(contains(f.fix, "MASTER_PORT=" + std::to_string(port)));
  }
  CHECK(checkup::try_port(port) == port);
  CHECK(worst(with(at("node-a", port))) == Verdict::ok);
  CHECK(checkup::try_port(0) > 0);
}

TEST_CASE("meeting: under torchrun the port after MASTER_PORT counts, which its own store has") {
  const Listening store;
  Variables variables = at("node-a", store.port);
  variables["TORCHELASTIC_RUN_ID"] = "1";
  const auto all = with(variables);
  CHECK(found(all, "port " + std::to_string(store.port)).found == "no such finding");
  CHECK(found(all, "port " + std::to_string(store.port + 1)).found != "no such finding");
}

TEST_CASE("meeting: who listens is read from the tables of the system") {
  FakeSystem fake;
  fake.file("/proc/net/tcp",
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
            "timeout inode\n"
            "   0: 00000000:733C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0     "
            "   0 4711 1 0\n"
            "   1: 0100007F:733D 00000000:0000 01 00000000:00000000 00:00000000 00000000     0     "
            "   0 99 1 0\n");
  CHECK(checkup::listener(fake.system, 29500) == "a program of another user or container");
  fake.file("/proc/123/comm", "python3\n").file("/proc/123/fd/0", "").file("/proc/sys/fd/0", "");
  std::filesystem::create_symlink("socket:[4711]", fake.path() / "proc/123/fd/7");
  std::filesystem::create_symlink("socket:[99]", fake.path() / "proc/123/fd/8");  // it only talks
  CHECK(checkup::listener(fake.system, 29500) == "python3 (process 123)");
  CHECK(checkup::listener(fake.system, 29501) == "a program of another user or container");
}

TEST_CASE("meeting: a machine without address, without answer, elsewhere, or each its own") {
  CHECK(found(with(at("unknown", 29500)), "rank 0's machine").verdict == Verdict::problem);
  CHECK(found(with(at("slow", 29500)), "rank 0's machine").verdict == Verdict::warning);
  const Finding other = found(with(at("10.0.0.9", 29500)), "rank 0's machine");
  CHECK(other.verdict == Verdict::ok);
  CHECK(contains(other.found, "10.0.0.9, another one"));
  Variables two = at("localhost", 29500);
  two["SLURM_JOB_NUM_NODES"] = "2";
  const Finding each = found(with(two), "rank 0's machine");
  CHECK(each.verdict == Verdict::problem);
  CHECK(contains(each.found, "localhost is 127.0.0.1"));
  CHECK(found(with({{"NCCL_COMM_ID", "[fe80::1]:29500"}}), "rank 0's machine")
            .found.starts_with("fe80::1"));
}

TEST_CASE("meeting: no variables: the usual port, and no more than a note if it is taken") {
  CHECK(worst(with({})) <= Verdict::note);
  CHECK(found(with({}), "port 29500").found != "no such finding");
  // What is malformed or half is the launcher's to tell.
  test::FakeSystem fake;
  fake.variables({{"MASTER_PORT", "x"}});
  CHECK(checkup::meeting(fake.system, interfaces, resolve).empty());
}
