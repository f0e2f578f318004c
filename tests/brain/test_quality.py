from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from disentangle_pl.brain import contact_sheet
from disentangle_pl.brain.contact_sheet import Picture, draw_page, draw_sheets, middle_planes
from disentangle_pl.brain.foreground import foreground, main_piece
from disentangle_pl.brain.nifti import Scan
from disentangle_pl.brain.quality import facts_of, likeness, quality_table, robust_z, share_outside
from disentangle_pl.brain.volumes import Preparation
from tests.brain.scans import anatomy, write


def table(z: list[float]) -> pd.DataFrame:
    names = [f"sub-{i}" for i in range(len(z))]
    known = {"participant_id": names, "session_id": "n/a", "cut_off": 0.1, "correlation": 0.9, "z": z}
    return pd.DataFrame(known).assign(outlier=np.array(z) < -3.5)


def test_facts_are_those_of_the_file() -> None:
    voxels = np.zeros((4, 5, 6), np.float32)
    voxels[1:3, 1:3, 1:3] = 10
    voxels[0, 0, 0] = -2
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])
    facts = facts_of(Scan(voxels, affine, "int16"), foreground(voxels))
    assert facts == {
        "shape": "4x5x6",
        "zooms": "1x2x3",
        "orientation": "LAS",
        "shear": 0.0,
        "qform_mm": 0.0,
        "dtype": "int16",
        "min": -2.0,
        "max": 10.0,
        "p1": 0.0,
        "p50": 0.0,
        "p99": 10.0,
        "nan": 0.0,
        "foreground": 8,
        "foreground_ml": pytest.approx(8 * 6 / 1000),
    }
    assert facts_of(Scan(voxels, affine, nan=0.25), foreground(voxels))["nan"] == 0.25


def test_foreground_is_what_is_brighter_than_noise() -> None:
    assert foreground(anatomy())[2:7, 3:10, 4:10].all()
    assert not foreground(-anatomy()).any()
    assert not foreground(np.zeros((4, 4, 4), np.float32)).any()
    pieces = np.zeros((9, 4, 4), dtype=bool)
    pieces[0], pieces[4:7] = True, True
    assert main_piece(pieces).sum() == 3 * 16
    assert not main_piece(np.zeros((4, 4, 4), dtype=bool)).any()


def test_the_share_outside_counts_voxels() -> None:
    inside = np.ones((10, 4, 4), dtype=bool)
    shift = np.eye(4)
    assert share_outside(inside, shift, (10, 4, 4)) == 0
    assert share_outside(inside, shift, (7, 4, 4)) == pytest.approx(0.3)
    shift[0, 3] = -2
    assert share_outside(inside, shift, (10, 4, 4)) == pytest.approx(0.2)
    assert share_outside(np.zeros_like(inside), shift, (1, 1, 1)) == 0


def test_a_crop_that_cuts_the_block_says_how_much(tmp_path: Path) -> None:
    values = np.zeros((20, 20, 20), np.float32)
    values[5:15, 5:15, 5:15] = 1
    path = write(tmp_path / "scan.nii", values, np.diag([-1.0, 1, 1, 1]))
    assert Preparation((20, 20, 20), 1.0).examine(path).facts["cut_off"] == 0
    assert Preparation((4, 20, 20), 1.0).examine(path).facts["cut_off"] == pytest.approx(0.6)
    assert Preparation((20, 6, 10), 2.0).examine(path).facts["cut_off"] == 0


def test_likeness_is_the_correlation_with_the_mean_of_volumes_of_equal_weight() -> None:
    volumes = np.random.default_rng(0).normal(size=(6, 5, 5, 5)).astype(np.float16)
    whole = volumes.astype(np.float64)
    mean = ((whole - whole.mean((1, 2, 3), keepdims=True)) / whole.std((1, 2, 3), keepdims=True)).mean(0).ravel()
    expected = [np.corrcoef(volume.ravel(), mean)[0, 1] for volume in whole]
    np.testing.assert_allclose(likeness(lambda: iter(volumes)), expected, atol=1e-6)
    volumes[2] = 1
    found = likeness(lambda: iter(volumes))
    assert found[2] == 0
    assert np.isfinite(found).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 6e4])
def test_one_bad_volume_leaves_the_others_as_they_are(value: float) -> None:
    rng = np.random.default_rng(0)
    shape = rng.normal(size=(8, 8, 8))
    volumes = (shape + 0.3 * rng.normal(size=(9, 8, 8, 8))).astype(np.float16)
    alone = likeness(lambda: iter(volumes[:8]))
    volumes[8, 0, 0, 0] = value
    found = likeness(lambda: iter(volumes))
    np.testing.assert_allclose(found[:8], alone, atol=0.02)
    table = quality_table(pd.DataFrame({"scale": [1.0] * 9}), found)
    assert table["outlier"].tolist() == [False] * 8 + [True]
    assert np.isfinite(table["z"]).all()


def test_robust_z_is_z_without_the_outlier() -> None:
    values = np.random.default_rng(0).normal(3, 2, 10_000)
    z = robust_z(np.append(values, 1e6))
    np.testing.assert_allclose(z[:-1], (values - 3) / 2, atol=0.1)
    assert (robust_z(np.array([1.0, 1, 1, 1, 9])) == 0).all()
    assert (robust_z(np.array([1.0, 2, 3, 90])) == 0).all(), "four scans have no outlier"
    assert len(robust_z(np.array([]))) == 0
    one_bad = robust_z(np.array([1.0, 2, 3, 4, 5, np.nan]))
    np.testing.assert_allclose(one_bad[:5], 0.6745 * np.arange(-2, 3))
    assert one_bad[5] == -np.inf


def test_only_what_is_unlike_the_others_is_an_outlier() -> None:
    correlations = np.array([0.95, 0.96, 0.94, 0.955, 0.945, 0.2, 0.999])
    found = quality_table(pd.DataFrame({"scale": [1.0] * 7}), correlations)
    assert found["outlier"].tolist() == [False] * 5 + [True, False], "too good is no fault"
    assert np.isfinite(quality_table(pd.DataFrame({"scale": [1.0]}), np.array([1.0]))["z"]).all()


def test_slices_are_upright() -> None:
    volume = np.zeros((4, 6, 8), np.float16)
    volume[0, 5, 4] = 1  # left front, middle height
    volume[2, 0, 7] = 2  # back, top
    picture = middle_planes(volume)
    assert picture.shape == (8, 4 + 4 + 6)
    assert np.argwhere(picture[:, :4] == 1).tolist() == [[1, 0]], "axial: front is up, left is left"
    assert np.argwhere(picture[:, 8:] == 2).tolist() == [[0, 0]], "sagittal: top is up, back is left"


def test_the_worst_come_first_and_in_red_on_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_sheet, "PAGE", 6)
    drawn: list[list[str]] = []

    def draw(quality: pd.DataFrame, slices: list[Picture], title: str) -> Figure:
        drawn.append(quality["participant_id"].tolist())
        assert [int(picture[0, 0]) for picture in slices] == quality.index.tolist(), "pictures go with their names"
        return draw_page(quality, slices, title)

    monkeypatch.setattr(contact_sheet, "draw_page", draw)
    (tmp_path / "quality-07.png").touch()
    volumes = [np.full((2, 2, 2), i, np.float16) for i in range(7)]
    pages = draw_sheets(tmp_path, table([3.0, 2, 1, 0, -9, -1, 4]), lambda row: volumes[row])
    assert drawn == [["sub-4", "sub-5", "sub-3", "sub-2", "sub-1", "sub-0"], ["sub-6"]]
    assert [page.name for page in pages] == ["quality.png", "quality-02.png"]
    assert sorted(page.name for page in tmp_path.iterdir()) == ["quality-02.png", "quality.png"]
    page = draw_page(table([-9.0, 0.5]), [middle_planes(volumes[i]) for i in (1, 2)], "title")
    first, second = (text for text in page.axes[0].texts if "sub" in text.get_text())
    assert first.get_text() == "sub-0  r 0.90  z -9.0  cut 10%"
    assert (first.get_color(), second.get_color()) == (contact_sheet.OUTLIER, "white")
    assert {text.get_text() for text in page.axes[0].texts} > set("LRAPSI")
