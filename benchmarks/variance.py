"""Exact variances and principal directions against the plain way: all images in one array, np.var, np.linalg.eigh.

    python -m benchmarks.variance [--rounds 3] [--full] [--dsprites FILE]

Both sides read the same sprites, on a grid whose images fit into memory as one array of doubles. Each measurement is a
process of its own, whose peak memory is that of the kernel (VmHWM), given with and without what the imports take. The
numbers of both sides are compared. `--full` also measures the whole grid of dSprites, 737,280 images of 64 x 64 pixels,
drawn as needed or read from the published file, which the plain way cannot hold. Quiet machines only.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.machine import describe_commit, describe_machine
from disentangle_pl.data.dsprites import DSprites
from disentangle_pl.data.factors import FactorDataset
from disentangle_pl.data.sprites import Sprites
from disentangle_pl.metrics.variance_directions import principal_directions
from disentangle_pl.studies.variance_moments import exact_moments
from disentangle_pl.studies.variance_signal import Signal, image_signal, remembered, slice_index, varying

RESULT = "RESULT "
ANCHORS = 24
TARGET = 180
MIB = 2**20


class Taken(NamedTuple):
    """Of a process: seconds, peak MiB, peak MiB beyond its imports, and the numbers it found."""

    seconds: float
    peak: float
    own: float
    found: list[float]


def grid(small: bool) -> Sprites:
    """Return sprites that fit into memory as doubles: 17,280 of 32 x 32 pixels, or 96 for a quick look."""
    if small:
        return Sprites(16, [0, 1], [0, 5], [0, 7, 20], [0, 31], [0, 10, 20, 31])
    return Sprites(32, None, None, list(range(0, 39, 3))[:12], list(range(0, 32, 4)), list(range(0, 32, 4))[:10])


def our_moments(signal: Signal) -> list[float]:
    """Return total and main effect of every factor, streamed."""
    found = exact_moments(remembered(signal))
    return [number for moments in found.values() for number in (float(moments.amounts.mean()), moments.main)]


def plain_moments(signal: Signal) -> list[float]:
    """Return the same from one array."""
    sizes = signal.space.sizes
    images = signal.at(torch.arange(len(signal.space))).numpy().astype(np.float64).reshape(*sizes, -1)
    numbers = []
    for k in varying(signal.space):
        others = tuple(axis for axis in range(len(sizes)) if axis != k)
        numbers.append(float(np.var(images, axis=k).sum(axis=-1).mean()))
        numbers.append(float(np.var(images.mean(axis=others), axis=0).sum()))
    return numbers


def our_directions(signal: Signal) -> list[float]:
    """Return the mean variance along the first direction of every factor, at the same anchors for both sides."""
    slices = (signal.at(slice_index(signal.space, k, torch.arange(ANCHORS))) for k in varying(signal.space))
    return [float(principal_directions(some.double()).variances.mean()) for some in slices]


def plain_directions(signal: Signal) -> list[float]:
    """Return the same from covariance matrices."""
    numbers = []
    for k in varying(signal.space):
        slices = signal.at(slice_index(signal.space, k, torch.arange(ANCHORS))).double().numpy()
        numbers.append(float(np.mean([np.linalg.eigh(np.cov(some.T, bias=True))[0][-1] for some in slices])))
    return numbers


WAYS: dict[str, Callable[[Signal], list[float]]] = {
    "our moments": our_moments,
    "plain moments": plain_moments,
    "our directions": our_directions,
    "plain directions": plain_directions,
}


def peak_memory() -> float:
    """Return the greatest resident memory of this process so far, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def child(way: str, small: bool, dsprites: str | None) -> None:
    """Measure one way in this process and print what it took."""
    data: FactorDataset = grid(small)
    if way == "full":
        data = DSprites(dsprites) if dsprites else Sprites()
    before, start = peak_memory(), time.perf_counter()
    found = our_moments(image_signal(data)) if way == "full" else WAYS[way](image_signal(data))
    took, peak = time.perf_counter() - start, peak_memory()
    print(RESULT + json.dumps([took, peak, peak - before, found]))


def measure(way: str, small: bool, threads: int, dsprites: str | None = None) -> Taken:
    """Measure one way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.variance", "--child", way, *(["--small"] if small else [])]
    command += ["--dsprites", dsprites] if dsprites else []
    env = {**os.environ} | {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL")}
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    line = next(line for line in said.splitlines() if line.startswith(RESULT))
    return Taken(*json.loads(line.removeprefix(RESULT)))


def row(what: str, ours: list[Taken], plain: list[Taken]) -> str:
    """Return a line of the table."""
    fast, slow = (statistics.median(taken.seconds for taken in side) for side in (ours, plain))
    small, large = (max(taken.own for taken in side) for side in (ours, plain))
    first, second = np.array(ours[0].found), np.array(plain[0].found)
    difference = float(np.abs(first - second).max() / np.abs(second).max())
    cells = [what, f"{fast:.2f}", f"{slow:.2f}", f"{slow / fast:.1f}", f"{small:.0f}", f"{large:.0f}"]
    return f"| {' | '.join([*cells, f'{difference:.1e}'])} |"


def report(rounds: int, small: bool, threads: int, full: bool, dsprites: str | None) -> str:
    """Measure all ways in turns and return Markdown."""
    data = grid(small)
    taken: dict[str, list[Taken]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, results in taken.items():
            results.append(measure(way, small, threads))
            print(f"{way}: {results[-1].seconds:.2f} s, {results[-1].peak:.0f} MiB", flush=True)
    lines = [
        "# Exact variances of a grid",
        "",
        f"`python -m benchmarks.variance`, {date.today()}, commit {describe_commit()}, {threads} threads.",
        f"Machine: {describe_machine()}.",
        f"{len(data)} images of {data.shape[-1]} x {data.shape[-1]} pixels, drawing included on both sides; plain: one "
        f"array of doubles, np.var, np.linalg.eigh of covariances at {ANCHORS} anchors a factor. Medians of {rounds}; "
        "memory is the peak beyond the imports.",
        "",
        "| measure | ours, s | plain, s | ratio | ours, MiB | plain, MiB | relative difference |",
        "|---|---|---|---|---|---|---|",
        *(row(what, taken[f"our {what}"], taken[f"plain {what}"]) for what in ("moments", "directions")),
    ]
    if full:
        whole = measure("full", small, threads, dsprites)
        source = "read from the published file" if dsprites else "drawn as needed"
        verdict = "met" if whole.seconds <= TARGET else "missed"
        lines += [
            "",
            f"All 737,280 images of dSprites, {source}: exact variances and main effects in {whole.seconds:.0f} s "
            f"(wanted: {TARGET}, {verdict}), peak {whole.peak:.0f} MiB in all; as one array of doubles the images "
            f"would take {737_280 * 4096 * 8 // MIB} MiB.",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="turns of every measurement (default: 3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--full", action="store_true", help="also the whole grid of dSprites: minutes")
    parser.add_argument("--dsprites", help="the published file of dSprites, for --full")
    parser.add_argument("--small", action="store_true", help="a tiny grid, to see that it runs")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "variance.md")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.small, args.dsprites)
        return
    text = report(args.rounds, args.small, args.threads, args.full, args.dsprites)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text)
    print(text)
    print(f"written to {args.output}")


if __name__ == "__main__":
    main()
