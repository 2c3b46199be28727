#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
"""docs/api/filter.py FILE: prints a header or a Markdown page of ours as Doxygen wants to read it.

A header: its first lines become the file's documentation, what it declares joins the group of its folder, the
sections of a doc comment (Shapes, Units, ...) become paragraphs, code that is indented becomes a code block, of a
template and its constrained specialisation ("Chosen only when") the one that is meant is shown,
everything else in a comment is plain text (`<` is no HTML). A // behind a member documents it. No line is added or
taken, so warnings name the right one. A page: headings get names, and links find them.
"""
import pathlib
import re
import sys

SECTIONS = "Shapes|Units|Comm|Cost|Errors|Laws|Source|Rule|Returns"
COMMENT = re.compile(r"^(\s*)///(?: (.*))?$")
SECTION = re.compile(rf"^({SECTIONS}) {{2,}}(\S.*)$")
FIELD = re.compile(r"^( {2,}(?!return\b|throw\b|using namespace\b|if\b|for\b|else\b)[\w:]"
                   r"(?:[^/(\"]|\(\)|/(?!/))*[;,]) +// (?!clang-format)(.*)$")
# A template that only says why its arguments were refused, in front of the one that is meant, which is constrained.
REFUSES = "Chosen only when "
REFUSED = re.compile(r"(template <.*>) struct (\w+)")
MEANT = re.compile(r"^(.*\bstruct (\w+))<.*?>(?= [:{]|;)(.*)$")
ROOT = "entry"  # the group of include/cohort/*.hpp


def plain(text):
    """Text in which nothing is a command, HTML or the begin of a list, but for what is between backticks."""
    parts = re.split(r"(`[^`]*`)", text)
    for i in range(0, len(parts), 2):
        part = re.sub(r"([\\@<>#%&$]|(?<!\w)::)", r"\\\1", parts[i])
        parts[i] = re.sub(r"\b(?=Out\b|One )", "%", part)  # mostly a number, not the type
    return re.sub(r"^(\d+)\. ", r"\1\\. ", re.sub(r"^(?=[+*] )", r"\\", "".join(parts)))


def header(lines, group):
    """The lines of a header."""
    top = next(i for i, line in enumerate(lines) if line.startswith("#pragma once"))
    # "// cohort/nn/linear.hpp: y = x W^T + b.", which may go on
    said = " ".join(re.sub(r"^// (cohort/\S+: )?", "", line) for line in lines[2:top])
    result = ["/// \\file", f"/// \\in_group{{{group}}} {plain(said)}"] + [""] * (top - 2) + ["#pragma once"]
    section = code = False
    field_at = -1  # column of the // of a member's comment that the line before ended with
    heads = {}  # of templates that refuse: what stands in front of their names
    refusing = []  # the lines of one so far
    for line in lines[top + 1:]:
        comment = COMMENT.match(line)
        if refusing or line.startswith(f"/// {REFUSES}"):
            refusing.append(line)
            if line == "};":
                head, name = REFUSED.search(" ".join(refusing)).groups()
                heads[name], refusing, line = head, [], "};  /// \\endcond"
            result.append("/// \\cond" if len(refusing) == 1 else line)
            continue
        meant = MEANT.match(line)
        if meant and meant[2] in heads:  # Doxygen need not know that it is a specialisation
            line = meant[1] + meant[3]
            at = max(i for i, before in enumerate(result) if before.startswith("template <"))
            result[at] = heads[meant[2]]
        if not comment:
            if code:  # the comment ended with its code
                result[-1] += " \\endcode"
            section = code = False
            field = FIELD.match(line)
            more = re.match(r"^( *)// (.*)$", line)
            if field:
                field_at = line.index("// ", len(field[1]))
                line = f"{field[1]} ///< {plain(field[2])}"
            elif more and len(more[1]) == field_at:
                line = f"{more[1]}///< {plain(more[2])}"
            else:
                field_at = -1
            result.append(line)
            continue
        indent, text = comment[1], comment[2] or ""
        start = SECTION.match(text)
        if start:
            section = True
            text = f"\\section_of{{{start[1]}}} " + plain(start[2])
        elif not text:
            if code:
                text, code = "\\endcode", False
        elif not section and not code and text.startswith("  ") and result[-1].strip() == "///":
            result[-1] += " \\code{.cpp}"
            code = True
        elif not code:
            text = plain(text.strip())
        if indent == "" and not COMMENT.match(result[-1]):
            text = f"\\in_group{{{group}}} {text}"
        result.append(f"{indent}/// {text}".rstrip())
    return result


def page(lines, name):
    """The lines of a Markdown page: every heading gets the name that GitHub gives it, links go to these names, and
    links to what is no page become text."""
    def link(match):
        target, _, part = match[2].partition("#")
        if "://" in target:
            return match[0]
        if target and not target.endswith(".md"):
            return match[1] if match[1].startswith("`") else f"`{match[1]}`"
        stem = pathlib.Path(target).stem if target else name
        return f"[{match[1]}](@ref page_{stem}{'_' + part if part else ''})"

    code = False
    for line in lines:
        code ^= line.startswith("```")
        heading = None if code else re.match(r"^#+ (.*)$", line)
        if heading:
            slug = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
            if line.startswith("# "):  # Doxygen shows titles as they are written
                line = line.replace("`", "")
            yield f"{line} {{#page_{name}{'' if line.startswith('# ') else '_' + slug}}}"
        else:
            yield line if code else re.sub(r"(?<!!)\[([^][]+)\]\(([^)\s]+)\)", link, line)


def main():
    path = pathlib.Path(sys.argv[1])
    lines = path.read_text(encoding="utf-8").split("\n")
    if path.suffix == ".md":
        result = page(lines, path.stem)
    elif path.suffix != ".hpp":
        result = lines
    else:
        folders = path.parts[path.parts.index("cohort", path.parts.index("include")) + 1:-1]
        result = header(lines, folders[0] if folders else ROOT)
    sys.stdout.write("\n".join(result))


if __name__ == "__main__":
    main()
