"""Sites taken out of codes and volumes by ComBat, fitted to the controls a model was trained on, as verbs offer it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.tables import listing
from disentangle_pl.brain.truth import scan_factors
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.combat import FEWEST, Combat, Mask, Sites, covered, fit_combat, harmonised
from disentangle_pl.metrics.prediction_folds import Rows
from disentangle_pl.metrics.prediction_inputs import Inputs, columns
from disentangle_pl.metrics.reliability import People
from disentangle_pl.metrics.score import Values
from disentangle_pl.metrics.site_auc import site_auc
from disentangle_pl.studies.clinical_targets import STAGES, stages

TABLE = "harmonisation.tsv"
BEFORE, AFTER = "before", "after"
UNKNOWN = ""
ENOUGH = 20
"""People of a site below which a word is said: of 20 the error of a shift is a quarter of the spread of people."""

Unknown = Literal["refuse", "keep"]
Line = dict[str, object]


@dataclass(frozen=True)
class Harmonisation:
    """ComBat over sites, fitted to training controls and applied to everybody.

    Args:
        batch: The column that names the site or scanner; null for no harmonisation.
        covariates: Columns whose effect stays in, such as age and sex.
        controls: The diagnosis of the training scans it is fitted to; null for all training scans.
        unknown: What becomes of scans of sites the fit does not have, or without a covariate: refuse, or keep as they
            are.

    Raises:
        InputError: If other settings are given without a batch.
    """

    batch: str | None = None
    covariates: tuple[str, ...] = ("age", "sex")
    controls: str | None = "CN"
    unknown: Unknown = "refuse"

    def __post_init__(self) -> None:
        changed = [each.name for each in fields(self) if getattr(self, each.name) != each.default]
        if self.batch is None and changed:
            raise InputError(
                f"--combat.{changed[0]} is of no use without --combat.batch, the column that names the site: give it, "
                "such as --combat.batch=site"
            )


class Batches(NamedTuple):
    """What ComBat takes of N scans.

    Attributes:
        sites: (N,) names, "" where unknown.
        covariates: (N, c), NaN where unknown.
        people: (N,) a number of the person of every scan.
        times: (N,) years since the person's first visit, NaN where unknown.
        fit: (M,) rows of the controls in training, of sites with two such people or more.
        unknown: What becomes of scans that the fit does not cover.
        remarks: Sentences on who is in the fit.
    """

    sites: Sites
    covariates: Values
    people: People
    times: Values
    fit: Rows
    unknown: Unknown
    remarks: list[str]


def batches_of(settings: Harmonisation, visits: pd.DataFrame, train: NDArray[np.integer]) -> Batches:
    """Read sites and covariates of scans, and choose those to fit to.

    Args:
        settings: With a batch.
        visits: Table of N scans, with all columns named.
        train: Rows of the training people.

    Raises:
        InputError: If a column is missing, no training scan is of a control, there are not two sites with two people,
            or a covariate is the same for all of them.
    """
    names = [str(settings.batch), *settings.covariates]
    missing = [name for name in names if name not in visits.columns]
    if missing:
        raise InputError(
            f"ComBat needs the column {missing[0]}, and the tables of the scans have "
            f"{listing([*map(str, visits.columns)], 40)}: name one of these"
        )
    cells = visits[names[0]]
    sites = cells.astype("str").where(cells.notna(), UNKNOWN).to_numpy(object)
    people = pd.factorize(visits["participant_id"])[0].astype(np.int64)
    rows = np.asarray(train, dtype=np.intp)
    rows = rows[_are_controls(settings.controls, visits)[rows] & (sites[rows] != UNKNOWN)]
    rows = rows[visits[list(settings.covariates)].notna().all(axis=1).to_numpy()[rows]]
    whose = f"training scans with diagnosis {settings.controls}" if settings.controls else "training scans"
    counts = pd.Series(people[rows]).groupby(sites[rows]).nunique()
    few = counts.index[counts < FEWEST]
    rows = rows[~np.isin(sites[rows].astype(str), few.to_numpy(str))]
    if len(counts) - len(few) < 2:
        raise InputError(
            f"ComBat needs two sites with {FEWEST} people of the {whose}, whose {names[0]} and covariates are known, "
            f"and {len(counts) - len(few)} has: give other --combat.batch or --combat.controls"
        )
    covariates = [_columns(name, visits[name], rows) for name in settings.covariates]
    table = np.column_stack([np.empty((len(visits), 0)), *covariates])
    remarks = [
        f"ComBat over {names[0]} is fitted to {len(rows)} {whose}, of {len(np.unique(people[rows]))} people at "
        f"{len(np.unique(sites[rows].astype(str)))} sites; what stays in: "
        f"{', '.join(settings.covariates) or 'no covariate'}, and the person"
    ]
    least = int(counts[counts >= FEWEST].min())
    if least < ENOUGH:
        remarks.append(
            f"ComBat knows the smallest site by {least} of these people: below {ENOUGH} the error of a site's shift "
            "may mark the site more than what is taken out"
        )
    if len(few):
        remarks.append(
            f"ComBat leaves out of its fit each {names[0]} with one person of the {whose}, whom nobody tells from it: "
            f"{listing([*map(str, few)], 5)}"
        )
    years = visits["years"].to_numpy(np.float64)
    return Batches(sites, table, people, years, rows, settings.unknown, remarks)


def batches_of_data(settings: Harmonisation, data: LongitudinalData, train: NDArray[np.integer]) -> Batches:
    """Read sites and covariates of data that are set up, of its tables and the table of truth; as `batches_of`."""
    visits = data.visits
    if data.truth is not None:
        more = scan_factors(visits, data.truth)
        visits = visits.join(more[[name for name in more.columns if name not in visits.columns]])
    return batches_of(settings, visits, train)


def fitted(values: NDArray[np.floating], batches: Batches) -> Combat:
    """Fit ComBat to the rows of (N, V) values that are to be fitted to, and are finite.

    Raises:
        InputError: As `fit_combat`.
    """
    rows = batches.fit[np.isfinite(values[batches.fit]).all(axis=1)]
    return fit_combat(values[rows], batches.sites[rows], batches.covariates[rows], batches.people[rows])


def without_sites(
    values: NDArray[np.floating],
    batches: Batches,
    asked: NDArray[np.integer],
    *,
    ahead: bool = False,
    out: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.floating], list[str]]:
    """Fit ComBat to controls in training, and take the sites out of all scans.

    Args:
        values: (N, V) of all scans; rows with a value that is not finite stay as they are.
        batches: Of the same scans.
        asked: Rows that are used later, which are refused, or said, where the fit does not cover them.
        ahead: Something later than the scan is to be predicted: a person's later scans do not count.
        out: As in `harmonised`.

    Returns:
        (N, V), and sentences on scans that stay as they are.

    Raises:
        InputError: As `fit_combat`, or if scans of `asked` are not covered and that is refused.
    """
    combat = fitted(values, batches)
    remarks = _not_covered(covered(combat, batches.sites, batches.covariates), batches, asked)
    times = batches.times if ahead else None
    done = harmonised(combat, values, batches.sites, batches.covariates, batches.people, times=times, out=out)
    return done, remarks


def auc_line(
    model: str, of: str, stage: str, inputs: Inputs | NDArray[np.floating], batches: Batches, rows: NDArray[np.integer]
) -> Line:
    """Measure how well sites are told from some rows; NaN where there are too few people.

    Args:
        model: Whose measures they are; empty for none.
        of: What they are, such as latents.
        stage: `BEFORE` or `AFTER`.
        inputs: Of these rows.
        batches: Of all scans.
        rows: (n,) scans of known and unknown sites; the unknown are left out.
    """
    known = batches.sites[rows] != UNKNOWN
    there = np.flatnonzero(known if callable(inputs) else known & np.isfinite(inputs).all(axis=1))
    part = _some(inputs, there) if callable(inputs) else columns(inputs[there].astype(np.float64))
    sites, people = batches.sites[rows][there], batches.people[rows][there]
    line: Line = {"model": model, "of": of, "stage": stage}
    try:
        found = site_auc(part, sites, people)
        numbers = {"site_auc": found.auc.mean, "low": found.auc.low, "high": found.auc.high, "sites": found.sites}
    except InputError:
        numbers = {"site_auc": np.nan, "low": np.nan, "high": np.nan, "sites": 0}
    return {**line, **numbers, "people": len(np.unique(people)), "scans": len(there)}


def auc_lines(
    model: str,
    of: str,
    before: Inputs | NDArray[np.floating],
    after: Inputs | NDArray[np.floating],
    batches: Batches,
    rows: NDArray[np.integer],
) -> list[Line]:
    """Measure how well sites are told from some rows before and after ComBat, as `auc_line`."""
    return [auc_line(model, of, stage, each, batches, rows) for stage, each in ((BEFORE, before), (AFTER, after))]


def write_lines(lines: Sequence[Line], out: Path) -> None:
    """Write `harmonisation.tsv` into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    part = out / f".{TABLE}.partial"
    pd.DataFrame(lines).to_csv(part, sep="\t", index=False, na_rep="n/a", float_format="%.6g")
    part.replace(out / TABLE)


def sentences_of(lines: Sequence[Line]) -> list[str]:
    """Say how well sites are told before and after."""
    said = []
    for (model, of), rows in pd.DataFrame(lines).groupby(["model", "of"], sort=False):
        ends = [
            f"{row.stage} {row.site_auc:.2f} [{row.low:.2f}, {row.high:.2f}]" if row.sites else f"{row.stage} unknown"
            for row in rows.itertuples()
        ]
        scans = rows.iloc[0]
        whose = f"{of} of {model}" if model else str(of)
        said.append(
            f"site AUC of {whose}, {', '.join(ends)} (chance 0.5; {scans['sites']} sites with enough of "
            f"{scans['people']} held-out people)"
        )
        told = rows.set_index("stage")["site_auc"]
        if AFTER in told and told[AFTER] > told[BEFORE]:
            said.append(
                f"**ComBat has made the sites of {whose} easier to tell**: it was fitted to so few people that its "
                "error, alike in all scans of a site, marks the site more than what was taken out; fit it to more "
                "people, as by --combat.controls=null with the diagnosis among --combat.covariates, or leave it out"
            )
    return said


def _some(inputs: Inputs, rows: Rows) -> Inputs:
    """See some rows (n,) of inputs only."""
    return lambda train: inputs(rows[train])[rows]


def _are_controls(named: str | None, visits: pd.DataFrame) -> Mask:
    """Tell the scans (N,) of a diagnosis; the words for one stage, such as CN and control, are alike."""
    if named is None:
        return np.ones(len(visits), bool)
    if named.casefold() in STAGES:
        return np.asarray(stages(visits) == STAGES[named.casefold()], dtype=np.bool_)
    words = visits["diagnosis"].astype("str").str.strip().str.casefold()
    mine: Mask = (words == named.casefold()).to_numpy(bool)
    if not mine.any():
        there = listing(sorted(set(visits["diagnosis"].dropna().astype(str))), 8) or "none"
        raise InputError(f"no scan has the diagnosis {named}: there are {there}; name one by --combat.controls")
    return mine


def _columns(name: str, cells: pd.Series, rows: Rows) -> Values:
    """Return a number, less its mean over the fit, or a text as one column for every value of the fit but the first."""
    if pd.api.types.is_numeric_dtype(cells):
        values = cells.to_numpy(np.float64)[:, None]
        made = values - values[rows].mean()
        alike = np.ptp(values[rows]) == 0
    else:
        texts = cells.astype("str").where(cells.notna(), UNKNOWN).to_numpy(object)
        levels = sorted(set(texts[rows]))
        made = np.where(np.isin(texts, levels)[:, None], texts[:, None] == np.array(levels[1:], dtype=object), np.nan)
        alike = len(levels) < 2
    if alike:
        raise InputError(f"{name} is the same in all controls ComBat is fitted to: leave it out of --combat.covariates")
    return np.asarray(made, dtype=np.float64)


def _not_covered(there: Mask, batches: Batches, asked: NDArray[np.integer]) -> list[str]:
    lost = asked[~there[asked]]
    if not len(lost):
        return []
    people = len(np.unique(batches.people[lost]))
    strange = sorted(set(batches.sites[lost]) - set(batches.sites[batches.fit]) - {UNKNOWN})
    which = [f"sites without {FEWEST} people in the fit ({listing(strange, 5)})"] if strange else []
    which += ["scans without a site"] if (batches.sites[lost] == UNKNOWN).any() else []
    which += ["scans without a covariate, or with a value that nobody in the fit has"] if _bare(batches, lost) else []
    said = f"ComBat cannot take the site out of {len(lost)} scans of {people} people: {', '.join(which)}"
    if batches.unknown == "refuse":
        raise InputError(f"{said}; leave them out of the table, or keep them as they are by --combat.unknown=keep")
    return [f"{said}; they stay as they are"]


def _bare(batches: Batches, rows: NDArray[np.integer]) -> bool:
    return bool((~np.isfinite(batches.covariates[rows])).any())
