"""What kind of numbers phenotypes are, case/control or quantities, and ranks made normal."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from disentangle_pl.genetics.designs import Values

Summary = Literal["baseline", "mean", "slope", "blup"]
BLOM = 3 / 8
TIED = 0.1
"""Share of people with one and the same value from which ranks are far from normal."""


class Traits(NamedTuple):
    """Phenotypes as they are tested.

    Attributes:
        values: (N, K), NaN where missing; 1 for a case and 0 for a control of a case/control phenotype.
        cases: (K,) which phenotypes are case/control.
        remarks: What ought to be known of them.
    """

    values: Values
    cases: NDArray[np.bool_]
    remarks: list[str]


def traits_of(names: Sequence[str], values: Values, ranks: bool) -> Traits:
    """Tell case/control phenotypes, which have two values, from quantities.

    As plink2 reads it, 2 is a case, 1 a control, and a 0 beside both is missing; of any other two values the larger is
    a case.

    Args:
        names: Of the phenotypes.
        values: (N, K), NaN where missing.
        ranks: Replace quantities by normal quantiles of their ranks.
    """
    made, cases, remarks = values.copy(), np.zeros(values.shape[1], dtype=bool), []
    for k, name in enumerate(names):
        known = values[~np.isnan(values[:, k]), k]
        levels, counts = np.unique(known, return_counts=True)
        coded = levels.tolist() == [0, 1, 2]
        if len(levels) == 2 or coded:
            low, high = levels[-2:]
            made[:, k] = np.select([values[:, k] == high, values[:, k] == low], [1.0, 0.0], np.nan)
            cases[k] = True
            nobody = f", and {counts[0]} people with 0, who count as missing" if coded else ""
            remarks.append(
                f"{name} is a case/control phenotype, fitted by logistic regression, by Firth's where that fails: "
                f"{counts[-1]} cases ({high:g}) and {counts[-2]} controls ({low:g}){nobody}"
            )
        elif len(levels) > 2 and counts.max() > TIED * len(known):
            largest = int(counts.argmax())
            normal = "; ranks do not make that normal" if ranks else ""
            remarks.append(
                f"**{100 * counts[largest] / len(known):.0f} % of the people have one value ({levels[largest]:.4g}) of "
                f"{name}**{normal}: p of rare variants may be too small, so tell groups as cases and controls (1 and 2)"
            )
    if ranks:
        made[:, ~cases] = inverse_normal(made[:, ~cases])
    return Traits(made, cases, remarks)


def inverse_normal(values: Values) -> Values:
    """Replace values (N, K) by normal quantiles of their ranks, column by column; ties share a rank.

    Missing values stay missing, and do not count.

    Source: Blom 1958, Statistical Estimates and Transformed Beta-Variables: the quantile of (rank - 3/8) / (N + 1/4).
    """
    known = ~np.isnan(values)
    ranks = pd.DataFrame(values).rank().to_numpy(np.float64)
    normal: Values = special.ndtri((ranks - BLOM) / (known.sum(axis=0) + 1 - 2 * BLOM))
    return np.where(known, normal, np.nan)
