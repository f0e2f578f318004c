"""Cases and controls: the digits of R's glm.fit and of logistf, closed forms, and when the one stands for the other."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray

from disentangle_pl.genetics.association import Scan
from disentangle_pl.genetics.logistic import logistic, separated
from disentangle_pl.genetics.tails import log10_p_of_z, p_of_z

Values = NDArray[np.float64]
# plink2 v2.0.0-a.7.4 --glm omit-ref cols=+beta,+firth of the data below
GOLDEN = """N 146 0.518733 0.644848 0.421151
N 146 -0.149520 0.678905 0.825687
N 146 0.060693 0.428801 0.887443
N 146 0.277137 0.365515 0.448326
N 146 -0.143774 0.427528 0.736651
N 146 -0.253275 0.390368 0.516461
Y 146 -0.576110 0.860026 0.502938
Y 147 -0.393778 0.937040 0.674313"""


def arithmetic() -> tuple[NDArray[np.int8], Values, Values]:
    """Make calls (8, 150), cases (150,) and covariates (150, 2) that no generator of random numbers can change."""
    i, j = np.arange(150)[:, None], np.arange(8)[None]
    spread = (i * i * 31 + i * (j + 3) * 57 + j * j * 11 + i * 17) % 101
    rare = np.array([3, 8, 15, 25, 40, 60, 5, 2])
    calls = ((spread < rare) * 1 + (spread < rare / 3) * 1).astype(np.int8)
    calls[(i * 7 + j * 13) % 41 == 0] = -127
    cases = ((i[:, 0] ** 2 * 13 + i[:, 0] * 29) % 103 < 14).astype(np.float64)
    return calls.T, cases, np.column_stack((((i[:, 0] * 37) % 53) / 10, (i[:, 0] * 11) % 3)).astype(np.float64)


def test_the_digits_of_plink2() -> None:
    calls, cases, covariates = arithmetic()
    found = Scan(cases[:, None], covariates, ["y"], ["a", "b"], np.array([True]))(calls)
    rows = [line.split() for line in GOLDEN.splitlines()]
    assert found.people[:, 0].tolist() == [int(row[1]) for row in rows]
    for ours, column in ((found.beta, 2), (found.error, 3), (found.p, 4)):
        np.testing.assert_allclose(ours[:, 0], [float(row[column]) for row in rows], rtol=1e-5, atol=6e-7)
    basis = np.column_stack((np.ones(150), covariates - covariates.mean(axis=0)))
    there = (calls >= 0).astype(float)
    firth = logistic(np.maximum(calls, 0).astype(float), there, basis, cases).firth
    assert firth.tolist() == [row[0] == "Y" for row in rows]


def test_the_likelihood_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    calls = rng.binomial(2, 0.3, (12, 400)).astype(np.int8)
    calls[::3, :40] = -127
    covariates = rng.standard_normal((400, 3))
    cases = (rng.random(400) < 1 / (1 + np.exp(1 - covariates[:, 0] - 0.5 * calls[1]))).astype(float)
    found = Scan(cases[:, None], covariates, ["y"], list("abc"), np.array([True]))(calls)
    for j, row in enumerate(calls):
        there = row >= 0
        design = np.column_stack((np.ones(there.sum()), covariates[there], row[there]))
        fit = sm.Logit(cases[there], design).fit(disp=0)
        assert found.beta[j, 0] == pytest.approx(fit.params[-1], rel=1e-5, abs=1e-8)
        assert found.error[j, 0] == pytest.approx(fit.bse[-1], rel=1e-4)
        assert found.p[j, 0] == pytest.approx(fit.pvalues[-1], rel=1e-3)
        assert found.frequency[j, 0] == pytest.approx(row[there].mean() / 2)


def test_firth_of_a_fourfold_table_adds_a_half_to_every_cell() -> None:
    carriers, cases = np.repeat([1.0, 1.0, 0.0, 0.0], [7, 0, 20, 33]), np.repeat([1.0, 0.0, 1.0, 0.0], [7, 0, 20, 33])
    found = logistic(carriers[None], np.ones((1, 60)), np.ones((60, 1)), cases)
    cells = np.array([7.5, 0.5, 20.5, 33.5])
    assert found.firth.tolist() == [True]
    assert found.beta[0] == pytest.approx(np.log(cells[0] * cells[3] / cells[1] / cells[2]), rel=1e-6)
    assert found.error[0] == pytest.approx(np.sqrt((1 / cells).sum()), rel=1e-6)


def test_covariates_that_tell_cases_apart() -> None:
    rng = np.random.default_rng(1)
    cases = (np.arange(200) < 30).astype(float)
    free = np.column_stack((np.ones(200), rng.standard_normal(200)))
    site = np.column_stack((free, (np.arange(200) > 150).astype(float)))
    assert not separated(free, cases)
    assert separated(site, cases)
    calls = rng.binomial(2, 0.4, (20, 200)).astype(np.int8)
    scan = Scan(cases[:, None], site[:, 1:], ["y"], ["pc", "site"], np.array([True]))
    assert scan.remarks == ["covariates alone tell cases from controls of y: all its fits are Firth's"]
    found = scan(calls)
    assert np.isfinite(found.t).all()
    assert (found.error < 1).all()


def test_what_does_not_vary_has_no_number() -> None:
    rng = np.random.default_rng(2)
    sex, cases = rng.integers(0, 2, 100).astype(float), rng.integers(0, 2, 100).astype(float)
    calls = np.stack([np.full(100, 2), sex, np.full(100, -127), rng.binomial(2, 0.4, 100)]).astype(np.int8)
    found = Scan(cases[:, None], sex[:, None], ["y"], ["sex"], np.array([True]))(calls)
    assert np.isnan(found.t[:, 0]).tolist() == [True, True, True, False]
    assert found.people[:, 0].tolist() == [100, 100, 0, 100]
    for useless in (np.ones(100), np.where(cases > 0, 1.0, np.nan)):
        untested = Scan(useless[:, None], sex[:, None], ["y"], ["sex"], np.array([True])).untested
        assert "cases and 0 controls" in untested["y"]


def test_few_cases_make_no_small_p() -> None:
    rng = np.random.default_rng(3)
    calls = rng.binomial(2, rng.uniform(0.01, 0.1, (1500, 1)), (1500, 1000)).astype(np.int8)
    cases = (np.arange(1000) < 10).astype(float)
    mixed = Scan(
        np.column_stack((cases, rng.standard_normal(1000))),
        np.empty((1000, 0)),
        ["y", "z"],
        (),
        np.array([True, False]),
    )
    found = mixed(calls)
    p = found.p[:, 0]
    assert np.isfinite(p).all()
    assert (p < 1e-3).mean() <= 2e-3, "least squares makes 6 times as many"
    assert np.isinf(found.freedom[:, 0]).all()
    assert found.freedom[0, 1] == 998


def test_tails_of_the_normal_distribution() -> None:
    z = np.array([0.0, 1.959963984540054, -5.0, 40.0])
    np.testing.assert_allclose(p_of_z(z)[:3], [1, 0.05, 5.733031437583869e-07], rtol=1e-12)
    np.testing.assert_allclose(log10_p_of_z(z), [0, 1.3010299956639813, 6.241615670, 349.135976], atol=1e-6)
