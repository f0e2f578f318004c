"""The picture of the impossibility: priors, a model and its rotation, the price of a diagonal, the angles."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.angle_sweep import Sweep
from disentangle_pl.studies.impossibility_tables import numbers
from disentangle_pl.studies.rotated_model import AXES
from disentangle_pl.studies.rotations import paired_turn, turn_uniform

DOTS = 1500
SHOWN = ("mig", "dci_disentanglement", "sap", "modularity", "beta_vae_score", "factor_vae_score", "mcc", "explicitness")


def draw_impossibility(model: pd.DataFrame, gaps: pd.DataFrame, sweep: Sweep, name: str) -> Figure:
    """Draw the four demonstrations.

    Args:
        model: Of `model_table`.
        gaps: Of `gap_table`.
        sweep: Of `angle_sweep`.
        name: Of the model.
    """
    figure = Figure(figsize=(14, 8), layout="constrained")
    top, bottom = np.ravel(np.asarray(figure.subfigures(2, 1)))
    *clouds, bars = top.subplots(1, 5, width_ratios=(1, 1, 1, 1, 2))
    for axes, (title, points, colour) in zip(clouds, _clouds(), strict=True):
        axes.scatter(*points.T, c=colour, s=3, cmap="viridis", linewidths=0)
        axes.set(title=title, xticks=[], yticks=[], aspect="equal")
        axes.title.set_fontsize(9)
    left, right = bottom.subplots(1, 2, width_ratios=(2, 5))
    _bars(bars, model, name)
    _gaps(left, gaps)
    _angles(right, sweep)
    return figure


def _clouds() -> list[tuple[str, Values, Values]]:
    """Return draws of two priors before and after 45 degrees, coloured by the first factor."""
    random, turn = np.random.default_rng(0), paired_turn(2, [0, 1], 45)
    normal, uniform = random.normal(size=(DOTS, 2)), random.random((DOTS, 2))
    return [
        ("A  normal prior,\ncoloured by factor 1", normal, normal[:, 0]),
        ("rotated: the same cloud,\nthe factor runs across", normal @ turn.T, normal[:, 0]),
        ("uniform prior", uniform, uniform[:, 0]),
        ("rotated by Φ(Q Φ⁻¹(u)):\nstill uniform", turn_uniform(uniform, turn), uniform[:, 0]),
    ]


def _bars(axes: Axes, model: pd.DataFrame, name: str) -> None:
    trained, rotated = numbers(model, "trained"), numbers(model, "rotated")
    shown = [score for score in (*SHOWN, AXES) if score in trained]
    places = np.arange(len(shown))
    axes.barh(places - 0.2, [trained[score] for score in shown], 0.4, label="as trained", color="C0")
    axes.barh(places + 0.2, [rotated[score] for score in shown], 0.4, label="rotated, mean", color="C1")
    axes.set_yticks(places, shown, fontsize=8)
    axes.invert_yaxis()
    change = numbers(model, "largest_change")["elbo"]
    axes.set_title(
        f"B  {name}: ELBO {trained['elbo']:.3f} nats,\nrotated {rotated['elbo']:.3f}, change {change:.1g}",
        fontsize=9,
    )
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.4, -0.07), ncols=2)
    axes.spines[["top", "right"]].set_visible(False)


def _gaps(axes: Axes, gaps: pd.DataFrame) -> None:
    places = np.arange(len(gaps))
    mean = gaps["gap"].to_numpy(float)
    arms = np.abs(np.stack([gaps["low"], gaps["high"]]) - mean)
    axes.barh(places, mean, 0.6, xerr=arms, color="C2", error_kw={"linewidth": 1})
    axes.set_yticks(places, [name.replace(", ", ",\n", 1) for name in gaps["posterior"]], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("nats lost when the rotated posterior must be diagonal", fontsize=8)
    axes.set_title("C  the loophole: mean and range over rotations", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _angles(axes: Axes, sweep: Sweep) -> None:
    for i, score in enumerate(name for name in (*SHOWN, AXES) if name in sweep.scores):
        axes.plot(sweep.angles, sweep.scores[score], "osD^v<>Pp"[i % 9] + "-", markersize=4, label=score)
    axes.set(xlabel="rotation of every two latents, degrees", ylabel="score", xticks=sweep.angles, ylim=(0, 1.05))
    axes.set_title("D  which scores see a rotation (at 90 degrees latents have changed places)", fontsize=9)
    other = axes.twinx()
    other.plot(sweep.angles, sweep.gap, "k--", linewidth=1)
    other.set_ylabel("diagonal gap, nats (dashed)", fontsize=8)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.12, 1))
    axes.spines[["top"]].set_visible(False)
