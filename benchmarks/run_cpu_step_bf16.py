#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_cpu_step_bf16.py: run_cpu_step.py --bf16: the GPT step in fp32 and in bf16, interleaved.
import sys

import run_cpu_step

if __name__ == "__main__":
    run_cpu_step.main(["--bf16", *sys.argv[1:]])
