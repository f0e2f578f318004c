"""Do scores follow the variance of data? Regressions over data sets, factors and runs, and rank correlations."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from disentangle_pl.metrics.random_intercept import permuted_spearman, random_intercept
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.sparsity_compare import holm
from disentangle_pl.studies.variance_study_measures import OF_DATA, OF_RUNS

DATA_SETS, FACTORS, RUNS, INTERACTION = "data sets", "factors", "runs", "ordered latents"
LEVEL, FEWEST = 0.95, 3
ALONE = 1e-8  # share of a column that the others do not explain
COLUMNS = ["level", "outcome", "measure", "slope", "low", "high", "p", "units", "rows", "note"]


def effects(runs: pd.DataFrame, factors: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """Regress scores, and how codes hold factors, on measures of variance.

    Models and strengths have an effect of their own everywhere. A measure counts in its standard deviations over the
    rows at hand. Over `data sets` and `ordered latents` every data set has a random intercept; over `factors` every
    factor of a data set has, beside a fixed effect of the data set; over `runs` the data sets have fixed effects.

    Args:
        runs: As `arrange_runs` returns them.
        factors: As `factor_rows` returns them.
        scores: Columns of `runs`.

    Returns:
        One row a test: `level`, `outcome`, `measure`, `slope` with its 95 % t interval `low`, `high`, and `p` after
        Holm (1979) over all tests of the level; `units` (data sets, factors or runs: what the degrees of freedom come
        from), `rows` and `note` (why there is no slope).
    """
    spread = [name for name in OF_RUNS if runs[name].notna().any()]
    found = []
    for measure in OF_DATA:
        for outcome in (*scores, *spread):
            found.append(_over_data_sets(runs, outcome, measure))
        for outcome in ("mig", *spread) if len(factors) and measure in factors else ():
            found.append(_over_factors(factors, outcome, measure))
        found += [_ordered(runs, score, measure) for score in scores]
    found += [_over_runs(runs, score, measure) for measure in spread for score in scores]
    table = pd.DataFrame(found, columns=COLUMNS)
    table["p"] = table.groupby("level")["p"].transform(holm)
    return table


def ranks(runs: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """Correlate ranks, with p-values of permutations.

    Returns:
        One row for each data set, model and score with its strength, for each data set and score with the measures of
        codes, and over data sets for the mean score with their measures: `data_set`, `model`, `score`, `with`, `rho`,
        `p` (not corrected) and `n`; only where there are three different values.
    """
    rows = []
    for score in scores:
        for (data_set, model), mine in runs.groupby(["data_set", "model"], sort=False):
            rows += _rank(mine, score, "strength", str(data_set), str(model))
        for data_set, mine in runs.groupby("data_set", sort=False):
            rows += [row for name in OF_RUNS for row in _rank(mine, score, name, str(data_set), "all")]
        means = runs.groupby("data_set", sort=False)[[score, *OF_DATA]].mean().reset_index()
        rows += [row for name in OF_DATA for row in _rank(means, score, name, "all", "all")]
    return pd.DataFrame(rows, columns=["data_set", "model", "score", "with", "rho", "p", "n"])


def settings(rows: pd.DataFrame) -> pd.Series:
    """Name the method and strength of every row; a method without a strength is a setting too."""
    named = zip(rows["model"], rows["strength"], strict=True)
    return pd.Series([f"{model} {strength}" for model, strength in named], index=rows.index, dtype=object)


def _over_data_sets(runs: pd.DataFrame, outcome: str, measure: str) -> dict[str, object]:
    known = _known(runs, outcome, measure)
    units = known["data_set"].nunique()
    row = {"level": DATA_SETS, "outcome": outcome, "measure": measure, "units": units, "rows": len(known)}
    if units < FEWEST:
        return row | _nothing(f"{units} data sets with this measure, and three are needed")
    return row | _slope(known, outcome, _scaled(known[measure]), [settings(known)], known["data_set"], units - 2)


def _over_factors(factors: pd.DataFrame, outcome: str, measure: str) -> dict[str, object]:
    known = _known(factors, outcome, measure)
    cells = known["data_set"].astype(str) + "/" + known["factor"].astype(str)
    units, sets = cells.nunique(), known["data_set"].nunique()
    row = {"level": FACTORS, "outcome": outcome, "measure": measure, "units": units, "rows": len(known)}
    if units - sets < 2:
        return row | _nothing(f"{units} factors in {sets} data sets with this measure are too few")
    nuisance = [known["data_set"], settings(known)]
    return row | _slope(known, outcome, _scaled(known[measure]), nuisance, cells, units - sets - 1)


def _over_runs(runs: pd.DataFrame, outcome: str, measure: str) -> dict[str, object]:
    known = _known(runs, outcome, measure)
    row = {"level": RUNS, "outcome": outcome, "measure": measure, "units": len(known), "rows": len(known)}
    free = len(known) - 1 - known["data_set"].nunique() - settings(known).nunique()
    if free < 2:
        return row | _nothing(f"{len(known)} runs with this measure are too few")
    nuisance = [known["data_set"], settings(known)]
    return row | _slope(known, outcome, _scaled(known[measure]), nuisance, known["data_set"], free)


def _ordered(runs: pd.DataFrame, outcome: str, measure: str) -> dict[str, object]:
    """Return how much steeper the slope of models with ordered latents is."""
    known = _known(runs, outcome, measure)
    units = known["data_set"].nunique()
    row = {"level": INTERACTION, "outcome": outcome, "measure": measure, "units": units, "rows": len(known)}
    ordered = known["ordered"].to_numpy(float)
    if not len(known) or ordered.min() == ordered.max():
        return row | _nothing("models with ordered latents and others are both needed")
    if units < FEWEST:
        return row | _nothing(f"{units} data sets with this measure, and three are needed")
    scaled = _scaled(known[measure])[:, 0]
    focus = np.column_stack([ordered * scaled, scaled])
    return row | _slope(known, outcome, focus, [settings(known)], known["data_set"], units - 2)


def _slope(
    rows: pd.DataFrame, outcome: str, focus: Values, nuisance: Sequence[pd.Series], groups: pd.Series, free: int
) -> dict[str, object]:
    """Return the slope on the first column of focus (N, f), given the others and effects of the labels."""
    y = rows[outcome].to_numpy(float)
    basis = _basis(nuisance)
    rest = np.column_stack([focus[:, 1:], basis])
    left = focus[:, 0] - rest @ np.linalg.lstsq(rest, focus[:, 0], rcond=None)[0]
    if np.linalg.norm(left) <= ALONE * max(float(np.linalg.norm(focus[:, 0])), 1.0):
        return _nothing("the measure cannot be told apart from the data set or the setting")
    if np.ptp(y) == 0 or len(y) <= rest.shape[1] + 1 or np.linalg.matrix_rank(rest) < rest.shape[1]:
        return _nothing("the outcome or the measure has one value, or there are too few rows")
    fit = random_intercept(y, np.column_stack([focus[:, 0], rest]), groups.astype(str))
    slope, error = float(fit.slopes[0]), math.sqrt(float(fit.covariance[0, 0]))
    students = stats.t(max(free, 1))
    half = float(students.ppf((1 + LEVEL) / 2)) * error
    p = 2 * float(students.sf(abs(slope) / error)) if error > 0 else 0.0
    return {"slope": slope, "low": slope - half, "high": slope + half, "p": p, "note": ""}


def _basis(labels: Sequence[pd.Series]) -> Values:
    """Return orthonormal columns that span a constant and an effect of every label."""
    dummies = [pd.get_dummies(label.astype(str), dtype=float).to_numpy() for label in labels]
    columns, lengths, _ = np.linalg.svd(np.column_stack([np.ones(len(labels[0])), *dummies]), full_matrices=False)
    basis: Values = columns[:, lengths > 1e-10 * lengths[0]]
    return basis


def _scaled(column: pd.Series) -> NDArray[np.float64]:
    values = column.to_numpy(float)
    spread = float(values.std())
    scaled: Values = ((values - values.mean()) / (spread if spread > 0 else 1.0))[:, None]
    return scaled


def _known(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    there = [column for column in columns if column in rows]
    if len(there) < len(columns):
        return rows.iloc[:0].assign(**{column: pd.Series(dtype=float) for column in columns if column not in rows})
    kept: pd.DataFrame = rows[np.isfinite(rows[there].to_numpy(float)).all(axis=1)]
    return kept


def _nothing(note: str) -> dict[str, object]:
    return {"slope": math.nan, "low": math.nan, "high": math.nan, "p": math.nan, "note": note}


def _rank(rows: pd.DataFrame, score: str, other: str, data_set: str, model: str) -> list[dict[str, object]]:
    known = _known(rows, score, other)
    if known[other].nunique() < FEWEST:
        return []
    found = permuted_spearman(known[score].to_numpy(float), known[other].to_numpy(float))
    named = {"data_set": data_set, "model": model, "score": score, "with": other}
    return [named | {"rho": found.rho, "p": found.p, "n": len(known)}]
