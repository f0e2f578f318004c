from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from disentangle_pl.metrics.logistic import fit_logistic

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(800, 4))
SIDES = INPUTS @ [1.0, -0.5, 0.2, 0.0] + RANDOM.logistic(size=800)


@pytest.mark.parametrize("cuts", [[0.3], [-1.0, 1.5], [-2, -1, 0, 1, 2, 3]])
@pytest.mark.parametrize(("penalty", "balanced"), [(1.0, False), (0.0, True), (5.0, True)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_probes_are_those_of_scikit_learn(
    cuts: list[float], penalty: float, balanced: bool, kind: type[np.floating[Any]]
) -> None:
    inputs: NDArray[np.floating[Any]] = INPUTS.astype(kind)
    labels = np.digitize(SIDES, cuts) + 3
    probe = fit_logistic(inputs, labels, penalty=penalty, balanced=balanced)
    weighting = "balanced" if balanced else None
    theirs = LogisticRegression(C=1 / penalty if penalty else np.inf, class_weight=weighting).fit(inputs, labels)
    np.testing.assert_array_equal(probe.classes, theirs.classes_)
    np.testing.assert_allclose(probe.chances(inputs), theirs.predict_proba(inputs), atol=2e-3)
    assert probe.accuracy(inputs, labels) == pytest.approx(theirs.score(inputs, labels), abs=3e-3)
    expected = log_loss(labels, theirs.predict_proba(inputs), labels=theirs.classes_)
    assert probe.log_loss(inputs, labels) == pytest.approx(expected, abs=1e-4)


def test_inputs_that_say_nothing_leave_the_shares_of_the_classes() -> None:
    labels = np.repeat([0, 1, 2], [10, 20, 70])
    chances = fit_logistic(np.zeros((100, 2)), labels).chances(np.zeros((1, 2)))
    np.testing.assert_allclose(chances, [[0.1, 0.2, 0.7]], atol=1e-3)
    even = fit_logistic(np.zeros((100, 2)), labels, penalty=0.0, balanced=True)
    assert even.log_loss(np.zeros((100, 2)), labels) == pytest.approx(np.log(3))


def test_separable_classes_without_a_penalty_end() -> None:
    inputs = np.linspace(-1, 1, 200, dtype=np.float32)[:, None]
    labels = (inputs[:, 0] > 0).astype(np.int64) + (inputs[:, 0] > 0.5)
    probe = fit_logistic(inputs, labels, penalty=0.0, balanced=True)
    assert np.isfinite(probe.weights).all()
    assert probe.accuracy(inputs, labels) > 0.98
