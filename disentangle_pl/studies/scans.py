"""`disentangle-pl scans`: what is in a folder of scans, joined with clinical tables, as one table and one split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from disentangle_pl.brain.bids import USUAL
from disentangle_pl.brain.clinical import read_clinical
from disentangle_pl.brain.clocks import in_time, with_years
from disentangle_pl.brain.duplicates import copied, copies, twins
from disentangle_pl.brain.fields import tidied
from disentangle_pl.brain.mapping import load_mapping
from disentangle_pl.brain.nearest import join_clinical
from disentangle_pl.brain.scan_choice import Choice
from disentangle_pl.brain.split import FRACTIONS, Split
from disentangle_pl.brain.split_file import extend_split, fractions_of, read_split, split_by, split_names, write_split
from disentangle_pl.brain.stratify import stratified
from disentangle_pl.brain.tables import listing
from disentangle_pl.brain.truth import DEFAULT, scan_factors
from disentangle_pl.brain.visits import find_visits, reasons
from disentangle_pl.brain.withdrawals import has_withdrawn
from disentangle_pl.errors import InputError
from disentangle_pl.studies.scan_summary import most, summary


@dataclass(frozen=True)
class ClinicalTables:
    """Tables to join, and how.

    Args:
        paths: Clinical tables.
        mappings: The mapping of each: a name of those shipped, or a YAML file.
        window: Largest distance between a scan and its clinical visit, in years.
        bounds: Take numbers behind a comparison sign at their bound, and ranges at their middle, in these and in the
            tables of the scans; otherwise they are missing.

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
    """A split to write, or to add new people to.

    Args:
        path: The file. Whoever it has a part for keeps it.
        seed: Another seed gives another split.
        fractions: Shares of train, val and test; None for those that the file was made with, or else the usual ones.
        group: Column whose groups stay together, none to stratify.
    """

    path: Path
    seed: int = 0
    fractions: tuple[float, float, float] | None = None
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
        strict: Stop at the first scan that cannot be used, instead of leaving it out, and at the first cell of a table
            that cannot be read, instead of taking it as missing.
        rescans: List further runs of a visit too, as rows of their own (see `with_rescans`).
        choice: Which scans of a folder are wanted.
        withdrawn: People to leave out (see `read_withdrawn`).
        measures: Tables of numbers a scan, such as those of FreeSurfer, to add as columns (see `scan_factors`).

    Returns:
        The table as written.

    Raises:
        InputError: If the source, a clinical table, a mapping or the split is wrong; in strict mode, if a scan or a
            cell is.
    """
    if out.absolute() == source.absolute():
        raise InputError(f"{out} is the table that is read: write to another one by --out")
    clinical = clinical or ClinicalTables()
    found = find_visits(
        source,
        check=True,
        strict=strict,
        rescans=rescans,
        bounds=clinical.bounds,
        choice=choice,
        withdrawn=withdrawn,
    )
    same = twins(found.visits["path"])
    skipped = copied(found.visits, same)
    if strict and len(skipped):
        raise InputError(": ".join(skipped.iloc[0].astype(str)))
    once = ~copies(found.visits["participant_id"], same)
    same = same[once]
    image = dict(zip(found.visits["path"][once], same.where(same.duplicated(keep=False), None), strict=True))
    found = found._replace(
        visits=found.visits[once].reset_index(drop=True), skipped=pd.concat([found.skipped, skipped], ignore_index=True)
    )
    visits, remarks = _joined(found.visits, clinical, strict)
    visits = _measured(visits, measures)
    same = visits["path"].map(image)  # clinical dates may have put rows in another order
    print(f"{source} is read as {found.layout}", *summary(visits, same), *remarks, sep="\n")
    if len(found.skipped):
        print(f"left out, {len(found.skipped)} scans:", *most(reasons(found.skipped)), sep="\n  ")
    if split:
        print(*_dealt(visits, same, split, withdrawn), sep="\n")
    _write(visits, out)
    print(f"written: {out}")
    beside = out.with_name(f"{out.stem}.skipped.tsv")
    if len(found.skipped) or beside.exists():
        found.skipped.to_csv(beside, sep="\t", index=False)
        print(f"written: {beside}")
    return visits


def _joined(visits: pd.DataFrame, clinical: ClinicalTables, strict: bool) -> tuple[pd.DataFrame, list[str]]:
    remarks = []
    for path, name in zip(clinical.paths, clinical.mappings, strict=True):
        mapping = load_mapping(name)
        table = read_clinical(path, mapping, clinical.bounds, strict)
        visits, said = join_clinical(visits, table, mapping, clinical.window)
        remarks += said
    if not clinical.paths:
        return visits, remarks
    return in_time(with_years(visits)[0]), remarks


def _measured(visits: pd.DataFrame, tables: Sequence[Path]) -> pd.DataFrame:
    for path in tables:
        more = tidied(scan_factors(visits, path).drop(columns=list(DEFAULT)))
        visits = visits.drop(columns=more.columns.intersection(visits.columns)).join(more)
    return visits


def _dealt(visits: pd.DataFrame, same: pd.Series, plan: SplitPlan, withdrawn: Path | None) -> list[str]:
    there = plan.path.exists()
    fractions = plan.fractions or (fractions_of(plan.path) if there else None) or FRACTIONS
    people = pd.Series(visits["participant_id"].unique())
    split = read_split(plan.path) if there else pd.Series(dtype=object)
    names = split_names(people, split).set_axis(people) if there else split
    before = names.map(split).dropna()
    part, remarks = stratified(visits, plan.seed, fractions, plan.group, same, before)
    how = f"seed {plan.seed}, fractions {' '.join(map(str, fractions))}, {'; '.join(remarks)}"
    if there:
        new = part.drop(before.index)
        gone = split.index[has_withdrawn(split.index.to_series(), withdrawn)].tolist()
        remarks = [
            _grown(before, new),
            *([f"{len(gone)} people of {plan.path.name} have withdrawn, and are dropped from it"] if gone else []),
            *_absent(split.drop(gone), names, plan.path),
            *(remarks if len(new) else []),
        ]
        extend_split(plan.path, new, f"{len(new)} people later: {how}", gone)
    else:
        write_split(plan.path, part, how)
    parts = split_by(visits, read_split(plan.path), same)
    sizes = [
        f"{name} {rows['participant_id'].nunique()} people, {len(rows)} scans"
        for name, rows in zip(Split._fields, parts, strict=True)
    ]
    return [f"split: {'; '.join(sizes)}", *(f"split: {said}" for said in remarks), f"written: {plan.path}"]


def _grown(before: pd.Series, new: pd.Series) -> str:
    dealt = ", ".join(f"{count} {name}" for name in Split._fields if (count := int((new == name).sum())))
    return f"{len(before)} people keep their parts; {len(new)} new{': ' + dealt if len(new) else ''}"


def _absent(split: pd.Series, names: pd.Series, path: Path) -> list[str]:
    absent = split.index[~split.index.isin(names)].tolist()
    said = f"{len(absent)} people of {path.name} have no scan here, and keep their parts: {listing(absent)}"
    return [said] if absent else []


def _write(visits: pd.DataFrame, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    separator = "," if out.suffix.lower() == ".csv" else "\t"
    visits.to_csv(out, sep=separator, index=False, na_rep="n/a", float_format="%.10g")
