"""What a study of scores found, in sentences."""

from collections.abc import Hashable, Iterator
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from disentangle_pl.studies.clinical_probe import ALL
from disentangle_pl.studies.clinical_questions import CONFOUND
from disentangle_pl.studies.clinical_table import (
    BASELINE,
    BEFORE,
    COVARIATES,
    LATENTS,
    PCA,
    PEOPLE,
    RIVAL,
    SITE,
    VOLUMES,
    WITH,
)
from disentangle_pl.studies.clinical_targets import TITLES
from disentangle_pl.studies.labels import short_factor

Row: TypeAlias = dict[Hashable, Any]
MAIN = {"auc": "AUC", "r2": "R2"}
RIVALS = {
    COVARIATES: "covariates",
    BEFORE: "the score at the scan",
    SITE: "the site",
    VOLUMES: "volumes",
    PCA: "components",
}
BEST = 3
ENOUGH = 20  # people, half of them in either class, below which a percentile interval says little


def target_sentences(table: pd.DataFrame) -> list[str]:
    """Say of each target what the latents add to covariates, beside all rivals; all visits, linear probes."""
    return [_sentence(name, rows) for name, rows in _main(table).groupby("target", sort=False)]  # type: ignore[arg-type]


def baseline_sentences(table: pd.DataFrame) -> list[str]:
    """Say how the latents of settings differ from those of the baseline."""
    rows = _main(table)
    rows = rows[(rows["versus"] == BASELINE) & (rows["inputs"] == WITH + LATENTS)]
    return [
        f"{TITLES.get(name, name)}: {_who(row)} {_signed(row)} {MAIN[row['metric']]} ({_verdict(row)})"
        for name, row in ((row["target"], row) for row in _means(rows).to_dict("records"))
    ]


def place_sentences(table: pd.DataFrame) -> list[str]:
    """Say whether latents tell where a scan was made."""
    rows = table[(table["mode"] == CONFOUND) & (table["metric"] == "auc") & (table["interval"] == PEOPLE)]
    told = []
    for row in _means(rows[rows["versus"] == ""]).to_dict("records"):
        beyond = (
            "beyond chance: check that it does not stand in for the diagnosis" if row["low"] > 0.5 else "near chance"
        )
        told.append(f"{row['target']} from {_who(row)}: AUC {_interval(row)}, {beyond}")
    return told


def trial_sentences(table: pd.DataFrame) -> list[str]:
    """Name the measures that need the fewest people in a trial, and say who is recognised."""
    lines = table[table["mode"] == "reliability"]
    sizes = lines[(lines["metric"] == "n80") & np.isfinite(lines["value"])].sort_values("value")
    told = []
    for (setting, model), mine in sizes.groupby(["setting", "model"], sort=False):
        best = "; ".join(_size(row) for row in mine.head(BEST).to_dict("records"))
        whose = "scores and volumes" if setting == RIVAL else f"latents of {model}"
        told.append(f"fewest people an arm to show a slowing by 25 %, {whose}: {best}")
    for row in lines[lines["metric"] == "identification"].to_dict("records"):
        mine = lines[(lines["metric"] == "identification_chance") & (lines["model"] == row["model"])]
        told.append(
            f"the nearest other visit by all latents of {row['model']} is of the same person for {row['value']:.0%} "
            f"(chance {mine['value'].iloc[0]:.0%}): whoever splits by visit measures this"
        )
    return told


def _sentence(name: str, rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    metric = MAIN[str(first["metric"])]
    ill = f", {first['people_1']:.0f} of them positive" if first["people_1"] == first["people_1"] else ""
    said = f"{TITLES.get(name, name)} ({first['people']} people{ill}, {first['scans']} scans): "
    alone = rows[(rows["versus"] == "") & (rows["setting"] == RIVAL)].to_dict("records")
    said += (
        metric
        + " "
        + ", ".join(f"{row['value']:.2f} by {RIVALS[row['inputs']]}" for row in alone if row["inputs"] in RIVALS)
    )
    latents = _means(rows[(rows["versus"] == "") & (rows["inputs"] == LATENTS)]).to_dict("records")
    said += "".join(f", {_interval(row)} by latents of {_who(row)}" for row in latents)
    added = _means(rows[(rows["versus"] == COVARIATES) & (rows["inputs"] == WITH + LATENTS)]).to_dict("records")
    more = "; ".join(f"{_who(row)} {_signed(row)} ({_verdict(row)})" for row in added)
    return f"{said}. Added to covariates: {more}"


def _main(table: pd.DataFrame) -> pd.DataFrame:
    kept = (table["mode"] == ALL) & (table["probe"] == "linear") & (table["interval"] == PEOPLE)
    rows = table[kept & table["metric"].isin(MAIN)]
    return rows.assign(people_1=pd.to_numeric(rows["people_1"], errors="coerce"))


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the mean over seeds where there is one."""
    several = rows[rows["model"].str.startswith("mean of ")][["target", "setting"]].drop_duplicates()
    keys = set(several.itertuples(index=False, name=None))
    alone = [
        model.startswith("mean of ") or (target, setting) not in keys
        for target, setting, model in zip(rows["target"], rows["setting"], rows["model"], strict=True)
    ]
    return rows[np.array(alone, bool)]


def _who(row: Row) -> str:
    if row["setting"] == RIVAL:
        return RIVALS.get(row["inputs"], str(row["inputs"]))
    mean = str(row["model"]).startswith("mean of ")
    return f"{row['setting']} ({str(row['model']).removeprefix('mean of ')} seeds)" if mean else str(row["model"])


def _interval(row: Row) -> str:
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _signed(row: Row) -> str:
    return f"{row['value']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"


def _verdict(row: Row) -> str:
    if min((row["people"], *_classes(row))) < ENOUGH:
        return "too few people to tell"
    if row["low"] > 0:
        return "more"
    return "less" if row["high"] < 0 else "no evidence of a difference"


def _classes(row: Row) -> tuple[float, ...]:
    """Return twice the people of both classes, nothing for quantities."""
    ill = row["people_1"]
    return () if ill != ill else (2 * ill, 2 * (row["people"] - ill))


def _size(row: Row) -> str:
    high = f"{row['high']:.0f}" if np.isfinite(row["high"]) else "any number"
    return f"{short_factor(str(row['inputs']))} {row['value']:.0f} [{row['low']:.0f}, {high}]"


def lines_of(title: str, sentences: list[str]) -> Iterator[str]:
    """Yield a section of a text, nothing if it is empty."""
    if sentences:
        yield from (f"## {title}", "", *(f"- {sentence}." for sentence in sentences), "")
