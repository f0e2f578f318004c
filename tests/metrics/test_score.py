import numpy as np
import pytest
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.dci import dci_disentanglement
from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import Score, train_test

CODES = np.random.default_rng(0).normal(size=(12, 3))
FACTORS = np.random.default_rng(0).integers(0, 2, (12, 2))
NAN = np.where(np.arange(3) == 1, np.nan, CODES)


@pytest.mark.parametrize("score", [mig, modularity, sap, dci_disentanglement])
@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (CODES[:, 0], FACTORS, r"\(N, d\)"),
        (CODES[:11], FACTORS, "11 codes and 12 factors"),
        (CODES[:1], FACTORS[:1], "2 rows"),
        (CODES[:, :0], FACTORS, "needs a latent"),
        (CODES, FACTORS + 0.5, "float64"),
        (NAN, FACTORS, r"latents \[1\] are NaN"),
        (np.where(np.isnan(NAN), np.inf, NAN), FACTORS, "infinite"),
    ],
)
def test_every_score_refuses_what_it_cannot_measure(
    score: Score, codes: NDArray[np.floating], factors: NDArray[np.integer], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        score(codes, factors)


@pytest.mark.parametrize("score", [mig, sap, dci_disentanglement])
def test_scores_need_a_factor_that_varies(score: Score) -> None:
    with pytest.raises(InputError, match="one value"):
        score(CODES, FACTORS * 0)


@pytest.mark.parametrize("score", [mig, sap, dci_disentanglement])
def test_gaps_need_two_latents(score: Score) -> None:
    with pytest.raises(InputError, match="at least 2 latents"):
        score(CODES[:, :1], FACTORS)


@pytest.mark.parametrize("score", [modularity, dci_disentanglement])
def test_keeping_to_one_factor_needs_two(score: Score) -> None:
    with pytest.raises(InputError, match="2 factors"):
        score(CODES, FACTORS[:, :1])


def test_the_last_third_is_held_out() -> None:
    train, test = train_test(CODES, FACTORS, None)
    np.testing.assert_array_equal(train[0], CODES[:8])
    np.testing.assert_array_equal(test[1], FACTORS[8:])


def test_too_few_rows_or_another_test_set_are_refused() -> None:
    with pytest.raises(InputError, match="at least 6 rows"):
        train_test(CODES[:5], FACTORS[:5], None)
    with pytest.raises(InputError, match="test has 2 latents"):
        train_test(CODES, FACTORS, (CODES[:, :2], FACTORS))
    with pytest.raises(InputError, match="NaN"):
        train_test(CODES, FACTORS, (NAN, FACTORS))
