import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mutual_info_score
from sklearn.preprocessing import OneHotEncoder

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.infomec_discrete import infomec_discrete
from disentangle_pl.metrics.score import GroundTruth
from tests.metrics.golden import draw

FACTORS = draw((3, 4, 5), 1200)
VALUES = np.array([-0.7, 3.0, 0.2, 11.0, 1.5])  # of a codebook, in no order


def test_a_perfect_code_has_all_whatever_the_order_of_its_values() -> None:
    scores = infomec_discrete(VALUES[FACTORS], FACTORS)
    assert scores.infom > 0.98
    assert scores.infoc > 0.98
    assert scores.infoe > 0.99
    assert scores.active == 3


def test_noise_explains_nothing() -> None:
    noise = np.random.default_rng(1).integers(0, 4, (1200, 3))
    assert infomec_discrete(noise, FACTORS).infoe < 0.02


def test_a_latent_of_two_factors_lowers_modularity_and_a_copy_compactness() -> None:
    product = FACTORS[:, :1] * 4 + FACTORS[:, 1:2]
    assert infomec_discrete(np.hstack([product, FACTORS[:, 2:]]), FACTORS).infom < 0.75
    assert infomec_discrete(np.hstack([FACTORS, FACTORS]), FACTORS).infoc < 0.5


def test_the_numbers_are_those_of_scikit_learn_by_the_formulas_of_the_source() -> None:
    random = np.random.default_rng(0)
    codes = np.where(random.random(FACTORS.shape) < 0.3, random.integers(0, 3, FACTORS.shape), FACTORS)
    known = np.array([[mutual_info_score(code, factor) for factor in FACTORS.T] for code in codes.T])
    known /= [mutual_info_score(factor, factor) for factor in FACTORS.T]
    infom, infoc = (((each.max(1) / each.sum(1)).mean() - 1 / 3) / (1 - 1 / 3) for each in (known, known.T))
    indicators, shares = OneHotEncoder().fit_transform(codes), []
    for factor, size in zip(FACTORS.T, (3, 4, 5), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe = LogisticRegression(C=np.inf, class_weight="balanced").fit(indicators, factor)
        shares.append(1 - log_loss(factor, probe.predict_proba(indicators)) / np.log(size))
    scores = infomec_discrete(codes, FACTORS)
    assert (scores.infom, scores.infoc) == pytest.approx((infom, infoc))
    assert scores.infoe == pytest.approx(np.mean(shares), abs=2e-3)


def test_dead_latents_are_pruned_and_dead_codes_know_nothing() -> None:
    idle = np.hstack([FACTORS, np.full((1200, 2), 3)])
    assert infomec_discrete(idle, FACTORS).infoc == pytest.approx(infomec_discrete(FACTORS, FACTORS).infoc)
    assert infomec_discrete(np.zeros((1200, 2)), FACTORS) == pytest.approx((0, 0, 0, 0), abs=1e-6)


def test_quantities_are_cut_and_missing_values_left_out() -> None:
    values = FACTORS + np.random.default_rng(0).random(FACTORS.shape) / 10
    values[::5, 0] = np.nan
    scores = infomec_discrete(FACTORS, GroundTruth(values, np.zeros(3, dtype=bool)))
    assert min(scores[:3]) > 0.9


def test_continuous_codes_are_refused() -> None:
    with pytest.raises(InputError, match="not quantised"):
        infomec_discrete(np.random.default_rng(0).normal(size=(1200, 2)), FACTORS)
