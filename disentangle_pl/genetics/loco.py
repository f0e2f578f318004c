"""What other chromosomes predict of phenotypes, by step 1 of regenie, taken off before a chromosome is scanned.

Step 1 predicts every phenotype, freed of covariates and divided by its standard deviation, from the chromosomes but one
(LOCO). For a quantitative trait step 2 subtracts that and tests the variants of the one. Relatives and ancestry, which
the prediction holds, then no longer inflate the tests, and the noise that other chromosomes make is gone.

Source: Mbatchou et al. 2021, Nature Genetics 53:1097, Methods; https://rgcgithub.github.io/regenie/options for files.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.errors import InputError, listing
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.genotypes import chromosome_names

HEADER = "FID_IID"


def offset(phenotypes: Values, predicted: Values, scale: Values) -> Values:
    """Take predictions off phenotypes.

    What is left, fitted to covariates and a dosage, has the t of step 2's phenotype: the residual phenotype divided by
    `scale`, less the prediction. regenie tests that by a score test; the scan here by the exact t-test, which also
    frees the prediction of covariates. Effects are in units of the phenotype.

    Args:
        phenotypes: (N, K), NaN where missing.
        predicted: (N, K) by the other chromosomes.
        scale: (K,) standard deviations of the residual phenotypes.
    """
    return phenotypes - scale * predicted


class Loco:
    """Predictions by all chromosomes but one.

    Args:
        path: step1_pred.list: a line a phenotype, its name and the path of its .loco or .loco.gz file; paths that are
            not absolute are those of the working directory, or else beside the list.
        names: Phenotypes that are needed.
        chromosomes: Chromosomes that are needed.

    Raises:
        InputError: If a file cannot be read or is no such file, or a phenotype or chromosome is not there.
    """

    def __init__(self, path: Path, names: Sequence[str], chromosomes: Iterable[str]) -> None:
        listed = _read_list(path)
        files = {name: listed[word] for name in names if (word := "_".join(name.split())) in listed}
        missing = [name for name in names if name not in files]
        if missing:
            raise InputError(
                f"{path} has no predictions of {listing(missing, 3)}, but of {listing(list(listed), 3)}: run step 1 of "
                "regenie on the same phenotypes"
            )
        self.path = path
        self._tables = {name: read_loco(files[name]) for name in names}
        for name, table in self._tables.items():
            lacking = [each for each in chromosomes if each not in table.index]
            if lacking:
                raise InputError(
                    f"{files[name]} has no prediction for chromosome {listing(lacking, 3)}: run step 1 on all of them"
                )

    def predicts(self, chromosome: str) -> bool:
        """Tell whether there are predictions of all phenotypes for a chromosome."""
        return all(chromosome in table.index for table in self._tables.values())

    def known(self, people: pd.DataFrame, names: Sequence[str]) -> NDArray[np.bool_]:
        """Tell which people (N,) have predictions of which phenotypes (K,), for all chromosomes."""
        keys = _keys(people, self.path)
        tables = (self._tables[name] for name in names)
        known = [table.notna().all(axis=0).reindex(keys, fill_value=False).to_numpy(bool) for table in tables]
        return np.stack(known, axis=1)

    def predictions(self, chromosome: str, people: pd.DataFrame, names: Sequence[str]) -> Values:
        """Return (N, K) what the chromosomes but this one predict, NaN where nothing."""
        keys = _keys(people, self.path)
        columns = [self._tables[name].loc[chromosome].reindex(keys).to_numpy(np.float64) for name in names]
        return np.stack(columns, axis=1)

    def fingerprint(self) -> str:
        """Return a hash of all predictions."""
        told = hashlib.sha256()
        for name, table in self._tables.items():
            told.update(repr((name, table.index.tolist(), table.columns.tolist())).encode())
            told.update(np.ascontiguousarray(table.to_numpy()).tobytes())
        return told.hexdigest()


def _keys(people: pd.DataFrame, path: Path) -> pd.Index:
    keys = pd.Index(people["fid"] + "_" + people["iid"])
    if keys.has_duplicates:
        raise InputError(
            f"{path} joins FID and IID by _, which is not unique here: rename {keys[keys.duplicated()][0]}"
        )
    return keys


def _read_list(path: Path) -> dict[str, Path]:
    try:
        rows = [line.split(None, 1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): give the step1_pred.list of regenie") from error
    if not rows or any(len(row) != 2 for row in rows):
        raise InputError(f"{path} is no list of phenotypes and files: give the step1_pred.list of regenie")
    files = {name: Path(rest.strip()) for name, rest in rows}
    return {name: file if file.exists() else path.parent / file for name, file in files.items()}


def read_loco(path: Path) -> pd.DataFrame:
    """Read predictions: a row a chromosome, a column FID_IID a person, NaN where NA.

    Raises:
        InputError: If the file cannot be read, or is no such file.
    """
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            head, *rows = [line.split() for line in file]
        values = [[np.nan if cell == "NA" else float(cell) for cell in row[1:]] for row in rows]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as predictions ({error}): give a .loco file of regenie") from error
    if head[:1] != [HEADER] or not rows or any(len(row) != len(head) for row in rows):
        raise InputError(f"{path} has no header of {HEADER} and people, and a row a chromosome: it is no .loco file")
    chromosomes = chromosome_names(pd.Series([row[0] for row in rows], dtype=object)).tolist()
    table = pd.DataFrame(values, chromosomes, head[1:], np.float64)
    if table.index.has_duplicates or table.columns.has_duplicates:
        raise InputError(f"{path} has a chromosome or a person more than once: run step 1 of regenie anew")
    return table
