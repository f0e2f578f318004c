import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import noise_codes, perfect_codes
from disentangle_pl.metrics.score import GroundTruth
from disentangle_pl.metrics.tad import tad
from tests.metrics.golden import draw, rotate

ATTRIBUTES = draw((2, 2, 2), 1000)
CODES = perfect_codes(ATTRIBUTES, 4)


def test_a_perfect_code_has_half_of_every_attribute_and_noise_captures_none() -> None:
    scores = tad(CODES, ATTRIBUTES)
    assert scores.captured == 3
    assert scores.total == pytest.approx(1.5, abs=0.1)
    assert tad(-CODES, ATTRIBUTES) == scores
    assert tad(noise_codes(1000, 4), ATTRIBUTES) == (0, 0)


def test_a_rotation_and_a_copy_lower_it() -> None:
    assert tad(rotate(CODES), ATTRIBUTES).total < 0.7
    assert tad(np.hstack([CODES, CODES]), ATTRIBUTES).total == 0


def test_the_areas_are_those_of_scikit_learn() -> None:
    codes = CODES + 0.7 * noise_codes(1000, 4)
    total = 0.0
    for attribute in ATTRIBUTES.T:
        areas = sorted(max(roc_auc_score(attribute, code), roc_auc_score(attribute, -code)) for code in codes.T)
        total += (areas[-1] - areas[-2]) * (areas[-1] >= 0.75)
    assert tad(codes, ATTRIBUTES).total == pytest.approx(total)


def test_attributes_that_others_tell_are_left_out() -> None:
    twin = np.hstack([ATTRIBUTES, 1 - ATTRIBUTES[:, :1]])
    assert tad(CODES, twin).captured == 2
    assert tad(CODES, twin, shared=1.0).captured == 4


def test_other_factors_have_no_part_and_missing_rows_are_left_out() -> None:
    values = np.hstack([ATTRIBUTES, np.arange(1000)[:, None] % 3]).astype(float)
    values[::4, 0] = np.nan
    truth = GroundTruth(values, np.full(4, True))
    assert tad(CODES, truth).captured == 3


def test_no_attribute_is_refused() -> None:
    with pytest.raises(InputError, match="two values"):
        tad(CODES, np.arange(1000)[:, None] % 3)
