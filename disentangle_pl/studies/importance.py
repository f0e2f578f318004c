"""Which settings matter for a score? Permutation importance beside that of pure chance."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from sklearn.tree import DecisionTreeRegressor

from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.axis_scale import is_numeric
from disentangle_pl.studies.labels import short_names, short_score
from disentangle_pl.studies.parallel_plot import empty_figure
from disentangle_pl.studies.run_groups import same
from disentangle_pl.studies.run_table import check_column, finished

CONTROL = "(random control)"
FEWEST = 8
COLUMNS = ("key", "importance", "low", "high", "correlation", "control", "control_high")


class Features(NamedTuple):
    """The settings of runs as numbers.

    Attributes:
        values: (n, m).
        owner: (m,), which setting a column belongs to.
    """

    values: Values
    owner: Values


def importance(
    table: pd.DataFrame, keys: Sequence[str], metric: str, *, repeats: int = 20, trees: int = 30, seed: int = 0
) -> pd.DataFrame:
    """Return how much of the variance of a metric every setting accounts for, alone or together with others.

    Trees are grown on bootstrap samples of the runs; a setting is shuffled among the runs that a tree has not seen. The
    importance is the growth of the squared error over twice the variance of the metric: for a model that has learned
    everything, the total share of Sobol. A column of random numbers goes through the same, drawn afresh in every
    repeat: what does not exceed `control_high`, its 95 % quantile, cannot be told from chance.
    Source: Breiman 2001, Random Forests, section 10.

    Args:
        table: A tidy table of runs; only those that finished with a finite metric count.
        keys: Settings; continuous ones are split as they are, others one-hot, and null is a category of its own.
        metric: The score.
        repeats: Forests, each with a random control of its own.
        trees: Trees a forest.
        seed: Seed of everything random.

    Returns:
        Most important first: `key`, `importance` (mean over the forests), `low` and `high` (their 2.5 and 97.5 %
        quantiles), `correlation` (Spearman with a numeric setting, NaN for categories), `control` (mean) and
        `control_high`. All 0 for fewer than 8 runs, or if the metric is the same everywhere.

    Raises:
        InputError: If no run has the metric.
    """
    check_column(metric, list(table.columns), "score")
    runs, wanted = finished(table, metric), list(dict.fromkeys(keys))
    columns = [runs[key].tolist() if key in runs else [None] * len(runs) for key in wanted]
    target = runs[metric].to_numpy(float)
    found = np.zeros((repeats, len(wanted) + 1))
    if len(runs) >= FEWEST and np.ptp(target) > 0:
        rng = np.random.default_rng(seed)
        features = _features(columns, len(runs))
        found = np.stack([_forest(features, target, len(wanted), trees, rng) for _ in range(repeats)])
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    control = {"control": found[:, -1].mean(), "control_high": np.quantile(found[:, -1], 0.95)}
    rows = [
        {"key": key, "importance": found[:, i].mean(), "low": low[i], "high": high[i]}
        | {"correlation": _correlation(columns[i], target)}
        | control
        for i, key in enumerate(wanted)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("importance", ascending=False, kind="stable")


def plot_importance(found: pd.DataFrame, metric: str) -> Figure:
    """Draw the importance of settings as bars, with the spread over forests and the level of chance.

    Args:
        found: What `importance` returns.
        metric: The score, for the title.
    """
    if found.empty or not found[["importance", "control"]].to_numpy().any():
        return empty_figure(
            f"the importance for {metric} needs {FEWEST} finished runs with different scores, and a key"
        )
    bars = found[::-1]
    names = short_names(bars["key"])
    figure = Figure(figsize=(8.0, 1.6 + 0.32 * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    share = bars["importance"].to_numpy(float)
    spread = np.abs(np.stack([share - bars["low"].to_numpy(float), bars["high"].to_numpy(float) - share]))
    tells = share > bars["control_high"].to_numpy(float)
    colours = ["tab:blue" if told else "0.75" for told in tells]
    axes.barh(range(len(bars)), share, xerr=spread, color=colours, ecolor="0.35", capsize=2)
    axes.axvline(
        float(bars["control_high"].iloc[0]), color="tab:red", linestyle="--", label="random control, 95 % below"
    )
    labels = [f"{names[key]}  {_sign(value)}" for key, value in zip(bars["key"], bars["correlation"], strict=True)]
    axes.set_yticks(range(len(bars)), labels)
    axes.set(xlabel=f"share of the variance of {short_score(metric)}, and rank correlation beside the names")
    axes.legend(loc="lower right", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _features(columns: Sequence[Sequence[Any]], n: int) -> Features:
    values: list[list[float]] = []
    owner: list[int] = []
    for i, column in enumerate(columns):
        kinds = [same(value) for value in column]
        numeric = is_numeric(column)
        names = [None] if numeric else sorted({str(kind) for kind in kinds})
        if numeric:
            values.append([0.0 if kind is None else float(kind) for kind in kinds])  # type: ignore[arg-type]
        for name in names if not numeric or None in kinds else []:
            values.append([float(kind is None if name is None else str(kind) == name) for kind in kinds])
        owner += [i] * (len(values) - len(owner))
    return Features(np.array(values, dtype=float).reshape(-1, n).T, np.array(owner, dtype=int))


def _forest(features: Features, target: Values, settings: int, trees: int, rng: np.random.Generator) -> Values:
    """Return the importance of every setting, and last that of random numbers."""
    values = np.column_stack([features.values, rng.random(len(target))])
    owner = np.append(features.owner, settings)
    grown = [_tree(values, owner, target, settings + 1, rng) for _ in range(trees)]
    total: Values = np.mean(grown, axis=0) / (2 * target.var())
    return total


def _tree(values: Values, owner: Values, target: Values, settings: int, rng: np.random.Generator) -> Values:
    chosen = rng.integers(len(target), size=len(target))
    out = np.setdiff1d(np.arange(len(target)), chosen)
    growth = np.zeros(settings)
    if len(out) < 2:
        return growth
    tree = DecisionTreeRegressor(random_state=int(rng.integers(2**31)))
    tree.fit(values[chosen], target[chosen])
    error = np.square(tree.predict(values[out]) - target[out]).mean()
    for i in range(settings):
        shuffled = values[out]
        mine = np.flatnonzero(owner == i)
        shuffled[:, mine] = shuffled[rng.permutation(len(out))][:, mine]
        growth[i] = np.square(tree.predict(shuffled) - target[out]).mean() - error
    return growth


def _correlation(column: Sequence[Any], target: Values) -> float:
    if not is_numeric(column):
        return float("nan")
    known = np.array([same(value) is not None for value in column])
    x, y = np.array([float(value) for value, here in zip(column, known, strict=True) if here]), target[known]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(spearmanr(x, y).statistic)


def _sign(correlation: float) -> str:
    return "" if np.isnan(correlation) else f"({correlation:+.2f})"
