#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/all_reduce.py: gloo's all-reduce (SUM, float32) through torch.distributed.
"""`run BYTES K` answers with the times of K all-reduces of that many bytes on rank 0 (see protocol.py). Every one starts
after the array is written anew and after a barrier, neither of them timed, as in benchmarks/all_reduce.cpp."""

import argparse
import time

import torch
import torch.distributed as dist

import protocol


def run(arguments):
    num_bytes, count = arguments
    values = torch.empty(num_bytes // 4)
    times = []
    for _ in range(count):
        values.fill_(1.0)
        dist.barrier()
        begin = time.perf_counter()
        dist.all_reduce(values)
        times.append(1e6 * (time.perf_counter() - begin))
    return times


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--ranks", type=int, default=2)
    parse.add_argument("--rank", type=int, default=0, help="set by rank 0 for the ranks it starts")
    parse.add_argument("--store", default="", help="likewise")
    args = parse.parse_args()
    torch.set_num_threads(1)
    pipes = protocol.start_world(args.ranks, args.rank, args.store)
    run([4096, 20])
    info = dict(torch=torch.__version__, ranks=args.ranks, backend=dist.get_backend())
    protocol.serve(info, run, pipes) if args.rank == 0 else protocol.follow(run)


if __name__ == "__main__":
    main()
