"""How many planted variants the latents of models have found, beside true volumes and the expectation of the power."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from disentangle_pl.genetics.power import expected_finds, read_planted

APOE = "severity"
LEVELS = {"effective": "5e-8 over the effective number of phenotypes", "study": "5 % over all tests of the study"}
EVERY, NOTHING = "all", "none"


def found_by_factor(studies: Mapping[str, Sequence[Path]], truth: Path) -> pd.DataFrame:
    """Count planted variants by method, study, threshold and factor.

    Args:
        studies: Folders of finished studies by method.
        truth: Table of planted effects, see `read_planted`.

    Returns:
        Columns method, study, people, phenotypes, level (see `LEVELS`), p (of that level), factor, planted, found,
        expected (by a phenotype that is the factor and nothing else) and smallest_p. The factor `none` has the
        variants that act on nothing, of which all that are found are false; `all` has all others.
    """
    acting = read_planted(truth)
    rows = []
    for method, paths in studies.items():
        for path in paths:
            summary = json.loads((path / "summary.json").read_text())
            table = pd.read_parquet(path / "associations.parquet", columns=["id", "p"])
            least = table.groupby(table["id"].astype(str))["p"].min()
            factor = acting.set_index("id")["factor"].reindex(least.index).fillna(NOTHING)
            levels = {level: summary["thresholds"][level] for level in LEVELS}
            free = summary["people"] - len(summary["covariates"]) - 2
            chances = expected_finds(acting, free, levels).set_index("id").reindex(least.index)
            told = {"method": method, "study": path.name, "people": summary["people"]}
            told["phenotypes"] = len(summary["phenotypes"])
            for level, p in levels.items():
                for name, values in [*least.groupby(factor), (EVERY, least[factor != NOTHING])]:
                    expected = chances.loc[values.index, f"power_{level}"].sum() if name != NOTHING else np.nan
                    counts = {"planted": len(values), "found": int((values <= p).sum()), "expected": expected}
                    rows.append({**told, "level": level, "p": p, "factor": name, **counts, "smallest_p": values.min()})
    return pd.DataFrame(rows)


def calibration(studies: Mapping[str, Sequence[Path]]) -> pd.DataFrame:
    """Tell lambda of permuted people, a row a study: pooled with its interval, and its range over phenotypes."""
    rows = []
    for method, paths in studies.items():
        for path in paths:
            permuted = json.loads((path / "summary.json").read_text())["permuted"]
            pooled, each = permuted["lambda_all"], [values[0] for values in permuted["lambda"].values()]
            columns = {"permuted_lambda": pooled[0], "low": pooled[1], "high": pooled[2]}
            more = {"least": min(each), "largest": max(each), "tests": permuted["tests"]}
            rows.append({"method": method, "study": path.name, **columns, **more})
    return pd.DataFrame(rows)


def draw_found(table: pd.DataFrame) -> Figure:
    """Draw how many variants of every factor each method finds, seeds as dots, and what the power leads to expect."""
    factors = [name for name in table["factor"].unique() if name not in {NOTHING, EVERY}]
    methods = list(table["method"].unique())
    figure = Figure(figsize=(9, 6), layout="constrained")
    for axis, level in zip(figure.subplots(2, 1, sharex=True), LEVELS, strict=True):
        mine = table[table["level"] == level]
        width = 0.8 / len(methods)
        for k, method in enumerate(methods):
            part = mine[mine["method"] == method]
            found = part.pivot(index="study", columns="factor", values="found")[factors]
            place = np.arange(len(factors)) + (k - (len(methods) - 1) / 2) * width
            axis.bar(place, found.mean(), width * 0.9, color=f"C{k}", alpha=0.6, label=method)
            for row in found.to_numpy():
                axis.plot(place, row, "o", color=f"C{k}", markersize=3)
        drawn = mine.drop_duplicates("factor").set_index("factor").loc[factors]
        for i, expected in enumerate(drawn["expected"]):
            said = {"label": "expected of the factor itself"} if i == 0 else {}
            axis.plot([i - 0.45, i + 0.45], [expected, expected], "k--", linewidth=1, **said)
        names = [f"{'APOE' if name == APOE else name}\n{n} planted" for name, n in drawn["planted"].items()]
        axis.set_xticks(range(len(factors)), names)
        axis.set_title(f"{LEVELS[level]}: p <= {mine['p'].min():.1e} to {mine['p'].max():.1e}", fontsize=10)
        axis.set_ylabel("variants found")
    figure.legend(*axis.get_legend_handles_labels(), fontsize=8, frameon=False, loc="outside lower center", ncols=5)
    return figure


def summed_up(table: pd.DataFrame) -> pd.DataFrame:
    """Tell a row a method, threshold and factor: found and expected, means over studies, and the range of found."""
    groups = table.groupby(["level", "method", "factor"], sort=False)
    columns = groups.agg(
        studies=("study", "nunique"),
        planted=("planted", "first"),
        expected=("expected", "mean"),
        found=("found", "mean"),
        fewest=("found", "min"),
        most=("found", "max"),
    )
    return columns.reset_index()
