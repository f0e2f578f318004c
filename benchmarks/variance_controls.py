"""Data sets beside controls that differ from them in one thing: the planned comparisons of the variance study."""

import math
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from disentangle_pl.studies.sparsity_compare import holm
from disentangle_pl.studies.variance_study_effects import settings

TURNING = "TurningDirections, ratio=1.5, turn="
# what differs, the data set, its control
PAIRS = (
    ("amounts are unequal (1.5 against 1.0)", "CosineFactors, ratio=1.5", "CosineFactors, ratio=1"),
    ("amounts are unequal (1.2 against 1.0)", "CosineFactors, ratio=1.2", "CosineFactors, ratio=1"),
    (
        "directions turn with the position",
        "TurningDirections, ratio=1.5, turn=90",
        "TurningDirections, ratio=1.5, turn=0",
    ),
    ("amount and direction of colour depend on size", "ColourSize", "ColourPatch"),
    ("the amount of colour depends on size", "ColourSize", "EvenColourSize"),
    ("the direction of colour depends on size", "EvenColourSize", "ColourPatch"),
    ("local directions are turned by faint waves", "Perturbed, turn=0.2", "Sprites"),
    ("the same, beside noise as strong", "Perturbed, turn=0.2", "Noised"),
)
SCORES = ("disentanglement/mig", "disentanglement/dci_disentanglement", "disentanglement/modularity_corrected")
OUTCOMES = (*SCORES, "axis_spread", "encoding_inconsistency", "switching")
LEVEL = 0.95


def controls(runs: pd.DataFrame) -> pd.DataFrame:
    """Compare data sets with their controls, in models of equal settings.

    Args:
        runs: `runs.tsv` of `disentangle-pl study`.

    Returns:
        One row a comparison and outcome: `differs`, `data_set`, `control`, `outcome`, `mean`, `mean_control`,
        `difference` with its 95 % t interval `low`, `high` given the setting, `p` after Holm over all rows of the
        outcome, and `runs`. Comparisons are left out where a side has no run with the outcome, or there are too few.
    """
    rows = []
    for (differs, name, control), outcome in product(PAIRS, [outcome for outcome in OUTCOMES if outcome in runs]):
        mine = runs[runs["data_set"].isin([name, control])].dropna(subset=[outcome])
        if mine["data_set"].nunique() == 2 and len(mine) > 1 + settings(mine).nunique():
            named = {"differs": differs, "data_set": name, "control": control, "outcome": outcome}
            rows.append(named | _compare(mine, name, outcome))
    table = pd.DataFrame(rows)
    if len(table):
        table["p"] = table.groupby("outcome")["p"].transform(holm)
    return table


def words(table: pd.DataFrame) -> str:
    """Return the comparisons as Markdown.

    Args:
        table: As `controls` returns it.
    """
    lines = [
        "# Data sets beside their controls",
        "",
        "Each differs from its control in one thing; all else, models and seeds, is equal. Differences with 95 % "
        "intervals given the setting, p after Holm over the comparisons of an outcome.",
        "",
        "| what differs | data set, control | outcome | data set | control | difference | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        change = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        cells = [row["differs"], f"{row['data_set']}; {row['control']}", str(row["outcome"]).rpartition("/")[2]]
        cells += [f"{row['mean']:.3f}", f"{row['mean_control']:.3f}", change, f"{row['p']:.2g}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _compare(mine: pd.DataFrame, name: str, outcome: str) -> dict[str, float]:
    here = (mine["data_set"] == name).to_numpy(float)
    y = mine[outcome].to_numpy(float)
    design = np.column_stack([here, pd.get_dummies(settings(mine), dtype=float).to_numpy()])
    slopes = np.linalg.lstsq(design, y, rcond=None)[0]
    free = len(y) - design.shape[1]
    within = float(np.square(y - design @ slopes).sum()) / free
    slope, error = float(slopes[0]), math.sqrt(within * float(np.linalg.inv(design.T @ design)[0, 0]))
    students = stats.t(free)
    half = float(students.ppf((1 + LEVEL) / 2)) * error
    return {
        "mean": float(y[here > 0].mean()),
        "mean_control": float(y[here == 0].mean()),
        "difference": slope,
        "low": slope - half,
        "high": slope + half,
        "p": 2 * float(students.sf(abs(slope) / error)),
        "runs": len(y),
    }
