#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/mpi/two_hosts.sh: runs PROGRAM as two processes on two hosts: network namespaces joined by a
# veth pair, nothing shared but the wire. Prints the bytes that crossed it. For Open MPI.
# usage: two_hosts.sh MPIRUN PROGRAM [ARGUMENT...]; exit status 77 where namespaces are not permitted.
set -u
skip() { echo "SKIPPED: $1"; exit 77; }
[ "${COHORT_INSIDE:-}" ] || {
  command -v ip >/dev/null && command -v unshare >/dev/null && command -v nsenter >/dev/null ||
    skip "ip, unshare or nsenter is missing"
  "$1" --version 2>/dev/null | grep -q -e "Open MPI" -e OpenRTE || skip "this test starts processes as Open MPI does"
  unshare -n -m true 2>/dev/null || skip "network namespaces are not permitted here"
  COHORT_INSIDE=1 exec unshare -n -m "$0" "$@"  # everything below vanishes with this process
}

mpirun=$1
shift
folder=$(mktemp -d)
unshare -n -m sh -c 'echo $$ >'"$folder"'/pid; exec sleep 600' &
other=$!
trap 'kill "$other" 2>/dev/null; rm -rf "$folder"' EXIT
until [ -s "$folder/pid" ]; do sleep 0.02; done
there() { nsenter -t "$other" -n "$@"; }

ip link add name here type veth peer name there || skip "no veth pair can be made here"
ip link set there netns "$other"
ip addr add 10.77.0.1/24 dev here && ip link set here up && ip link set lo up
there ip addr add 10.77.0.2/24 dev there && there ip link set there up && there ip link set lo up

# What ssh would do: the first argument is the host, the rest the command.
printf '#!/bin/sh\nshift\nexec nsenter -t %s -n -m sh -c "$*"\n' "$other" >"$folder/agent"
chmod +x "$folder/agent"
printf '10.77.0.1 slots=1\n10.77.0.2 slots=1\n' >"$folder/hosts"
bytes() { cat "/sys/class/net/here/statistics/$1" 2>/dev/null || ip -s -s link show here; }

# -x: the two daemons must not share a session folder; both namespaces have this host's name.
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
  "$mpirun" -n 2 --hostfile "$folder/hosts" --map-by node --mca plm_rsh_agent "$folder/agent" \
  --mca btl tcp,self --mca pml ob1 --mca btl_tcp_if_include 10.77.0.0/24 \
  --mca oob_tcp_if_include 10.77.0.0/24 "$@"
code=$?
ip -s -s link show here | awk '/RX:/ {getline; print "received " $1 " bytes"} /TX:/ {getline; print "sent " $1 " bytes"}'
exit $code
