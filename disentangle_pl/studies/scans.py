"""`disentangle-pl scans`: what is in a folder of scans, joined with clinical tables, as one table and one split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from disentangle_pl.brain.bids import USUAL
from disentangle_pl.brain.clinical import read_clinical
from disentangle_pl.brain.clocks import since_first
from disentangle_pl.brain.duplicates import twins
from disentangle_pl.brain.fields import tidied
from disentangle_pl.brain.mapping import load_mapping
from disentangle_pl.brain.nearest import join_clinical
from disentangle_pl.brain.scan_choice import Choice
from disentangle_pl.brain.split import FRACTIONS, Split
from disentangle_pl.brain.split_file import read_split, split_by, write_split
from disentangle_pl.brain.stratify import stratified
from disentangle_pl.brain.truth import DEFAULT, scan_factors
from disentangle_pl.brain.visits import find_visits, reasons
from disentangle_pl.errors import InputError
from disentangle_pl.studies.scan_summary import most, summary


@dataclass(frozen=True)
class ClinicalTables:
    """Tables to join, and how.

    Args:
        paths: Clinical tables.
        mappings: The mapping of each: a name of those shipped, or a YAML file.
        window: Largest distance between a scan and its clinical visit, in years.
        bounds: Take numbers behind a comparison sign at their bound; otherwise they are missing.

    Raises:
        InputError: If tables and mappings do not pair up.
    """

    paths: Sequence[Path] = ()
    mappings: Sequence[str] = ()
    window: float = 0.5
    bounds: bool = False

    def __post_init__(self) -> None:
        if len(self.paths) != len(self.mappings):
            raise InputError(
                f"there are {len(self.paths)} clinical tables and {len(self.mappings)} mappings: give one each"
            )


@dataclass(frozen=True)
class SplitPlan:
    """A split to write.

    Args:
        path: The new file.
        seed: Another seed gives another split.
        fractions: Shares of train, val and test.
        group: Column whose groups stay together, none to stratify.
    """

    path: Path
    seed: int = 0
    fractions: tuple[float, float, float] = FRACTIONS
    group: str | None = None


def report_scans(
    source: Path,
    out: Path,
    clinical: ClinicalTables | None = None,
    split: SplitPlan | None = None,
    strict: bool = False,
    rescans: bool = False,
    choice: Choice = USUAL,
    withdrawn: Path | None = None,
    measures: Sequence[Path] = (),
) -> pd.DataFrame:
    """Print what is in a folder or table of scans, and write it as one table.

    Args:
        source: A folder of scans, or a table of them (see `read_visits`).
        out: The table to write (.tsv or .csv); what was left out goes to `<name>.skipped.tsv` beside it.
        clinical: Tables to join.
        split: Also deal out the participants, once for everything that follows.
        strict: Stop at the first scan that cannot be used, instead of leaving it out.
        rescans: List further runs of a visit too, as rows of their own (see `with_rescans`).
        choice: Which scans of a folder are wanted.
        withdrawn: People to leave out (see `read_withdrawn`).
        measures: Tables of numbers a scan, such as those of FreeSurfer, to add as columns (see `scan_factors`).

    Returns:
        The table as written.

    Raises:
        InputError: If the source, a clinical table, a mapping or the split is wrong; in strict mode, if a scan is.
    """
    if out.absolute() == source.absolute():
        raise InputError(f"{out} is the table that is read: write to another one by --out")
    found = find_visits(source, True, strict, rescans, choice, withdrawn)
    visits, remarks = _joined(found.visits, clinical or ClinicalTables())
    visits = _measured(visits, measures)
    same = twins(visits["path"])
    print(f"{source} is read as {found.layout}", *summary(visits, same), *remarks, sep="\n")
    if len(found.skipped):
        print(f"left out, {len(found.skipped)} scans:", *most(reasons(found.skipped)), sep="\n  ")
    if split:
        print(*_dealt(visits, same, split), sep="\n")
    _write(visits, out)
    print(f"written: {out}")
    beside = out.with_name(f"{out.stem}.skipped.tsv")
    if len(found.skipped) or beside.exists():
        found.skipped.to_csv(beside, sep="\t", index=False)
        print(f"written: {beside}")
    return visits


def _joined(visits: pd.DataFrame, clinical: ClinicalTables) -> tuple[pd.DataFrame, list[str]]:
    remarks = []
    for path, name in zip(clinical.paths, clinical.mappings, strict=True):
        mapping = load_mapping(name)
        table = read_clinical(path, mapping, clinical.bounds)
        visits, said = join_clinical(visits, table, mapping, clinical.window)
        remarks += said
    people, years = visits["participant_id"], visits["years"]
    years = years.fillna(since_first(visits["entry_years"], people)).fillna(since_first(visits["age"], people))
    return visits.assign(years=years), remarks


def _measured(visits: pd.DataFrame, tables: Sequence[Path]) -> pd.DataFrame:
    for path in tables:
        more = tidied(scan_factors(visits, path).drop(columns=list(DEFAULT)))
        visits = visits.drop(columns=more.columns.intersection(visits.columns)).join(more)
    return visits


def _dealt(visits: pd.DataFrame, same: pd.Series, plan: SplitPlan) -> list[str]:
    part, remarks = stratified(visits, plan.seed, plan.fractions, plan.group, same)
    how = f"seed {plan.seed}, fractions {' '.join(map(str, plan.fractions))}, {'; '.join(remarks)}"
    write_split(plan.path, part, how)
    parts = split_by(visits, read_split(plan.path), same)
    sizes = [
        f"{name} {rows['participant_id'].nunique()} people, {len(rows)} scans"
        for name, rows in zip(Split._fields, parts, strict=True)
    ]
    return [f"split: {'; '.join(sizes)}", *(f"split: {said}" for said in remarks), f"written: {plan.path}"]


def _write(visits: pd.DataFrame, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    separator = "," if out.suffix.lower() == ".csv" else "\t"
    visits.to_csv(out, sep=separator, index=False, na_rep="n/a", float_format="%.10g")
