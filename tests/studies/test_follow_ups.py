import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from disentangle_pl.metrics.ageing import MixedSlopes
from disentangle_pl.studies.follow_ups import (
    LATENTS,
    MEAN_CHANGE,
    NO_CHANGE,
    Rows,
    Volumes,
    against_no_change,
    distances,
    follow_ups,
    mean_change,
    predict,
)
from tests.studies.linear_brain import linear_brain

PEOPLE = 12
YEARS = np.tile([0.0, 1.0, 3.0], PEOPLE)
VISITS = pd.DataFrame({"participant_id": np.repeat([f"sub-{i:02d}" for i in range(PEOPLE)], 3), "years": YEARS})
VISITS = VISITS.assign(session_id=VISITS.index.astype(str), age=np.nan)


def slopes(per_year: list[float]) -> MixedSlopes:
    values = np.array(per_year)
    return MixedSlopes(values, np.ones(4), np.full(4, 8.0), np.zeros(4), np.zeros(4), values[None], 5, 10)


def codes(per_year: list[float]) -> Tensor:
    """Return codes of people whose latents move at the same speed."""
    start = torch.randn(PEOPLE, 4, generator=torch.Generator().manual_seed(0)).repeat_interleave(3, 0)
    return start + torch.from_numpy(YEARS[:, None] * np.array(per_year)).float()


def lines(table: pd.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    """Return the rows of a summary by way and measure."""
    return {(row.pop("way"), row.pop("measure")): row for row in table.to_dict("records")}  # type: ignore[misc]


def test_the_first_scan_is_paired_with_all_later_ones_of_known_time() -> None:
    visits = pd.DataFrame(
        {"participant_id": ["a", "a", "b", "b", "b", "c", "d", "d"], "years": [2, 0, 0, 0, 1, 0, np.nan, 1.0]}
    )
    visits = visits.assign(session_id=visits.index.astype(str), age=np.nan)
    found = follow_ups(visits, np.arange(8))
    assert list(zip(found.first, found.later, found.years, strict=True)) == [(1, 0, 2.0), (2, 4, 1.0)]
    assert not len(follow_ups(visits, np.array([5])).years)
    assert follow_ups(visits, np.array([0, 1])).first.tolist() == [1]


def test_a_rescan_is_no_follow_up() -> None:
    days = pd.DataFrame({"years": [0, 0.001, 0.5, 1.0, 1.0], "participant_id": "a", "age": np.nan})
    visits = days.assign(session_id=["ses-am", "ses-pm", "ses-2", "ses-3", "ses-3_run-2"])
    assert follow_ups(visits, np.arange(5)).later.tolist() == [2, 3]


def test_where_all_change_alike_the_mean_change_and_the_latents_are_right_and_no_change_is_not() -> None:
    model, speed = linear_brain(), [0.0, 0.5, 0.0, -0.25]
    z = codes(speed)
    volumes = model.decode(z)

    def images(rows: Rows) -> Tensor:
        return volumes[rows]

    train, test = (follow_ups(VISITS, np.arange(*ends)) for ends in ((0, 18), (18, 36)))
    change = mean_change(train, images)
    torch.testing.assert_close(change, (model.decode(torch.tensor([speed])) - 0.5)[0], atol=1e-6, rtol=0)
    found = predict(model, images, z, test, slopes(speed), change)
    error = found.groupby("way")["mae"].mean()
    assert error[MEAN_CHANGE] == pytest.approx(0, abs=1e-6)
    assert error[LATENTS] == pytest.approx(0, abs=1e-6)
    assert error[NO_CHANGE] == pytest.approx(2 * float(change.abs().mean()), rel=1e-4)  # one and three years
    table = lines(against_no_change(found, np.repeat(np.arange(6), 2)))
    assert table[LATENTS, "ssim"]["mean"] == pytest.approx(1, abs=1e-6)
    assert table[LATENTS, "mae"]["high"] < 0
    assert [table[NO_CHANGE, "mae"][name] for name in ("difference", "low", "high")] == [0, 0, 0]


def test_slopes_of_the_wrong_sign_are_worse_than_no_change() -> None:
    model, speed = linear_brain(), [0.0, 0.5, 0.0, 0.0]
    z = codes(speed)
    volumes = model.decode(z)
    pairs = follow_ups(VISITS, np.arange(36))
    wrong = slopes([0.0, -0.5, 0.0, 0.0])
    found = predict(model, lambda rows: volumes[rows], z, pairs, wrong, torch.zeros(1, 12, 12, 12))
    table = lines(against_no_change(found, np.repeat(np.arange(PEOPLE), 2)))
    assert table[LATENTS, "mae"]["low"] > 0
    assert table[LATENTS, "ssim"]["high"] < 0


def test_errors_count_within_the_brain_alone() -> None:
    truth = torch.zeros(1, 1, 12, 12, 12)
    truth[..., 3:9] = 0.8
    predicted = truth.clone()
    predicted[..., 3:9] += 0.1
    predicted[..., 10:] += 5  # no brain
    error, _ = distances(predicted, truth, truth)
    assert float(error) == pytest.approx(0.1, abs=1e-6)


def test_people_count_alike_however_many_scans_they_have() -> None:
    rows = [(0, i, 1.0, way, value, 1.0) for i, value in ((1, 1.0), (2, 1.0), (3, 1.0)) for way in WAYS]
    rows += [(4, 5, 1.0, way, 3.0, 1.0) for way in WAYS]
    found = pd.DataFrame(rows, columns=["first", "later", "years", "way", "mae", "ssim"])
    table = against_no_change(found, np.array([0, 0, 0, 1]))
    assert table.loc[table["measure"] == "mae", "mean"].tolist() == [2.0] * 3


def test_the_interval_of_few_people_is_that_of_student() -> None:
    gains = [0.1, 0.2, 0.6]
    rows = [(i, i + 9, 1.0, way, (way != LATENTS) * gains[i], 1.0) for i in range(3) for way in WAYS]
    found = pd.DataFrame(rows, columns=["first", "later", "years", "way", "mae", "ssim"])
    row = lines(against_no_change(found, np.arange(3)))[LATENTS, "mae"]
    half = 4.302653 * np.std(gains, ddof=1) / 3**0.5
    assert (row["low"], row["high"]) == pytest.approx((-0.3 - half, -0.3 + half), abs=1e-6)
    alone = lines(against_no_change(found[found["first"] == 0], np.zeros(1, int)))[LATENTS, "mae"]
    assert np.isnan([alone["low"], alone["high"]]).all(), "one person has no interval"


WAYS = (NO_CHANGE, MEAN_CHANGE, LATENTS)


def test_the_change_of_a_volume_is_read_off_the_predictions() -> None:
    model, speed = linear_brain(), [0.0, 0.5, 0.0, 0.0]
    z = codes(speed)
    images = model.decode(z)
    true = 7 + 2 * z[:, 1:2].double().numpy()

    def read(predicted: Tensor) -> NDArray[np.float64]:
        return 2 * model.encode(predicted).mean[:, 1:2].double().numpy() - 3  # off by a constant, which cancels

    pairs = follow_ups(VISITS, np.arange(36))
    change = torch.zeros(1, 12, 12, 12)
    found = predict(model, lambda rows: images[rows], z, pairs, slopes(speed), change, Volumes(("v",), true, read))
    error = found.groupby("way")["change of v"].mean()
    assert error[NO_CHANGE] == pytest.approx(2.0, rel=1e-4)  # one and three years at one a year
    assert error[LATENTS] == pytest.approx(0, abs=1e-5)
    table = lines(against_no_change(found, np.repeat(np.arange(PEOPLE), 2)))
    assert table[LATENTS, "change of v"]["difference"] == pytest.approx(-2.0, rel=1e-4)
