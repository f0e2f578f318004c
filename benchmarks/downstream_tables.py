"""How many planted variants the latents of models have found, beside true volumes and the expectation of the power."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from disentangle_pl.genetics.power import expected_finds, read_planted
from disentangle_pl.genetics.significance import GENOME_WIDE

APOE = "severity"
LEVELS = ("genome_wide", "in_study")
FAMILYWISE = 0.05
EVERY = "all"


def best(study: Path) -> tuple[pd.Series, int, float, int]:
    """Return the smallest p a variant over phenotypes, by id, and phenotypes, their effective number and people."""
    table = pd.read_parquet(study / "associations.parquet", columns=["id", "p"])
    summary = json.loads((study / "summary.json").read_text())
    free = summary["people"] - len(summary["covariates"]) - 2
    least = table.groupby(table["id"].astype(str))["p"].min()
    return least, len(summary["phenotypes"]), summary["thresholds"]["effective_number"], free


def found_by_factor(studies: Mapping[str, Sequence[Path]], truth: Path) -> pd.DataFrame:
    """Count planted variants by method, study and factor at two thresholds.

    Args:
        studies: Folders of finished studies by method.
        truth: Table of planted effects, see `read_planted`.

    Returns:
        Columns method, study, people, phenotypes, level (5e-8, or 5 % over the variants of the study; both over the
        effective number of phenotypes), p (of that level), factor, planted, found, expected (by a phenotype that is
        the factor and nothing else), smallest_p. The factor `none` has the variants that act on nothing, of which
        found are false; of these expected is 5 % and less of one in the whole study.
    """
    acting = read_planted(truth)
    rows = []
    for method, paths in studies.items():
        for path in paths:
            least, phenotypes, effective, free = best(path)
            factor = acting.set_index("id")["factor"].reindex(least.index).fillna("none")
            for level in LEVELS:
                p = (GENOME_WIDE if level == "genome_wide" else FAMILYWISE / len(least)) / effective
                chance = expected_finds(acting, free, p).set_index("id")["power"].reindex(least.index)
                told = {"method": method, "study": path.name, "people": free, "phenotypes": phenotypes}
                for name, values in [*least.groupby(factor), (EVERY, least[factor != "none"])]:
                    counts = {"planted": len(values), "found": int((values <= p).sum())}
                    expected = np.nan if name == "none" else float(chance[values.index].sum())
                    more = {"factor": name, **counts, "expected": expected, "smallest_p": values.min()}
                    rows.append({**told, "level": level, "p": p, **more})
    return pd.DataFrame(rows)


def draw_found(table: pd.DataFrame) -> Figure:
    """Draw how many variants of every factor each method finds, seeds as dots, and what the power leads to expect."""
    factors = [name for name in table["factor"].unique() if name not in {"none", EVERY}]
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
        scope = "genome-wide, 5e-8" if level == "genome_wide" else "within the study, 5 %"
        axis.set_title(f"{scope} over the effective number of phenotypes: p <= {mine['p'].min():.1e}", fontsize=10)
        axis.set_ylabel("variants found")
    axis.legend(fontsize=8, frameon=False)
    return figure


def loudest(table: pd.DataFrame) -> str:
    """Say in a line a method what was found of all that was planted, and of what acts on nothing."""
    mine = table[table["factor"].isin([EVERY, "none"])]
    counts = mine.groupby(["level", "method", "factor"], sort=False)["found"].agg(["mean", "min", "max"])
    return str(counts.round(2).to_string())
