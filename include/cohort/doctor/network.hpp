// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/network.hpp: interfaces and their addresses, the machine's name, and variables that choose among them.
#pragma once
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/launcher.hpp>
#include <cohort/doctor/system.hpp>
#include <cohort/doctor/within.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::checkup {

/// A network interface and its addresses.
struct Interface {
  std::string name;
  bool up = false, loopback = false;
  std::vector<std::string> addresses;  // IPv4, and IPv6 that reach beyond the wire
};

/// "10.0.0.5", "2001:db8::1"; empty for other families.
inline std::string address_text(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address == nullptr) return {};
  const void* bytes = nullptr;
  if (address->sa_family == AF_INET)
    bytes = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  if (address->sa_family == AF_INET6)
    bytes = &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  if (bytes == nullptr ||
      ::inet_ntop(address->sa_family, bytes, text.data(), text.size()) == nullptr)
    return {};
  return text.data();
}
/// Reaches this machine only.
inline bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1";
}

/// Those of this machine.
inline std::vector<Interface> interfaces() {
  std::vector<Interface> all;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return all;
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    const std::string_view name(each->ifa_name);
    auto at =
        std::find_if(all.begin(), all.end(), [&](const Interface& i) { return i.name == name; });
    if (at == all.end()) at = all.insert(all.end(), Interface{std::string(name), false, false, {}});
    at->up = at->up || ((each->ifa_flags & IFF_UP) != 0 && (each->ifa_flags & IFF_RUNNING) != 0);
    at->loopback = (each->ifa_flags & IFF_LOOPBACK) != 0;
    const std::string address = address_text(each->ifa_addr);
    if (!address.empty() && !address.starts_with("fe80:")) at->addresses.push_back(address);
  }
  ::freeifaddrs(list);
  return all;
}

/// The addresses of a name: none if it has none, nothing if no name server answers in time.
inline std::optional<std::vector<std::string>> addresses_of(const std::string& name) {
  return within(std::chrono::milliseconds(1000), [name] {
    std::vector<std::string> found;
    addrinfo hints{}, *list = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (::getaddrinfo(name.c_str(), nullptr, &hints, &list) != 0) return found;
    for (const addrinfo* each = list; each != nullptr; each = each->ai_next)
      if (std::string text = address_text(each->ai_addr); !text.empty())
        found.push_back(std::move(text));
    ::freeaddrinfo(list);
    return found;
  });
}

/// The machine's own name and what it means here.
struct Host {
  std::string name;
  std::optional<std::vector<std::string>> addresses;  // nothing: no answer
};
/// This machine's name, and what it resolves to within a second or two.
inline Host host() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return {name.data(), addresses_of(name.data())};
}

namespace detail {

/// Does a connection to another machine go out here? Bridges of containers and virtual machines do not.
inline bool reaches_out(const Interface& i) {
  const std::string_view n = i.name;
  const bool bridge = n.starts_with("docker") || n.starts_with("veth") || n.starts_with("virbr") ||
                      n.starts_with("br-") || n.starts_with("cni") || n.starts_with("podman") ||
                      n.starts_with("lxc");
  return i.up && !i.loopback && !bridge && !i.addresses.empty();
}

inline std::vector<std::string> names_of(const std::vector<Interface>& all) {
  std::vector<std::string> names;
  for (const Interface& i : all)
    if (reaches_out(i)) names.push_back(i.name);
  return names;
}

/// NCCL_SOCKET_IFNAME=eth,ib (beginnings), =eth0 (whole names), ^docker (all but these);
/// btl_tcp_if_include=eth0 (whole names; networks such as 10.0.0.0/24 are left to Open MPI).
///
/// Source   NCCL User Guide, Environment Variables; ompi_info --param btl tcp.
inline void chosen(const char* variable, std::string_view value, bool whole,
                   const std::vector<Interface>& all, Findings& out) {
  const bool exclude = value.starts_with('^');
  if (exclude || value.starts_with('=')) {
    whole = whole || !exclude;
    value.remove_prefix(1);
  }
  if (value.starts_with('=')) {
    whole = true;
    value.remove_prefix(1);
  }
  const auto fits = [&](const Interface& i, std::string_view name) {
    return whole ? i.name == name : std::string_view(i.name).starts_with(name);
  };
  const auto usable = names_of(all);
  const std::string fix =
      usable.empty() ? phrase("Unset ", variable, ".")
                     : phrase("Unset ", variable, ", or set it to ", listed(usable, " or "),
                              usable.size() > 1 ? ", which all machines share." : ".");
  std::vector<std::string> good, bad;
  for (const std::string& name : split(value, ',')) {
    if (exclude || name.find('/') != name.npos) continue;
    const auto at =
        std::find_if(all.begin(), all.end(), [&](const Interface& i) { return fits(i, name); });
    if (at == all.end())
      bad.push_back(name + " is not here");
    else if (!at->up)
      bad.push_back(name + " is down");
    else if (at->addresses.empty())
      bad.push_back(name + " has no address");
    else
      good.push_back(at->name);
  }
  if (bad.empty()) return out.ok(variable, phrase(exclude ? "all but " : "", value));
  if (good.empty()) return out.problem(variable, listed(bad), fix);
  out.note(variable, phrase(listed(bad), "; ", listed(good), " is used"), fix);
}

inline void list_interfaces(const std::vector<Interface>& all, bool pinned, Findings& out) {
  std::vector<std::string> texts;
  for (const Interface& i : all)
    if (reaches_out(i)) texts.push_back(i.name + " " + i.addresses.front());
  if (texts.empty()) {
    out.note(
        "interfaces", "loopback only",
        "Nothing to do for ranks on this machine alone; for others, connect it (ip -br addr).");
  } else if (texts.size() == 1 || pinned) {
    out.ok("interfaces", listed(texts));
  } else {
    out.note("interfaces", listed(texts),
             phrase("If ranks on several machines do not meet, name the network they share: "
                    "NCCL_SOCKET_IFNAME=",
                    texts.front().substr(0, texts.front().find(' ')),
                    ", or mpirun --mca btl_tcp_if_include with it."));
  }
}

inline void own_name(const Host& host, const std::vector<Interface>& all, bool several,
                     Findings& out) {
  std::string address = "ADDRESS";
  for (const Interface& i : all)
    if (reaches_out(i)) {
      address = i.addresses.front();
      break;
    }
  const std::string fix = phrase("Write the line '", address, " ", host.name,
                                 "' into /etc/hosts instead of another one with this name.");
  if (host.name.empty()) return out.ok("host name", "none");
  if (!host.addresses)
    return out.warning("host name", phrase(host.name, ": no name server answered within 1 s"),
                       phrase("Mend /etc/resolv.conf, or write the line '", address, " ", host.name,
                              "' into /etc/hosts: launchers ask for it."));
  if (host.addresses->empty())
    return out.warning("host name", phrase(host.name, " has no address"),
                       phrase("Write the line '", address, " ", host.name,
                              "' into /etc/hosts: launchers ask for it."));
  const std::string found = phrase(host.name, " is ", listed(*host.addresses));
  if (!std::all_of(host.addresses->begin(), host.addresses->end(), is_loopback))
    return out.ok("host name", found);
  if (several)
    out.warning("host name", found + ": of no use to the other machines", fix);
  else
    out.note("host name", found + ": of no use to other machines",
             "Nothing to do for ranks on this machine alone; for several, give MASTER_ADDR as an "
             "address, and see /etc/hosts.");
}

}  // namespace detail

/// Interfaces, the host's name, and variables that choose between them.
inline std::vector<Finding> network(const System& system,
                                    const std::vector<Interface>& all = interfaces(),
                                    const Host& self = host()) {
  Findings out("network");
  const char* nccl = system.environment("NCCL_SOCKET_IFNAME");
  const char* open_mpi = system.environment("OMPI_MCA_btl_tcp_if_include");
  detail::list_interfaces(all, nccl != nullptr || open_mpi != nullptr, out);
  if (nccl != nullptr) detail::chosen("NCCL_SOCKET_IFNAME", nccl, false, all, out);
  if (open_mpi != nullptr) detail::chosen("OMPI_MCA_btl_tcp_if_include", open_mpi, true, all, out);
  detail::own_name(self, all, several_machines(system.environment), out);
  return out.take();
}

}  // namespace cohort::checkup
