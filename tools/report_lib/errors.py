# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/errors.py: what can be wrong with an input.


class ReportError(Exception):
    """One sentence that begins with the file, and the line where there is one."""


class NotOurs(ReportError):
    """The file is none of the kinds a report is made of; in a folder such files are left out."""
