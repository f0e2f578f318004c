import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.interventions import (
    draw_groups,
    draw_known,
    draw_partners,
    shareable,
    shared_tables,
    turns,
)
from disentangle_pl.metrics.score import MISSING, Codes, GroundTruth, ground_truth

LABELS = np.array([0, 2, MISSING, 0, 2, 1, MISSING, 2, 1, 0])
ROWS = np.tile(np.flatnonzero(LABELS != MISSING), 4000)


def shares(rows: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(rows.ravel(), minlength=size) / rows.size


def test_a_partner_has_the_label_is_another_row_and_all_others_are_as_probable() -> None:
    partners = draw_partners(LABELS, ROWS, np.random.default_rng(0))
    np.testing.assert_array_equal(LABELS[partners], LABELS[ROWS])
    assert (partners != ROWS).all()
    expected = np.array([0.5, 0, 0, 0.5])
    np.testing.assert_allclose(shares(partners[ROWS == 0], 10)[[3, 0, 2, 9]], expected, atol=0.03)
    assert (partners[ROWS == 5] == 8).all()


def test_a_group_has_the_label_and_all_its_rows_are_as_probable() -> None:
    groups = draw_groups(LABELS, np.array([4, 8]), 30_000, np.random.default_rng(0))
    assert groups.shape == (2, 30_000)
    np.testing.assert_allclose(shares(groups[0], 10)[[1, 4, 7]], 1 / 3, atol=0.02)
    np.testing.assert_allclose(shares(groups[1], 10)[[5, 8]], 1 / 2, atol=0.02)


def test_known_rows_are_drawn_evenly_and_missing_ones_never() -> None:
    drawn = draw_known(LABELS, (200, 200), np.random.default_rng(0))
    np.testing.assert_allclose(shares(drawn, 10), (LABELS != MISSING) / 8, atol=0.01)


def test_a_value_of_one_row_cannot_be_shared() -> None:
    labels = np.array([[0, 0], [1, 0], [1, MISSING], [2, 1], [MISSING, 1]])
    expected = [[MISSING, 0], [1, 0], [1, MISSING], [MISSING, 1], [MISSING, 1]]
    assert shareable(labels).tolist() == expected


def test_factors_have_their_turns() -> None:
    assert turns(5, 2).tolist() == [0, 1, 0, 1, 0]
    with pytest.raises(InputError, match="2 points cannot cover 3 factors"):
        turns(2, 3)


def rows(*factors: list[int]) -> tuple[Codes, GroundTruth]:
    truth = ground_truth(np.array(factors).T)
    return np.arange(len(truth), dtype=np.float32)[:, None], truth


def test_tables_keep_the_factors_whose_values_are_shared_in_both_parts() -> None:
    even, constant, lone = [0, 0, 1, 1], [3, 3, 3, 3], [0, 1, 2, 3]
    train, held_out = shared_tables(rows(even, even, even, constant, lone), rows(even, lone, even, even, even), 20)
    assert train.labels.T.tolist() == [even, even]
    assert held_out.labels.T.tolist() == [even, even]
    assert train.codes.dtype == np.float64
    with pytest.raises(InputError, match="2 factors with values that rows share"):
        shared_tables(rows(even, even), rows(even, [0, 0, 0, 1]), 20)
