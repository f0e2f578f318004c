"""What a reader of a study of scores wants to know first, in a few sentences."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from disentangle_pl.studies.clinical_table import BASELINE, BASES, LATENTS, PCA, RIVAL, VOLUMES
from disentangle_pl.studies.clinical_targets import TITLES
from disentangle_pl.studies.clinical_verdicts import (
    EXPLORED,
    FEWER,
    LESS,
    MAIN,
    MORE,
    SAME,
    Row,
    main_rows,
    means_only,
    verdict,
)
from disentangle_pl.studies.clinical_words import measure, signed, who
from disentangle_pl.studies.labels import short_factor

NAMED = 4  # targets named with their intervals
AGGREGATION = "aggregation"
BESIDE = {VOLUMES: "volumes", PCA: "principal components of the images", BASELINE: "the baseline"}


def called(settings: Sequence[str]) -> dict[str, str]:
    """Call settings by as little as tells them apart: aggregation, another key, both, or in full."""
    parts = [dict(word.split("=", 1) for word in name.split(", ") if "=" in word) for name in settings]
    known = [key for key in parts[0] if all(key in part for part in parts)] if len(settings) > 1 else []
    words = [key for key in known if key != AGGREGATION and not any(_number(part[key]) for part in parts)]
    others = [*words, *(key for key in known if key not in (AGGREGATION, *words))]
    singles = [(key,) for key in (AGGREGATION, *others) if key in known]
    pairs = [(AGGREGATION, key) for key in others if AGGREGATION in known]
    for keys in (*singles, *pairs):
        values = [tuple(part[key] for key in keys) for part in parts]
        if len(set(values)) == len(settings):
            first = [value[0] for value in values]
            short = [value[:1] if first.count(value[0]) == 1 else value for value in values]
            names = [", ".join(map(_word, keys, each)) for each in short]
            return dict(zip(settings, names, strict=True))
    return {name: name for name in settings}


def _word(key: str, value: str) -> str:
    return f"{key}={value}" if key != AGGREGATION else "plain model" if value == "null" else value


def _number(value: str) -> bool:
    return value.replace(".", "", 1).replace("-", "").replace("e", "", 1).isdigit()


def headlines(table: pd.DataFrame, baseline: str | None) -> list[str]:
    """Say what latents add to covariates, beside volumes, components and the baseline, and how reliable they are.

    Args:
        table: Of `table_of`.
        baseline: The setting others are compared with, if there is another.
    """
    rows = means_only(main_rows(table))
    rows = rows[rows["added"] == LATENTS]
    order = sorted(dict.fromkeys(rows["setting"]), key=lambda name: name == baseline)
    told = [_added(mine) for name in order if len(mine := _versus(rows, name, *BASES))]
    for other, words in BESIDE.items():
        for name in order[:1]:
            mine = _versus(rows, name, other)
            if len(mine):
                against = f"{words} ({baseline})" if other == BASELINE else words
                name = who(mine.iloc[0].to_dict())
                told.append(f"Latents of {name} against {against}, each added to covariates: {_counted(mine)}")
    return told + _agreed(table) + _smallest(table)


def _versus(rows: pd.DataFrame, setting: str, *versus: str) -> pd.DataFrame:
    return rows[(rows["setting"] == setting) & rows["versus"].isin(versus)]


def _added(rows: pd.DataFrame) -> str:
    results = [(row, verdict(row)) for row in rows.to_dict("records")]
    name = who(results[0][0])
    if any(each == EXPLORED for _, each in results):
        return f"Latents of {name}, added to covariates: {_explored(rows)}"
    clear = sorted((row for row, each in results if each == MORE), key=lambda row: -float(row["value"]))
    less = [_title(row) for row, each in results if each == LESS]
    worse = f"; they take away from {', '.join(less)}" if less else ""
    if not clear:
        return f"Latents of {name} add nothing certain to covariates for any of {len(results)} targets{worse}"
    first = ", ".join(f"{_title(row)} {MAIN[row['metric']]} {signed(row)}" for row in clear[:NAMED])
    more = f", and {', '.join(map(_title, clear[NAMED:]))}" if clear[NAMED:] else ""
    return f"Latents of {name} add to covariates for {len(clear)} of {len(results)} targets: {first}{more}{worse}"


def _explored(rows: pd.DataFrame) -> str:
    """Count the signs of comparisons that have no verdict."""
    above = int((rows["value"] > 0).sum())
    return f"above 0 for {above} of {len(rows)} targets; not a primary comparison, so without a verdict"


def _counted(rows: pd.DataFrame) -> str:
    results = [(row, verdict(row)) for row in rows.to_dict("records")]
    if any(each == EXPLORED for _, each in results):
        return _explored(rows)
    parts = []
    for sign, words in ((MORE, "more for"), (LESS, "less for")):
        named = [f"{_title(row)} ({signed(row)})" for row, each in results if each == sign]
        parts += [f"{words} {', '.join(named)}"] if named else []
    few = sum(each == FEWER for _, each in results)
    even = sum(each == SAME for _, each in results)
    parts += [f"no evidence of a difference for {even} of {len(results)} targets"] if even else []
    parts += [f"too few people for {few}"] if few else []
    return "; ".join(parts)


def _agreed(table: pd.DataFrame) -> list[str]:
    lines = table[(table["mode"] == "reliability") & (table["metric"] == "icc") & (table["setting"] != RIVAL)]
    return [
        f"Of a rescan the latents of {name} say the same with a median ICC of {mine['value'].median():.2f} "
        f"({mine['value'].min():.2f} to {mine['value'].max():.2f}, {len(mine)} latents of {mine['model'].nunique()} "
        "models)"
        for name, mine in lines.groupby("setting", sort=False)
    ]


def _smallest(table: pd.DataFrame) -> list[str]:
    """Name the best latent and the best volume or score for a trial."""
    lines = table[(table["mode"] == "reliability") & (table["metric"] == "n80") & np.isfinite(table["value"])]
    ranked = lines.sort_values("value")
    latents, rivals = ranked[ranked["setting"] != RIVAL], ranked[ranked["setting"] == RIVAL]
    if latents.empty:
        return []
    first = latents.iloc[0].to_dict()
    best = f"{first['value']:.0f} people per arm by the best of {len(latents)} latents ({measure(first)})"
    beside = f", {rivals.iloc[0]['value']:.0f} by {short_factor(rivals.iloc[0]['inputs'])}" if len(rivals) else ""
    return [f"To show a slowing by 25 % a trial needs {best}{beside}; the best was chosen on these very people"]


def _title(row: Row) -> str:
    return TITLES.get(row["target"], str(row["target"]))
