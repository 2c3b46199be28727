# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/report/page_check.py: a page as a strict reader sees it: what is wrong with it, its plots, its tables.
from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "input", "br"}
ATTRIBUTES_THAT_LOAD = {"src", "srcset", "href", "xlink:href", "action", "poster", "data", "background"}


class Page(HTMLParser):
    """Reads the page; `problems` is empty when it is well-formed, inert but for its own script, and loads nothing."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.problems, self.open, self.ids, self.tables, self.titles, self.text, self.scripts = [], [], set(), [], [], [], []
        self.plots = 0
        self.points = []  # of every line
        self.feed(text)
        self.close()
        self.problems += [f"<{tag}> is not closed" for tag in self.open]
        if re.search(r"url\((?!#hatch)|@import|https?://(?!www\.w3\.org/)", text):
            self.problems.append("refers to something outside")

    def handle_starttag(self, tag, attributes):
        self.check(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "title":
            self.titles.append("")
        elif tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag, attributes):
        self.check(tag, attributes)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> in {self.open[-3:]} at {self.getpos()}")
        else:
            self.open.pop()

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        if inside in ("td", "th"):
            self.tables[-1][-1][-1] += data
        elif inside == "title":
            self.titles[-1] += data
        elif inside == "script":
            self.scripts[-1] += data
        if inside not in ("script", "style"):
            self.text.append(data)

    def check(self, tag, attributes):
        names = [name for name, _ in attributes]
        if len(set(names)) != len(names):
            self.problems.append(f"<{tag}> repeats an attribute at {self.getpos()}")
        for name, value in attributes:
            if name.startswith("on") or (name in ATTRIBUTES_THAT_LOAD and not (value or "").startswith("#")):
                self.problems.append(f"<{tag} {name}={value}> at {self.getpos()}")
            if re.search(r"\b(nan|inf|infinity)\b", value or "", re.I) and name in (
                "d",
                "x",
                "y",
                "x1",
                "cx",
                "cy",
                "width",
                "height",
                "viewbox",
                "data-points",
            ):
                self.problems.append(f"<{tag} {name}> is not finite at {self.getpos()}")
            if name == "id":
                if value in self.ids:
                    self.problems.append(f"two ids {value}")
                self.ids.add(value)
            if name == "data-points":
                self.points.append((dict(attributes)["data-name"], value))
        if tag in ("img", "iframe", "object", "embed", "link", "form", "base"):
            self.problems.append(f"<{tag}> at {self.getpos()}")
        if tag == "svg" and "plot" in (dict(attributes).get("class") or ""):
            self.plots += 1
            if not dict(attributes).get("aria-label"):
                self.problems.append(f"a plot without a text at {self.getpos()}")

    def cells(self):
        return [cell for table in self.tables for row in table for cell in row]

    def words(self):
        return " ".join(self.text)
