"""Seconds of every score against scikit-learn run the way the reference runs it, and of a whole sheet of one model.

    python -m benchmarks.metrics [--rounds 3] [--threads 2]

Codes of 10 latents for the factors of dSprites: one a factor with some noise, the others collapsed, then mixed a
little; 10,000 rows to fit on, 5,000 to test on. The reference's DCI takes minutes and is run once. Compiled code is
warmed up on a few rows; the first compilation ever is timed by itself.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import reference_scores as reference
from benchmarks.machine import describe_commit, describe_machine
from benchmarks.training import show
from disentangle_pl.backbones import ConvBackbone
from disentangle_pl.memory import keep_freed_memory
from disentangle_pl.metrics.chance import perfect_codes, random_rotation
from disentangle_pl.metrics.references import references
from disentangle_pl.metrics.score import train_test
from disentangle_pl.metrics.sheet import ALL, score_codes

SIZES = (3, 6, 40, 32, 32)
LATENTS = 10
ROWS = 15_000
ENCODED_BY_REFERENCE = 10_000 + 15_000 * 64 + 15_000 * 128  # variances, FactorVAE votes, BetaVAE points
TARGET = 60.0

Table = tuple[NDArray[Any], NDArray[Any]]


class Timing(NamedTuple):
    """Seconds and values of one entry, ours and the reference's."""

    entry: str
    ours: list[float]
    theirs: list[float]
    value: float
    reference: float


def make_codes(rows: int, seed: int = 0) -> Table:
    """Draw factors (rows, 5) and codes (rows, 10): neither perfect nor noise."""
    random = np.random.default_rng(seed)
    factors = random.integers(0, SIZES, (rows, len(SIZES)))
    codes = perfect_codes(factors, LATENTS, noise=0.02) + random.normal(0, 0.05, (rows, LATENTS))
    mixing = np.eye(LATENTS) + 0.25 * (random_rotation(LATENTS, seed=1) - np.eye(LATENTS))
    return (codes @ mixing).astype(np.float32), factors


def rivals(train: Table, test: Table) -> dict[str, Callable[[], float]]:
    """Return the reference's way of every entry that it has."""
    codes, factors = (np.concatenate(parts) for parts in zip(train, test, strict=True))
    random = np.random.RandomState(1)
    order = [np.argsort(column, kind="stable") for column in factors.T]
    counts = [np.bincount(column, minlength=size) for column, size in zip(factors.T, SIZES, strict=True)]
    starts = [np.cumsum(count) - count for count in counts]

    def sample(factor: int, values: NDArray[Any]) -> NDArray[Any]:
        place = (random.random_sample(len(values)) * counts[factor][values]).astype(np.int64)
        rows: NDArray[Any] = codes[order[factor][starts[factor][values] + place]]
        return rows

    return {
        "mig": lambda: reference.mig(train, test),
        "modularity": lambda: reference.modularity(train, test),
        "sap": lambda: reference.sap(train, test),
        "dci": lambda: reference.dci_disentanglement(train, test),
        "irs": lambda: reference.irs(train, test),
        "beta_vae": lambda: reference.beta_vae_score(SIZES, sample, 10_000, 5_000),
        "factor_vae": lambda: reference.factor_vae_score(train[0], SIZES, sample, 10_000, 5_000),
        "explicitness": lambda: reference.explicitness(train, test),
        "dependence": lambda: reference.dependence(train, test),
    }


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long a call took, and its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def time_entries(rounds: int) -> list[Timing]:
    """Time every entry of the sheet, ours and the reference's taking turns."""
    codes, factors = make_codes(ROWS)
    checked = train_test(codes, factors, None)
    (train, truth), (test, test_truth) = checked
    theirs = rivals((train, truth.values.astype(np.int64)), (test, test_truth.values.astype(np.int64)))
    warm = make_codes(300)
    score_codes(*warm, ALL.items())
    timings = []
    for name, entry in ALL.items():
        ours: list[float] = []
        slow: list[float] = []
        values: dict[str, float] = {}
        published = float("nan")
        for turn in range(rounds):
            took, values = seconds(partial(entry, *checked))
            ours.append(took)
            if name in theirs and not (name == "dci" and turn):
                took, published = seconds(theirs[name])
                slow.append(took)
        timings.append(Timing(name, ours, slow, next(iter(values.values())), published))
        print(f"{name}: {statistics.median(ours):.2f} s", *(f"{s:.2f}" for s in slow), flush=True)
    return timings


@torch.no_grad()
def encode(images: int = ROWS, batch: int = 256) -> float:
    """Return the seconds for encoding 64 x 64 images with the network of the study."""
    network = ConvBackbone((1, 64, 64), LATENTS)
    block = torch.rand(batch, 1, 64, 64)
    network.encode(block)
    return seconds(lambda: [network.encode(block) for _ in range(images // batch)])[0]


def compile_seconds() -> float:
    """Return the seconds of the first sheet on a machine that has compiled nothing, less those of the second."""
    code = "from benchmarks.metrics import ALL, make_codes, score_codes as s; s(*make_codes(300), ALL.items())"
    folder = {"NUMBA_CACHE_DIR": str(Path(os.environ.get("TMPDIR", "/tmp")) / f"numba-{os.getpid()}")}
    command = [sys.executable, "-c", code]
    first, second = (seconds(lambda: subprocess.run(command, check=True, env=os.environ | folder))[0] for _ in range(2))
    return first - second


def reference_seconds(rows: int = ROWS) -> tuple[float, float]:
    """Return the seconds of floors, rotations and ceilings of all entries, once for a data set, and of processors."""
    _, factors = make_codes(rows)
    began = time.process_time()
    took, _ = seconds(lambda: references(factors, LATENTS, ALL))
    return took, time.process_time() - began


def report(timings: list[Timing], encoding: float, compiling: float, ends: tuple[float, float], threads: int) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Seconds of the scores",
        "",
        f"`python -m benchmarks.metrics`, {date.today()}, commit {describe_commit()}, {threads} threads.",
        f"Machine: {describe_machine()}.",
        "Codes (15,000 x 10) for the factors of dSprites, 10,000 rows to fit and 5,000 to test. Reference: "
        "scikit-learn and NumPy as disentanglement_lib runs them (`benchmarks/reference_scores.py`), one thread by "
        "nature, in the same process, taking turns; its DCI once. Medians, [range]. Values differ where draws do.",
        "",
        "| entry | ours, s | reference, s | ratio | value | reference value |",
        "|---|---|---|---|---|---|",
    ]
    for line in timings:
        ours = statistics.median(line.ours)
        cells = [line.entry, f"{ours:.3f} [{min(line.ours):.3f}, {max(line.ours):.3f}]"]
        if line.theirs:
            slow = statistics.median(line.theirs)
            cells += [f"{slow:.2f} [{min(line.theirs):.2f}, {max(line.theirs):.2f}]", f"{slow / ours:.1f}"]
            cells += [f"{line.value:.4f}", f"{line.reference:.4f}"]
        else:
            cells += ["-", "-", f"{line.value:.4f}", "-"]
        lines.append(f"| {' | '.join(cells)} |")
    all_ours = sum(statistics.median(line.ours) for line in timings)
    compared = [line for line in timings if line.theirs]
    ours = sum(statistics.median(line.ours) for line in compared)
    theirs = sum(statistics.median(line.theirs) for line in compared)
    again = encoding / ROWS * ENCODED_BY_REFERENCE
    lines += [
        "",
        f"- Entries that both have: {ours:.1f} s against {theirs:.0f} s, ratio {theirs / ours:.0f}.",
        f"- Encoding 15,000 images once (64 x 64, the network of the study): {encoding:.1f} s. The reference's BetaVAE "
        f"and FactorVAE scores encode {ENCODED_BY_REFERENCE:,} images: {again:.0f} s with this encoder (computed from "
        "the former).",
        f"- One dSprites model, all scores: {encoding + all_ours:.1f} s with the encoding (wanted: {TARGET:.0f}), "
        f"against {again + theirs:.0f} s for the reference's part of them.",
        f"- Compiling the trees, once a machine: {compiling:.0f} s.",
        f"- Floor, rotation and ceiling, eleven tables, once for a data set: {ends[0]:.0f} s, "
        f"{ends[1]:.0f} s of processor time; they are remembered.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="turns of every entry (default: 3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "metrics.md")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    compiling = compile_seconds()
    encoding = statistics.median(encode() for _ in range(args.rounds))
    text = report(time_entries(args.rounds), encoding, compiling, reference_seconds(), args.threads)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text)
    show(text)
    print(f"written to {args.output}")


if __name__ == "__main__":
    main()
