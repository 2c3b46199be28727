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
            browse(
                browser, profile, page, f"--window-size={width},{height}", f"--blink-settings=preferredColorScheme={value}", f"--screenshot={shot}"
            )
            seen = pixels(shot) if shot.exists() else (0, 0, 0)
            check(seen[:2] == (width, height) and seen[2] > 64, f"{about}a {scheme} screenshot that is not blank {seen}")


def free(text):
    """The page without its policy, so that a test may add to its script."""
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)


USE = """
function at(plot, type) {
  const box = plot.getBoundingClientRect();
  plot.dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }));
}
at(document.querySelector("[data-plot]"), "pointermove");
root.dataset.values = tip.hidden ? "" : tip.textContent;
at(document.querySelector(".span"), "pointermove");
root.dataset.span = tip.hidden ? "" : tip.textContent;
document.querySelector("[data-toggle]").click();
root.dataset.off = document.querySelectorAll("[data-key].off").length;
const first = document.querySelector(".span rect"), before = first.getAttribute("width");
for (const what of ["in", "in", "out", "out"]) document.querySelector(`[data-zoom=${what}]`).click();
root.dataset.same = before - first.getAttribute("width");
document.querySelector("[data-zoom=in]").click();
root.dataset.hidden = document.querySelectorAll(".span.off").length;
"""


def uses(browser, profile, page):
    """Pointer, legend and zoom, as a reader would use them; and a script that somebody else put in."""
    text = page.read_text(encoding="utf-8")
    used = page.with_name("used.html")
    used.write_text(free(text).replace("</body>", f"<script>{USE}</script></body>"), encoding="utf-8")
    dom = browse(browser, profile, used, "--window-size=1400,1000", "--dump-dom").stdout
    check(attribute(dom, "report") == "ready", f"used: no error ({attribute(dom, 'report')})")
    check(
        re.match(r"step 1\d\d.*run: [0-9.]+", attribute(dom, "values") or "", re.S), f"used: values under the pointer ({attribute(dom, 'values')!r})"
    )
    check(" of compute, from " in (attribute(dom, "span") or ""), f"used: a span under the pointer ({attribute(dom, 'span')!r})")
    check(int(attribute(dom, "off") or 0) > 5, f"used: a legend's button hides its lines ({attribute(dom, 'off')})")
    check(abs(float(attribute(dom, "same") or 9)) < 0.2, f"used: in and out again is where it was ({attribute(dom, 'same')})")
    check(int(attribute(dom, "hidden") or 0) > 2, f"used: zooming hides what is outside ({attribute(dom, 'hidden')})")
    foreign = page.with_name("foreign.html")
    foreign.write_text(text.replace("<main>", "<main><script>document.documentElement.dataset.foreign = 1</script>"), encoding="utf-8")
    dom = browse(browser, profile, foreign, "--dump-dom").stdout
    check(attribute(dom, "foreign") is None and attribute(dom, "report") == "ready", "a foreign script does not run, the page's own does")


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
        uses(browser, folder / "profile", folder / "runs.html")
        broken = folder / "broken.html"  # the check itself: a script that fails is seen
        text = free((folder / "runs.html").read_text(encoding="utf-8"))
        broken.write_text(text.replace("function readout(plot) {", "function readout(plot) { missing();"), encoding="utf-8")
        done = browse(browser, folder / "profile", broken, "--dump-dom")
        check((attribute(done.stdout, "report") or "").startswith("error"), "a script that fails is seen")
    print(f"{len(failures)} failed")
    return len(failures) > 0


if __name__ == "__main__":
    sys.exit(main())
