#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/report/check_browser.py: a browser opens a report: its script runs to the end and every plot has a size.
"""usage: check_browser.py [--keep FOLDER]   keeps the screenshots there; ends with 77 where there is no Chromium"""

from __future__ import annotations

import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import samples  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZES = ((1920, 1400), (390, 2600))
failures = []


def check(holds, sentence):
    print(("ok      " if holds else "FAILED  ") + sentence)
    if not holds:
        failures.append(sentence)


def browse(browser, profile, page, *options):
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", f"--user-data-dir={profile}"]
    command += ["--virtual-time-budget=5000", *options, page.resolve().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def pixels(png):
    """Width, height, and how many different bytes the picture's data has: a blank one has few."""
    data = png.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    image, at = b"", 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"IDAT":
            image += data[at + 8 : at + 8 + size]
        at += 12 + size
    return width, height, len(set(zlib.decompress(image)))


def attribute(dom, name):
    found = re.search(rf'<html[^>]* data-{name}="([^"]*)"', dom)
    return found[1] if found else None


def opens(browser, profile, page, folder):
    """The page in each size, light and dark."""
    written = len(re.findall(r'class="plot"', page.read_text(encoding="utf-8")))
    for width, height in SIZES:
        done = browse(browser, profile, page, f"--window-size={width},{height}", "--dump-dom")
        about = f"{page.stem} at {width} px: "
        check(attribute(done.stdout, "report") == "ready", f"{about}the script ran to its end ({attribute(done.stdout, 'report')})")
        check(attribute(done.stdout, "plots") == str(written) and written > 0, f"{about}{written} plots")
        check(attribute(done.stdout, "empty") == "0", f"{about}every plot has a size")
        check(attribute(done.stdout, "wider") == "0", f"{about}nothing is wider than the window")
        for scheme, value in (("light", 1), ("dark", 0)):
            shot = folder / f"{page.stem}-{width}-{scheme}.png"
            browse(browser, profile, page, f"--window-size={width},{height}", f"--blink-settings=preferredColorScheme={value}", f"--screenshot={shot}")
            seen = pixels(shot) if shot.exists() else (0, 0, 0)
            check(seen[:2] == (width, height) and seen[2] > 64, f"{about}a {scheme} screenshot that is not blank {seen}")


def main():
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"there is none of {', '.join(BROWSERS)}: nothing to look with")
        return 77
    with tempfile.TemporaryDirectory() as holder:
        folder = pathlib.Path(holder)
        samples.write(folder)
        kept = pathlib.Path(sys.argv[2]) if sys.argv[1:2] == ["--keep"] else folder
        tool = [sys.executable, "-B", str(ROOT / "tools" / "report")]
        pages = {"runs": [folder / "run.jsonl", folder / "trace.json"], "benchmarks": [ROOT / "benchmarks" / "results"]}
        for name, inputs in pages.items():
            page = folder / f"{name}.html"
            subprocess.run([*tool, page, *inputs], check=True, timeout=60)
            opens(browser, folder / "profile", page, kept)
        broken = folder / "broken.html"  # the check itself: a script that fails is seen
        broken.write_text((folder / "runs.html").read_text(encoding="utf-8").replace('"use strict";', '"use strict"; window.DOMPoint = null;', 1).replace("function readout(plot) {", "function readout(plot) { missing();"), encoding="utf-8")
        done = browse(browser, folder / "profile", broken, "--dump-dom")
        check((attribute(done.stdout, "report") or "").startswith("error"), "a script that fails is seen")
    print(f"{len(failures)} failed")
    return len(failures) > 0


if __name__ == "__main__":
    sys.exit(main())
