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
MAIN = {"auc": "AUC", "r2": "R²"}
MORE, LESS, SAME, FEWER = "more", "less", "no evidence of a difference", "too few people to tell"
RIVALS = {
    COVARIATES: "covariates",
    BEFORE: "the score at the scan",
    SITE: "the site",
    VOLUMES: "volumes",
    PCA: "components",
}
BEST = 3
ALONE = "model"  # the setting of models that nothing tells apart
ENOUGH = 20  # people, half of them in either class, below which a percentile interval says little
SMALL = 0.02  # below it a difference is told with three digits
MOST_DIGITS = 5


def target_sentences(table: pd.DataFrame) -> list[str]:
    """Say of each target what the latents add to covariates, beside all rivals; all visits, linear probes."""
    return [_sentence(name, rows) for name, rows in main_rows(table).groupby("target", sort=False)]  # type: ignore[arg-type]


def baseline_sentences(table: pd.DataFrame) -> list[str]:
    """Say how the latents of settings differ from those of the baseline."""
    rows = main_rows(table)
    rows = rows[(rows["versus"] == BASELINE) & (rows["inputs"] == WITH + LATENTS)]
    return [
        f"{TITLES.get(name, name)}: {who(row)} {signed(row)} {MAIN[row['metric']]} ({verdict(row)})"
        for name, row in ((row["target"], row) for row in means_only(rows).to_dict("records"))
    ]


def place_sentences(table: pd.DataFrame) -> list[str]:
    """Say whether latents tell where a scan was made."""
    rows = table[(table["mode"] == CONFOUND) & (table["metric"] == "auc") & (table["interval"] == PEOPLE)]
    told = []
    for row in means_only(rows[rows["versus"] == ""]).to_dict("records"):
        beyond = (
            "beyond chance: check that it does not stand in for the diagnosis" if row["low"] > 0.5 else "near chance"
        )
        told.append(f"{row['target']} from {who(row)}: AUC {_interval(row)}, {beyond}")
    return told


def trial_sentences(table: pd.DataFrame) -> list[str]:
    """Name the measures that need the fewest people in a trial, and say who is recognised."""
    lines = table[table["mode"] == "reliability"]
    sizes = lines[(lines["metric"] == "n80") & np.isfinite(lines["value"])].sort_values("value")
    told = []
    for setting, mine in sizes.groupby("setting", sort=False):
        best = "; ".join(_size(row) for row in mine.head(BEST).to_dict("records"))
        whose = "scores and volumes" if setting == RIVAL else f"best of {len(mine)} latents"
        told.append(f"fewest people per arm to show a slowing by 25 %, {whose}: {best}")
    for setting, mine in lines[lines["metric"] == "identification"].groupby("setting", sort=False):
        chance = lines[(lines["metric"] == "identification_chance") & (lines["setting"] == setting)]["value"].mean()
        name = who(mine.iloc[0].to_dict()) if len(mine) == 1 else str(setting)
        rates = ", ".join(f"{rate:.0%}" for rate in mine["value"])
        told.append(
            f"the nearest other visit by all latents of {name} is of the same person for {rates} (chance {chance:.0%})"
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
    latents = means_only(rows[(rows["versus"] == "") & (rows["inputs"] == LATENTS)]).to_dict("records")
    said += "".join(f", {_interval(row)} by latents of {who(row)}" for row in latents)
    added = means_only(rows[(rows["versus"] == COVARIATES) & (rows["inputs"] == WITH + LATENTS)]).to_dict("records")
    more = "; ".join(f"{who(row)} {signed(row)} ({verdict(row)})" for row in added)
    return f"{said}. Added to covariates: {more}"


def main_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Keep AUC and R² of linear probes, over all visits, with intervals over people."""
    kept = (table["mode"] == ALL) & (table["probe"] == "linear") & (table["interval"] == PEOPLE)
    rows = table[kept & table["metric"].isin(MAIN)]
    return rows.assign(people_1=pd.to_numeric(rows["people_1"], errors="coerce"))


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


def who(row: Row) -> str:
    """Name what a row is of: a rival, the mean over seeds of a setting, or a model."""
    if row["setting"] == RIVAL:
        return RIVALS.get(row["inputs"], str(row["inputs"]))
    if str(row["model"]).startswith("mean of "):
        return f"{row['setting']} ({str(row['model']).removeprefix('mean of ')} seeds)"
    return f"{row['setting']}, seed {row['seed']}" if row["seed"] and row["setting"] != ALONE else str(row["model"])


def measure(row: Row) -> str:
    """Name a measure: a volume or score by itself, a latent with its model."""
    name = short_factor(str(row["inputs"]))
    return name if row["setting"] == RIVAL else f"{name} of {who(row)}"


def _interval(row: Row) -> str:
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def signed(row: Row) -> str:
    """Write a difference with its interval, in so many digits that neither end of it seems to be 0 when it is not."""
    numbers = [float(row[name]) for name in ("value", "low", "high")]
    digits = 2 if max(map(abs, numbers)) >= SMALL else 3
    while digits < MOST_DIGITS and any(number and not round(number, digits) for number in numbers[1:]):
        digits += 1
    value, low, high = (_with_sign(number, digits) for number in numbers)
    return f"{value} [{low}, {high}]"


def _with_sign(number: float, digits: int) -> str:
    """Write a number with its sign; what rounds to 0 has none."""
    rounded = round(number, digits)
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def verdict(row: Row) -> str:
    """Say whether the interval of a difference leaves 0 out."""
    if min((row["people"], *_classes(row))) < ENOUGH:
        return FEWER
    if row["low"] > 0:
        return MORE
    return LESS if row["high"] < 0 else SAME


def _classes(row: Row) -> tuple[float, ...]:
    """Return twice the people of both classes, nothing for quantities."""
    ill = row["people_1"]
    return () if ill != ill else (2 * ill, 2 * (row["people"] - ill))


def _size(row: Row) -> str:
    high = f"{row['high']:.0f}" if np.isfinite(row["high"]) else "any number"
    return f"{measure(row)}: {row['value']:.0f} [{row['low']:.0f}, {high}]"


def lines_of(title: str, sentences: list[str]) -> Iterator[str]:
    """Yield a section of a text, nothing if it is empty."""
    if sentences:
        yield from (f"## {title}", "", *(f"- {sentence}." for sentence in map(capital, sentences)), "")


def capital(words: str) -> str:
    """Begin a sentence."""
    return words[:1].upper() + words[1:]
