import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import (
    MISSING,
    Factors,
    GroundTruth,
    check,
    equal_bins,
    ground_truth,
    held_out_rows,
    joint_labels,
    moving,
    sampled_rows,
    train_test,
    varying,
)
from tests.metrics.golden import draw

CODES = np.random.default_rng(0).normal(size=(12, 3))
FACTORS = draw((2, 3), 12)
MIXED = GroundTruth(
    np.array([[5.0, 61.5, np.nan, 2.0], [-3.0, np.nan, np.nan, 2.0], [9.0, 80.0, np.nan, 2.0], [5.0, 99.5, 1.0, 2.0]]),
    np.array([True, False, True, False]),
)


def test_whole_arrays_are_classes_and_floats_are_quantities() -> None:
    classes = FACTORS.astype(np.int8), FACTORS.astype(np.uint64)
    for factors in (*classes, FACTORS.astype(np.float32), FACTORS.astype(np.float64)):
        truth = ground_truth(factors)
        assert truth.values.dtype == np.float64
        np.testing.assert_array_equal(truth.values, FACTORS)
        assert truth.discrete.tolist() == [factors.dtype.kind != "f"] * 2
    assert ground_truth(MIXED) is MIXED


def test_classes_are_numbered_in_order_and_quantities_cut_into_equal_bins() -> None:
    labels = MIXED.labels(4)
    assert labels[:, 0].tolist() == [1, 0, 2, 1]
    assert labels[:, 1].tolist() == [0, MISSING, 1, 3]
    assert labels[:, 2].tolist() == [MISSING, MISSING, MISSING, 0]
    assert len(set(labels[:, 3])) == 1
    assert MIXED.labels().max() == 19


def test_a_quantity_on_an_edge_goes_up_and_the_largest_stays() -> None:
    assert ground_truth(np.arange(5.0)[:, None]).labels(4).ravel().tolist() == [0, 1, 2, 3, 3]


def test_labels_of_nothing_known_are_all_missing() -> None:
    assert (ground_truth(np.full((3, 2), np.nan)).labels() == MISSING).all()


def test_what_is_present_and_what_varies() -> None:
    assert MIXED.present.sum(axis=0).tolist() == [4, 3, 1, 4]
    assert MIXED.varying.tolist() == [True, True, False, False]
    assert MIXED[:0].varying.tolist() == [False] * 4
    assert varying(MIXED, least=2).tolist() == [True, True, False, False]
    with pytest.raises(InputError, match=r"factors \[2, 3\] have one value: this score needs 3"):
        varying(MIXED, least=3)


def test_rows_and_columns_keep_the_kinds() -> None:
    part = MIXED[np.array([3, 0])].columns(np.array([True, True, False, False]))
    assert (len(part), part.shape) == (2, (2, 2))
    np.testing.assert_array_equal(part.values, [[5, 99.5], [5, 61.5]])
    assert part.discrete.tolist() == [True, False]


@pytest.mark.parametrize(
    ("values", "discrete"),
    [
        (np.zeros((4, 2)), np.array([True])),
        (np.zeros(4), np.array([True] * 4)),
        (np.zeros((4, 2), dtype=int), np.array([True, False])),
        (np.zeros((4, 2)), np.array([1, 0])),
    ],
)
def test_ground_truth_of_another_shape_or_type_is_refused(values: np.ndarray, discrete: np.ndarray) -> None:
    with pytest.raises(InputError, match="ground truth needs"):
        GroundTruth(values, discrete)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (FACTORS[..., None], r"\(N, k\)"),
        (FACTORS.astype(complex), "complex128"),
        (FACTORS.astype("datetime64[D]"), "datetime64"),
        (np.where(FACTORS == 2, -np.inf, FACTORS), r"factors \[1\] are infinite"),
        (GroundTruth(np.array([[1.0], [np.nan], [0.5]]), np.array([True])), "whole numbers"),
    ],
)
def test_factors_of_neither_kind_are_refused(factors: Factors, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ground_truth(factors)


def test_check_returns_the_truth_and_asks_for_enough_columns() -> None:
    np.testing.assert_array_equal(check(CODES, FACTORS, latents=3, values=2)[1].values, FACTORS)
    with pytest.raises(InputError, match="at least 4 latents and 1 factors"):
        check(CODES, FACTORS, latents=4)
    with pytest.raises(InputError, match="at least 1 latents and 3 factors"):
        check(CODES, FACTORS, values=3)


def test_a_dead_latent_does_not_move_though_its_spread_is_not_zero() -> None:
    codes = np.hstack([np.full((1000, 1), 0.1), np.arange(1000)[:, None]])
    assert codes.std(axis=0).all()
    assert moving(codes).tolist() == [False, True]


def test_a_random_third_is_held_out_whatever_the_rows_hold() -> None:
    train, test = train_test(CODES, FACTORS, None)
    chosen = held_out_rows(12)
    assert chosen.sum() == 4
    assert chosen.tolist() not in ([False] * 8 + [True] * 4, held_out_rows(12, seed=1).tolist())
    for rows, part in ((~chosen, train), (chosen, test)):
        np.testing.assert_array_equal(part[0], CODES[rows])
        np.testing.assert_array_equal(part[1].values, FACTORS[rows])
    assert np.mean([held_out_rows(12, seed=seed) for seed in range(300)], axis=0) == pytest.approx(1 / 3, abs=0.12)
    assert held_out_rows(100).sum() == 33


def test_a_test_set_of_ones_own_is_taken_whole() -> None:
    train, test = train_test(CODES, FACTORS, (CODES[:4], FACTORS[:4]))
    assert (len(train[0]), len(train[1]), len(test[0]), len(test[1])) == (12, 12, 4, 4)


def test_too_few_rows_or_another_test_set_are_refused() -> None:
    with pytest.raises(InputError, match="at least 6 rows"):
        train_test(CODES[:5], FACTORS[:5], None)
    with pytest.raises(InputError, match="test has 2 latents"):
        train_test(CODES, FACTORS, (CODES[:, :2], FACTORS))
    with pytest.raises(InputError, match="a class in train and a quantity in test"):
        train_test(CODES, FACTORS, (CODES, FACTORS.astype(float)))


def test_fewer_than_two_bins_are_refused() -> None:
    with pytest.raises(InputError, match="bins must be at least 2"):
        equal_bins(CODES, 1)
    with pytest.raises(InputError, match="bins"):
        MIXED.labels(0)


def test_sampled_rows_are_all_or_a_random_part_in_order() -> None:
    np.testing.assert_array_equal(sampled_rows(5, 9), np.arange(5))
    rows = sampled_rows(1000, 100)
    assert len(np.unique(rows)) == 100
    assert (np.diff(rows) > 0).all()
    assert 400 < rows.mean() < 600
    assert not np.array_equal(rows, sampled_rows(1000, 100, seed=1))


def test_sampled_rows_are_those_of_whole_groups() -> None:
    groups = np.arange(1000) // 4
    rows = sampled_rows(1000, 101, groups=groups)
    assert len(rows) == 101
    assert (np.diff(rows) > 0).all()
    assert sorted(np.unique(groups[rows], return_counts=True)[1])[:2] == [1, 4]
    assert 400 < rows.mean() < 600
    assert not np.array_equal(rows, sampled_rows(1000, 101, seed=1, groups=groups))


def test_labels_of_two_tables_are_numbered_together() -> None:
    first, second = (ground_truth(np.array(column)[:, None]) for column in ([7, 3, 7], [3, 9]))
    labels = joint_labels(first, second, bins=2)
    assert [column[:, 0].tolist() for column in labels] == [[1, 0, 1], [0, 2]]
