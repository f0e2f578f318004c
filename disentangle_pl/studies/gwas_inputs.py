"""Who is in a genome-wide study, and with what phenotypes and covariates."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.errors import InputError, listing
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.genotypes import Fileset, common_people
from disentangle_pl.genetics.loco import Loco
from disentangle_pl.genetics.people import PeopleTable, covariates_of, numbers_of, rows_of
from disentangle_pl.genetics.traits import traits_of


class Phenotyped(NamedTuple):
    """Phenotypes and covariates of people.

    Attributes:
        phenotypes: Columns z0, z1, ... of the active latents.
        covariates: Columns age, age2, sex, site, head size: those known for all people and not constant; None if none.
        remarks: What was left out, and whom the model has seen.
        sites: How well sites were told before and after ComBat; empty without.
    """

    phenotypes: PeopleTable
    covariates: PeopleTable | None
    remarks: list[str]
    sites: tuple[dict[str, object], ...] = ()


class Inputs(NamedTuple):
    """The people of a study.

    Attributes:
        people: N rows: fid, iid, sex.
        names: Of the phenotypes.
        phenotypes: (N, K), NaN where missing.
        covariate_names: Of the covariates.
        covariates: (N, c).
        cases: (K,) which phenotypes are case/control: 1 for a case, 0 for a control.
        dropped: Columns iid and reason: genotyped people who are not in the study.
        remarks: What else ought to be known.
    """

    people: pd.DataFrame
    names: list[str]
    phenotypes: Values
    covariate_names: list[str]
    covariates: Values
    cases: NDArray[np.bool_]
    dropped: pd.DataFrame
    remarks: list[str]

    def on_x(self) -> "Inputs":
        """Return the same for chromosome X: people of known sex, with sex among the covariates.

        Calls of men are 0 or 2. This is what plink2 --glm does by default (--xchr-model 2).
        """
        known = self.people["sex"].notna().to_numpy()
        men = (self.people["sex"] == "M").to_numpy(np.float64)
        return self._replace(
            phenotypes=np.where(known[:, None], self.phenotypes, np.nan),
            covariate_names=[*self.covariate_names, "sex by the genotypes"],
            covariates=np.column_stack((self.covariates, men)),
        )

    def fingerprint(self) -> str:
        """Return a hash of who is in the study, and of all numbers."""
        told = hashlib.sha256(repr((self.names, self.covariate_names)).encode())
        told.update(np.packbits(self.cases).tobytes())
        told.update("\n".join(self.people["fid"] + "\t" + self.people["iid"]).encode())
        told.update("\n".join(self.people["sex"].fillna("")).encode())
        for values in (self.phenotypes, self.covariates):
            told.update(np.ascontiguousarray(values).tobytes())
        return told.hexdigest()


def gather(
    filesets: Sequence[Fileset],
    phenotypes: PeopleTable,
    covariates: PeopleTable | None,
    ranks: bool,
    loco: Loco | None = None,
) -> Inputs:
    """Match genotyped people with their phenotypes and covariates.

    Args:
        filesets: The genotypes.
        phenotypes: Numbers a person.
        covariates: Numbers or texts a person; None for an intercept alone.
        ranks: Replace quantities of the people of the study by normal quantiles of their ranks.
        loco: A phenotype counts as missing of people who have no prediction of it.

    Raises:
        InputError: If nobody is left, no phenotype can be tested, or a table is wrong.
    """
    people = common_people(filesets)
    everybody = len(filesets[0].people)
    names, values = numbers_of(phenotypes)
    rows = rows_of(people, phenotypes)
    mine = np.where((rows >= 0)[:, None], values[rows], np.nan)
    covariate_names, covariate_rows, covariate_values = _covariates(people, covariates)
    both = sorted(set(names) & set(covariate_names))
    if both and covariates is not None:
        raise InputError(
            f"{listing(both, 3)} is a phenotype in {phenotypes.name} and a covariate in {covariates.name}: leave it "
            "out of one of them"
        )
    faults = {
        "no row of phenotypes": rows < 0,
        "all phenotypes missing": np.isnan(mine).all(axis=1),
        "no row of covariates": covariate_rows < 0,
        "a covariate missing": np.isnan(covariate_values).any(axis=1),
    }
    if loco is not None:
        mine = np.where(loco.known(people, names), mine, np.nan)
        faults["no prediction (loco)"] = np.isnan(mine).all(axis=1)
    reason = np.select(list(faults.values()), list(faults), "")
    there = reason == ""
    if not there.any():
        counts = pd.Series(reason).value_counts()
        said = ", ".join(f"{count} {why}" for why, count in counts.items())
        raise InputError(f"none of the {len(people)} genotyped people is left: {said}")
    traits = traits_of(names, mine[there], ranks)
    if loco is not None and traits.cases.any():
        binary = [names[k] for k in np.flatnonzero(traits.cases)]
        raise InputError(
            f"--loco is of quantities, but {listing(binary, 3)} has two values: "
            "run step 2 of regenie with --bt, and give what it writes as --results"
        )
    dropped = pd.DataFrame({"iid": people["iid"][~there], "reason": reason[~there]})
    remarks = _remarks(everybody - len(people), int((rows >= 0).sum()), phenotypes, people["sex"][there])
    return Inputs(
        people[there].reset_index(drop=True),
        names,
        traits.values,
        covariate_names,
        covariate_values[there],
        traits.cases,
        dropped.reset_index(drop=True),
        [*remarks, *traits.remarks],
    )


def _covariates(people: pd.DataFrame, table: PeopleTable | None) -> tuple[list[str], NDArray[np.intp], Values]:
    if table is None:
        return [], np.zeros(len(people), dtype=np.intp), np.empty((len(people), 0))
    names, values = covariates_of(table)
    rows = rows_of(people, table)
    return names, rows, np.where((rows >= 0)[:, None], values[rows], np.nan)


def _remarks(lacking: int, matched: int, phenotypes: PeopleTable, sex: pd.Series) -> list[str]:
    remarks = [f"{lacking} people are not in all of the genotype files"] if lacking else []
    more = len(phenotypes.people) - matched
    remarks += [f"{more} people of {phenotypes.name} have no genotypes"] if more else []
    known = sex.value_counts()
    by_sex = ", ".join(f"{known.get(name, 0)} {name}" for name in ("F", "M"))
    return [*remarks, f"sex of the analysed people by the genotypes: {by_sex}, {int(sex.isna().sum())} unknown"]
