"""The sheet of what brain scans cost."""

import statistics
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from benchmarks.machine import describe_commit, describe_machine
from benchmarks.sparsity_report import spread

WANTED_RATIO, WANTED_SECONDS, WANTED_SPEED = 20, 0.3, 10


class Loaded(NamedTuple):
    """Volumes per second of a loader in every round."""

    name: str
    rates: list[float]


class Aligned(NamedTuple):
    """CPU seconds of an engine, and how well brains then lie on the template, a scan each."""

    name: str
    seconds: list[float]
    overlaps: list[float]
    similarities: list[float]


class Measured(NamedTuple):
    """Seconds a volume in every round."""

    name: str
    seconds: list[float]


def report(
    loaded: Sequence[Loaded],
    aligned: Sequence[Aligned],
    costs: Sequence[Measured],
    memory: Mapping[tuple[str, int], float],
    rounds: int,
) -> str:
    """Write the sheet.

    Args:
        loaded: The rival first.
        aligned: The rival first.
        costs: Of simulation and preparation.
        memory: MiB by verb and number of people, or of volumes in a batch for "train".
        rounds: Interleaved rounds.
    """
    return "\n".join(
        [
            "# What brain scans cost",
            "",
            f"`python -m benchmarks.brain --rounds {rounds}`, {date.today()}, commit {describe_commit()}.",
            f"Machine: {describe_machine()}.",
            "One thread; medians of the rounds, lowest and highest in brackets; a ratio is taken within its round.",
            "",
            *_loaders(loaded),
            *alignments(aligned),
            *_costs(costs),
            *_memory(memory),
        ]
    )


def _loaders(loaded: Sequence[Loaded]) -> list[str]:
    rival = loaded[0].rates
    lines = [
        "## Training-ready volumes per second, 96 x 96 x 96 voxels, batches of 8 from the same files",
        "",
        f"| loader | volumes/s | x {loaded[0].name} | wanted |",
        "|---|---|---|---|",
    ]
    for name, rates in loaded:
        ratios = [rate / rival_rate for rate, rival_rate in zip(rates, rival, strict=True)]
        target = "-" if rates is rival else f"at least {WANTED_RATIO}"
        lines.append(f"| {name} | {spread(rates, '.0f')} | {spread(ratios, '.1f')} | {target} |")
    return [*lines, ""]


def alignments(aligned: Sequence[Aligned]) -> list[str]:
    """Return the section on alignment; a ratio is taken within a scan."""
    rival = aligned[0]
    lines = [
        "## Affine alignment to the MNI152 template, CPU seconds a scan",
        "",
        f"{len(rival.seconds)} scans; overlap and similarity are the columns of `quality.tsv`.",
        "",
        f"| engine | seconds | {rival.name} in its seconds | wanted | overlap | similarity |",
        "|---|---|---|---|---|---|",
    ]
    for each in aligned:
        ratios = [
            rival_seconds / own_seconds for own_seconds, rival_seconds in zip(each.seconds, rival.seconds, strict=True)
        ]
        target = "-" if each is rival else f"at least {WANTED_SPEED}, at no less overlap"
        lines.append(
            f"| {each.name} | {spread(each.seconds, '.3f')} | {spread(ratios, '.1f')} x | {target} | "
            f"{spread(each.overlaps, '.3f')} | {spread(each.similarities, '.3f')} |"
        )
    return [*lines, ""]


def _costs(costs: Sequence[Measured]) -> list[str]:
    lines = ["## Seconds a volume", "", "| what | seconds | wanted |", "|---|---|---|"]
    for name, seconds in costs:
        target = f"at most {WANTED_SECONDS}" if name.startswith("simulate, 64") else "-"
        lines.append(f"| {name} | {spread(seconds, '.3f')} | {target} |")
    one, several = (statistics.median(measured.seconds) for measured in costs[-2:])
    return [*lines, "", f"Preparation is {one / several:.2f} times as fast with all processes as with one.", ""]


def _memory(memory: Mapping[tuple[str, int], float]) -> list[str]:
    lines = [
        "## Peak memory of a process",
        "",
        "Of a training step, forward, backward and Adam, on the CPU in float32; Python and its libraries included.",
        "",
        "| what | MiB |",
        "|---|---|",
    ]
    for (verb, size), peak in memory.items():
        name = f"training step, 64 x 64 x 64, batch of {size}" if verb == "train" else f"{verb}, {size} people"
        lines.append(f"| {name} | {peak:,.0f} |")
    return [*lines, ""]
