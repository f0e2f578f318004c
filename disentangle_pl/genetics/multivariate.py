"""One test of a variant on all phenotypes together: the exact F-test, and MOSTest with min-P."""

from importlib import import_module
from typing import NamedTuple

import numpy as np
from scipy import special

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.association import Associations, Panel, Products
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.tails import log10_p_of_f, log10_p_of_gamma, p_of_f, p_of_gamma

INDEPENDENT = 1e-8
FEWEST_PERMUTED = 100


class Together(NamedTuple):
    """Statistics of m variants, each (m,); NaN where a variant does not vary beside the covariates.

    Attributes:
        people: How many are in the test.
        f: The F statistic.
        f_p: Its p.
        f_log10_p: -log10 p.
        mostest: z' R^-1 z, of a chi-squared distribution with `Omnibus.rank` degrees of freedom in large samples.
        chi2_log10_p: -log10 p of it by that distribution.
        min_log10_p: The largest -log10 p over the phenotypes.
    """

    people: Values
    f: Values
    f_p: Values
    f_log10_p: Values
    mostest: Values
    chi2_log10_p: Values
    min_log10_p: Values


class Omnibus:
    """Tests of all phenotypes of a panel together.

    The F-test is that of the regression of the dosage on covariates and phenotypes, which is Hotelling's and MANOVA's;
    like the fits of single phenotypes it leaves people without a call out, exactly. MOSTest weighs z scores by their
    correlation R, that of the residual phenotypes.

    Source: Rao 1973, Linear Statistical Inference, 8b; van der Meer et al. 2020, Nature Communications 11:3512.

    Args:
        panel: Phenotypes of the same people.

    Attributes:
        rank: Phenotypes that are no combination of others.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        _, sizes, directions = np.linalg.svd(panel.targets, full_matrices=False)
        self.rank = int((sizes > INDEPENDENT * sizes[0]).sum())
        self._whiten: Values = directions[: self.rank].T / sizes[: self.rank]
        joint = np.hstack((panel.basis, panel.targets @ self._whiten))
        self._padded: Values = np.vstack((joint, np.zeros(joint.shape[1])))
        people = int(panel.there.sum())
        if people < joint.shape[1] + 2:
            raise InputError(
                f"{people} people are too few to test {self.rank} phenotypes together: leave phenotypes out, or "
                "give --multivariate=false"
            )

    def __call__(self, products: Products, found: Associations) -> Together:
        """Test variants.

        Args:
            products: Of the panel with the calls.
            found: The fits of the panel to them.
        """
        width = self.panel.basis.shape[1]
        joint = np.hstack((products.basis, products.targets @ self._whiten))
        left = self._left(products, products.basis, slice(0, width))
        rest = self._left(products, joint, slice(None))
        freedom = products.people - width - self.rank
        tested = ~np.isnan(found.t).any(axis=1) & (freedom > 0)
        freedom = np.where(tested, freedom, 1)
        rest = np.where(tested, np.maximum(rest, np.finfo(np.float64).eps * left), 1.0)
        f = np.where(tested, np.maximum(left - rest, 0) / self.rank / (rest / freedom), np.nan)
        p = p_of_f(f, self.rank, freedom)
        z = self._normal(found.t, found.freedom)
        weighed = ((z @ self._whiten) ** 2).sum(axis=1) * self.panel.squares[0]
        log10_p = log10_p_of_gamma(weighed, self.rank / 2, 2.0, p_of_gamma(weighed, self.rank / 2, 2.0))
        best = np.where(tested, np.where(np.isnan(found.log10_p), -1, found.log10_p).max(axis=1), np.nan)
        people = products.people.astype(np.float64)
        return Together(people, f, p, log10_p_of_f(f, self.rank, freedom, p), weighed, log10_p, best)

    def _left(self, products: Products, seen: Values, columns: slice) -> Values:
        """Return the sum of squares (m,) of the dosage that some columns of the joint basis leave."""
        left: Values = products.square - np.einsum("ij,ij->i", seen, seen)
        for variants, people in products.holes:
            gone = self._padded[people][:, :, columns]
            mine = seen[variants]
            if gone.shape[1] <= gone.shape[2]:
                inner = np.eye(gone.shape[1]) - gone @ gone.transpose(0, 2, 1)
                right = np.einsum("hwq,hq->hw", gone, mine)
                left[variants] -= _form(inner, right)
            else:
                inner = np.eye(gone.shape[2]) - gone.transpose(0, 2, 1) @ gone
                left[variants] = products.square[variants] - _form(inner, mine)
        return left

    @staticmethod
    def _normal(t: Values, freedom: Values) -> Values:
        """Turn t into z scores, by the approximation of Wallace 1959, Annals of Mathematical Statistics 30:1121."""
        z: Values = np.sign(t) * np.sqrt(freedom * np.log1p(t**2 / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)
        return z


def _form(inner: Values, right: Values) -> Values:
    """Return r' A^-1 r (h,) of matrices (h, w, w) and vectors (h, w); NaN where A is singular."""
    try:
        solved = np.linalg.solve(inner, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        solved = np.einsum("hij,hj->hi", np.linalg.pinv(inner, hermitian=True), right)
    form: Values = np.einsum("hw,hw->h", right, solved)
    return form


def nothing_together(variants: int) -> Together:
    """Return m tests without numbers, of nobody."""
    return Together(np.zeros(variants), *np.full((len(Together._fields) - 1, variants), np.nan))


class Nulls(NamedTuple):
    """What permuted genotypes make of the statistics.

    Attributes:
        shape: Of the gamma distribution of MOSTest's statistic.
        scale: Likewise.
        a: Of the beta distribution of the smallest p over phenotypes.
        b: Likewise, about the number of independent phenotypes.
        variants: That were permuted.
    """

    shape: float
    scale: float
    a: float
    b: float
    variants: int


def fit_nulls(mostest: Values, min_log10_p: Values) -> Nulls:
    """Fit both distributions by maximum likelihood to the statistics (m,) of permuted genotypes.

    Source: van der Meer et al. 2020, Methods, "MOSTest" and "min-P".

    Raises:
        InputError: If there are too few permuted variants, or none of them varies.
    """
    there = ~(np.isnan(mostest) | np.isnan(min_log10_p))
    if there.sum() < FEWEST_PERMUTED:
        raise InputError(
            f"{int(there.sum())} permuted variants are too few to fit a null to: give --mostest-permute at least "
            f"{FEWEST_PERMUTED} variants that pass the filters"
        )
    stats = import_module("scipy.stats")  # takes as long to load as numpy and pandas together
    shape, _, scale = stats.gamma.fit(mostest[there], floc=0)
    a, b, _, _ = stats.beta.fit(10 ** -min_log10_p[there], floc=0, fscale=1)
    return Nulls(float(shape), float(scale), float(a), float(b), int(there.sum()))


def most_log10_p(mostest: Values, nulls: Nulls) -> Values:
    """Return -log10 p (m,) of MOSTest's statistic by its permuted null."""
    return log10_p_of_gamma(mostest, nulls.shape, nulls.scale, p_of_gamma(mostest, nulls.shape, nulls.scale))


def min_log10_p(smallest: Values, nulls: Nulls) -> Values:
    """Return -log10 p (m,) of the smallest p over phenotypes, given as -log10 p, by its permuted null."""
    p = 10.0**-smallest
    with np.errstate(divide="ignore"):
        found: Values = -np.log10(special.betainc(nulls.a, nulls.b, p)) + 0.0
    far = np.nonzero(~np.isfinite(found) & ~np.isnan(smallest))
    log_p = -smallest[far] * np.log(10)
    # for tiny p the distribution is p^a / (a B(a, b))
    found[far] = -(nulls.a * log_p - np.log(nulls.a) - special.betaln(nulls.a, nulls.b)) / np.log(10)
    return found
