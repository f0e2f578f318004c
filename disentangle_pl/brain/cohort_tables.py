"""The tables of a simulated cohort, written person by person, and what explains them."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from disentangle_pl.brain.cohort_rows import Row, adnimerge_row, participant_row, session_row, truth_row
from disentangle_pl.brain.genes import SEVERITY, STATIC, Variant
from disentangle_pl.brain.phantom import Cohort
from disentangle_pl.brain.progression import HEAD_SPREAD, SEVERITY_SCALE, SPREAD, Person
from disentangle_pl.brain.scan_files import read_truth, scan_path, write_bytes

README = """Simulated longitudinal T1-weighted brain scans

Everything in this folder is made up by `disentangle-pl simulate`: people, scans, scores, dates and genotypes. Nothing
here is clinical, nobody in it exists, and no number of it may be read as a finding about a disease. It serves to test
software and methods, because what is true of every scan is known.

- sub-*/ses-M*/anat: skull-stripped scans in int16, 1000 times an intensity at which white matter has about 0.75, in a
  cube of 192 mm. A day with two scans has run-1 and run-2. The .json beside a scan holds what is true of it.
- participants.tsv, sub-*/sub-*_sessions.tsv: people and their imaging visits as BIDS has them.
- adnimerge.csv: the same visits with the columns and the traps of such exports. AGE is the age at baseline, so the age
  at a visit is AGE + Years_bl; EXAMDATE is not the day of the scan; DX is empty at some visits; ABETA, TAU and PTAU
  have text where the assay ends (>1700); some visits have no scan; Entorhinal, Fusiform and MidTemp are empty. PTID
  without underscores, after sub-SIM, is the participant_id. Volumes there are in cubic millimetres, to 3 %.
- truth.tsv: a row a scan. ml_* are the millilitres of tissue in that very image, summed over partial volumes, wmh those
  of white-matter hyperintensities; they are the ground truth, not the volumes that were aimed at. hippocampus has
  the amygdala in it. ratio_* are the same over ml_icv, which is what affine alignment leaves of volumes. gain and
  gamma are logarithms, bias_rms that of the log bias field within the mask, head_log_scale that of the lengths against
  the base anatomy, severity 0 for healthy and 2 for dementia.
- genotypes/cohort.bed, .bim, .fam: PLINK files, IID is the participant_id. truth_snps.tsv has every variant with the
  frequency of allele_1, the factor it acts on, and its effect per allele_1: in standard deviations of the factor's part
  that age, sex and disease leave open, and in the factor's units (log volume relative to the skull, log length of the
  head, severity). Variants of one name sim* are independent of each other.
- simulation.json: the settings. The same command goes on where a killed one stopped, and remakes what was deleted.

Scans that share a base_anatomy share the folds of their cortex: a split by people is not one by anatomies, but
`disentangle-pl scans … --split split.tsv --group base_anatomy` makes one.
"""
IGNORED = "adnimerge.csv\ntruth.tsv\ntruth_snps.tsv\nsimulation.json\ngenotypes/\n"


def describe(root: Path) -> None:
    """Write README, dataset_description.json and .bidsignore."""
    about = {
        "Name": "Simulated longitudinal brain cohort",
        "BIDSVersion": "1.9.0",
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": "disentangle-pl simulate"}],
    }
    write_bytes(root / "README", README.encode())
    write_bytes(root / "dataset_description.json", (json.dumps(about, indent=1) + "\n").encode())
    write_bytes(root / ".bidsignore", IGNORED.encode())


def write_tables(root: Path, cohort: Cohort, people: Iterable[Person]) -> None:
    """Write all tables of people and scans, holding one person at a time; every scan must be there."""
    with (
        _table(root / "participants.tsv") as participants,
        _table(root / "adnimerge.csv") as clinic,
        _table(root / "truth.tsv") as scans,
    ):
        for person in people:
            participants.add(participant_row(cohort, person))
            truths: dict[str, Row] = {}
            for shot in cohort.shots(person):
                path = scan_path(root, shot, cohort)
                truth = read_truth(path)
                truths.setdefault(shot.visit.label, truth)
                scans.add(truth_row(person, shot.visit, path.relative_to(root).as_posix(), truth))
            visits = cohort.visits(person)
            for visit in visits:
                clinic.add(adnimerge_row(cohort, person, visit, truths.get(visit.label)))
            with _table(root / person.label / f"{person.label}_sessions.tsv") as sessions:
                for visit in visits:
                    if visit.scanned:
                        sessions.add(session_row(cohort, person, visit))


def write_variants(root: Path, variants: Sequence[Variant]) -> None:
    """Write truth_snps.tsv."""
    units = dict(zip(STATIC, (*SPREAD, HEAD_SPREAD), strict=True)) | {SEVERITY: SEVERITY_SCALE, "": 0.0}
    with _table(root / "truth_snps.tsv") as table:
        for v in variants:
            row = {"snp": v.name, "chromosome": v.chromosome, "position": v.position}
            row |= {"allele_1": v.allele_1, "allele_2": v.allele_2, "frequency": f"{v.frequency:.6f}"}
            row |= {"missing": v.missing, "factor": "severity" if v.factor == SEVERITY else v.factor or None}
            table.add(row | {"effect_sd": f"{v.effect:.6f}", "effect": f"{v.effect * units[v.factor]:.8f}"})


class _Table:
    """A table that grows by rows; a missing cell is n/a between tabs and nothing between commas."""

    def __init__(self, file: TextIO, tabs: bool) -> None:
        self.writer = csv.writer(file, delimiter="\t" if tabs else ",", lineterminator="\n")
        self.missing = "n/a" if tabs else ""
        self.columns: list[str] = []

    def add(self, row: Row) -> None:
        if not self.columns:
            self.columns = list(row)
            self.writer.writerow(self.columns)
        self.writer.writerow([self.missing if row[name] is None else row[name] for name in self.columns])


@contextmanager
def _table(path: Path) -> Iterator[_Table]:
    """Open a table that takes the place of an older one when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            yield _Table(file, path.suffix == ".tsv")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
