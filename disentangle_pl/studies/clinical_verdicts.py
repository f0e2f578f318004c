"""Which comparisons of a study of scores are primary, and what may be said of them after correction for number."""

from collections.abc import Hashable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from disentangle_pl.studies.clinical_probe import ALL
from disentangle_pl.studies.clinical_table import BASELINE, BASES, COMPARED, LATENTS, PEOPLE, added
from disentangle_pl.studies.sparsity_compare import holm

Row: TypeAlias = dict[Hashable, Any]
MAIN = {"auc": "AUC", "r2": "R²"}
MORE, LESS, SAME, FEWER = "more", "less", "no evidence of a difference", "too few people to tell"
EXPLORED = "exploratory"
ENOUGH = 20  # people, half of them in either class, below which an interval says little
LEVEL = 0.05
PRIMARY = (
    "what the latents of a setting other than the baseline add to covariates (to the score at the scan, for scores to "
    "come), and how they differ from the baseline, of each target: AUC or R² of linear probes over all visits, the "
    "mean over seeds"
)


def main_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Keep AUC and R² of linear probes, over all visits, and say in a column `added` what stands beside a rival."""
    kept = (table["mode"] == ALL) & (table["probe"] == "linear") & table["interval"].isin((PEOPLE, COMPARED))
    rows = table[kept & table["metric"].isin(MAIN)]
    people_1 = pd.to_numeric(rows["people_1"], errors="coerce")
    return rows.assign(people_1=people_1, added=[added(str(inputs)) for inputs in rows["inputs"]])


def means_only(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the mean over seeds where there is one; settings are in the order of their first models."""
    several = rows[rows["model"].str.startswith("mean of ")][["target", "setting"]].drop_duplicates()
    keys = set(several.itertuples(index=False, name=None))
    alone = [
        model.startswith("mean of ") or (target, setting) not in keys
        for target, setting, model in zip(rows["target"], rows["setting"], rows["model"], strict=True)
    ]
    order = {name: place for place, name in enumerate(dict.fromkeys(rows["setting"]))}
    return rows[np.array(alone, bool)].sort_values("setting", key=lambda names: names.map(order), kind="stable")


def with_verdicts(table: pd.DataFrame, baseline: str | None) -> pd.DataFrame:
    """Correct the p-values of the primary comparisons after Holm, in a column `p_holm`; it is NaN of all others.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65.

    Args:
        table: Of `table_of`.
        baseline: The setting others are compared with, if there is another.
    """
    rows = means_only(main_rows(table))
    rows = rows[(rows["added"] == LATENTS) & (rows["setting"] != baseline) & rows["versus"].isin((*BASES, BASELINE))]
    rows = rows[np.array([_fewest(row) >= ENOUGH for row in rows.to_dict("records")], bool)]
    corrected = pd.Series(holm(rows["p"]), index=rows.index, dtype=np.float64)
    return table.assign(p_holm=corrected.reindex(table.index))


def verdict(row: Row) -> str:
    """Say whether a primary comparison differs from 0 after correction; others are exploratory."""
    if _fewest(row) < ENOUGH:
        return FEWER
    if row["p_holm"] != row["p_holm"]:
        return EXPLORED
    if row["p_holm"] >= LEVEL:
        return SAME
    return MORE if row["value"] > 0 else LESS


def _fewest(row: Row) -> float:
    """Return the people, or twice those of the smaller class."""
    ill = row["people_1"]
    return float(row["people"] if ill != ill else min(row["people"], 2 * ill, 2 * (row["people"] - ill)))
