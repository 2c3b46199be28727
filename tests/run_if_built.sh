#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/run_if_built.sh: runs a test program that is not part of `all`; 77 (skipped) where it was not built.
if [ ! -x "$1" ]; then
  echo "$1 was not built: it is part of the target cuda_compile."
  exit 77
fi
exec "$@"
