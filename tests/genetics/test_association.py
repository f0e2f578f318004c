"""The scan is ordinary least squares of every phenotype on every variant, to the last digits."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.association import Associations, Panel, Scan
from tests.genetics.made import Made, make

NAMES = ["z0", "z1", "z2"]
COVARIATES = ["age", "sex", "site"]


def scan(made: Made) -> Associations:
    return Scan(made.phenotypes, made.covariates, NAMES, COVARIATES)(made.calls)


def check(made: Made, found: Associations) -> None:
    """Compare with a fit a variant and phenotype."""
    for j, calls in enumerate(made.calls):
        for k, values in enumerate(made.phenotypes.T):
            there = (calls >= 0) & ~np.isnan(values)
            design = np.column_stack((np.ones(there.sum()), made.covariates[there], calls[there]))
            fit = sm.OLS(values[there], design).fit()
            ours = [each[j, k] for each in (found.beta, found.error, found.t, found.p)]
            theirs = [each[-1] for each in (fit.params, fit.bse, fit.tvalues, fit.pvalues)]
            np.testing.assert_allclose(ours, theirs, rtol=1e-10)
            assert found.people[j, k] == there.sum()
            assert found.freedom[j, k] == fit.df_resid
            assert found.frequency[j, k] == pytest.approx(calls[there].mean() / 2)
            assert found.log10_p[j, k] == pytest.approx(-np.log10(fit.pvalues[-1]))


def test_least_squares_without_missing_calls() -> None:
    made = make(missing=0)
    check(made, scan(made))


@pytest.mark.parametrize("missing", [0.03, 0.4])
def test_least_squares_of_the_people_with_a_call(missing: float) -> None:
    made = make(variants=20, missing=missing)
    assert (made.calls < 0).any()
    check(made, scan(made))


def test_phenotypes_that_lack_people() -> None:
    made = make(variants=20)
    made.phenotypes[:20, 0] = np.nan
    made.phenotypes[10:30, 2] = np.nan
    check(made, scan(made))


def test_without_covariates() -> None:
    made = make()._replace(covariates=np.empty((120, 0)))
    check(made, Scan(made.phenotypes, made.covariates, NAMES)(made.calls))


def test_badly_scaled_covariates_and_phenotypes_lose_no_digits() -> None:
    made = make()
    shifted = made._replace(phenotypes=1e-6 * made.phenotypes + 1e-3)
    plain = scan(made)
    found = Scan(shifted.phenotypes, made.covariates * 1e5 + 1e7, NAMES, COVARIATES)(made.calls)
    np.testing.assert_allclose(found.t, plain.t, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.beta, plain.beta * 1e-6, rtol=1e-7, atol=1e-15)


def test_the_parts_in_which_missing_calls_are_gathered_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(missing=0.1)
    whole = scan(made)
    monkeypatch.setattr("disentangle_pl.genetics.designs.CELLS", 50)
    for ours, theirs in zip(scan(made), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_variant_that_does_not_vary_beside_the_covariates_is_not_tested() -> None:
    made = make(missing=0)
    calls = made.calls.copy()
    calls[1], calls[2] = 2, made.covariates[:, 1].astype(np.int8)
    calls[3], calls[4, 5:] = -127, -127
    calls[5, made.covariates[:, 1] == 0] = -127
    found = scan(made._replace(calls=calls))
    untested = np.isnan(found.t)
    assert np.flatnonzero(untested.all(axis=1)).tolist() == [1, 2, 3, 4, 5]
    assert not untested[6:].any()
    assert np.isnan(found.p[1:6]).all()
    assert found.people[3].tolist() == [0, 0, 0]


def test_an_exact_fit_is_a_number() -> None:
    made = make(missing=0)
    exact = made._replace(phenotypes=np.repeat(made.calls[:1].T.astype(np.float64), 3, axis=1))
    found = scan(exact)
    assert found.beta[0].tolist() == pytest.approx([1, 1, 1])
    assert np.isfinite(found.log10_p[0]).all()


def with_column(column: int, values: NDArray[np.float64]) -> Made:
    made = make()
    made.covariates[:, column] = values
    return made


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (1, np.full(120, 3.0)),
        (1, np.zeros(120)),
        (2, 3 * make().covariates[:, 0] - make().covariates[:, 1] + 7),
        (0, 2 * make().covariates[:, 1] - 1),
    ],
)
def test_useless_covariates_are_left_out_and_named(column: int, values: NDArray[np.float64]) -> None:
    made = with_column(column, values)
    useless = 1 if column == 0 else column  # of two that are combinations of each other, the latter
    plain = Scan(made.phenotypes, np.delete(made.covariates, useless, axis=1), NAMES, COVARIATES[:2])
    found = Scan(made.phenotypes, made.covariates, NAMES, COVARIATES)
    for ours, theirs in zip(found(made.calls), plain(made.calls), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    (said,) = found.remarks
    assert said.startswith(f"covariate {COVARIATES[useless]} is constant, or a combination of others")
    assert "each phenotype" in said


def test_rank_is_judged_for_the_people_of_each_phenotype() -> None:
    made = make(variants=20)
    women = made.covariates[:, 1] == 0
    made.phenotypes[~women, 1] = np.nan
    found = Scan(made.phenotypes, made.covariates, NAMES, COVARIATES)
    (said,) = found.remarks
    assert "covariate sex is constant" in said
    assert "with z1: it" in said
    alone = Scan(made.phenotypes[women, 1:2], made.covariates[women][:, [0, 2]], ["z1"], ["age", "site"])
    np.testing.assert_allclose(found(made.calls).t[:, 1:2], alone(made.calls[:, women]).t, rtol=1e-9)
    check(made._replace(phenotypes=made.phenotypes[:, [0, 2]]), _columns(found(made.calls), [0, 2]))


def _columns(found: Associations, columns: list[int]) -> Associations:
    some: Any = [each[:, columns] for each in found]
    return Associations(*some)


def test_phenotypes_never_seen_together() -> None:
    made = make(variants=20)
    made.phenotypes[:60, 0], made.phenotypes[60:, 1], made.phenotypes[::2, 2] = np.nan, np.nan, np.nan
    check(made, scan(made))


def test_many_patterns_of_missing_phenotypes_and_calls() -> None:
    made = make(variants=12, phenotypes=9, missing=0.2)
    made.phenotypes[np.random.default_rng(1).random(made.phenotypes.shape) < 0.3] = np.nan
    names = [f"z{k}" for k in range(9)]
    check(made, Scan(made.phenotypes, made.covariates, names, COVARIATES)(made.calls))


def test_a_useless_phenotype_is_set_aside() -> None:
    made = make()
    for values in (np.full(120, 4.0), 2 * made.covariates[:, 0] + 1, np.full(120, np.nan)):
        phenotypes = made.phenotypes.copy()
        phenotypes[:, 1] = values
        found = Scan(phenotypes, made.covariates, NAMES, COVARIATES)
        assert list(found.untested) == ["z1"]
        fits = found(made.calls)
        assert np.isnan(fits.p[:, 1]).all()
        np.testing.assert_allclose(fits.t[:, [0, 2]], scan(made).t[:, [0, 2]], rtol=1e-9)
    with pytest.raises(InputError, match="phenotype z1 is constant"):
        Panel(np.column_stack((made.phenotypes[:, 0], np.ones(120))), made.covariates, ["z0", "z1"], COVARIATES)


def test_too_few_people_are_refused() -> None:
    made = make(people=5)
    untested = Scan(made.phenotypes, made.covariates, NAMES, COVARIATES).untested
    assert "5 people are too few for 3 covariates and phenotype z0" in untested["z0"]


def test_p_is_even_where_nothing_is_associated() -> None:
    rng = np.random.default_rng(0)
    calls = rng.binomial(2, 0.3, (4000, 300)).astype(np.int8)
    calls[::3, :5] = -127
    values = rng.standard_normal((300, 5))
    p = Scan(values, rng.standard_normal((300, 4)), list("abcde"), list("cdef"))(calls).p
    for level in (0.5, 0.05, 0.001):
        spread = np.sqrt(level * (1 - level) / p.size)
        assert (p < level).mean() == pytest.approx(level, abs=4 * spread)
