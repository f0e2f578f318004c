"""What masks cost in training, what their read-outs cost, and what cut pairs save once the network is compact.

    python -m benchmarks.sparsity [--rounds 5] [--threads 2]

Everything runs in one process; contenders take turns, step by step, so that a drifting machine hits all alike.
"""

import argparse
import os
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from benchmarks.sparsity_report import DENSE, Saving, report
from benchmarks.sparsity_setups import KINDS, SETUPS, Setup, cut_channels, train_step
from benchmarks.training import show
from disentangle_pl.callbacks.sparsity import graphs_of, sparsity
from disentangle_pl.connectivity import layers
from disentangle_pl.masks.placement import Placement
from disentangle_pl.masks.random_mask import RandomMask
from disentangle_pl.memory import keep_freed_memory
from disentangle_pl.models.vae import EVERYWHERE
from disentangle_pl.studies.compact import costs, narrow_model

WARM_UP = 2
CUTS = (0.5, 0.8, 0.9, 0.95)
WAYS = {"random pairs": Placement(), "random pairs, not next to the image": Placement(pixels=False)}
CHANNELS = "whole channels"


def time_steps(setup: Setup, rounds: int) -> dict[str, list[float]]:
    """Return images/s of every round for the dense network and every kind of mask."""
    models = {DENSE: setup.model(), **{kind: setup.model(factory) for kind, factory in KINDS.items()}}
    optimizers = {name: model.configure_optimizers() for name, model in models.items()}
    images, number = setup.images(), 0
    rates: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(rounds + 1):
        seconds = dict.fromkeys(models, 0.0)
        for _ in range(setup.steps if turn else WARM_UP):
            for name, model in models.items():
                began = time.perf_counter()
                train_step(model, optimizers[name], images, number)
                seconds[name] += time.perf_counter() - began
            number += 1
        print(f"{setup.name}: round {turn} of {rounds}", flush=True)
        for name in models if turn else ():
            rates[name].append(setup.steps * setup.batch / seconds[name])
    return rates


def time_read_outs(setup: Setup, rounds: int) -> tuple[list[float], list[float]]:
    """Return seconds of a step and of the sparsity read-outs of a validation, of every round."""
    model = setup.model(KINDS["proximal"])
    optimizer, images = model.configure_optimizers(), setup.images()
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + WARM_UP):
        began = time.perf_counter()
        train_step(model, optimizer, images, number)
        between = time.perf_counter()
        sparsity(graphs_of(model))
        ended = time.perf_counter()
        if number >= WARM_UP:
            taken[0].append(between - began)
            taken[1].append(ended - between)
    return taken


def save(setup: Setup, way: str, share: float, rounds: int) -> Saving:
    """Cut a share of the channel pairs in one of the ways, and measure what becomes of the costs."""
    small = setup.model(partial(RandomMask, density=1 - share), WAYS[way]) if way in WAYS else setup.model()
    parts = [cast(nn.Sequential, part) for part in (small.backbone.encoder, small.backbone.decoder)]
    if way not in WAYS:
        generator = torch.Generator().manual_seed(0)
        for part in parts:
            # a pair needs both its channels; image and latents stay, so their layers keep more than the share
            cut_channels(part, (1 - share) ** 0.5, generator)
    found = [layer for part in parts for layer in layers(part)]
    cut = 1 - sum(layer.kept for layer in found) / sum(layer.total for layer in found)
    narrow_model(small)
    models: dict[str, Any] = {DENSE: setup.model().eval(), "compact": small}
    print(f"{setup.name}: {cut:.1%} of the pairs cut as {way}", flush=True)
    return Saving(setup.name, way, cut, [costs(models, setup.images(), repeats=3) for _ in range(rounds)])


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="(default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "sparsity_cost.md")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    trained = [setup for setup in SETUPS if setup.steps]
    steps = {setup.name: time_steps(setup, args.rounds) for setup in trained}
    read_outs = {setup.name: time_read_outs(setup, args.rounds) for setup in SETUPS}
    cut_here = [setup for setup in trained if setup.placement is EVERYWHERE]
    savings = [save(setup, way, cut, args.rounds) for setup in cut_here for way in (*WAYS, CHANNELS) for cut in CUTS]
    text = report(steps, read_outs, savings, args.rounds, args.threads)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text)
    for section in text.split("\n## ")[1:]:
        show(section)
    print(f"written to {args.output}")


if __name__ == "__main__":
    main()
