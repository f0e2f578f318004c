import numpy as np
import pytest
from scipy.stats import rankdata

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import noise_codes, perfect_codes
from disentangle_pl.metrics.infomec import normalised_information
from disentangle_pl.metrics.mig_knn import mig_knn, mig_knn_per_factor
from disentangle_pl.metrics.nearest import quantity_information
from disentangle_pl.metrics.score import GroundTruth
from tests.metrics.golden import draw, rotate

QUANTITIES = np.random.default_rng(0).random((800, 3))
CLASSES = draw((3, 4, 5), 800)


@pytest.mark.parametrize("factors", [QUANTITIES, CLASSES])
def test_a_perfect_code_has_nearly_all_noise_nothing_and_a_rotation_less(factors: np.ndarray) -> None:
    codes = perfect_codes(factors, 4)
    assert mig_knn(codes, factors) > 0.9
    assert mig_knn(noise_codes(800, 4), factors) < 0.03
    assert mig_knn_per_factor(rotate(codes), factors)[:2].max() < 0.4


def test_the_gap_of_normal_codes_is_that_of_the_closed_form() -> None:
    """I = -log(1 - r^2) / 2 for a correlation r."""
    random = np.random.default_rng(0)
    quantity = random.normal(size=3000)
    codes = np.stack([r * quantity + np.sqrt(1 - r**2) * random.normal(size=3000) for r in (0.9, 0.6)], axis=1)
    whole = quantity_information(quantity[:, None], quantity)[0]
    expected = (np.log(1 - 0.6**2) - np.log(1 - 0.9**2)) / 2
    assert mig_knn(codes, quantity) * whole == pytest.approx(expected, abs=0.05)


def test_neither_outliers_nor_skewed_distributions_matter() -> None:
    codes = perfect_codes(QUANTITIES, 3) + 0.1 * noise_codes(800, 3)
    assert mig_knn(np.exp(9 * codes), QUANTITIES**5) == pytest.approx(mig_knn(codes, QUANTITIES), abs=1e-6)
    far = codes.copy()
    far[0] = 1e4
    assert mig_knn(far, QUANTITIES) == pytest.approx(mig_knn(codes, QUANTITIES), abs=0.02)


def test_it_is_the_gap_of_the_information_of_ranks_and_leaves_out_what_is_missing() -> None:
    values = QUANTITIES.copy()
    values[::5, 0] = np.nan
    truth = GroundTruth(np.hstack([values, np.ones((800, 1))]), np.array([False, False, False, True]))
    codes = perfect_codes(QUANTITIES, 4) + noise_codes(800, 4)
    ranks = GroundTruth(truth.values.copy(), truth.discrete)
    for column in ranks.values.T[:3]:
        column[~np.isnan(column)] = rankdata(column[~np.isnan(column)])
    ranked = np.sort(normalised_information(rankdata(codes, axis=0), ranks), axis=0)
    gaps = mig_knn_per_factor(codes, truth)
    np.testing.assert_allclose(gaps[:3], (ranked[-1] - ranked[-2])[:3])
    assert np.isnan(gaps[3])
    assert mig_knn(codes, truth) == pytest.approx(gaps[:3].mean())


def test_one_latent_is_refused() -> None:
    with pytest.raises(InputError, match="2 latents"):
        mig_knn(QUANTITIES[:, :1], QUANTITIES)
