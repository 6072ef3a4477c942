"""
Generated programs through the library and through the Python evaluation: ``run.py [--programs N] [--seed S] [--jobs J]``.

Prints each difference with the program's source and exits with 1 when there is one. A module holds 40 programs; its seed
makes it again: ``run.py --seed S --programs 40``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import generate

import reml_embed as reml

PER_MODULE = 40


def compare(seed: int) -> list[str]:
    """Differences of one module, as text."""
    sys.setrecursionlimit(20_000)
    source, expected = generate.module(seed, PER_MODULE)
    found: list[str] = []
    with reml.Context() as context:
        try:
            module = context.load(source)
        except reml.LoadError as error:
            return [f"seed {seed} does not load:\n{error}\n"]
        for index, wanted in enumerate(expected):
            try:
                answer = str(module[f"p{index}"]())
            except reml.RunError as error:
                answer = f"panic {error.code}"
            if answer != wanted:
                start = source.index(f"fn v{index}(")
                end = source.index(f"fn p{index}(")
                found.append(f"seed {seed}, p{index}: {answer!r}, expected {wanted!r}\n{source[start:end]}")
    return found


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--programs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + max(1, options.programs // PER_MODULE))
    start = time.monotonic()
    differences = 0
    with multiprocessing.Pool(options.jobs) as pool:
        for texts in pool.imap_unordered(compare, seeds, chunksize=4):
            for text in texts:
                differences += 1
                print(text)
    print(f"{len(seeds) * PER_MODULE:,} programs, {differences} differences, {time.monotonic() - start:.0f} s")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
