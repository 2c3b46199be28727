// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/meeting.hpp: the port where ranks will meet: free, or taken by whom; the machine that it is on.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cohort/comm/meeting_point.hpp>
#include <cohort/core/error.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/launcher.hpp>
#include <cohort/doctor/network.hpp>
#include <cohort/doctor/system.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::checkup {

/// Binds the port of all IPv4 addresses, as NCCL's rank 0 will, and lets it go. 0: the system chooses one.
/// The port, 0 if it is taken, -1 if it may not be had.
inline int try_port(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return -1;
  const int on = 1;  // what a job of a minute ago left behind is no hindrance
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  socklen_t size = sizeof address;
  int result = ntohs(address.sin_port);
  if (::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    result = errno == EADDRINUSE ? 0 : -1;
  else if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    result = ntohs(address.sin_port);
  ::close(socket);
  return result;
}

/// Who listens on a port: "python3 (process 4711)"; "another user's program" if that cannot be seen.
///
/// Source   proc_net_tcp: the second column is address:port in hexadecimal, the fourth 0A for
///          listening, the tenth the inode.
inline std::string listener(const System& system, int port) {
  char ending[8];
  std::snprintf(ending, sizeof ending, ":%04X", static_cast<unsigned>(port));
  std::vector<std::string> sockets;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    for (const std::string& line : split(read(system, table).value_or(""), '\n')) {
      const auto columns = split(line, ' ');
      if (columns.size() > 9 && columns[1].ends_with(ending) && columns[3] == "0A")
        sockets.push_back("socket:[" + columns[9] + "]");
    }
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  for (const std::string& process : names_in(system, "/proc")) {
    if (!number(process) || std::chrono::steady_clock::now() > end) continue;
    for (const std::string& file : names_in(system, "/proc/" + process + "/fd")) {
      std::error_code ignored;
      const auto target =
          std::filesystem::read_symlink(system.root / "proc" / process / "fd" / file, ignored);
      if (std::find(sockets.begin(), sockets.end(), target.string()) != sockets.end())
        return phrase(read_line(system, "/proc/" + process + "/comm"), " (process ", process, ")");
    }
  }
  return "a program of another user or container";
}

namespace detail {

/// "[fe80::1]:29500" and "node-a:29500" in two.
inline std::pair<std::string, int> host_and_port(const std::string& point) {
  const std::size_t colon = point.rfind(':');
  std::string host = point.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {host, static_cast<int>(number(point.substr(colon + 1)).value_or(0))};
}

inline void port(const System& system, int port, bool asked_for, Findings& out) {
  const std::string name = phrase("port ", port);
  const std::string unasked = asked_for ? "" : ", torchrun's default";
  const int got = try_port(port);
  if (got > 0) return out.ok(name, "free" + unasked);
  const int other = try_port(0);
  const std::string choice =
      phrase("Take another one, the same for all ranks: MASTER_PORT=", other > 0 ? other : 29600,
             " is free now");
  if (got < 0)
    out.problem(name, "may not be taken: below 1024 it is the system's", choice + ".");
  else if (asked_for)
    out.problem(name, "taken by " + listener(system, port), choice + ", or end that program.");
  else
    out.note(name, phrase("taken by ", listener(system, port), unasked),
             choice + " (torchrun --master-port).");
}

}  // namespace detail

/// The machine and the port of MASTER_ADDR and MASTER_PORT, or NCCL_COMM_ID; where they are not set, port 29500.
/// `resolve(name)` gives addresses as addresses_of does.
template <class Resolve>
std::vector<Finding> meeting(const System& system, const std::vector<Interface>& all,
                             const Resolve& resolve) {
  Findings out("network");
  const Environment& environment = system.environment;
  if (environment("MASTER_PORT") == nullptr && environment("NCCL_COMM_ID") == nullptr) {
    detail::port(system, 29500, false, out);
    return out.take();
  }
  std::string point;
  try {
    point = cohort::detail::nccl_meeting_point(launcher_of(environment), environment);
  } catch (const Error&) {
    return out.take();  // checkup::launcher says it
  }
  const auto [host, port] = detail::host_and_port(point);
  const auto addresses = resolve(host);
  if (!addresses) {
    out.warning("rank 0's machine", phrase(host, ": no name server answered within 1 s"),
                "Give its address, such as 10.0.0.1, instead of its name.");
    return out.take();
  }
  if (addresses->empty()) {
    out.problem("rank 0's machine", phrase(host, " has no address"),
                "Give the address of rank 0's machine, such as 10.0.0.1, or correct the name.");
    return out.take();
  }
  const bool loopback = std::all_of(addresses->begin(), addresses->end(), is_loopback);
  const bool here =
      loopback || std::any_of(all.begin(), all.end(), [&](const Interface& i) {
        return std::any_of(i.addresses.begin(), i.addresses.end(), [&](const std::string& a) {
          return std::find(addresses->begin(), addresses->end(), a) != addresses->end();
        });
      });
  const std::string found =
      host == addresses->front() ? host : phrase(host, " is ", addresses->front());
  if (loopback && several_machines(environment)) {
    out.problem(
        "rank 0's machine", found + ", which on each machine is that machine itself",
        "Set MASTER_ADDR to the address of rank 0's machine on the network that all share.");
    return out.take();
  }
  if (!here) {
    out.ok("rank 0's machine",
           phrase(found, ", another one; its port ", port, " is not tried from here"));
    return out.take();
  }
  out.ok("rank 0's machine", found + ", this one");
  detail::port(system, port, true, out);
  return out.take();
}
/// Where ranks of several processes meet: address and port.
inline std::vector<Finding> meeting(const System& system) {
  return meeting(system, interfaces(), addresses_of);
}

}  // namespace cohort::checkup
