"""Which configuration would be chosen without ground truth? UDR over the seeds of every configuration."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm, spearmanr

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.udr import udr_lasso
from disentangle_pl.run_state import FINISHED
from disentangle_pl.studies.run_files import UDR
from disentangle_pl.studies.run_groups import group_numbers
from disentangle_pl.studies.run_table import finished, more_is_better
from disentangle_pl.studies.udr_codes import Encode, Latents

SEEDS = 5
CONFIGURATIONS = 10
UNCERTAIN = f"UDR was made for {SEEDS} seeds or more of every configuration: with fewer its ranks are uncertain"


class Selection(NamedTuple):
    """Configurations ranked without ground truth.

    Attributes:
        runs: (R,) UDR of every run of the table, NaN for those left out.
        groups: One row a configuration: `group` (its number), `seeds`, `udr` (median over its runs) and `metric` (mean
            over its finished runs, NaN without a ground-truth score), best UDR first.
        left_out: Why runs or configurations have no UDR.
    """

    runs: pd.Series
    groups: pd.DataFrame
    left_out: list[str]


class Agreement(NamedTuple):
    """Spearman correlation of UDR with the metric over configurations; its interval is NaN if there are too few."""

    correlation: float
    low: float
    high: float
    n: int


def select(table: pd.DataFrame, keys: Sequence[str], metric: str, encode: Encode) -> Selection:
    """Compute the UDR of every finished run among the seeds of its configuration.

    The score of a run is the median of its pairs, that of a configuration the median of its runs.
    Source: Duan et al. 2020 (arXiv:1905.12614), section 4, with the Lasso form.

    Args:
        table: A tidy table of runs.
        keys: Settings that make a configuration.
        metric: Ground-truth score to compare with; configurations that lack it are ranked all the same.
        encode: Gives the latents of run folders, or reasons.
    """
    udr = pd.Series(np.nan, index=table.index, name=UDR)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    for number, group in table.assign(group=group_numbers(table, keys)).groupby("group", sort=False):
        latents = _latents(group, encode, left_out)
        if len(latents) < 2:
            names = ", ".join(group["run"].astype(str))
            left_out.append(f"the configuration of {names} has {len(latents)} runs to compare, UDR needs 2")
            continue
        values = udr_lasso([code.codes for code in latents.values()], [code.kl for code in latents.values()]).scores
        udr.loc[list(latents)] = values
        scored = finished(group, metric)[metric] if metric in group else pd.Series(dtype=float)
        mean = scored.mean() if len(scored) else math.nan
        rows.append({"group": number, "seeds": len(latents), "udr": float(np.median(values)), "metric": mean})
    groups = pd.DataFrame(rows, columns=["group", "seeds", "udr", "metric"])
    return Selection(udr, groups.sort_values("udr", ascending=False, kind="stable"), left_out)


def agreement(udr: Sequence[float], metric: Sequence[float], level: float = 0.95) -> Agreement:
    """Correlate the ranks of two columns over configurations.

    With fewer than 10 configurations there is no interval. The interval is that of Fisher's z with the variance
    (1 + r^2 / 2) / (n - 3); a perfect correlation is moved half a swap of neighbours away from 1.
    Source: Bonett and Wright 2000, Psychometrika 65, p. 23.

    Args:
        udr: (n,) finite numbers.
        metric: (n,) finite numbers.
        level: Coverage wanted, in (0, 1).

    Returns:
        The correlation is 0 if a column is constant or there are fewer than 3 configurations.

    Raises:
        InputError: If the columns differ in length, or a number is not finite.
    """
    x, y = np.asarray(udr, float), np.asarray(metric, float)
    if x.shape != y.shape or x.ndim != 1 or not np.isfinite([x, y]).all():
        raise InputError(f"a correlation needs two columns of finite numbers, got {list(udr)} and {list(metric)}")
    n = len(x)
    if n < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Agreement(0.0, math.nan, math.nan, n)
    r = float(spearmanr(x, y).statistic)
    if n < CONFIGURATIONS:
        return Agreement(r, math.nan, math.nan, n)
    inner = math.copysign(min(abs(r), 1 - 6 / (n * (n * n - 1))), r)
    width = float(norm.ppf((1 + level) / 2)) * math.sqrt((1 + inner**2 / 2) / (n - 3))
    low, high = math.tanh(math.atanh(inner) - width), math.tanh(math.atanh(inner) + width)
    return Agreement(r, min(low, r), max(high, r), n)


def verdict(groups: pd.DataFrame, metric: str, goal: str) -> list[str]:
    """Say in sentences what the choice by UDR is worth.

    Args:
        groups: `Selection.groups`, not empty.
        metric: Name of the ground-truth score.
        goal: `maximize` or `minimize`.
    """
    said = [UNCERTAIN] if groups["seeds"].min() < SEEDS else []
    chosen = float(groups["metric"].iloc[0])
    known = groups[np.isfinite(groups["metric"].to_numpy(float))]
    if math.isnan(chosen):
        return [*said, f"the configuration that UDR selects has no {metric}: how good it is cannot be said"]
    if len(known) < 2:
        return [*said, f"only one configuration has {metric}: there is nothing to choose from"]
    sign = 1 if more_is_better(goal) else -1
    merit = sign * known["metric"].to_numpy(float)
    rank = 1 + int((merit > sign * chosen).sum())
    said.append(
        f"the configuration that UDR selects has a mean {metric} of {chosen:.3f} (rank {rank} of {len(known)}); "
        f"the best has {sign * merit.max():.3f}, the median one {np.median(known['metric']):.3f}"
    )
    return [*said, _agreement_words(agreement(known["udr"].tolist(), merit.tolist()), metric)]


def _agreement_words(found: Agreement, metric: str) -> str:
    if found.n < 3:
        return f"{found.n} configurations are too few for a rank correlation of UDR with {metric}"
    words = f"rank correlation of UDR with a better {metric} over {found.n} configurations: {found.correlation:.2f}"
    if math.isnan(found.low):
        return f"{words}, but {found.n} are too few for an interval ({CONFIGURATIONS} needed): it may be chance"
    return f"{words}, 95 % interval {found.low:.2f} to {found.high:.2f}"


def _latents(group: pd.DataFrame, encode: Encode, left_out: list[str]) -> dict[Any, Latents]:
    """Encode the finished runs of a configuration; add to `left_out` why others are not there."""
    latents: dict[Any, Latents] = {}
    folders: dict[Any, Path] = {}
    run: str
    for index, run, state, folder in group[["run", "state", "folder"]].itertuples():
        if state != FINISHED:
            left_out.append(f"{run} is {state}")
        elif not folder:
            left_out.append(f"{run} is known from an export only: it has no checkpoint here")
        else:
            folders[index] = Path(folder)
    found, refused = encode(list(folders.values())) if folders else ({}, {})
    for index, folder in folders.items():
        if folder in refused:
            left_out.append(f"{group['run'][index]}: {refused[folder]}")
        else:
            latents[index] = found[folder]
    return latents
