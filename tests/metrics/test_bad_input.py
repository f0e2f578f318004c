"""Whatever comes in, every score gives a defined number or one sentence that says what is wrong."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.beta_vae_score import beta_vae_score
from disentangle_pl.metrics.dci import dci_disentanglement
from disentangle_pl.metrics.explicitness import explicitness
from disentangle_pl.metrics.factor_vae_score import factor_vae_score
from disentangle_pl.metrics.irs import irs
from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.null import mig_corrected, modularity_corrected
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import Codes, Factors, GroundTruth, held_out_rows
from disentangle_pl.metrics.unsupervised import dependence
from tests.metrics.golden import draw

Measure: TypeAlias = Callable[[Codes, Factors], float | tuple[float, ...]]


def unsupervised(codes: Codes, factors: Factors) -> tuple[float, ...]:
    return dependence(codes)


SUPERVISED: list[Measure] = [
    mig,
    modularity,
    sap,
    irs,
    explicitness,
    beta_vae_score,
    factor_vae_score,
    modularity_corrected,
    mig_corrected,
    dci_disentanglement,
]
SCORES = [*SUPERVISED, unsupervised]
SPLIT: list[Callable[..., float]] = [sap, explicitness, beta_vae_score, factor_vae_score]
SIZES = (3, 4, 5)
FACTORS = draw(SIZES, 300)
CODES: Codes = np.hstack([FACTORS, FACTORS[:, :2]]) + np.random.default_rng(1).normal(0, 0.3, (300, 5))
TENTH = np.full((300, 1), 0.1)
TENTH_OF_TEST = np.isin(np.arange(300), np.flatnonzero(held_out_rows(300))[::10])
FEW = np.arange(300) < 290
MIXED = GroundTruth(
    np.where(np.random.default_rng(2).random(FACTORS.shape) < 0.3, np.nan, FACTORS), np.array([True, False, True])
)
ODD = CODES[3, 1] == CODES
LATE = FACTORS.astype(float)
LATE[held_out_rows(300), 0] = np.nan

DEFINED: dict[str, tuple[Codes, Factors]] = {
    "all codes constant": (np.zeros_like(CODES), FACTORS),
    "all codes a constant that does not sum exactly": (np.repeat(TENTH, 5, axis=1), FACTORS),
    "a constant latent": (np.hstack([CODES, TENTH, TENTH + 1]), FACTORS),
    "a latent constant in the rows fitted on": (np.hstack([CODES, TENTH_OF_TEST[:, None]]), FACTORS),
    "duplicates": (np.hstack([CODES, CODES[:, :2]]), FACTORS),
    "one latent five times": (CODES[:, [0] * 5], FACTORS),
    "more latents than rows": (np.random.default_rng(0).normal(size=(40, 60)), draw((2, 2), 40)),
    "a factor with one value": (CODES, np.hstack([FACTORS, np.full((300, 1), 7)])),
    "a class absent from the test rows": (
        CODES,
        np.where((FACTORS == 2) & held_out_rows(300)[:, None], 1, FACTORS),
    ),
    "a class in the test rows alone": (CODES, FACTORS + 9 * TENTH_OF_TEST[:, None]),
    "a class of one row": (CODES, np.where((np.arange(300) == 5)[:, None], 9, FACTORS)),
    "gaps and signs in the class indices": (CODES, np.array([-(10**9), 0, 3, 10**12, 5])[FACTORS]),
    "quantities": (CODES, FACTORS + 0.5),
    "quantities of tiny range": (CODES, 1 + FACTORS * 1e-12),
    "missing values of both kinds": (CODES, MIXED),
    "a factor never known": (CODES, np.where([True, False, False], np.nan, FACTORS)),
    "tiny codes": (CODES * 1e-200, FACTORS),
    "huge codes": (CODES * 1e28, FACTORS),
    "far codes": (CODES + 1e9, FACTORS),
    "half precision": (CODES.astype(np.float16), FACTORS),
    "whole codes": (np.round(CODES).astype(np.int32), FACTORS.astype(np.uint8)),
}
REFUSED: dict[str, tuple[Codes, Factors, str]] = {
    "one code is NaN": (np.where(ODD, np.nan, CODES), FACTORS, r"latents \[1\] are NaN"),
    "one code is infinite": (np.where(ODD, np.inf, CODES), FACTORS, r"latents \[1\] are NaN or inf"),
    "a code beyond single precision": (np.where(ODD, -1e39, CODES), FACTORS, "infinite"),
    "complex codes": (CODES.astype(complex), FACTORS, "numeric array"),
    "words": (CODES.astype(str), FACTORS, "numeric array"),
    "codes in a row": (CODES[:, 0], FACTORS, r"\(N, d\)"),
    "no latent": (CODES[:, :0], FACTORS, "a latent or more"),
    "one row": (CODES[:1], FACTORS[:1], "2 rows"),
}
UNPAIRED: dict[str, tuple[Codes, Factors, str]] = {
    "a row too few": (CODES[:299], FACTORS, "299 codes and 300 factors"),
    "factors in a cube": (CODES, FACTORS[..., None], r"\(N, k\)"),
    "no factor": (CODES, FACTORS[:, :0], "factors"),
    "an infinite factor": (CODES, np.where(FACTORS == 4, np.inf, FACTORS), r"factors \[2\] are infinite"),
    "complex factors": (CODES, FACTORS.astype(complex), "numbers or words"),
    "a class that is not whole": (CODES, GroundTruth(LATE + 0.5, np.array([True] * 3)), "whole numbers"),
    "one value each": (CODES, FACTORS * 0, "one value"),
    "nothing known": (CODES, FACTORS * np.nan, "one value"),
}


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("case", DEFINED)
def test_every_score_of_odd_input_is_a_number(score: Measure, case: str) -> None:
    value = np.atleast_1d(score(*DEFINED[case]))
    assert np.isfinite(value).all()
    assert (value >= 0).all()


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("case", REFUSED)
def test_every_score_refuses_codes_it_cannot_measure(score: Measure, case: str) -> None:
    codes, factors, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        score(codes, factors)


@pytest.mark.parametrize("score", SUPERVISED)
@pytest.mark.parametrize("case", UNPAIRED)
def test_every_score_refuses_factors_it_cannot_use(score: Measure, case: str) -> None:
    codes, factors, message = UNPAIRED[case]
    with pytest.raises(InputError, match=message):
        score(codes, factors)


@pytest.mark.parametrize("score", SUPERVISED)
def test_fewer_rows_than_classes_give_a_number_or_a_sentence(score: Measure) -> None:
    codes, factors = (
        np.random.default_rng(0).normal(size=(12, 4)),
        np.stack([np.arange(12), np.arange(12)[::-1]], axis=1),
    )
    if score in (explicitness, beta_vae_score, factor_vae_score):
        with pytest.raises(InputError, match="give more rows"):
            score(codes, factors)
    else:
        assert np.isfinite(score(codes, factors)).all()


@pytest.mark.parametrize("score", SPLIT)
def test_the_probes_refuse_a_test_set_of_another_shape_or_kind(score: Callable[..., float]) -> None:
    tests: list[tuple[Any, str]] = [
        ((CODES[:, :2], FACTORS), "test has 2 latents"),
        ((CODES, FACTORS[:, :2]), "and 2 factors"),
        ((CODES, FACTORS.astype(float)), "a quantity in test"),
        ((CODES * np.nan, FACTORS), "NaN"),
    ]
    for test, message in tests:
        with pytest.raises(InputError, match=message):
            score(CODES, FACTORS, test=test)
    with pytest.raises(InputError, match="at least 6 rows"):
        score(CODES[:5], FACTORS[:5])


@pytest.mark.parametrize("score", SPLIT)
def test_a_factor_known_in_the_rows_fitted_on_alone_is_left_out(score: Callable[..., float]) -> None:
    late = GroundTruth(LATE, np.array([True] * 3))
    assert score(CODES, late) == pytest.approx(score(CODES, FACTORS[:, 1:]), abs=1e-12)


@pytest.mark.parametrize("score", [mig, sap, mig_corrected])
def test_gaps_need_two_latents(score: Measure) -> None:
    with pytest.raises(InputError, match="at least 2 latents"):
        score(CODES[:, :1], FACTORS)


@pytest.mark.parametrize("score", [modularity, modularity_corrected])
def test_keeping_to_one_factor_needs_two_that_vary(score: Measure) -> None:
    with pytest.raises(InputError, match="2 factors"):
        score(CODES, FACTORS[:, :1])
    with pytest.raises(InputError, match=r"factors \[1\] have one value"):
        score(CODES, FACTORS[:, :2] * np.array([1, 0]))


@pytest.mark.parametrize("score", SUPERVISED)
@pytest.mark.parametrize("factors", [FACTORS, FACTORS.astype(np.float64)])
def test_the_layout_of_the_arrays_does_not_matter_and_they_are_left_alone(score: Measure, factors: Factors) -> None:
    assert isinstance(factors, np.ndarray)
    codes, known = CODES.copy(), factors.copy()
    value = score(codes, known)
    np.testing.assert_array_equal(codes, CODES)
    np.testing.assert_array_equal(known, factors)
    np.testing.assert_allclose(score(codes.copy("F"), known.copy("F")), value, atol=1e-9)
