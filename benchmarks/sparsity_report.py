"""The tables of the sparsity benchmark."""

import statistics
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from benchmarks.machine import describe_commit, describe_machine
from benchmarks.sparsity_setups import KINDS, SETUPS, Setup
from disentangle_pl.studies.compact import Cost

DENSE = "dense"
READ_OUT_WANTED = 0.01


class Saving(NamedTuple):
    """A network that was cut and made compact, beside the dense one, in every round."""

    setup: str
    way: str
    cut: float
    rounds: list[dict[str, Cost]]


def spread(values: Sequence[float], form: str) -> str:
    """Return median, lowest and highest."""
    return f"{statistics.median(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


def step_table(setup: Setup, rates: dict[str, list[float]]) -> list[str]:
    """Return images/s, and what masks cost of them within their rounds."""
    lines = [
        "",
        f"## A training step, {setup.name}: images {'x'.join(map(str, setup.shape))}, batch {setup.batch}",
        "",
        f"| {setup.name}, mask | images/s | cost | wanted | reached |",
        "|---|---|---|---|---|",
        f"| {DENSE} | {spread(rates[DENSE], '.1f')} | - | - | - |",
    ]
    for kind in KINDS:
        lost = [1 - own / dense for own, dense in zip(rates[kind], rates[DENSE], strict=True)]
        reached = "yes" if statistics.median(lost) <= setup.wanted else "no"
        wanted = f"at most {setup.wanted:.0%}"
        lines.append(f"| {kind} | {spread(rates[kind], '.1f')} | {spread(lost, '.1%')} | {wanted} | {reached} |")
    return lines


def read_out_table(measured: dict[str, tuple[list[float], list[float]]]) -> list[str]:
    """Return the share of an epoch that the read-outs of its validation take."""
    lines = [
        "",
        "## The read-outs of a validation (densities, dead channels, paths), as a share of an epoch",
        "",
        "| network | steps of an epoch | step, ms | read-outs, ms | share of the epoch | wanted |",
        "|---|---|---|---|---|---|",
    ]
    for setup in SETUPS:
        steps, reads = measured[setup.name]
        shares = [read / (step * setup.epoch) for step, read in zip(steps, reads, strict=True)]
        times = [spread([second * 1e3 for second in seconds], ".1f") for seconds in (steps, reads)]
        cells = [setup.name, str(setup.epoch), *times, spread(shares, ".2%"), f"< {READ_OUT_WANTED:.0%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def saving_table(savings: Sequence[Saving]) -> list[str]:
    """Return what the compact networks cost, and the dense ones as multiples of them."""
    lines = [
        "",
        "## What `disentangle-pl compact` makes of cut pairs, and the dense network as a multiple of it",
        "",
        "| network | cut as | pairs cut | parameters | FLOPs | latency, ms | x parameters | x FLOPs | x latency |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for setup, way, cut, rounds in savings:
        dense, small = (rounds[0][name] for name in (DENSE, "compact"))
        faster = [measured[DENSE].seconds / measured["compact"].seconds for measured in rounds]
        latency = statistics.median(measured["compact"].seconds for measured in rounds) * 1e3
        lines.append(
            f"| {setup} | {way} | {cut:.1%} | {small.parameters:,} | {small.flops:,} | {latency:.1f} | "
            f"{dense.parameters / small.parameters:.2f} | {dense.flops / small.flops:.2f} | {spread(faster, '.2f')} |"
        )
    return lines


def report(
    steps: dict[str, dict[str, list[float]]],
    read_outs: dict[str, tuple[list[float], list[float]]],
    savings: Sequence[Saving],
    rounds: int,
    threads: int,
) -> str:
    """Return the results as Markdown."""
    lines = [
        "# What sparsity costs and saves",
        "",
        f"`python -m benchmarks.sparsity --rounds {rounds} --threads {threads}`, {date.today()}, "
        f"commit {describe_commit()}.",
        f"Machine: {describe_machine()}.",
        f"float32, {threads} threads, {rounds} interleaved rounds, medians; lowest and highest round in brackets. A "
        "share or a ratio is taken within its round.",
        "",
        "A step is forward, backward, Adam (fused) and what masks add: their penalties, and the proximal step or "
        "pruning that follows. Masks are set as in `configs/mask/`; every layer has one. Whole channels: where "
        "convolutions meet a linear layer, all weights between a unit and a channel share one gate "
        "(`--model.placement.whole_channels=true`). Magnitude prunes every 500 steps: no pruning falls into the "
        "measurement.",
    ]
    for setup in SETUPS:
        if setup.name in steps:
            lines += step_table(setup, steps[setup.name])
    return "\n".join([*lines, *read_out_table(read_outs), *saving_table(savings), *REMARKS]) + "\n"


REMARKS = (
    "",
    "Latency is that of encoding and decoding one batch. x: the dense network divided by the compact one. A channel "
    "goes when all its pairs are cut. Behind an image of one channel every cut pair is a channel, and there the most "
    "FLOPs are: that is all that random pairs gain at first. Where these two layers stay dense, random pairs leave "
    "nearly every channel some pair, and nothing is saved until few pairs are left: zeros within a dense kernel cost "
    "what other numbers cost. Whole channels save at any share.",
)
