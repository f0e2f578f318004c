from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Lasso
from sklearn.metrics import r2_score

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import noise_codes, perfect_codes, rotated_codes
from disentangle_pl.metrics.dci import DCI, completeness, disentanglement
from disentangle_pl.metrics.dci_probes import DEPTHS, dci_forest, dci_lasso
from disentangle_pl.metrics.score import GroundTruth, held_out_rows
from tests.metrics.golden import draw

FACTORS = draw((3, 4, 5), 450)
CODES = perfect_codes(FACTORS, 4)
EVERY_KIND = pytest.mark.parametrize("kind", [dci_lasso, dci_forest])
Kind: TypeAlias = Callable[..., DCI]


@EVERY_KIND
def test_a_perfect_code_has_all_a_rotation_less_and_noise_nothing(kind: Kind) -> None:
    perfect = kind(CODES, FACTORS)
    assert min(perfect) > 0.95
    turned = kind(rotated_codes(FACTORS, 4, seed=1), FACTORS)
    assert turned.disentanglement < perfect.disentanglement - 0.3
    assert turned.completeness < perfect.completeness - 0.3
    assert kind(noise_codes(450, 4), FACTORS).completeness < 0.4


def test_the_lasso_is_that_of_the_source_on_standardised_columns() -> None:
    codes = CODES * [1, 20, 0.1, 1] + noise_codes(450, 4)
    values = FACTORS + noise_codes(450, 3, seed=1)
    chosen = held_out_rows(450)
    inputs, targets = codes[~chosen], values[~chosen]
    inputs, new = ((each - inputs.mean(0)) / inputs.std(0) for each in (inputs, codes[chosen]))
    targets, actual = ((each - targets.mean(0)) / targets.std(0) for each in (targets, values[chosen]))
    probes = [Lasso(0.02).fit(inputs, target) for target in targets.T]
    matrix = np.abs(np.stack([probe.coef_ for probe in probes], axis=1))
    scores = dci_lasso(codes, values)
    assert scores.disentanglement == pytest.approx(disentanglement(matrix))
    assert scores.completeness == pytest.approx(completeness(matrix))
    shares = [max(0, r2_score(target, probe.predict(new))) for target, probe in zip(actual.T, probes, strict=True)]
    assert scores.informativeness_test == pytest.approx(np.mean(shares))


def test_a_lasso_does_not_see_a_curve_and_a_forest_does() -> None:
    quantity = np.linspace(-1, 1, 450)
    truth = np.stack([quantity, np.random.default_rng(0).permutation(quantity)], axis=1)
    codes = np.stack([np.abs(quantity), truth[:, 1]], axis=1)
    values = np.stack([quantity**2, truth[:, 1]], axis=1)
    bent = np.stack([quantity, truth[:, 1]], axis=1)
    assert dci_lasso(bent, values).informativeness_test < 0.6
    assert dci_forest(bent, values).informativeness_test > 0.9
    assert dci_lasso(codes, values).informativeness_test > 0.9


def test_the_forest_is_that_of_the_best_depth_on_rows_held_out() -> None:
    codes = CODES + noise_codes(450, 4)
    chosen = held_out_rows(450)
    train, labels = codes[~chosen], FACTORS[~chosen]
    inner = held_out_rows(300)
    matrix = []
    for label in labels.T:
        forests = [RandomForestClassifier(10, max_depth=depth, max_features=1.0, random_state=0) for depth in DEPTHS]
        scores = [each.fit(train[~inner], label[~inner]).score(train[inner], label[inner]) for each in forests]
        best = forests[np.argmax(scores)].fit(train, label)
        matrix.append(best.feature_importances_)
    assert dci_forest(codes, FACTORS).disentanglement == pytest.approx(disentanglement(np.stack(matrix, axis=1)))


def test_the_numbers_of_classes_and_units_do_not_matter_to_the_lasso() -> None:
    codes = CODES + noise_codes(450, 4)
    gaps = np.array([-(10**9), 0, 3, 10**12, 10**13])[FACTORS]
    assert dci_lasso(codes * 1e6, gaps) == pytest.approx(dci_lasso(codes, FACTORS))


@EVERY_KIND
def test_quantities_missing_values_and_people(kind: Kind) -> None:
    people = np.repeat(np.arange(90), 5)
    values = FACTORS + np.random.default_rng(0).random((450, 3)) / 10
    values[::7, 0] = np.nan
    truth = GroundTruth(values, np.zeros(3, dtype=bool), people)
    chosen = held_out_rows(450, people)
    codes = perfect_codes(truth, 4)
    scores = kind(codes, truth)
    assert scores == kind(codes[~chosen], truth[~chosen], test=(codes[chosen], truth[chosen]))
    assert scores.informativeness_test > 0.9


@EVERY_KIND
def test_dead_latents_and_constant_factors_have_no_part(kind: Kind) -> None:
    factors = np.hstack([FACTORS, np.zeros((450, 1), dtype=int)])
    assert kind(CODES, factors) == kind(CODES, FACTORS)
    idle = np.hstack([CODES[:, :3], np.full((450, 1), 0.1)])
    assert kind(idle, FACTORS).disentanglement == pytest.approx(1, abs=1e-6)
    dead = kind(np.zeros((450, 4)), FACTORS)
    assert (dead.disentanglement, dead.completeness) == (0, 0)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(InputError, match="above 0"):
        dci_lasso(CODES, FACTORS, strength=0.0)
    with pytest.raises(InputError, match="a tree"):
        dci_forest(CODES, FACTORS, trees=0)
    with pytest.raises(InputError, match="2 latents"):
        dci_forest(CODES[:, :1], FACTORS)
