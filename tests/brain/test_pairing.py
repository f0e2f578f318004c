import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from disentangle_pl.brain.pairing import IntervalPairs, Pairing, RescanPairs, StrangerPairs, TwinPairs
from disentangle_pl.errors import InputError

VISITS = pd.DataFrame(
    {"participant_id": list("aaabbcdd"), "years": [0, 1, 3, 0, 0.002, 0, 2, np.nan]},
    index=[10, 11, 12, 13, 14, 15, 16, 17],
)


def draw(pairing: Pairing, n: int = 20_000) -> Tensor:
    (rows,) = pairing(VISITS)(n, torch.Generator().manual_seed(0))
    assert rows.shape == (n, 2)
    assert rows.dtype == torch.int64
    return rows


def drawn(pairing: Pairing) -> dict[tuple[int, ...], float]:
    pairs, counts = np.unique(draw(pairing).numpy(), axis=0, return_counts=True)
    return {tuple(pair.tolist()): count / counts.sum() for pair, count in zip(pairs, counts, strict=True)}


@pytest.mark.parametrize(
    ("pairing", "expected"),
    [
        (IntervalPairs(), {(10, 11): 1 / 6, (10, 12): 1 / 6, (11, 12): 1 / 6, (13, 14): 1 / 2}),
        (IntervalPairs(min_years=1), {(10, 11): 1 / 3, (10, 12): 1 / 3, (11, 12): 1 / 3}),
        (IntervalPairs(min_years=1.5, max_years=2.5), {(11, 12): 1}),
        (IntervalPairs(max_years=1), {(10, 11): 1 / 2, (13, 14): 1 / 2}),
        (RescanPairs(), {(13, 14): 1}),
    ],
)
def test_people_are_uniform_and_then_their_pairs(pairing: Pairing, expected: dict[tuple[int, ...], float]) -> None:
    found = drawn(pairing)
    assert set(found) == set(expected)
    for pair, share in expected.items():
        assert found[pair] == pytest.approx(share, abs=0.02)


def test_how_many_pairs_there_are_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        draw(IntervalPairs(1, 2))
    assert "1 of 4 training participants have 2 pairs of visits 1 to 2 years apart" in caplog.text


def test_strangers_never_share_a_person_and_each_scan_is_as_likely_as_in_pairs() -> None:
    rows = draw(StrangerPairs())
    person = VISITS["participant_id"]
    first, second = (person.loc[rows[:, i].numpy()].to_numpy() for i in range(2))
    assert (first != second).all()
    assert set(first) == set("abd")
    share = (rows == 10).float().mean(0)
    torch.testing.assert_close(share, torch.full((2,), 1 / 9), atol=0.01, rtol=0)


def test_twins_are_one_scan_of_people_with_two() -> None:
    rows = draw(TwinPairs())
    assert torch.equal(rows[:, 0], rows[:, 1])
    assert set(rows[:, 0].tolist()) == {10, 11, 12, 13, 14, 16, 17}


@pytest.mark.parametrize("pairing", [IntervalPairs(0.5), RescanPairs(1), StrangerPairs(), TwinPairs()])
def test_the_same_generator_draws_the_same(pairing: Pairing) -> None:
    assert torch.equal(draw(pairing, 8), draw(pairing, 8))


def test_impossible_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="no training participant has two visits 5 to inf years apart"):
        IntervalPairs(5)(VISITS)
    with pytest.raises(InputError, match="two training participants"):
        StrangerPairs()(VISITS.iloc[:3])
    with pytest.raises(InputError, match="set pairs to false"):
        TwinPairs()(VISITS.iloc[5:6])
    for wrong in ((2.0, 1.0), (-1.0, None), (float("nan"), None)):
        with pytest.raises(InputError, match="make no sense"):
            IntervalPairs(*wrong)
    with pytest.raises(InputError, match="max_days -1"):
        RescanPairs(-1)
