"""How far each latent of a model can be trusted as a measure: rescans, identity, variances, and sizes of trials."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.brain.rescans import visit_numbers
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.identity import identification
from disentangle_pl.metrics.intervals import Interval, mean_interval
from disentangle_pl.metrics.prediction_folds import Rows
from disentangle_pl.metrics.reliability import agreement, variances
from disentangle_pl.metrics.score import Values
from disentangle_pl.metrics.slowing import person_slopes, trial_size_interval
from disentangle_pl.studies.clinical_targets import CN, stages

FEW = 5  # people below whom no trial is computed


class Line(NamedTuple):
    """One number of a measure.

    Attributes:
        measure: A latent, a score, a volume, or `all latents`.
        number: icc, identification, chance, within, between, slope, n80 or n80_beyond_ageing.
        value: With its 95 % interval, NaN where there is none.
        people: How many it is of.
    """

    measure: str
    number: str
    value: Interval
    people: int


def measure_lines(
    names: list[str], values: Values, visits: pd.DataFrame, held_out: Rows, *, identify: bool = False
) -> tuple[list[Line], list[str]]:
    """Return what held-out people say of measures, and why a number is missing.

    Within and between are shares of the sum of both. n80 is the size of an arm of a trial that shows a slowing by 25 %
    with a power of 80 %, from slopes of people with impairment or dementia, n80_beyond_ageing the same when the change
    of healthy people cannot be slowed (see `trial_size`).

    Args:
        names: Of d measures.
        values: (N, d) of all scans, NaN where unknown.
        visits: Table of all scans, rescans too.
        held_out: Scans of held-out people, rescans left out.
        identify: Also say how often the nearest other scan by all measures is of the same person.
    """
    people = pd.factorize(visits["participant_id"])[0].astype(np.int64)
    lines, remarks = [], []
    for make in (_agreements, _shares, _trials, *((_identified,) if identify else ())):
        try:
            lines += make(names, values, visits, people, held_out)
        except InputError as error:
            remarks.append(f"{make.__name__.strip('_')} of {names[0]}{' and others' * (len(names) > 1)}: {error}")
    return lines, remarks


def rescan_pairs(visits: pd.DataFrame, rows: Rows) -> NDArray[np.intp]:
    """Return rows (n, 2) of a scan and a rescan of the same visit, one visit a person, of the people of some rows."""
    table = pd.DataFrame({"who": visits["participant_id"], "visit": visit_numbers(visits)})
    table = table.reset_index(names="row")
    again = table[table["visit"].duplicated()].drop_duplicates("who")
    origin = table[table["row"].isin(rows)]
    both = again.merge(origin, on=["who", "visit"], suffixes=("_again", ""))
    return both[["row", "row_again"]].to_numpy(np.intp).reshape(-1, 2)


def _agreements(names: list[str], values: Values, visits: pd.DataFrame, people: Rows, held_out: Rows) -> list[Line]:
    pairs = rescan_pairs(visits, held_out)
    pairs = pairs[np.isfinite(values[pairs]).all(axis=(1, 2))]
    if len(pairs) < 2:
        raise InputError(f"{len(pairs)} held-out people have a scan and a rescan: list them by scans --rescans")
    found = agreement(values[pairs])
    return [Line(name, "icc", Interval(*each), len(pairs)) for name, *each in zip(names, *found, strict=True)]


def _shares(names: list[str], values: Values, visits: pd.DataFrame, people: Rows, held_out: Rows) -> list[Line]:
    rows = held_out[np.isfinite(values[held_out]).all(axis=1)]
    found = variances(values[rows], people[rows])
    total = found.within + found.between
    lines = []
    for number, part in (("within", found.within), ("between", found.between)):
        share = np.divide(part, total, out=np.zeros_like(part), where=total > 0)
        lines += [
            Line(name, number, _bare(each), len(np.unique(people[rows])))
            for name, each in zip(names, share, strict=True)
        ]
    return lines


def _identified(names: list[str], values: Values, visits: pd.DataFrame, people: Rows, held_out: Rows) -> list[Line]:
    rate, chance, _ = identification(values[held_out], people[held_out])
    count = len(np.unique(people[held_out]))
    return [
        Line("all latents", "identification", _bare(rate), count),
        Line("all latents", "identification_chance", _bare(chance), count),
    ]


def _trials(names: list[str], values: Values, visits: pd.DataFrame, people: Rows, held_out: Rows) -> list[Line]:
    years = visits["years"].to_numpy(np.float64)
    stage = pd.Series(stages(visits)).groupby(people).transform("first").to_numpy()
    ill = held_out[stage[held_out] > CN]
    well = held_out[stage[held_out] == CN]
    patients = person_slopes(values[ill], people[ill], years[ill])
    if len(patients.people) < FEW:
        raise InputError(f"{len(patients.people)} patients with scans half a year apart are too few for a trial")
    controls = None
    if len(np.unique(people[well])) >= FEW:
        controls = person_slopes(values[well], people[well], years[well])
    lines, count = [], len(patients.people)
    for i, name in enumerate(names):
        mine = patients.slopes[:, i]
        lines.append(Line(name, "slope", mean_interval(mine), count))
        lines.append(Line(name, "n80", trial_size_interval(mine)[0], count))
        if controls is not None and len(controls.people) >= FEW:
            size = trial_size_interval(mine, controls.slopes[:, i])[0]
            lines.append(Line(name, "n80_beyond_ageing", size, count))
    return lines


def _bare(value: float) -> Interval:
    return Interval(float(value), np.nan, np.nan)
