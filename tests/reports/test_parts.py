"""Curves, charts, settings and pictures by themselves."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from disentangle_pl.metrics.null import information_shares
from disentangle_pl.metrics.sheet import Line
from disentangle_pl.reports.blocks import score_of, time_of
from disentangle_pl.reports.charts import Curve, Dots, dot_chart, line_chart, scale_mark
from disentangle_pl.reports.curves import read_history
from disentangle_pl.reports.images import LARGE, embed
from disentangle_pl.reports.run_sections import lost
from disentangle_pl.reports.scales import ticks
from disentangle_pl.reports.settings import Unknown, settings_of
from tests.reports.folders import Parsed, settings, write_picture


def test_a_spike_survives_the_thinning() -> None:
    values = np.ones(50_000)
    values[31_234] = 5.0
    chart = line_chart("loss", [Curve("train", range(50_000), values.tolist())])
    (line,) = Parsed(str(chart)).all("polyline")
    heights = [float(point.split(",")[1]) for point in line["points"].split()]
    assert len(heights) < 1000
    assert heights.count(min(heights)) == 1


@pytest.mark.parametrize("values", [[3.0], [0.0, 0.0, 0.0], [1e-12, 2e-12], [-1e9, 1e9], [5.0, 5.0]])
def test_any_values_make_a_chart_within_its_frame(values: list[float]) -> None:
    chart = Parsed(str(line_chart("x", [Curve("a", range(len(values)), values), Curve("none", [], [])])))
    points = " ".join(line["points"] for line in chart.all("polyline")).split()
    points += [f"{dot['cx']},{dot['cy']}" for dot in chart.all("circle")]
    assert points
    for point in points:
        x, y = map(float, point.split(","))
        assert 0 <= x <= 420
        assert 0 <= y <= 230


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-960.3, -200.0), (1e-7, 3e-7), (0.0, 123456.0)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high, 5)
    assert 2 <= len(found) <= 7
    assert low <= found[0] <= found[-1] <= high
    assert np.allclose(np.diff(found), found[1] - found[0])


def test_dots_without_interval_floor_or_ceiling() -> None:
    rows = [Dots("a", [0.2], 0.2, math.nan, math.nan, 0), Dots("b" * 90, [0.1, 0.5], 0.3, 0.1, 0.5, 9)]
    chart = Parsed(str(dot_chart("mig", rows, math.nan, math.nan)))
    assert len(chart.all("circle")) == 5
    assert len([line for line in chart.all("line") if line.get("class") == "bar"]) == 1
    assert "nan" not in str(chart.elements)


def test_an_interval_wider_than_the_picture_ends_at_its_edge() -> None:
    chart = Parsed(str(dot_chart("mig", [Dots("a", [0.4, 0.6], 0.5, -0.77, 1.77, 0)], math.nan, math.nan)))
    (bar,) = [line for line in chart.all("line") if line.get("class") == "bar"]
    grid = [float(line["x1"]) for line in chart.all("line") if line.get("class") == "grid"]
    assert float(bar["x1"]) == pytest.approx(grid[0])
    assert grid[-1] <= float(bar["x2"]) <= 420


def test_the_mark_of_a_score_has_a_tick_for_every_known_end() -> None:
    places = [float(line["x1"]) for line in Parsed(str(scale_mark(0.5, 0.0, math.nan, 1.0))).all("line")]
    assert places == [1.0, 129.0]


def test_what_a_rotation_costs() -> None:
    assert lost(Line("mig", 0.5, 0.1, 0.3, 0.9)) == "75%"
    assert lost(Line("flat", 0.5, 0.9, 0.9, 0.9)) == ""
    assert lost(Line("mig", 0.5, math.nan, math.nan, math.nan)) == ""


def test_numbers_in_words() -> None:
    assert (score_of(0.12345), score_of(0.0004), score_of(-981.47), score_of(math.nan)) == (
        "0.123",
        "0.0004",
        "\N{MINUS SIGN}981.5",
        "\N{EN DASH}",
    )
    assert (time_of(47.6), time_of(61.5), time_of(7322), time_of(math.nan)) == (
        "47.6 s",
        "1 min 2 s",
        "2 h 2 min",
        "\N{EN DASH}",
    )


def test_a_torn_table_keeps_its_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,train/loss,odd\n1,3.5,\n2,inf,word\n3,2.5,7\n4,2.")
    history = read_history(path)
    assert history.steps["train/loss"] == [1.0, 3.0]
    assert history.values["train/loss"] == [3.5, 2.5]
    assert history.remark.startswith("metrics.csv has 1 row cut short or damaged and 2 cells")


def test_only_what_was_chosen_is_called_chosen() -> None:
    found = {setting.key: setting for setting in settings_of(settings(report=True, fast=True))}
    chosen = {key for key, setting in found.items() if setting.chosen}
    assert chosen == {
        "trainer.max_epochs",
        "model",
        "model.latent_dim",
        "data",
        "data.dataset",
        "data.dataset.resolution",
    } | ({"data.batch_size"} if found["data.batch_size"].default != 64 else set())
    assert found["model.beta"].default == 4.0, "that of BetaVAE"
    assert found["model.latent_dim"].default == 10, "that of VAE, which BetaVAE passes on"
    assert found["trainer.max_epochs"].default == 10, "ours, not that of Lightning"


def test_code_of_others_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "intruder.py").write_text("raise SystemExit('run')\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = settings(optimizer={"class_path": "intruder.Thing", "init_args": {"lr": 1}})
    found = {setting.key: setting for setting in settings_of(config)}
    assert isinstance(found["optimizer.lr"].default, Unknown)
    assert found["optimizer.lr"].chosen


def test_a_large_picture_is_stored_smaller(tmp_path: Path) -> None:
    write_picture(tmp_path / "large.png", (500, 400))
    assert (tmp_path / "large.png").stat().st_size > LARGE
    picture = embed(tmp_path / "large.png", "large", "noise")
    assert len(picture.source) < (tmp_path / "large.png").stat().st_size
    assert (picture.width, picture.height) == (400, 500)


def test_pictures_of_other_kinds(tmp_path: Path) -> None:
    Image.new("RGB", (5, 5)).save(tmp_path / "a.gif")
    Image.new("RGB", (5, 5)).save(tmp_path / "b.bmp")
    assert embed(tmp_path / "a.gif", "", "x").source.startswith("data:image/gif;base64,")
    assert embed(tmp_path / "b.bmp", "", "x").why == (
        "The picture b.bmp cannot be shown: BMP is none of PNG, GIF, JPEG, WEBP"
    )
    assert "cannot be shown" in embed(tmp_path / "gone.png", "", "x").why


def test_shares_of_information_are_one_for_a_copy_and_none_for_noise() -> None:
    random = np.random.default_rng(0)
    factors = np.column_stack([random.integers(0, 4, 3000), random.integers(0, 3, 3000), np.zeros(3000, dtype=int)])
    codes = np.column_stack([factors[:, 0] * 1.0, random.normal(size=3000)])
    shares = information_shares(codes, factors)
    assert shares.shape == (2, 3)
    assert shares[0, 0] == pytest.approx(1.0, abs=0.01)
    assert shares[0, 1] == shares[1, 0] == shares[1, 1] == 0
    assert not shares[:, 2].any(), "a factor with one value"
