"""The latents of a brain model as phenotypes: one value a person, with the covariates that the table of visits has."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.rescans import visit_rows
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.genetics.people import PeopleTable, people_table
from disentangle_pl.genetics.phenotypes import one_value
from disentangle_pl.genetics.traits import Summary
from disentangle_pl.metrics.prediction_folds import Rows
from disentangle_pl.studies.gwas_inputs import Phenotyped
from disentangle_pl.studies.gwas_kept import kept_codes
from disentangle_pl.studies.harmonisation import (
    Harmonisation,
    Line,
    auc_lines,
    batches_of_data,
    sentences_of,
    without_sites,
)
from disentangle_pl.studies.scan_codes import ScanCodes

HEAD_SIZE = ("icv", "etiv", "ml_icv", "intracranialvol", "estimatedtotalintracranialvol", "head_log_scale", "scale")
ACTIVE = 0.01


@dataclass(frozen=True)
class Codes:
    """Which codes of a model are phenotypes.

    Args:
        checkpoint: Of a model of brain scans.
        summary: One value a person: that of the first scan, the mean, or the slope, see `one_value`.
        with_training: Also take the people that the model was trained on.
        harmonisation: How sites are taken out; without a batch they stay in.
    """

    checkpoint: Path
    summary: Summary = "baseline"
    with_training: bool = False
    harmonisation: Harmonisation = field(default_factory=Harmonisation)


def phenotypes_of(codes: Codes, data: ImageData, out: Path) -> Phenotyped:
    """Encode scans, or take what is kept of them in the folder of the study, and make one value a person.

    A latent is active if its mean varies over the scans by more than 0.01.

    Source: Burda et al. 2016, arXiv 1509.00519, section 5.2, for active latents.

    Raises:
        InputError: If the data are no brain scans, do not fit the model, nobody is left, or no latent is active.
    """
    if not isinstance(data, LongitudinalData):
        raise InputError(f"latents of brain scans are asked for, but the data are {type(data).__name__}: give scans")
    scans = kept_codes(codes.checkpoint, data, out)
    if codes.harmonisation.batch is None:
        return phenotypes_from(scans, data.known, codes.summary, codes.with_training)
    scans, lines, remarks = _harmonised(scans, data, codes)
    found = phenotypes_from(scans, data.known, codes.summary, codes.with_training)
    return found._replace(remarks=[*remarks, *sentences_of(lines), *found.remarks], sites=tuple(lines))


def _harmonised(scans: ScanCodes, data: LongitudinalData, codes: Codes) -> tuple[ScanCodes, list[Line], list[str]]:
    """Take sites out of all codes, as the training controls have them, and measure how well they are told."""
    batches = batches_of_data(codes.harmonisation, data, scans.train)
    values = scans.mean.double().numpy()
    done, remarks = without_sites(values, batches, _rows(scans, codes.with_training))
    lines = auc_lines("", "latents", values[scans.held_out], done[scans.held_out], batches, scans.held_out)
    clean = scans._replace(mean=torch.from_numpy(np.asarray(done, dtype=np.float64)))
    return clean, lines, [*batches.remarks, *remarks]


def phenotypes_from(scans: ScanCodes, known: pd.DataFrame, summary: Summary, with_training: bool) -> Phenotyped:
    """Make phenotypes and covariates of encoded scans.

    Args:
        scans: All scans.
        known: The factors of all scans.
        summary: One value a person.
        with_training: Also take the people that the model was trained on.

    Raises:
        InputError: As `phenotypes_of`.
    """
    rows = _rows(scans, with_training)
    if not len(rows):
        raise InputError("all people are training people: give --with-training=true, or scans of others")
    first = visit_rows(scans.visits.iloc[rows]).to_numpy()  # a rescan is no visit of its own, in a mean and in a slope
    rows, rescans = rows[first], int((~first).sum())
    values = scans.mean.double().numpy()[rows]
    active = np.flatnonzero(scans.mean.double().numpy().var(axis=0) > ACTIVE)
    if not len(active):
        raise InputError("no latent of the model varies over the scans: there is nothing to associate")
    visits = scans.visits.iloc[rows].reset_index(drop=True)
    number, persons = pd.factorize(visits["participant_id"])
    who, made = one_value(values[:, active], number.astype(np.int64), visits["years"].to_numpy(np.float64), summary)
    people = pd.Series(np.asarray(persons)[who], name="IID")
    table = pd.DataFrame({f"z{latent}": made[:, k] for k, latent in enumerate(active)})
    seen = f"{visits['participant_id'].nunique()} people, {len(visits)} scans; {summary} of every person's visits"
    seen += f" ({rescans} rescans of the same visits are left out)" if rescans else ""
    remarks = [
        f"phenotypes are {len(active)} active latents of {values.shape[1]}: {seen}",
        _overlap(scans, with_training),
        *(f"**{caution}**" for caution in scans.exposure.cautions),
    ]
    covariates, left_out = _covariates(visits, known.iloc[rows].reset_index(drop=True), people, summary)
    return Phenotyped(_named(people, table, "the codes"), covariates, remarks + left_out)


def _rows(scans: ScanCodes, with_training: bool) -> Rows:
    """Return the scans to analyse: without others, those of people the model has not seen, in whatever part."""
    return np.arange(len(scans.visits)) if with_training else np.flatnonzero(~scans.exposure.seen)


def _overlap(scans: ScanCodes, with_training: bool) -> str:
    trained = scans.visits["participant_id"][scans.exposure.seen].nunique()
    if with_training:
        return f"**the model was trained on {trained} of these people: their codes may be fitted to them**"
    if not scans.exposure.certain:
        return f"{trained} people whom the split of the data has for training are left out"
    return f"{trained} people that the model was trained on, by the hashes in its checkpoint, are left out"


def _named(people: pd.Series, table: pd.DataFrame, name: str) -> PeopleTable:
    return people_table(pd.concat([people, table], axis=1), name)


def _covariates(
    visits: pd.DataFrame, known: pd.DataFrame, people: pd.Series, summary: Summary
) -> tuple[PeopleTable | None, list[str]]:
    """Take age and head size at the first scan, or their means with mean codes, and sex and site."""
    size = [name for name in map(str, known.columns) if name.lower() in HEAD_SIZE][:1]
    scans = visits[["participant_id", "age", "sex", "site"]].join(known[size].add_prefix("head "))
    order = visits["years"].fillna(np.inf).sort_values(kind="stable").index
    once = scans.loc[order].drop_duplicates("participant_id").set_index("participant_id").loc[people]
    if summary == "mean":
        means = scans.groupby("participant_id")[["age", *(f"head {name}" for name in size)]].mean()
        once = once.assign(**{str(name): means.loc[people, name] for name in means.columns})
    age = once["age"].astype("float64") - once["age"].astype("float64").mean()
    site = once["site"].map(lambda name: f"site {name}", na_action="ignore")  # a number is a name here
    columns = {"age": age, "age2": age**2, "sex": once["sex"], "site": site}
    columns["head_size"] = once[f"head {size[0]}"] if size else pd.Series(np.nan, once.index)
    kept = {name: cells.set_axis(people.index) for name, cells in columns.items() if _useful(cells)}
    dropped = [name for name in columns if name not in kept]
    said = f"covariates that are not known of everybody, or constant, are left out: {', '.join(dropped)}"
    return (_named(people, pd.DataFrame(kept), "the visits") if kept else None), [said] if dropped else []


def _useful(cells: pd.Series) -> bool:
    return bool(cells.notna().all()) and cells.nunique() > 1
