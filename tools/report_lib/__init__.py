# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/__init__.py: what tools/report is made of; Python's standard library only.
