from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread

from disentangle_pl.errors import InputError
from disentangle_pl.studies.meta_transfer import Measure, draw, interval, measures, meta_transfer, summary
from disentangle_pl.studies.rotation_encoder import Trajectories


def measure(values: list[float], top: float = 1.0, *, share: bool = False) -> Measure:
    return Measure("study", "setting", "measure", np.array(values), top, share)


def test_interval_of_a_mean_is_that_of_student() -> None:
    assert interval(measure([1.0, 2.0, 3.0], top=45)) == pytest.approx((0, 2 + 4.302653 / 3**0.5))
    assert interval(measure([1.0, 2.0, 3.0], top=3))[1] == 3


def test_interval_of_a_share_is_that_of_wilson() -> None:
    assert interval(measure([1.0] * 8 + [0.0] * 2, share=True)) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert interval(measure([0.0] * 20, share=True)) == pytest.approx((0, 0.1611), abs=1e-3)


def test_the_last_episode_is_measured() -> None:
    beliefs = {"world": torch.tensor([[0.1, 0.1], [0.95, 0.4]], dtype=torch.float64)}
    angles = torch.deg2rad(torch.tensor([[0.0, 0.0], [-44.0, 15.0]], dtype=torch.float64))
    rows = measures(beliefs, {"moved": Trajectories(angles, beliefs["world"])})
    table = summary(rows).set_index("measure")
    assert table.loc["belief in A -> B", "mean"] == pytest.approx(0.675)
    assert table.loc["share calling A the cause", "mean"] == 0.5
    assert table.loc["degrees from a solution", "mean"] == pytest.approx((1 + 30) / 2)
    assert table.loc["share solved to 5 degrees", "mean"] == 0.5
    assert (table["seeds"] == 2).all()


def test_the_figure_shows_median_quartiles_and_both_solutions() -> None:
    belief = torch.linspace(0, 1, 5, dtype=torch.float64).expand(3, 5)
    first, second = draw({"world": belief}, {"moved": Trajectories(belief, belief)}).axes
    assert np.allclose(np.asarray(first.lines[0].get_ydata()), 0.5)
    heights = first.collections[0].get_paths()[0].vertices
    assert np.ptp(np.asarray(heights)[:, 1]) == pytest.approx(0.5)
    dashed = sorted(float(np.asarray(line.get_ydata())[0]) for line in second.lines if line.get_linestyle() == "--")
    assert dashed == [-45, 45]
    assert len(second.lines) == 5 + 2


def test_figure_and_tables_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    meta_transfer(out, seeds=3, episodes=4, categories=4)
    assert imread(out / "meta_transfer.png").std() > 0
    lines, seeds = pd.read_csv(out / "summary.tsv", sep="\t"), pd.read_csv(out / "seeds.tsv", sep="\t")
    assert list(lines.columns) == ["study", "setting", "measure", "seeds", "mean", "low", "high"]
    assert len(lines) == 2 * 4 + 2 * 2
    assert (lines["low"] <= lines["mean"]).all()
    assert (lines["mean"] <= lines["high"]).all()
    assert not seeds.isna().any(axis=None)
    means = seeds.groupby(["study", "setting", "measure"], sort=False)["value"].mean()
    assert means.tolist() == pytest.approx(lines["mean"].tolist(), rel=1e-4)
    assert str(out) in capsys.readouterr().out


def test_one_seed_gives_no_interval(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seeds must be at least 2"):
        meta_transfer(tmp_path, seeds=1)


def test_results_need_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        meta_transfer(tmp_path / "file")


def test_wrong_sizes_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="categories"):
        meta_transfer(tmp_path / "out", categories=1)
    assert not (tmp_path / "out").exists()
