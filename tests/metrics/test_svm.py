import numpy as np
import pytest
from sklearn.svm import LinearSVC

from disentangle_pl.metrics.svm import fit_machines
from tests.metrics.golden import draw


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (30.0, -4.0), (0.01, 0.0)])
@pytest.mark.parametrize("penalty", [0.01, 10.0])
def test_equals_the_solver_of_scikit_learn_run_to_its_end(
    classes: int, scale: float, shift: float, penalty: float
) -> None:
    labels = draw((classes, classes), 400).min(axis=1)
    inputs = (labels % 4 + np.random.default_rng(1).normal(size=400)) * scale + shift
    slopes, offsets = fit_machines(inputs, labels, penalty=penalty)
    machine = LinearSVC(C=penalty, class_weight="balanced", dual=False, tol=1e-12, max_iter=10_000)
    machine.fit(inputs[:, None], labels)
    mine = np.stack([slopes, offsets])[:, 1:] if classes == 2 else np.stack([slopes, offsets])
    theirs = np.stack([machine.coef_[:, 0], machine.intercept_])
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_two_classes_are_told_apart_by_one_cut_from_both_sides() -> None:
    labels = np.array([0, 0, 0, 1])
    slopes, offsets = fit_machines(np.array([-1.0, -2.0, -1.5, 3.0]), labels)
    np.testing.assert_allclose([slopes.sum(), offsets.sum()], 0, atol=1e-12)
    assert slopes[1] > 0


def test_inputs_all_alike_leave_the_slope_to_the_penalty() -> None:
    slopes, offsets = fit_machines(np.zeros(6), np.array([0, 1, 2, 2, 2, 1]))
    np.testing.assert_array_equal(slopes, 0)
    own, rest = 0.01 * 6 / 3, 0.01 * np.array([5, 4, 3])
    np.testing.assert_allclose(offsets, 2 * (own - rest) / (1 + 2 * (own + rest)))


def test_far_and_huge_inputs_end_in_finite_lines() -> None:
    labels = draw((3,), 200)[:, 0]
    for inputs in (1e9 + labels, 1e30 * (labels - 1.0), 1e-30 * labels):
        assert np.isfinite(fit_machines(inputs.astype(float), labels)).all()
