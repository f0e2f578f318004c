"""Whom a study of scores is of: people by part, from the table to the analysis, lost on the way, and if they suffice.

Source: Collins et al. 2024, TRIPOD+AI, BMJ 385:e078378, items 10, 20 and 21.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from disentangle_pl.metrics.development_size import people_for_classes, people_for_quantity
from disentangle_pl.metrics.prediction_folds import Rows
from disentangle_pl.studies.clinical_people import Sides
from disentangle_pl.studies.clinical_predictions import is_class
from disentangle_pl.studies.clinical_targets import CONVERTS, MCI, SCORES, TITLES, Target, stages

EXPECTED_R2 = 0.15  # of quantities, where nothing is known, as of Nagelkerke's R² for classes
STAGES = {"healthy": 0.0, "mild impairment": 1.0, "dementia": 2.0}


def people_table(
    visits: pd.DataFrame, sides: Sides, covariates: pd.DataFrame, places: pd.Series | None
) -> pd.DataFrame:
    """Return what people are like at their first scan, those encoders were trained on beside those who are tested.

    Args:
        visits: Table of all scans.
        sides: Training and tested scans.
        covariates: (N, c) age, sex as 0 and 1, education, APOE4.
        places: (N,) sites; None without.

    Returns:
        A row a characteristic, text in the columns training and tested.
    """
    table = covariates.join(visits[["participant_id", "years", *(name for name in SCORES if name in visits.columns)]])
    table = table.assign(stage=stages(visits), site=places if places is not None else np.nan)
    parts = {"training": dict(_characteristics(table.iloc[sides.train]))}
    parts["tested"] = dict(_characteristics(table.iloc[sides.held_out]))
    names = dict.fromkeys([*parts["training"], *parts["tested"]])
    return pd.DataFrame(
        [{"characteristic": name} | {part: cells.get(name, "n/a") for part, cells in parts.items()} for name in names]
    )


def _characteristics(scans: pd.DataFrame) -> Iterator[tuple[str, str]]:
    people = scans.sort_values("years", kind="stable").drop_duplicates("participant_id")
    yield "people", str(len(people))
    yield "scans", str(len(scans))
    if not len(people):
        return
    span = scans.groupby("participant_id")["years"].agg(np.ptp)
    yield "years from first to last scan, median (quartiles)", _quartiles(span)
    for name in ("age", "education", *SCORES):
        if name in people and people[name].notna().any():
            missing = int(people[name].isna().sum())
            words = f"{TITLES.get(name, name)}, mean (standard deviation)"
            yield (
                words,
                f"{people[name].mean():.1f} ({people[name].std():.1f})" + (f", {missing} n/a" if missing else ""),
            )
    if "sex" in people:
        yield "women", _share(people["sex"] == 0)
    if "apoe4" in people:
        yield "carriers of APOE4", _share(people["apoe4"] > 0)
    for name, stage in STAGES.items():
        yield name, _share(people["stage"] == stage)
    yield "diagnosis n/a", _share(people["stage"].isna())
    if people["site"].notna().any():
        yield "sites", str(people["site"].nunique())


def flow_table(
    targets: Sequence[Target], visits: pd.DataFrame, sides: Sides, predictions: pd.DataFrame
) -> pd.DataFrame:
    """Return how many people and scans were left at every step, a row a target.

    Args:
        targets: Of all scans.
        visits: Table of all scans.
        sides: Training and tested scans.
        predictions: Of `prediction_table`.
    """
    who = visits["participant_id"]
    rows = []
    for target in targets:
        there = sides.held_out[np.isfinite(target.values[sides.held_out])]
        used = predictions[predictions["target"] == target.name].drop_duplicates(["participant_id", "session_id"])
        steps = {
            "in_the_table": (who.nunique(), len(visits)),
            "of_the_tested_part": (who.iloc[sides.held_out].nunique(), len(sides.held_out)),
            "with_the_target": (who.iloc[there].nunique(), len(there)),
            "analysed": (used["participant_id"].nunique(), len(used)),
        }
        cells = {
            f"{what}_{step}": pair[i] for step, pair in steps.items() for i, what in enumerate(("people", "scans"))
        }
        rows.append({"target": target.name} | cells)
    return pd.DataFrame(rows)


def follow_up_table(targets: Sequence[Target], visits: pd.DataFrame, sides: Sides) -> pd.DataFrame:
    """Return what tested people are like who were followed up, and those lost, at their first scan that counts.

    Of scores to come scans with the score count, of conversion those with mild impairment.

    Returns:
        Two rows a target of what is to come: people, and means of age, of being a woman, of the score at the scan.
    """
    rows: list[dict[str, object]] = []
    for target in targets:
        if target.baseline is None and target.name != CONVERTS:
            continue
        score = visits[target.baseline or "mmse"] if (target.baseline or "mmse") in visits else visits["age"] * np.nan
        counts = score.notna().to_numpy() if target.baseline else stages(visits) == MCI
        scans = visits.iloc[_first(visits, sides.held_out[counts[sides.held_out]])]
        followed = np.isfinite(target.values[scans.index.to_numpy(np.intp)])
        for name, own in (("followed", scans[followed]), ("lost", scans[~followed])):
            means = {"age": own["age"].mean(), "women": (own["sex"] == "F").mean() if len(own) else np.nan}
            means["score_at_the_scan"] = score.loc[own.index].mean()
            rows.append({"target": target.name, "follow_up": name, "people": len(own)} | means)
    return pd.DataFrame(rows, columns=["target", "follow_up", "people", "age", "women", "score_at_the_scan"])


def follow_up_sentences(table: pd.DataFrame) -> list[str]:
    """Say of how many people what is to come is unknown."""
    said = []
    for target, rows in table.groupby("target", sort=False):
        lost, total = int(rows.loc[rows["follow_up"] == "lost", "people"].sum()), int(rows["people"].sum())
        if total:
            title = TITLES.get(str(target), str(target))
            said.append(
                f"{title}: {lost} of {total} people ({lost / total:.0%}) were not followed up, and are left out"
            )
    return said


def size_sentences(predictions: pd.DataFrame, parameters: int) -> list[str]:
    """Say how many people probes of so many inputs ask for, beside how many there are.

    Args:
        predictions: Of `prediction_table`.
        parameters: Covariates and latents.
    """
    if predictions.empty or parameters < 1:
        return []
    parts = []
    for target, rows in predictions.groupby("target", sort=False):
        people = rows.drop_duplicates("participant_id")
        share = rows.groupby("participant_id")["observed"].mean().mean()
        if is_class(rows) and not 0 < share < 1:
            continue
        needed = (
            people_for_classes(parameters, share) if is_class(rows) else people_for_quantity(parameters, EXPECTED_R2)
        )
        parts.append(f"{TITLES.get(str(target), str(target))} {needed:,} ({len(people)} there)")
    return [
        f"To develop a model of {parameters} inputs without a penalty, if they explain 15 % of what can be explained, "
        f"Riley et al. (2019) ask for people: {', '.join(parts)}; with fewer, coefficients have to be shrunk, as here, "
        "and are not to be carried elsewhere"
    ]


def _first(visits: pd.DataFrame, rows: Rows) -> Rows:
    """Return the first of the rows of every person, by time."""
    table = visits.iloc[rows].assign(row=rows).sort_values("years", kind="stable")
    return np.sort(table.drop_duplicates("participant_id")["row"].to_numpy(np.intp))


def _share(which: "pd.Series[bool]") -> str:
    return f"{int(which.sum())} ({which.mean():.0%})"


def _quartiles(values: "pd.Series[float]") -> str:
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"
