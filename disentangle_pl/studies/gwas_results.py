"""A genome-wide study of tests that another program has made."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.errors import InputError, listing
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.filesets import open_filesets
from disentangle_pl.genetics.genotypes import Fileset, Genotypes, common_people
from disentangle_pl.genetics.outputs import Part, by_phenotype, read_outputs
from disentangle_pl.genetics.results import Journal, TableFile, associations_table
from disentangle_pl.studies.gwas_findings import Found
from disentangle_pl.studies.gwas_journal import RECIPE, alone, compare
from disentangle_pl.studies.gwas_report import Told, report
from disentangle_pl.studies.gwas_summary import Study, Variants
from disentangle_pl.studies.gwas_tables import ASSOCIATIONS, SUGGESTIVE, column_of, parts_of

FEWEST = 50
KEY = ["chromosome", "position", "id"]


class Results(NamedTuple):
    """Tests that another program has made.

    Attributes:
        files: Of all phenotypes, see `by_phenotype`.
        beds: Filesets that have all tested variants, to clump them; none where there is an LD reference.
        sample: File of the people of the filesets, see `open_filesets`.
        people: In the tests, where the files do not tell.
    """

    files: Sequence[Path]
    beds: Sequence[str]
    sample: str | None = None
    people: int | None = None


def associated(results: Results, out: Path, told: Told, build: str | None) -> Found:
    """Report tests that another program has made, as `associate` does those of its own.

    There is no test of all phenotypes together, and no control by permutation. Phenotypes are not at hand, so their
    correlation is that of the test statistics over variants without any p up to 1e-5; it gives the effective number.

    Source: Zhu et al. 2015, American Journal of Human Genetics 96:21, for the correlation of phenotypes by statistics.

    Args:
        results: The tests.
        out: Folder of the study, new or of an earlier call with the same files.
        told: How to report.
        build: Genome build, None to tell it by the variants.

    Raises:
        InputError: If a file is wrong.
    """
    filesets = open_filesets(results.beds or told.ld_reference, results.sample)
    files = by_phenotype(results.files, [each.path.stem for each in filesets])
    names = list(files)
    settings: dict[str, Any] = {"recipe": RECIPE, "results": [[path.name, _digest(path)] for path in results.files]}
    with ExitStack() as stack:
        stack.callback(alone(out, (1, 1)).release)
        journal = Journal(out / "journal-1-of-1.jsonl")
        if journal.lines:
            compare(journal.lines[0], settings, out)
        else:
            journal.write(settings)
        if not (out / ASSOCIATIONS).exists():
            _write(read_outputs(files, people=results.people), names, out / ASSOCIATIONS)
    counts = _counts(out / ASSOCIATIONS, len(names), filesets if results.beds else [])
    people = int(counts.samples.max())
    known = common_people(filesets)
    remarks = [
        f"the tests are those of {listing([path.name for path in results.files], 6)}; who was in them, and with what "
        "covariates, only their makers know",
        f"phenotypes are taken to correlate as their statistics do over {counts.tested} variants",
    ]
    if results.beds and counts.typed < counts.tested:
        remarks.append(
            f"**{counts.tested - counts.typed} of {counts.tested} tested variants are not among the genotypes**: hits "
            "among them are not clumped, and each counts as a locus (leads.tsv says clumped False); give --bed the "
            "files that were tested, or --ld_reference"
        )
    if results.beds and people > len(known):
        remarks.append(f"**the tests have {people} people, the genotypes only {len(known)}, who clump the variants**")
    with Genotypes(filesets, known) as genotypes:
        unused = sum(len(each.variants) for each in filesets) - counts.typed if results.beds else 0
        study = Study(
            out,
            people,
            names,
            counts.samples,
            counts.correlation,
            None,
            pd.DataFrame({"iid": [], "reason": []}),
            remarks,
            genotypes,
            [],
            Variants(counts.tested + unused, counts.tested, counts.untestable, {"not in the results": unused}),
            settings,
            pd.DataFrame(),
        )
        return report(study, told, build)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): give output of plink2, regenie or others"
        ) from error


def _write(parts: Iterator[Part], names: Sequence[str], path: Path) -> None:
    """Write the table of all fits."""
    with ExitStack() as stack:
        file: TableFile | None = None
        for part in parts:
            table = associations_table(part.variants, part.fits, names)
            file = file or stack.enter_context(TableFile(path, table.schema))
            file.add(table)
    if file is None:
        raise InputError(
            "the results have no additive test (TEST is ADD): give output of plink2 --glm, regenie or others"
        )


class _Counts(NamedTuple):
    """Tested variants, those with genotypes, people (K,) a phenotype, tests without a number, correlation (K, K)."""

    tested: int
    typed: int
    samples: NDArray[np.int64]
    untestable: int
    correlation: Values


def _counts(path: Path, phenotypes: int, filesets: Sequence[Fileset]) -> _Counts:
    there = pd.MultiIndex.from_frame(pd.concat([each.variants[KEY] for each in filesets])) if filesets else ()
    tested = typed = untestable = quiet = 0
    samples, cross = np.zeros(phenotypes, np.int64), np.zeros((phenotypes, phenotypes))
    for part in parts_of(path, [*KEY, "n", "t", "neg_log10_p"]):
        variants = part.select(KEY).to_pandas().iloc[::phenotypes].astype({"chromosome": str, "id": str})
        typed += int(pd.MultiIndex.from_frame(variants).isin(there).sum())
        n, t, log10_p = (column_of(part, name).reshape(-1, phenotypes) for name in ("n", "t", "neg_log10_p"))
        calm = t[(log10_p < -np.log10(SUGGESTIVE)).all(axis=1)]
        cross += calm.T @ calm
        quiet, tested, untestable = quiet + len(calm), tested + len(t), untestable + int(np.isnan(t).sum())
        samples = np.maximum(samples, n.max(axis=0).astype(np.int64))
    spread = np.sqrt(np.diag(cross))
    if quiet < max(FEWEST, phenotypes) or not (spread > 0).all():
        return _Counts(tested, typed, samples, untestable, np.eye(phenotypes))
    return _Counts(tested, typed, samples, untestable, cross / np.outer(spread, spread))
