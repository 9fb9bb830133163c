#!/usr/bin/env python3
"""Processes that unpack blocks, as a loader does, with nothing but Python: an example for `numapin compare` without a GPU.

    numapin compare --configs none,both,smt-off --metric 'speed: ([0-9.]+) MB/s' --higher-is-better -- python3 unpack.py
"""
import argparse
import multiprocessing
import os
import time
import zlib

BLOCK = zlib.compress(bytes(range(256)) * 4096, 6)  # 1 MiB unpacked


def unpack(count):
    return sum(len(zlib.decompress(BLOCK)) for _ in range(count))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--blocks", type=int, default=400, help="of 1 MiB, for each process")
    options = parser.parse_args()
    start = time.perf_counter()
    with multiprocessing.Pool(options.processes) as pool:
        done = sum(pool.map(unpack, [options.blocks] * options.processes, chunksize=1))
    print(f"speed: {done / 1e6 / (time.perf_counter() - start):.1f} MB/s")


if __name__ == "__main__":
    main()
