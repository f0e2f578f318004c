"""What every score of codes against factors must do, whatever its formula."""

import numpy as np
import pytest
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.dci_es import dci_es
from disentangle_pl.metrics.dcimig import dcimig
from disentangle_pl.metrics.infomec import infomec
from disentangle_pl.metrics.jemmig import jemmig
from disentangle_pl.metrics.mcc import mcc, spearman
from disentangle_pl.metrics.mig_sup import mig_sup
from disentangle_pl.metrics.score import Codes, Factors, GroundTruth, Score
from tests.metrics.golden import draw, rotate


def infom(codes: Codes, factors: Factors) -> float:
    return infomec(codes, factors).infom


def infoc(codes: Codes, factors: Factors) -> float:
    return infomec(codes, factors).infoc


def infomec_mean(codes: Codes, factors: Factors) -> float:
    scores = infomec(codes, factors)[:3]
    assert min(scores) >= 0
    assert max(scores) <= 1 + 1e-9
    return float(np.mean(scores))


def mcc_of_ranks(codes: Codes, factors: Factors) -> float:
    return mcc(codes, factors, correlation=spearman)


def explicitness(codes: Codes, factors: Factors) -> float:
    return dci_es(codes, factors, depth=4, trees=3).explicitness


SCORES = [mig_sup, jemmig, dcimig, infomec_mean, mcc, mcc_of_ranks, explicitness]
ROWS = 300
RANDOM = np.random.default_rng(0)
FACTORS = draw((3, 4, 5), ROWS)
CODES = perfect_codes(FACTORS, 4)
NAN = np.where(np.arange(4) == 1, np.nan, CODES)
HOLES = np.where(RANDOM.uniform(size=FACTORS.shape) < 0.2, np.nan, FACTORS)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (CODES[:, 0], FACTORS, r"\(N, d\)"),
        (CODES, FACTORS[..., None], r"\(N, k\)"),
        (CODES[:11], FACTORS[:12], "11 codes and 12 factors"),
        (CODES[:1], FACTORS[:1], "2 rows"),
        (CODES[:, :0], FACTORS, "latent"),
        (CODES, FACTORS[:, :0], "factor"),
        (CODES, FACTORS.astype(complex), "complex"),
        (CODES, GroundTruth(FACTORS + np.float64(0.5), np.full(3, True)), "not whole"),
        (CODES, FACTORS + np.inf, "infinite"),
        (NAN, FACTORS, r"latents \[1\] are NaN"),
        (np.where(np.isnan(NAN), np.inf, NAN), FACTORS, "infinite"),
        (CODES, FACTORS * 0, "one value"),
        (CODES, FACTORS * np.nan, "one value"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    score: Score, codes: Codes, factors: NDArray[np.integer], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        score(codes, factors)


@pytest.mark.parametrize("score", [mig_sup, jemmig, dcimig, infom, infoc, mcc, mcc_of_ranks])
def test_a_rotation_by_45_degrees_lowers_the_scores_of_axes(score: Score) -> None:
    assert score(rotate(CODES), FACTORS) < score(CODES, FACTORS) - 0.05


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("codes", "factors"),
    [
        (np.zeros_like(CODES), FACTORS),
        (np.full_like(CODES, 0.1, dtype=np.float32), FACTORS),
        (np.hstack([CODES, CODES]), FACTORS),
        (np.hstack([CODES[:, :2], np.full((ROWS, 2), 1.5)]), FACTORS),
        (1e20 * CODES, FACTORS),
        (1e-20 * CODES, FACTORS),
        (CODES.astype(np.float32) + 1e6, FACTORS),
        (np.eye(ROWS)[:, [3]] + np.zeros((1, 2)), FACTORS),
        (CODES, np.hstack([FACTORS, FACTORS[:, :1] * 0 + 2])),
        (CODES, FACTORS.astype(np.float64)),
        (CODES, HOLES),
        (CODES, GroundTruth(HOLES, np.array([True, False, True]))),
        (CODES, np.hstack([FACTORS, np.full((ROWS, 1), np.nan)])),
        (CODES, np.hstack([FACTORS, np.arange(ROWS)[:, None]])),
        (CODES[:6], FACTORS[:6]),
    ],
)
def test_everything_else_has_a_number(score: Score, codes: Codes, factors: Factors) -> None:
    assert -1 <= score(codes, factors) <= 1 + 1e-9


@pytest.mark.parametrize("score", SCORES)
def test_constant_codes_score_nothing(score: Score) -> None:
    assert score(np.full_like(CODES, 0.1), FACTORS) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("score", [score for score in SCORES if score is not explicitness])
def test_the_order_of_latents_factors_and_rows_does_not_matter(score: Score) -> None:
    codes = CODES + RANDOM.normal(0, 0.3, CODES.shape)
    expected = pytest.approx(score(codes, FACTORS), abs=1e-3)
    assert score(codes[:, [2, 0, 3, 1]], FACTORS) == expected
    assert score(codes, FACTORS[:, [1, 2, 0]]) == expected
    assert score(codes[::-1], FACTORS[::-1]) == expected
