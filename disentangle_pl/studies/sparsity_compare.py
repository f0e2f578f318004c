"""Masked networks against dense ones and against random masks, paired by seed and corrected for their number."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.sparsity_table import DENSE, MASK, MATCHED, RANDOM, is_learned, layer_densities, listed

SAME = 1e-9  # differences that vary less are rounding


def compare(runs: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """Compare every setting of every mask with the dense network and with random masks of the same density.

    Differences are paired by seed. The random masks are those with the same density in every layer where such runs
    are given; otherwise the scores of random masks are interpolated in the logarithm of the density, for every seed.

    Args:
        runs: As `arrange` returns them.
        scores: Columns to compare.

    Returns:
        One row for each data set, kind, setting and score: `rank`, `density`, `n`, `mean`, `low`, `high` (95 %
        interval over seeds); `gain`, `gain_low`, `gain_high` over the dense network (likewise) and its `gain_p` (of a
        t-test); `over`, `over_low`, `over_high` and `over_p` likewise over random masks, `control` (how these were
        matched). The p-values are corrected after Holm (1979) over all settings of a data set and score.
    """
    rows = []
    for (data_set, score), mine in _pieces(runs, scores):
        dense = _by_seed(mine[mine["kind"] == DENSE], score)
        for (kind, rank), found in mine.groupby(["kind", "rank"], sort=True):
            values = _by_seed(found, score)
            mean, low, high = mean_interval(list(values.values()))
            first = found.iloc[0]
            row = {"data_set": data_set, "score": score, "kind": kind, "rank": rank, "setting": first["setting"]}
            row |= {"density": found["density"].mean(), "n": len(values), "mean": mean, "low": low, "high": high}
            control, how = _control(mine, found, score) if is_learned(str(kind)) else ({}, "")
            row |= _summed("gain", _differences(values, dense if kind != DENSE else {}))
            rows.append(row | _summed("over", _differences(values, control)) | {"control": how})
    return _corrected(pd.DataFrame(rows), ("gain_p", "over_p"))


def pooled(runs: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """Average the differences of `compare` over all settings of a kind, within every seed, before they are tested.

    One test a kind instead of one a setting: it sees a small effect that goes one way at most strengths.

    Args:
        runs: As `arrange` returns them.
        scores: Columns to compare.

    Returns:
        One row for each data set, score and kind: `seeds`, and `gain` and `over` with their ends and p-values as
        `compare` has them, corrected over the kinds of a data set and score.
    """
    rows = []
    for (data_set, score), mine in _pieces(runs, scores):
        dense = _by_seed(mine[mine["kind"] == DENSE], score)
        for kind in sorted(filter(is_learned, set(mine["kind"]))):
            settings = [found for _, found in mine[mine["kind"] == kind].groupby("rank")]
            gains = [_differences(_by_seed(found, score), dense) for found in settings]
            over = [_differences(_by_seed(found, score), _control(mine, found, score)[0]) for found in settings]
            row = {"data_set": data_set, "score": score, "kind": kind, "seeds": len(set().union(*gains))}
            rows.append(row | _summed("gain", _means(gains)) | _summed("over", _means(over)))
    return _corrected(pd.DataFrame(rows), ("gain_p", "over_p"))


def trends(runs: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """Correlate every score with the density, over the runs of a kind and the dense ones.

    Returns:
        One row for each data set, kind and score: `n` runs, `rho` (Spearman) and its `p`, corrected after Holm over the
        kinds of a data set and score. A positive rho: sparser is lower.
    """
    rows = []
    for (data_set, score), mine in _pieces(runs, scores):
        for kind in sorted(set(mine["kind"]) - {DENSE}):
            here = mine[mine["kind"].isin([kind, DENSE])]
            vary = here["density"].nunique() > 1 and here[score].nunique() > 1
            rho, p = stats.spearmanr(here["density"], here[score]) if vary else (math.nan, math.nan)
            rows.append(
                {"data_set": data_set, "score": score, "kind": kind, "n": len(here), "rho": float(rho), "p": float(p)}
            )
    return _corrected(pd.DataFrame(rows), ["p"])


def holm(values: pd.Series) -> Values:
    """Correct p-values (n,) for their number; NaN stays NaN and does not count (Holm 1979)."""
    p = values.to_numpy(float)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    corrected = np.full(len(p), math.nan)
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return corrected


def _corrected(table: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Correct p-values over all rows of a data set and score."""
    for column in columns if len(table) else ():
        table[column] = table.groupby(["data_set", "score"])[column].transform(holm)
    return table


def _pieces(runs: pd.DataFrame, scores: Sequence[str]) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    return [
        ((str(data_set), score), mine[np.isfinite(mine[score].to_numpy(float))])
        for data_set, mine in runs.groupby("data_set", sort=False)
        for score in scores
    ]


def _by_seed(found: pd.DataFrame, score: str) -> dict[Any, float]:
    return found.groupby("seed")[score].mean().to_dict()


def _control(mine: pd.DataFrame, found: pd.DataFrame, score: str) -> tuple[dict[Any, float], str]:
    """Return the scores of random masks as dense as some runs, by seed, and how they were matched."""
    kind, wanted = found["kind"].iloc[0], None
    matched = mine[mine["kind"] == f"{MATCHED}{kind}"]
    if len(matched):
        wanted = tuple(layer_densities(found))
        exact = matched[[listed(value) == wanted for value in matched[f"{MASK}.density"]]]
        if len(exact):
            return _by_seed(exact, score), "same density in every layer"
    control = _interpolated(mine, score)(found)
    return control, "same density over all, interpolated" if control else ""


def _interpolated(mine: pd.DataFrame, score: str) -> Callable[[pd.DataFrame], dict[Any, float]]:
    curves: dict[Any, tuple[Values, Values]] = {}
    for seed, curve in mine[mine["kind"].isin([RANDOM, DENSE])].groupby("seed"):
        if (curve["kind"] == RANDOM).any():
            means = curve.groupby("density")[score].mean()
            curves[seed] = (np.log(means.index.to_numpy(float)), means.to_numpy(float))

    def at(found: pd.DataFrame) -> dict[Any, float]:
        asked: dict[Any, float] = found.groupby("seed")["density"].mean().clip(1e-9).map(math.log).to_dict()
        inside = {seed: x for seed, x in asked.items() if seed in curves and x >= curves[seed][0][0]}
        return {seed: float(np.interp(x, *curves[seed])) for seed, x in inside.items()}

    return at


def _differences(values: dict[Any, float], others: dict[Any, float]) -> dict[Any, float]:
    """Return the differences of the seeds that both have."""
    return {seed: value - others[seed] for seed, value in values.items() if seed in others}


def _means(differences: Sequence[dict[Any, float]]) -> dict[Any, float]:
    """Return the mean difference of every seed."""
    seeds = sorted(set().union(*differences))
    return {seed: float(np.mean([found[seed] for found in differences if seed in found])) for seed in seeds}


def _summed(name: str, differences: dict[Any, float]) -> dict[str, float]:
    """Return the mean difference over seeds, with its interval and the p-value of a t-test."""
    gains = np.array(list(differences.values()))
    mean, low, high, p = float(gains.mean()) if len(gains) else math.nan, math.nan, math.nan, math.nan
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    if error > SAME:
        _, low, high = mean_interval(gains)
        p = 2 * float(stats.t.sf(abs(mean) / error, len(gains) - 1))
    return {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_p": p}
