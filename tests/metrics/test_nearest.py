import numpy as np
import pytest
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from disentangle_pl.metrics.nearest import class_information, quantity_information

RANDOM = np.random.default_rng(0)
LABELS = np.append(RANDOM.choice(5, 900, p=[0.4, 0.3, 0.2, 0.09, 0.01]), [7])
CODES = RANDOM.normal(size=(901, 3)) + np.stack([LABELS, 0.3 * LABELS, 0 * LABELS], axis=1)
QUANTITY = CODES[:, 0] + RANDOM.normal(size=901)


@pytest.mark.parametrize("neighbours", [1, 3, 10, 60])
def test_classes_equal_scikit_learn(neighbours: int) -> None:
    expected = mutual_info_classif(CODES, LABELS, n_neighbors=neighbours, random_state=0)
    # squared distances let it miscount a row here and there
    np.testing.assert_allclose(class_information(CODES, LABELS, neighbours=neighbours), expected, atol=5e-4)


def test_classes_equal_a_count_of_all_distances() -> None:
    code, labels = CODES[-300:, 0], LABELS[-300:]
    kept = np.bincount(labels)[labels] > 1
    code, labels = code[kept], labels[kept]
    distance, size = np.abs(code[:, None] - code), np.bincount(labels)[labels]
    same = np.sort(np.where(labels[:, None] == labels, distance, np.inf), axis=1)
    nearest = np.minimum(10, size - 1)
    crowd = (distance < same[np.arange(len(code)), nearest][:, None]).sum(axis=1)
    expected = digamma(len(code)) + np.mean(digamma(nearest) - digamma(size) - digamma(crowd))
    assert class_information(CODES[-300:, :1], LABELS[-300:]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("neighbours", [1, 3, 10, 60])
def test_quantities_equal_scikit_learn(neighbours: int) -> None:
    expected = mutual_info_regression(CODES, QUANTITY, n_neighbors=neighbours, random_state=0)
    np.testing.assert_allclose(quantity_information(CODES, QUANTITY, neighbours=neighbours), expected, atol=1e-9)


def test_ties_are_broken_as_scikit_learn_does() -> None:
    rough = np.round(CODES, 1)
    expected = mutual_info_classif(rough, LABELS, n_neighbors=10, random_state=0)
    np.testing.assert_allclose(class_information(rough, LABELS), expected, atol=0.03)
    expected = mutual_info_regression(rough, np.round(QUANTITY), n_neighbors=10, random_state=0)
    np.testing.assert_allclose(quantity_information(rough, np.round(QUANTITY)), expected, atol=0.03)


def test_classes_far_apart_tell_their_entropy() -> None:
    labels = np.arange(400) % 4
    codes = 100.0 * labels[:, None] + RANDOM.normal(size=(400, 1))
    assert class_information(codes, labels) == pytest.approx(digamma(400) - digamma(100))


def test_gaussians_tell_their_closed_form() -> None:
    pair = RANDOM.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 4000)
    assert quantity_information(pair[:, :1], pair[:, 1]) == pytest.approx(-0.5 * np.log(1 - 0.8**2), abs=0.04)


def test_a_quantity_knows_itself_and_nothing_knows_more() -> None:
    itself = quantity_information(QUANTITY[:, None], QUANTITY)
    assert itself == pytest.approx(digamma(901) - digamma(11), abs=1e-3)
    assert (
        quantity_information(np.stack([QUANTITY + 0.1 * CODES[:, 1], QUANTITY**3], axis=1), QUANTITY) < itself
    ).all()


def test_constants_know_nothing() -> None:
    constant = np.full((901, 1), 0.1, dtype=np.float32)
    assert class_information(constant, LABELS).tolist() == [0]
    assert quantity_information(constant, QUANTITY).tolist() == [0]
    np.testing.assert_allclose(quantity_information(CODES, np.full(901, 0.1)), 0, atol=1e-9)
    assert class_information(CODES[:3], np.array([0, 1, 2])).tolist() == [0, 0, 0]


def test_units_and_offsets_do_not_matter() -> None:
    moved = 1e-3 * CODES - 50
    np.testing.assert_allclose(class_information(moved, LABELS), class_information(CODES, LABELS), atol=1e-3)
    np.testing.assert_allclose(quantity_information(moved, QUANTITY), quantity_information(CODES, QUANTITY), atol=1e-3)


def test_few_rows_are_enough() -> None:
    assert class_information(CODES[:4], np.array([0, 0, 1, 1])).shape == (3,)
    five = quantity_information(CODES[:5], QUANTITY[:5])
    np.testing.assert_array_equal(five, quantity_information(CODES[:5], QUANTITY[:5], neighbours=4))
    assert np.isfinite(quantity_information(CODES[:2], QUANTITY[:2])).all()
