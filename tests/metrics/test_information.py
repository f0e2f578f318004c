import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.information import discretise, entropy, mutual_information
from disentangle_pl.metrics.score import MISSING
from tests.metrics.golden import CASES, load


@pytest.mark.parametrize(("case", "prefix"), CASES)
def test_equals_the_reference(case: str, prefix: str) -> None:
    golden = load(case, prefix)
    binned = discretise(golden.codes)
    np.testing.assert_array_equal(binned, golden.values["discretized_mus"].T)
    information = mutual_information(binned, golden.factors)
    np.testing.assert_allclose(information, golden.values["mutual_information"], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(entropy(golden.factors), golden.values["factor_entropy"], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bins_are_those_of_the_histogram(dtype: type[np.floating]) -> None:
    codes = np.random.default_rng(0).normal(size=(500, 3)).astype(dtype)
    expected = [np.digitize(code, np.histogram_bin_edges(code, 7)[:-1]) for code in codes.T]
    np.testing.assert_array_equal(discretise(codes, 7), np.stack(expected, axis=1))


def test_a_code_on_an_edge_goes_up_and_the_largest_stays() -> None:
    labels = discretise(np.arange(5.0)[:, None], 4)
    assert labels.ravel().tolist() == [1, 2, 3, 4, 4]


def test_constant_and_almost_constant_latents_are_binned() -> None:
    wiggle = np.full((4, 2), 1.5, dtype=np.float32)
    wiggle[0, 1] = np.nextafter(np.float32(1.5), np.float32(2.0))
    labels = discretise(wiggle)
    assert [len(np.unique(column)) for column in labels.T] == [1, 2]


def test_bins_below_two_are_refused() -> None:
    with pytest.raises(InputError, match="bins"):
        discretise(np.zeros((3, 1)), 1)


def test_entropy_of_even_constant_and_skewed_labels() -> None:
    labels = np.array([[0, 7, 0], [1, 7, 0], [2, 7, 0], [3, 7, 9]])
    skewed = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    np.testing.assert_allclose(entropy(labels), [np.log(4), 0, skewed])


def test_information_of_equal_independent_and_noisy_labels() -> None:
    flipped = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    labels = np.stack([np.arange(8) // 4, np.arange(8) % 2, flipped, np.zeros(8, dtype=int)], axis=1)
    quarter = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    information = mutual_information(labels, labels[:, :1])
    np.testing.assert_allclose(information[:, 0], [np.log(2), 0, np.log(2) - quarter, 0])
    assert information[1, 0] == information[3, 0] == 0


@pytest.mark.parametrize("labels", [np.arange(4), np.array([-3, 10**12, 5, 10**6])])
def test_information_equals_that_of_scikit_learn_whatever_the_labels(labels: np.ndarray) -> None:
    random = np.random.default_rng(0)
    binned, factors = random.integers(1, 9, (300, 3)), labels[random.integers(0, 4, (300, 2))]
    expected = [[mutual_info_score(code, factor) for factor in factors.T] for code in binned.T]
    np.testing.assert_allclose(mutual_information(binned, factors), expected, rtol=1e-9)


def test_missing_rows_are_left_out_for_their_factor_alone() -> None:
    random = np.random.default_rng(0)
    binned, factors = random.integers(1, 5, (200, 2)), random.integers(0, 4, (200, 3))
    known = np.arange(200) % 3 > 0
    labels = np.where(known[:, None] | [True, False, True], factors, MISSING)
    whole, part = mutual_information(binned, factors), mutual_information(binned[known], factors[known])
    information = mutual_information(binned, labels)
    np.testing.assert_array_equal(information[:, [0, 2]], whole[:, [0, 2]])
    np.testing.assert_allclose(information[:, 1], part[:, 1], rtol=1e-12)
    np.testing.assert_allclose(entropy(labels)[1], entropy(factors[known])[1], rtol=1e-12)


def test_nothing_known_is_no_information_and_no_entropy() -> None:
    labels = np.full((5, 1), MISSING)
    np.testing.assert_array_equal(mutual_information(np.arange(5)[:, None], labels), [[0]])
    np.testing.assert_array_equal(entropy(labels), [0])
