"""Chances of the tails agree with scipy where it has them, and with closed forms and exact integers beyond."""

import numpy as np
import pytest
from scipy import integrate, stats

from disentangle_pl.genetics.tails import (
    log10_p_of_f,
    log10_p_of_gamma,
    log10_p_of_t,
    log_beta_tail,
    log_gamma_tail,
    p_of_f,
    p_of_gamma,
    p_of_t,
    tails_of_t,
)


def test_p_is_that_of_scipy() -> None:
    t = np.array([0.0, 0.5, 2.0, -7.0, 20.0])
    np.testing.assert_allclose(p_of_t(t, 113.0), 2 * stats.t.sf(np.abs(t), 113), rtol=1e-12)
    np.testing.assert_allclose(p_of_f(t**2, 3, 50), stats.f.sf(t**2, 3, 50), rtol=1e-12)
    np.testing.assert_allclose(p_of_gamma(t**2, 2.5, 2.0), stats.gamma.sf(t**2, 2.5, scale=2), rtol=1e-12)


@pytest.mark.parametrize(("t", "freedom"), [(25.0, 200.0), (9.0, 3000.0), (6.0, 40.0), (30.0, 1e5)])
def test_the_continued_fraction_joins_on_to_p(t: float, freedom: float) -> None:
    x = np.array([freedom / (freedom + t * t)])
    found = log_beta_tail(np.array([freedom / 2]), np.array([0.5]), x)[0]
    assert found == pytest.approx(np.log(2 * stats.t.sf(t, freedom)), rel=1e-10)
    assert log_gamma_tail(3.5, np.array([60.0]))[0] == pytest.approx(stats.gamma.logsf(60.0, 3.5), rel=1e-12)


def test_beyond_the_smallest_number() -> None:
    t, freedom = np.array([[70.0, 1.0]]), np.array([[5000.0, 5000.0]])
    p = p_of_t(t, freedom)
    found = log10_p_of_t(t, freedom, p)
    # t of 2 degrees of freedom has a closed form, and many degrees are normal
    closed = np.array([1e150])
    assert log10_p_of_t(closed, 2.0, np.zeros(1))[0] == pytest.approx(300.0, rel=1e-12)
    normal = log10_p_of_t(np.array([60.0]), 1e9, np.zeros(1))[0]
    assert normal == pytest.approx(-(stats.norm.logsf(60.0) + np.log(2)) / np.log(10), rel=1e-5)
    assert p[0, 0] == 0
    above = integrate.quad(lambda x: np.exp(stats.t.logpdf(x, 5000) - stats.t.logpdf(70, 5000)), 70, 72)[0]
    assert found[0, 0] == pytest.approx(-(stats.t.logpdf(70, 5000) + np.log(2 * above)) / np.log(10), rel=1e-10)
    assert found[0, 1] == pytest.approx(-np.log10(p[0, 1]))


def test_f_and_chi_squared_beyond_the_smallest_number() -> None:
    # with two phenotypes the chance is (1 + 2 f / n)^(-n / 2)
    f, below = np.array([2000.0]), 4000.0
    assert p_of_f(f, 2.0, below)[0] == 0
    exact = below / 2 * np.log10(1 + 2 * f[0] / below)
    assert log10_p_of_f(f, 2.0, below, np.zeros(1))[0] == pytest.approx(exact, rel=1e-12)
    assert log10_p_of_gamma(np.array([3000.0]), 1.0, 2.0, np.zeros(1))[0] == pytest.approx(1500 / np.log(10), rel=1e-12)


def test_unknown_stays_unknown() -> None:
    nothing = np.array([np.nan, 1.0])
    assert np.isnan(log10_p_of_t(nothing, 10.0, p_of_t(nothing, 10.0))).tolist() == [True, False]


@pytest.mark.parametrize("freedom", [3.0, 40.0, 1991.0, 4e5])
def test_polynomials_give_the_tails_of_t(freedom: float) -> None:
    t = np.concatenate((np.random.default_rng(0).standard_normal(4000) * 3, np.linspace(0, 60, 600), [np.nan]))[:, None]
    p, log10_p = tails_of_t(t, np.full_like(t, freedom))
    exact = p_of_t(t, freedom)
    np.testing.assert_allclose(p, exact, rtol=3e-12, atol=1e-290)
    np.testing.assert_allclose(log10_p, log10_p_of_t(t, freedom, exact), rtol=1e-11, atol=1e-14)
    both = np.repeat(t, 2, axis=0)
    mixed = np.tile([[freedom], [7.0]], (len(t), 1))
    np.testing.assert_allclose(tails_of_t(both, mixed)[0][::2], exact, rtol=3e-12, atol=1e-290)
