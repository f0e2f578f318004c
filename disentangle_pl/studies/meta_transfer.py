"""The study of the meta-transfer objective: causal direction and causal encoder, with controls, figure and tables.

Source: Bengio et al., A Meta-Transfer Objective for Learning to Disentangle Causal Mechanisms, ICLR 2020
(arXiv:1901.10912). Two variables, no images: nothing here says that the objective disentangles pictures.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest
from torch import Tensor

from disentangle_pl.console import print_table
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.studies.causal_direction import (
    CAUSE_CHANGES,
    EFFECT_CHANGES,
    NOTHING_CHANGES,
    REVERSED,
    causal_direction,
)
from disentangle_pl.studies.rotation_encoder import Trajectories, distance, rotation_encoder, solved

WORLDS = (CAUSE_CHANGES, REVERSED, EFFECT_CHANGES, NOTHING_CHANGES)
ENCODERS = {"A is changed": True, "no change": False}
Values = NDArray[np.float64]


class Measure(NamedTuple):
    """A number a seed.

    Attributes:
        study: Which experiment.
        setting: What was changed.
        measure: What was measured.
        values: (seeds,) 0 or 1 for a share.
        top: The greatest value it can take; the least is 0.
        share: The values are 0 or 1.
    """

    study: str
    setting: str
    measure: str
    values: Values
    top: float = 1.0
    share: bool = False


def interval(measure: Measure) -> tuple[float, float]:
    """Return the 95 % interval of the mean over seeds: Wilson's for a share, else `mean_interval`, cut at the range."""
    values = measure.values
    if measure.share:
        wilson = binomtest(int(values.sum()), len(values)).proportion_ci(method="wilson")
        return float(wilson.low), float(wilson.high)
    _, low, high = mean_interval(values)
    return max(low, 0.0), min(high, measure.top)


def measures(beliefs: dict[str, Tensor], encoders: dict[str, Trajectories]) -> list[Measure]:
    """Return what is measured after the last episode.

    Args:
        beliefs: (episodes, seeds) sigmoid(gamma) by world.
        encoders: Angles and beliefs by setting.
    """
    rows = []
    for name, belief in beliefs.items():
        last = belief[-1].numpy()
        rows.append(Measure("direction", name, "belief in A -> B", last))
        rows.append(Measure("direction", name, "share calling A the cause", (last > 0.5).astype(float), share=True))
    for name, encoder in encoders.items():
        angle, belief = encoder.angle[-1], encoder.belief[-1]
        rows.append(Measure("encoder", name, "degrees from a solution", distance(angle).numpy(), top=45.0))
        right = solved(angle, belief).double().numpy()
        rows.append(Measure("encoder", name, "share solved to 5 degrees", right, share=True))
    return rows


def summary(rows: list[Measure]) -> pd.DataFrame:
    """Return a line a measure: its mean over seeds and the 95 % interval."""
    lines = [
        [row.study, row.setting, row.measure, len(row.values), float(row.values.mean()), *interval(row)] for row in rows
    ]
    return pd.DataFrame(lines, columns=["study", "setting", "measure", "seeds", "mean", "low", "high"])


def draw(beliefs: dict[str, Tensor], encoders: dict[str, Trajectories]) -> Figure:
    """Draw the beliefs (median and quartiles over seeds) and the angles (a line a seed) over the episodes.

    Args:
        beliefs: (episodes, seeds) sigmoid(gamma) by world.
        encoders: Angles and beliefs by setting.
    """
    figure = Figure(figsize=(5 + 4 * len(encoders), 3.8), layout="constrained")
    first, *rest = figure.subplots(1, 1 + len(encoders), width_ratios=[1.3] + [1] * len(encoders))
    quartiles = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    for name, belief in beliefs.items():
        low, middle, high = belief.quantile(quartiles, dim=1).numpy()
        episodes = np.arange(1, len(middle) + 1)
        first.plot(episodes, middle, label=name)
        first.fill_between(episodes, low, high, alpha=0.25, linewidth=0)
    first.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
    first.set(ylim=(-0.02, 1.02), xlabel="episode", ylabel="belief in A -> B, sigmoid(gamma)")
    first.set_title("Causal direction: median, quartiles over seeds", fontsize=9)
    first.legend(fontsize=7, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.13))
    for axis, (name, encoder) in zip(rest, encoders.items(), strict=True):
        _draw_angles(axis, torch.rad2deg(encoder.angle))
        axis.set_title(f"Encoder: {name}", fontsize=9)
    return figure


def meta_transfer(
    out: Path = Path("meta_transfer"), seeds: int = 20, episodes: int = 500, categories: int = 10, seed: int = 0
) -> None:
    """Find the cause of two variables, and the variables themselves, from how well a model adapts to changes.

    Bengio et al. 2020 (arXiv:1901.10912): the direction between two categorical variables, and the angle of an encoder
    that undoes a rotation. Both run a control in which nothing changes, where the method should find nothing; the
    direction also runs one in which the effect changes, where it names the effect as the cause. Two variables and no
    images. Writes `meta_transfer.png`, `summary.tsv` (mean over seeds and 95 % interval) and `seeds.tsv` (a line a
    seed). About 40 seconds on one core.

    Args:
        out: Folder for figure and tables; made if missing.
        seeds: Independent problems, at least 2.
        episodes: Changes of the distribution to learn from.
        categories: Values of each categorical variable, at least 2.
        seed: Seed of all draws.

    Raises:
        InputError: If a number is too small, or out is a file.
    """
    if seeds < 2:
        raise InputError(f"seeds must be at least 2 for an interval, got {seeds}")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: give a folder for the results with --out")
    bar = Console().is_terminal
    beliefs = {
        world.name: causal_direction(
            world, categories=categories, episodes=episodes, seeds=seeds, seed=seed + number, progress=bar
        )
        for number, world in enumerate(WORLDS)
    }
    encoders = {
        name: rotation_encoder(episodes=episodes, seeds=seeds, change=change, seed=seed, progress=bar)
        for name, change in ENCODERS.items()
    }
    rows = measures(beliefs, encoders)
    out.mkdir(parents=True, exist_ok=True)
    draw(beliefs, encoders).savefig(out / "meta_transfer.png", dpi=110)
    table = summary(rows)
    table.to_csv(out / "summary.tsv", sep="\t", index=False, float_format="%.6g")
    _by_seed(rows).to_csv(out / "seeds.tsv", sep="\t", index=False, float_format="%.6g")
    _print(table, out)


def _draw_angles(axis: Axes, degrees: Tensor) -> None:
    axis.plot(np.arange(1, len(degrees) + 1), degrees.numpy(), color="C0", linewidth=0.8, alpha=0.6)
    for solution in (-45, 45):
        axis.axhline(solution, color="black", linewidth=1, linestyle="--")
    reach = max(60.0, float(degrees.abs().max()) + 5)
    axis.set(xlabel="episode", ylabel="angle in degrees (dashed: solutions)", ylim=(-reach, reach))


def _by_seed(rows: list[Measure]) -> pd.DataFrame:
    lines = [
        [row.study, row.setting, row.measure, number, value]
        for row in rows
        for number, value in enumerate(row.values.tolist())
    ]
    return pd.DataFrame(lines, columns=["study", "setting", "measure", "seed", "value"])


def _print(lines: pd.DataFrame, out: Path) -> None:
    table = Table("study", "setting", "measure", "mean", "95 %", title=f"{lines.seeds[0]} seeds")
    for study, setting, measure, _, mean, low, high in lines.itertuples(index=False):
        table.add_row(str(study), str(setting), str(measure), f"{mean:.3g}", f"{low:.3g} to {high:.3g}")
    print_table(table, keys=3)
    Console().print(f"figure and tables: {out.absolute()}", soft_wrap=True)
