"""The test of all phenotypes together is the F-test of the reverse regression; its nulls are calibrated."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.association import Panel
from disentangle_pl.genetics.multivariate import Omnibus, Together, fit_nulls, min_log10_p, most_log10_p
from tests.genetics.made import Made, make

NAMES, COVARIATES = ["z0", "z1", "z2"], ["age", "sex", "site"]


def together(made: Made) -> Together:
    names = [f"z{k}" for k in range(made.phenotypes.shape[1])]
    panel = Panel(made.phenotypes, made.covariates, names, COVARIATES)
    products = panel.products(made.calls)
    return Omnibus(panel)(products, panel.fit(products))


@pytest.mark.parametrize("missing", [0.0, 0.02, 0.3])
def test_f_of_the_reverse_regression(missing: float) -> None:
    made = make(missing=missing)
    found = together(made)
    for j, calls in enumerate(made.calls):
        there = calls >= 0
        design = np.column_stack((np.ones(there.sum()), made.covariates[there], made.phenotypes[there]))
        fit = sm.OLS(calls[there].astype(float), design).fit()
        test = fit.f_test(np.hstack((np.zeros((3, 4)), np.eye(3))))
        assert found.f[j] == pytest.approx(float(test.fvalue), rel=1e-9)
        assert found.f_p[j] == pytest.approx(float(test.pvalue), rel=1e-9)
        assert found.f_log10_p[j] == pytest.approx(-np.log10(float(test.pvalue)), rel=1e-9)
        assert found.people[j] == there.sum()


def test_one_phenotype_alone_is_its_t_test() -> None:
    made = make(phenotypes=1)
    panel = Panel(made.phenotypes, made.covariates, ["z"], COVARIATES)
    products = panel.products(made.calls)
    fits = panel.fit(products)
    found = Omnibus(panel)(products, fits)
    np.testing.assert_allclose(found.f, fits.t[:, 0] ** 2, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.f_p, fits.p[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found.min_log10_p, fits.log10_p[:, 0])
    np.testing.assert_allclose(found.chi2_log10_p, fits.log10_p[:, 0], rtol=2e-3)  # z by approximation


def test_a_copy_of_a_phenotype_adds_nothing() -> None:
    made = make()
    copied = np.column_stack((made.phenotypes, made.phenotypes[:, 0] - 2 * made.phenotypes[:, 1]))
    both, plain = together(made._replace(phenotypes=copied)), together(made)
    np.testing.assert_allclose(both.f, plain.f, rtol=1e-8)
    np.testing.assert_allclose(both.mostest[1:], plain.mostest[1:], rtol=0.2)


def test_mostest_weighs_by_the_correlation() -> None:
    made = make(people=2000, missing=0)
    mixed = made.phenotypes @ np.array([[1.0, 0.9, 0], [0, 0.5, 0.4], [0, 0, 2]])
    found = together(made._replace(phenotypes=mixed))
    panel = Panel(mixed, made.covariates, NAMES, COVARIATES)
    t = panel.fit(panel.products(made.calls)).t
    expected = np.einsum("ij,jk,ik->i", t, np.linalg.inv(np.corrcoef(panel.targets.T)), t)
    np.testing.assert_allclose(found.mostest[1:], expected[1:], rtol=0.01)
    exact = found.f_log10_p
    assert np.corrcoef(exact[1:], found.chi2_log10_p[1:])[0, 1] > 0.999


@pytest.mark.parametrize("call", [0, 1])
def test_an_untested_variant_stays_unknown(call: int) -> None:
    made = make(missing=0)
    made.calls[3] = call
    found = together(made)
    assert np.isnan([found.f[3], found.f_p[3], found.mostest[3], found.min_log10_p[3]]).all()
    assert not np.isnan(np.delete(found.f, 3)).any()


def test_p_is_even_where_nothing_is_associated_and_permuted_nulls_give_the_same() -> None:
    rng = np.random.default_rng(0)
    calls = rng.binomial(2, 0.3, (3000, 400)).astype(np.int8)
    calls[::4, :6] = -127
    values = rng.standard_normal((400, 6)) @ rng.standard_normal((6, 6))
    panel = Panel(values, rng.standard_normal((400, 2)), list("abcdef"), list("uv"))
    products = panel.products(calls)
    found = Omnibus(panel)(products, panel.fit(products))
    shuffled = panel.products(rng.permuted(calls, axis=1))
    control = Omnibus(panel)(shuffled, panel.fit(shuffled))
    nulls = fit_nulls(control.mostest, control.min_log10_p)
    assert nulls.shape == pytest.approx(3, rel=0.1)  # chi-squared of 6 is gamma of shape 3 and scale 2
    assert nulls.scale == pytest.approx(2, rel=0.1)
    assert 3 < nulls.b < 7
    assert nulls.variants == 3000
    for log10_p in (found.f_log10_p, most_log10_p(found.mostest, nulls), min_log10_p(found.min_log10_p, nulls)):
        for level in (0.5, 0.05, 0.01):
            spread = np.sqrt(level * (1 - level) / len(calls))
            assert (10**-log10_p < level).mean() == pytest.approx(level, abs=5 * spread)


def test_the_null_of_the_smallest_p_reaches_far() -> None:
    nulls = fit_nulls(
        stats.gamma.rvs(3, size=500, random_state=0), -np.log10(stats.beta.rvs(1, 5, size=500, random_state=0))
    )
    far = min_log10_p(np.array([250.0, 290.0, 400.0]), nulls)
    assert far[1] - far[0] == pytest.approx(40 * nulls.a)
    assert far[2] - far[1] == pytest.approx(110 * nulls.a)


def test_too_little_is_refused() -> None:
    with pytest.raises(InputError, match="7 permuted variants are too few"):
        fit_nulls(np.ones(7), np.ones(7))
    with pytest.raises(InputError, match="too few to test 10 phenotypes"):
        together(make(people=14, phenotypes=10))
