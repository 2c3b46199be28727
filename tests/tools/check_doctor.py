#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
"""check_doctor.py PROGRAM SCRIPT: exit codes, JSON, terminals and broken environments of cohort-doctor and tools/doctor."""
import fcntl
import json
import os
import pty
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import unittest

PROGRAM, SCRIPT = sys.argv[1:3]
# Nothing of whoever runs the tests: no launcher, no NCCL.
PLAIN = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "TERM": "xterm"}


def run(*arguments, program=PROGRAM, **variables):
    environment = {**PLAIN, **variables}
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, timeout=60)


def findings(*arguments, **variables):
    """(exit status, {(area, name): finding}) of --json."""
    done = run("--json", *arguments, **variables)
    report = json.loads(done.stdout)
    for finding in report["findings"]:
        assert set(finding) == {"area", "name", "verdict", "found", "fix"}, finding
        assert finding["verdict"] in ("ok", "note", "warning", "problem"), finding
        assert (finding["fix"] == "") == (finding["verdict"] == "ok"), finding
    order = ["ok", "note", "warning", "problem"]
    assert report["worst"] == max((f["verdict"] for f in report["findings"]), key=order.index)
    assert done.returncode == (1 if report["worst"] == "problem" else 0), done
    return done.returncode, {(f["area"], f["name"]): f for f in report["findings"]}


def on_terminal(columns, **variables):
    """What the program writes to a terminal of so many columns."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    child = subprocess.Popen([PROGRAM], env={**PLAIN, **variables}, stdout=terminal, stdin=subprocess.DEVNULL)
    os.close(terminal)
    text = b""
    while True:
        try:
            some = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        text += some
    child.wait(timeout=60)
    os.close(master)
    return text.decode().replace("\r\n", "\n")


class Doctor(unittest.TestCase):
    def test_as_it_is(self):
        _, found = findings()
        for area in ("cores", "memory", "programs", "launcher", "network", "disk"):
            self.assertTrue(any(a == area for a, _ in found), area)
        self.assertEqual(found["launcher", "launcher"]["verdict"], "ok")

    def test_command_line(self):
        self.assertEqual(run("--help").returncode, 0)
        self.assertEqual(run("--nonsense").returncode, 2)
        self.assertEqual(run("--directory").returncode, 2)
        self.assertIn("usage", run("--nonsense").stderr)

    def test_half_of_torchrun(self):
        status, found = findings(RANK="1")
        self.assertEqual(status, 1)
        launcher = found["launcher", "launcher"]
        self.assertEqual(launcher["verdict"], "problem")
        self.assertIn("RANK is set but WORLD_SIZE is missing", launcher["found"])
        self.assertEqual(launcher["fix"], "Set both, or neither.")
        self.assertEqual(run(RANK="1").returncode, 1)

    def test_port_in_use(self):
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            port = listening.getsockname()[1]
            whole = dict(RANK="0", WORLD_SIZE="2", LOCAL_RANK="0", LOCAL_WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
            status, found = findings(MASTER_PORT=str(port), **whole)
            self.assertEqual(status, 1)
            taken = found["network", f"port {port}"]
            self.assertEqual(taken["verdict"], "problem")
            self.assertIn(f"(process {os.getpid()})", taken["found"])
            other = re.search(r"MASTER_PORT=(\d+) is free now", taken["fix"]).group(1)
        _, found = findings(MASTER_PORT=other, **whole)
        self.assertEqual(found["network", f"port {other}"]["verdict"], "ok")
        self.assertEqual(found["launcher", "meeting point"]["verdict"], "ok")

    def test_absent_interface(self):
        status, found = findings(NCCL_SOCKET_IFNAME="no-such-interface")
        self.assertEqual(status, 1)
        self.assertEqual(found["network", "NCCL_SOCKET_IFNAME"]["found"], "no-such-interface is not here")

    def test_directory(self):
        with tempfile.TemporaryDirectory() as folder:
            _, found = findings("--directory", folder)
            self.assertIn(folder, found["disk", "room"]["found"])
            self.assertEqual(os.listdir(folder), [])
        _, found = findings("--directory", "/no/such/folder")
        self.assertEqual(found["disk", "here"]["verdict"], "warning")

    def test_terminal(self):
        self.assertNotIn("\033", run().stdout)
        for columns in (50, 80, 132):
            text = on_terminal(columns)
            self.assertIn("\033[", text)
            plain = re.sub("\033\\[[0-9;]*m", "", text)
            for line in plain.split("\n"):  # only a word that is wide itself, a path, may stand out
                if len(line) > columns:
                    self.assertGreater(len(line.split(" ")[-1]), columns - 40, line)
        self.assertNotIn("\033", on_terminal(80, NO_COLOR="1"))
        self.assertNotIn("\033", on_terminal(80, TERM="dumb"))

    def test_script_without_compiler(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("bash", "cut", "dirname", "env", "grep", "head", "sed", "sort", "tr"):
                os.symlink(shutil.which(name), os.path.join(folder, name))
            done = run("--json", program=SCRIPT, PATH=folder)
            report = json.loads(done.stdout)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(report["worst"], "problem")
            compiler = report["findings"][0]
            self.assertEqual((compiler["verdict"], compiler["found"]), ("problem", "none"))
            with open(os.path.join(folder, "g++"), "w") as old:
                old.write("#!/bin/sh\necho 9\n")
            os.chmod(old.name, 0o755)
            done = run(program=SCRIPT, PATH=folder)
            self.assertEqual(done.returncode, 1)
            self.assertIn("g++ 9: too old", done.stdout)
            self.assertEqual(done.stderr, "")
        self.assertEqual(run("--nonsense", program=SCRIPT).returncode, 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
