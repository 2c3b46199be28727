// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/network_test.cpp: interfaces and names that work, and those that do not.
#include <cohort/doctor/network.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using checkup::Host, checkup::Interface;
using test::FakeSystem, test::contains, test::found;

namespace {

const Interface lo{"lo", true, true, {"127.0.0.1", "::1"}}, eth0{"eth0", true, false, {"10.0.0.5"}},
    ib0{"ib0", true, false, {"10.1.0.5"}}, eth1{"eth1", false, false, {"10.2.0.5"}},
    eth2{"eth2", true, false, {}}, docker{"docker0", true, false, {"172.17.0.1"}};
const std::vector<Interface> usual{lo, eth0, docker};
const Host good{"node-a", {{"10.0.0.5"}}};

std::vector<Finding> with(const std::vector<Interface>& all, const Host& host = good,
                          checkup::Environment::Variables variables = {}) {
  FakeSystem fake;
  fake.variables(std::move(variables));
  const auto findings = checkup::network(fake.system, all, host);
  CHECK(test::all_say_what_helps(findings));
  return findings;
}
Finding chosen(const char* value, const char* variable = "NCCL_SOCKET_IFNAME") {
  return found(with({lo, eth0, eth1, eth2, ib0, docker}, good, {{variable, value}}), variable);
}

}  // namespace

TEST_CASE("network: one network is well, a container's bridge is none, loopback only is said") {
  CHECK(worst(with(usual)) == Verdict::ok);
  CHECK(found(with(usual), "interfaces").found == "eth0 10.0.0.5");
  CHECK(found(with({lo, docker}), "interfaces").found == "loopback only");
  CHECK(found(with({lo, eth1, eth2}), "interfaces").verdict == Verdict::note);
}

TEST_CASE("network: several networks want a choice, unless it was made") {
  const Finding f = found(with({lo, eth0, ib0}), "interfaces");
  CHECK(f.verdict == Verdict::note);
  CHECK(f.found == "eth0 10.0.0.5, ib0 10.1.0.5");
  CHECK(contains(f.fix, "NCCL_SOCKET_IFNAME=eth0"));
  CHECK(found(with({lo, eth0, ib0}, good, {{"NCCL_SOCKET_IFNAME", "ib0"}}), "interfaces").verdict ==
        Verdict::ok);
}

TEST_CASE(
    "network: NCCL_SOCKET_IFNAME that names an interface that is absent, down, without address") {
  CHECK(chosen("ib0").verdict == Verdict::ok);
  CHECK(chosen("eth").verdict == Verdict::ok);  // beginnings of names
  CHECK(chosen("=ib0").verdict == Verdict::ok);
  CHECK(chosen("^docker,lo").found == "all but docker,lo");
  CHECK(chosen("^none").verdict == Verdict::ok);
  CHECK(chosen("ens3").verdict == Verdict::problem);
  CHECK(chosen("ens3").found == "ens3 is not here");
  CHECK(contains(chosen("ens3").fix, "eth0 or ib0"));
  CHECK(chosen("=eth").verdict == Verdict::problem);  // a whole name
  CHECK(chosen("=eth1").found == "eth1 is down");
  CHECK(chosen("eth2").found == "eth2 has no address");
  CHECK(chosen("ens3,ib0").verdict == Verdict::note);
  CHECK(chosen("ens3,ib0").found == "ens3 is not here; ib0 is used");
}

TEST_CASE("network: Open MPI's variable has whole names and networks") {
  const char* variable = "OMPI_MCA_btl_tcp_if_include";
  CHECK(chosen("eth0", variable).verdict == Verdict::ok);
  CHECK(chosen("10.0.0.0/24", variable).verdict == Verdict::ok);
  CHECK(chosen("eth", variable).verdict == Verdict::problem);
}

TEST_CASE("network: a name without address, without answer, or that means this machine only") {
  CHECK(found(with(usual, {"node-a", {{}}}), "host name").verdict == Verdict::warning);
  CHECK(contains(found(with(usual, {"node-a", {{}}}), "host name").fix,
                 "'10.0.0.5 node-a' into /etc/hosts"));
  CHECK(contains(found(with(usual, {"node-a", {}}), "host name").found, "no name server answered"));
  const Host debian{"node-a", {{"127.0.1.1"}}};
  CHECK(found(with(usual, debian), "host name").verdict == Verdict::note);
  const Finding f = found(with(usual, debian, {{"SLURM_JOB_NUM_NODES", "2"}}), "host name");
  CHECK(f.verdict == Verdict::warning);
  CHECK(contains(f.found, "node-a is 127.0.1.1"));
  CHECK(found(with(usual, {"node-a", {{"127.0.1.1", "10.0.0.5"}}}), "host name").verdict ==
        Verdict::ok);
}

TEST_CASE("network: this machine's own, in bounded time") {
  const auto begin = std::chrono::steady_clock::now();
  const auto all = checkup::interfaces();
  CHECK(std::any_of(all.begin(), all.end(), [](const Interface& i) { return i.loopback; }));
  const auto local = checkup::addresses_of("127.0.0.1");
  REQUIRE(local);
  CHECK(local->at(0) == "127.0.0.1");
  const auto none = checkup::addresses_of("no-such-host.invalid");
  if (none) CHECK(none->empty());
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}
