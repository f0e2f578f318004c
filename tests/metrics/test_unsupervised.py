import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import noise_codes
from disentangle_pl.metrics.unsupervised import (
    FLOOR,
    code_information,
    dependence,
    gaussian_total_correlation,
    gaussian_wasserstein_correlation,
)
from tests.metrics.golden import CASES, load, rotate

NOISE = noise_codes(2000, 3)


@pytest.mark.parametrize(("case", "prefix"), CASES)
def test_equals_the_reference(case: str, prefix: str) -> None:
    golden = load(case, prefix)
    scores = dependence(golden.codes)
    names = [
        "gaussian_total_correlation",
        "gaussian_wasserstein_correlation",
        "gaussian_wasserstein_correlation_norm",
        "mutual_info_score",
    ]
    expected = np.array([golden.values[f"unsup_{name}"] for name in names])
    defined = np.isfinite(expected)
    np.testing.assert_allclose(np.array(scores)[defined], expected[defined], rtol=1e-6)
    assert np.isfinite(scores).all()


def gaussian(correlation: float, scale: float = 1.0) -> np.ndarray:
    """Make two latents whose sample has this correlation exactly, and the second this standard deviation."""
    codes = NOISE[:, :2] - NOISE[:, :2].mean(axis=0)
    white = codes @ np.linalg.inv(np.linalg.cholesky(np.cov(codes.T))).T
    return np.asarray(white @ np.array([[1.0, correlation], [0.0, (1 - correlation**2) ** 0.5]]) * [1, scale])


@pytest.mark.parametrize("correlation", [0.0, 0.6, -0.95])
def test_closed_forms_of_two_correlated_latents(correlation: float) -> None:
    codes = gaussian(correlation)
    assert gaussian_total_correlation(codes) == pytest.approx(-0.5 * np.log(1 - correlation**2), abs=1e-9)
    distance = 4 - 2 * (np.sqrt(1 + correlation) + np.sqrt(1 - correlation))
    assert gaussian_wasserstein_correlation(codes) == pytest.approx(distance, abs=1e-9)
    assert gaussian_wasserstein_correlation(codes, normalised=True) == pytest.approx(distance / 2, abs=1e-9)


def test_scale_does_not_matter_except_to_the_distance() -> None:
    codes, wide = gaussian(0.6), gaussian(0.6) * 10
    assert gaussian_total_correlation(gaussian(0.6, 1e4)) == pytest.approx(gaussian_total_correlation(codes))
    assert gaussian_wasserstein_correlation(wide) == pytest.approx(100 * gaussian_wasserstein_correlation(codes))
    normalised = [gaussian_wasserstein_correlation(each, normalised=True) for each in (codes, wide)]
    assert normalised[0] == pytest.approx(normalised[1])
    assert code_information(codes * [3, 1]) == pytest.approx(code_information(codes))


def test_a_duplicate_counts_as_much_as_single_precision_can_tell() -> None:
    twice = np.hstack([NOISE, NOISE[:, :1]])
    assert gaussian_total_correlation(twice) == pytest.approx(
        gaussian_total_correlation(NOISE) - 0.5 * np.log(2 * FLOOR), abs=0.01
    )
    rounded = np.hstack([NOISE, (NOISE[:, :1] * 3 + 1).astype(np.float32)])
    assert gaussian_total_correlation(rounded) <= gaussian_total_correlation(twice)
    for other in (twice * [1e-6, 1, 1, 1e6], -twice[:, ::-1] + 5):
        assert gaussian_total_correlation(other) == pytest.approx(gaussian_total_correlation(twice), abs=1e-6)
    assert gaussian_wasserstein_correlation(twice, normalised=True) > 0.2
    assert code_information(twice) > 0.3


def test_dead_latents_change_nothing() -> None:
    codes = gaussian(0.6)
    dead = np.hstack([codes, np.full((2000, 1), 0.1), np.zeros((2000, 1))])
    assert dependence(dead)[:3] == dependence(codes)[:3]
    assert code_information(dead) == pytest.approx(code_information(codes) / 6)
    assert dependence(dead[:, 2:]) == (0, 0, 0, 0)


def test_one_latent_depends_on_none() -> None:
    np.testing.assert_allclose(dependence(NOISE[:, :1]), 0, atol=1e-12)


def test_fewer_rows_than_latents_are_finite() -> None:
    assert np.isfinite(dependence(noise_codes(3, 8))).all()


def test_a_rotation_of_unequal_latents_is_seen() -> None:
    codes = NOISE * [3, 1, 1]
    assert gaussian_total_correlation(codes) < 0.01
    assert gaussian_total_correlation(rotate(codes)) > 0.4
    assert gaussian_wasserstein_correlation(rotate(codes), normalised=True) > 0.05


def test_information_sees_what_correlation_cannot() -> None:
    codes = np.hstack([NOISE[:, :1], NOISE[:, :1] ** 2])
    assert gaussian_total_correlation(codes) < 0.02
    assert code_information(codes) > 0.5


def test_codes_that_cannot_be_measured_are_refused() -> None:
    with pytest.raises(InputError, match="NaN"):
        dependence(NOISE * np.nan)
    with pytest.raises(InputError, match="bins"):
        code_information(NOISE, bins=1)
