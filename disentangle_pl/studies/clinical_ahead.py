"""What is known of people before and after every scan: from their other scans, and from a clinical table."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from disentangle_pl.brain.clinical import PLANNED, read_clinical
from disentangle_pl.brain.fields import GAP
from disentangle_pl.brain.identities import as_scans_write
from disentangle_pl.brain.mapping import load_mapping
from disentangle_pl.brain.tables import listing
from disentangle_pl.errors import InputError

AHEAD = "ahead"  # years from the scan to the visit


class Records(NamedTuple):
    """Tables of visits that need no scan.

    Attributes:
        paths: Clinical tables.
        mappings: The mapping of each: a name of those shipped, or a YAML file.
    """

    paths: Sequence[Path] = ()
    mappings: Sequence[str] = ()


def visits_around(visits: pd.DataFrame, records: Records | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Pair every scan with every visit of its person, scanned or not.

    Args:
        visits: Table of `read_visits`, numbered from 0.
        records: More visits, of clinical tables; those of the scans' own tables always count.

    Returns:
        A row a pair: scan (its row), ahead (years to the visit, negative where it came before), diagnosis, and all
        columns of the tables; pairs of unknown time are left out. What was found, in sentences.

    Raises:
        InputError: If tables and mappings do not pair up, a table is wrong, or has no time, or nobody with a scan.
    """
    records = records or Records()
    if len(records.paths) != len(records.mappings):
        raise InputError(
            f"there are {len(records.paths)} clinical tables and {len(records.mappings)} mappings: give one each"
        )
    found, remarks = [_scanned(visits)], _gaps(visits)
    for path, name in zip(records.paths, records.mappings, strict=True):
        pairs, said = _recorded(visits, path, name)
        found.append(pairs)
        remarks += said
    return pd.concat([pairs.dropna(subset=[AHEAD]) for pairs in found], ignore_index=True), remarks


def _gaps(visits: pd.DataFrame) -> list[str]:
    """Say how far from the scan what counts as known at it was written down."""
    gaps = visits[[name for name in visits.columns if str(name).endswith(GAP)]].abs().max().dropna()
    return [
        f"what is known at a scan from {str(name).removesuffix(GAP)} was written down at most {most:.2f} years from it"
        for name, most in gaps.items()
    ]


def _scanned(visits: pd.DataFrame) -> pd.DataFrame:
    scans = visits[["participant_id", "years"]].assign(scan=range(len(visits)))
    told = visits.drop(columns=["scan", AHEAD], errors="ignore")
    pairs = scans.merge(told, on="participant_id", suffixes=("_scan", ""))
    return pairs.assign(**{AHEAD: pairs["years"] - pairs["years_scan"]}).drop(columns=["years", "years_scan"])


def _recorded(visits: pd.DataFrame, path: Path, name: str) -> tuple[pd.DataFrame, list[str]]:
    """Pair scans with the rows of a table; time is that of `join_clinical`."""
    mapping = load_mapping(name)
    if mapping.time is None:
        raise InputError(f"{path} has no time in the mapping {name}: later scores need a table with a row a visit")
    rows, remarks = read_clinical(path, mapping)
    scans = visits[["participant_id", "entry_years", "years", "age"]].assign(scan=range(len(visits)))
    scans["who"], rows["who"] = (
        scans["participant_id"],
        as_scans_write(rows[["participant_id"]], scans)["participant_id"],
    )
    pairs = scans.drop(columns="participant_id").merge(rows, on="who", suffixes=("_scan", ""))
    if pairs.empty:
        raise InputError(
            f"{path} has nobody with a scan: it has {listing(rows['participant_id'].unique().tolist(), 3)}, the scans "
            f"are of {listing(visits['participant_id'].unique().tolist(), 3)}; check participant in the mapping"
        )
    ahead = (pairs["time"] - pairs["entry_years"]).fillna(pairs["age"] - pairs["age_scan"])
    pairs[AHEAD] = ahead.fillna(pairs["time"] - pairs["years"])
    assumed = pairs.loc[ahead.isna() & pairs[AHEAD].notna(), "scan"].nunique()
    people = pairs.loc[pairs[AHEAD] > 0, "who"].nunique()
    said = f"{mapping.table}: later visits are known of {people} of {scans['who'].nunique()} people with scans"
    entry = f"{mapping.table}: {assumed} scans have neither an age nor a time since entry: the first scan is at entry"
    told = [*remarks, said, *([entry] if assumed else [])]
    return pairs.drop(columns=["entry_years", "years", "age_scan", "who", PLANNED], errors="ignore"), told
