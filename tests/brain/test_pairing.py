from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from disentangle_pl.brain.pairing import IntervalPairs, Pairing, RescanPairs, StrangerPairs, TwinPairs
from disentangle_pl.brain.rescans import visit_numbers, visit_rows
from disentangle_pl.brain.sampling import visit_pairs
from disentangle_pl.data.draws import Draw
from disentangle_pl.errors import InputError

Pairs = Callable[[pd.DataFrame], Draw]

VISITS = pd.DataFrame(
    {
        "participant_id": list("aaabbbcdd"),
        "session_id": ["1", "2", "3", "1", "2", "3", "1", "1", "2"],
        "age": np.nan,
        "years": [0, 1, 3, 0, 0.002, 0.5, 0, 2, np.nan],
    },
    index=[10, 11, 12, 13, 14, 19, 15, 16, 17],
)
RESCANNED = pd.DataFrame(
    [
        *[("a", "ses-1", 0.0), ("a", "ses-1_run-2", 0.0), ("a", "ses-1_run-3", 0.0), ("a", "ses-2", 1.0)],
        *[("b", "ses-1", np.nan), ("b", "ses-2", np.nan), ("b", "ses-2_run-2", np.nan)],
        *[("c", "ses-1", 0.0), ("c", "ses-1_run-2", 0.0)],
        *[("d", "ses-am", 0.5), ("d", "ses-pm", 0.501), ("d", "ses-next", 0.6)],
    ],
    columns=["participant_id", "session_id", "years"],
).assign(age=np.nan)
"""Three people with two visits, each with rescans, by run or by day; one with nothing but a rescan."""
VISIT = [0, 0, 0, 1, 2, 3, 3, 4, 4, 5, 5, 6]


def draw(pairing: Pairs, n: int = 20_000, visits: pd.DataFrame = VISITS) -> Tensor:
    (rows,) = pairing(visits)(n, torch.Generator().manual_seed(0))
    assert rows.shape == (n, 2)
    assert rows.dtype == torch.int64
    return rows


def drawn(pairing: Pairing) -> dict[tuple[int, ...], float]:
    pairs, counts = np.unique(draw(pairing).numpy(), axis=0, return_counts=True)
    return {tuple(pair.tolist()): count / counts.sum() for pair, count in zip(pairs, counts, strict=True)}


@pytest.mark.parametrize(
    ("pairing", "expected"),
    [
        (
            IntervalPairs(),
            {(10, 11): 1 / 6, (10, 12): 1 / 6, (11, 12): 1 / 6, (13, 19): 1 / 4, (14, 19): 1 / 4},
        ),
        (IntervalPairs(min_years=1), {(10, 11): 1 / 3, (10, 12): 1 / 3, (11, 12): 1 / 3}),
        (IntervalPairs(min_years=1.5, max_years=2.5), {(11, 12): 1}),
        (IntervalPairs(max_years=1), {(10, 11): 1 / 2, (13, 19): 1 / 4, (14, 19): 1 / 4}),
        (RescanPairs(), {(13, 14): 1}),
        (RescanPairs(200), {(13, 14): 1 / 3, (13, 19): 1 / 3, (14, 19): 1 / 3}),
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


def test_a_visit_is_a_session_but_for_the_run_or_a_day() -> None:
    assert visit_numbers(RESCANNED).tolist() == VISIT
    assert visit_numbers(RESCANNED.iloc[::-1]).nunique() == 7
    assert visit_rows(RESCANNED).tolist() == [VISIT.index(n) == i for i, n in enumerate(VISIT)]
    days = RESCANNED[:2].assign(session_id=["ses-1", "ses-2"])
    for apart, count in ((0.0, 1), (0.9, 1), (1.0, 2), (400.0, 2)):
        assert visit_numbers(days.assign(years=[2.0, 2 + apart / 365.25])).nunique() == count, apart
    assert visit_numbers(days.assign(participant_id=["a", "b"])).nunique() == 2
    assert visit_numbers(RESCANNED[:0]).empty


def test_ages_in_whole_years_do_not_make_two_sessions_one_visit() -> None:
    visits = RESCANNED[:4].assign(session_id=["ses-M00", "ses-M00_run-2", "ses-M06", "ses-M12"])
    whole = visits.assign(age=[70.0, 70, 70, 71], years=[0.0, 0, 0, 1])
    assert visit_numbers(whole).tolist() == [0, 0, 1, 2]
    assert visit_numbers(whole.assign(age=whole["age"] + 0.03)).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("pairing", [visit_pairs, IntervalPairs()])
def test_no_pair_of_visits_is_of_one_visit(pairing: Pairs) -> None:
    rows = draw(pairing, visits=RESCANNED)
    visit, person = np.array(VISIT), RESCANNED["participant_id"].to_numpy()
    first, second = rows.numpy().T
    assert (visit[first] != visit[second]).all()
    assert (person[first] == person[second]).all()
    assert "c" not in set(person[first])


def test_visits_are_equally_likely_however_often_they_were_scanned() -> None:
    pairs, counts = np.unique(draw(visit_pairs, visits=RESCANNED).numpy(), axis=0, return_counts=True)
    expected = {(0, 3): 9, (1, 3): 9, (2, 3): 9, (4, 5): 6, (4, 6): 6, (9, 11): 6, (10, 11): 6}
    assert set(map(tuple, pairs.tolist())) == set(expected)
    for pair, count in zip(pairs.tolist(), counts, strict=True):
        assert count / counts.sum() == pytest.approx(1 / expected[tuple(pair)], abs=0.2 * 1 / 6)


def test_controls_draw_the_scans_of_visit_pairs() -> None:
    """Each scan is as likely among strangers and twins as among pairs; nobody comes in for a rescan alone."""
    pairings: list[Pairs] = [visit_pairs, StrangerPairs(), TwinPairs()]
    shares = [
        np.bincount(draw(pairing, 60_000, RESCANNED).flatten().numpy(), minlength=len(VISIT)) / 120_000
        for pairing in pairings
    ]
    np.testing.assert_allclose(shares[1], shares[0], atol=0.01)
    np.testing.assert_allclose(shares[2], shares[0], atol=0.01)
    assert shares[0][7:9].sum() == 0
    first, second = draw(StrangerPairs(), visits=RESCANNED).numpy().T
    assert (RESCANNED["participant_id"].to_numpy()[first] != RESCANNED["participant_id"].to_numpy()[second]).all()


def test_rescans_are_scans_of_one_visit() -> None:
    found = set(map(tuple, draw(RescanPairs(), visits=RESCANNED).tolist()))
    assert found == {(0, 1), (0, 2), (1, 2), (5, 6), (7, 8), (9, 10)}


def test_people_with_nothing_but_rescans_are_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        visit_pairs(RESCANNED)
    said = "1 of 4 training participants have one visit, 1 of them with rescans of it, which RescanPairs takes,"
    assert f"{said} and are left out of the pairs" in caplog.text
    only = RESCANNED[RESCANNED["participant_id"] == "c"]
    pairings: list[Pairs] = [visit_pairs, IntervalPairs(), StrangerPairs(), TwinPairs()]
    for pairing in pairings:
        with pytest.raises(InputError, match=r"no training participant has two visits|two training participants"):
            pairing(only)
    assert draw(RescanPairs(), 8, only).tolist() == [[7, 8]] * 8


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
    assert set(rows[:, 0].tolist()) == {10, 11, 12, 13, 14, 16, 17, 19}


@pytest.mark.parametrize("pairing", [IntervalPairs(0.5), RescanPairs(1), StrangerPairs(), TwinPairs()])
def test_the_same_generator_draws_the_same(pairing: Pairing) -> None:
    assert torch.equal(draw(pairing, 8), draw(pairing, 8))


def test_impossible_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="no training participant has two visits 5 to inf years apart"):
        IntervalPairs(5)(VISITS)
    with pytest.raises(InputError, match="two training participants"):
        StrangerPairs()(VISITS.iloc[:3])
    with pytest.raises(InputError, match="set pairs to false"):
        TwinPairs()(VISITS.iloc[6:7])
    for wrong in ((2.0, 1.0), (-1.0, None), (float("nan"), None)):
        with pytest.raises(InputError, match="make no sense"):
            IntervalPairs(*wrong)
    with pytest.raises(InputError, match="max_days -1"):
        RescanPairs(-1)
