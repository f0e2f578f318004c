"""How a study of scores is done, and what it knows beside the codes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.tables import listing
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction import Plan
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.clinical_ahead import Records
from disentangle_pl.studies.clinical_inputs import Source, covariates, fixed, indicators, residual, sites, volumes
from disentangle_pl.studies.clinical_people import HeldOut, Protocol, Sides
from disentangle_pl.studies.clinical_questions import Known
from disentangle_pl.studies.clinical_table import VOLUMES
from disentangle_pl.studies.clinical_targets import CN, CONVERSION, stages
from disentangle_pl.studies.harmonisation import Harmonisation

ENOUGH = 20  # controls a number of confounds


@dataclass(frozen=True)
class Settings:
    """How scores are predicted.

    Args:
        targets: Names; none for all that the tables have.
        protocol: Cross-validate among held-out people, or fit to training people and test held-out ones.
        part: Which of the held-out people.
        plan: Folds and repeats.
        volumes: Columns; none for those that are named like volumes.
        residualise: Confounds to take from codes, volumes and components as controls in training have them.
        boosting: Also fit boosted trees.
        refitted: Also compute intervals that hold what other people to fit probes to would do, at ten times the cost;
            in cross-validation only.
        conversion: Years within which impairment becomes dementia.
        records: Tables of visits without a scan, for what is to come.
        harmonisation: How sites are taken out of latents, volumes and images; without a batch they stay in.
    """

    targets: Sequence[str] = ()
    protocol: Protocol = "held-out"
    part: HeldOut = "test"
    plan: Plan = field(default_factory=Plan)
    volumes: Sequence[str] = ()
    residualise: Sequence[str] = ()
    boosting: bool = False
    refitted: bool = False
    conversion: float = CONVERSION
    records: Records = field(default_factory=Records)
    harmonisation: Harmonisation = field(default_factory=Harmonisation)


def known_of(data: LongitudinalData, sides: Sides, settings: Settings, folder: Path) -> tuple[Known, list[str]]:
    """Gather what is known of all scans, and say what that is and what was left out.

    Args:
        data: Set up.
        sides: Training and held-out scans.
        settings: How.
        folder: Of answers.

    Raises:
        InputError: If a volume or a confound is unknown.
    """
    table, remarks = covariates(data.visits)
    measured, more = volumes(data, settings.volumes)
    if not measured.shape[1]:
        more.append("no table has volumes: name a table by --data.truth, or columns by --volumes, to have this rival")
    places = sites(data)
    taken = [_confound(name, table, places) for name in settings.residualise]
    found = Known(
        visits=data.visits,
        sides=sides,
        protocol=settings.protocol,
        plan=settings.plan,
        covariates=table,
        volumes=measured.to_numpy(np.float64),
        volume_names=tuple(map(str, measured.columns)),
        rivals=(),
        places=places,
        confounds=np.column_stack([np.empty((len(table), 0)), *taken]),
        controls=stages(data.visits) == CN,
        boosting=settings.boosting,
        refitted=settings.refitted,
        folder=folder,
    )
    more += _few_controls(found)
    told = [f"covariates are {listing([*map(str, table.columns)], 20) or 'none'}"]
    told += [f"volumes are {listing([*found.volume_names], 40)}"] if measured.shape[1] else []
    rivals = [rest(fixed(VOLUMES, found.volumes), found)] if measured.shape[1] else []
    return found._replace(rivals=rivals), [*told, *remarks, *more]


def _few_controls(known: Known) -> list[str]:
    """Warn where confounds are fitted to so few that the error, alike in all scans of a place, marks the place."""
    rows = known.sides.held_out if known.protocol == "held-out" else known.sides.train
    controls, numbers = int(known.controls[rows].sum()), known.confounds.shape[1]
    if not numbers or controls >= ENOUGH * (numbers + 1):
        return []
    return [
        f"confounds ({numbers} columns) are fitted to {controls} scans of controls at most: the error is the same in "
        "all scans of a place, and may mark it more than what was taken out"
    ]


def rest(source: Source, known: Known) -> Source:
    """Take the confounds from a source, if there are any."""
    return residual(source, known.confounds, known.controls) if known.confounds.shape[1] else source


def _confound(name: str, table: pd.DataFrame, places: dict[str, pd.Series]) -> Values:
    if name in table.columns:
        return table[[name]].to_numpy(np.float64)
    if name in places:
        unknown = places[name].isna().to_numpy()[:, None]
        return np.where(unknown, np.nan, indicators(places[name])[:, 1:])
    raise InputError(f"{name} cannot be taken out: name some of {listing([*table.columns, *places]) or 'nothing'}")
