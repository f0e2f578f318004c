"""Pictures of sweeps: what they say, and that nothing stops them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from disentangle_pl.errors import InputError
from disentangle_pl.studies.importance import importance, plot_importance
from disentangle_pl.studies.parallel_plot import parallel_coordinates
from disentangle_pl.studies.sweep_plots import plot_sweep
from disentangle_pl.studies.versus_plot import metric_versus
from tests.studies.run_folders import MIG, table

LONG = "a_package.with.a_very.long_path.to.AClassWithAnUncommonlyLongNameThatGoesOnAndOn"


def lines(figure: Figure) -> np.ndarray[Any, Any]:
    """Return the ends of the lines of parallel coordinates, worst run first."""
    (found,) = (one for one in figure.axes[0].collections if isinstance(one, LineCollection))
    return np.array([[segment[0, 1], segment[-1, 1]] for segment in found.get_segments()])


def words(axes: Axes) -> set[str]:
    return {text.get_text() for text in axes.texts}


def grid(seeds: int = 8, noise: float = 0.0) -> pd.DataFrame:
    """Cross two settings that add the same variance to the score, and one that does nothing."""
    rng = np.random.default_rng(0)
    rows = [(a, b, c, s) for a in (0, 1) for b in ("x", "y") for c in (1, 2, 3) for s in range(seeds)]
    a, b, c, s = zip(*rows, strict=True)
    score = [i + (j == "y") + noise * rng.normal() for i, j in zip(a, b, strict=True)]
    return table(score=score, model__a=a, model__b=b, model__c=c, seed_everything=s)


def test_every_finished_run_is_a_line_from_its_setting_to_its_score() -> None:
    found = table(score=[0.0, 1.0, 0.5, 0.9, math.nan], model__beta=[1, 2, 5, 2, 2])
    found.loc[3, "state"] = "failed"
    figure = parallel_coordinates(found, ["model.beta"], MIG, "maximize")
    assert lines(figure) == pytest.approx(np.array([[0, 0], [1, 0.5], [0.25, 1]]))
    assert {"beta", "mig", "1", "2", "5"} < words(figure.axes[0])
    assert "3 runs, 2 without a final score" in figure.get_suptitle()
    assert figure.axes[1].get_ylabel() == "mig (higher is better)"


def test_the_better_run_is_in_front_and_darker() -> None:
    found = table(score=[0.0, 1.0, 0.5], model__beta=[1, 2, 5])
    for goal, ends in (("maximize", [0, 0.5, 1]), ("minimize", [1, 0.5, 0])):
        figure = parallel_coordinates(found, ["model.beta"], MIG, goal)
        assert lines(figure)[:, 1].tolist() == ends
        colours = np.asarray(figure.axes[0].collections[0].get_edgecolor())
        assert (np.diff(colours[:, :3].sum(axis=1)) < 0).all()


def test_labels_are_short_and_do_not_reach_the_next_axis() -> None:
    keys = [f"model.setting_{i}" for i in range(20)]
    columns: dict[str, Any] = {f"model__setting_{i}": [LONG, None, LONG + "2"] for i in range(20)}
    found = table(score=[0.1, 0.2, 0.3], **columns)
    figure = parallel_coordinates(found, keys, MIG, "maximize")
    figure.canvas.draw()
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    overlaps = sum(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert overlaps == 0
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 for box in boxes)
    assert not any(LONG in word for word in words(axes))


def test_additive_settings_have_half_the_variance_each() -> None:
    found = importance(grid(), ["model.a", "model.b", "model.c"], MIG, repeats=8).set_index("key")
    assert found["importance"][["model.a", "model.b"]].tolist() == pytest.approx([0.5, 0.5], abs=0.06)
    assert abs(found["importance"]["model.c"]) < 0.02
    assert found["correlation"]["model.a"] == pytest.approx(math.sqrt(0.5), abs=0.1)
    assert math.isnan(found["correlation"]["model.b"])
    assert abs(found["correlation"]["model.c"]) < 1e-9
    assert (found["low"] <= found["importance"]).all()
    assert (found["importance"] <= found["high"]).all()


def test_settings_that_work_together_only_have_their_total_share() -> None:
    found = grid()
    found[MIG] = [float(a == 1 and b == "y") for a, b in zip(found["model.a"], found["model.b"], strict=True)]
    shares = importance(found, ["model.a", "model.b", "model.c"], MIG, repeats=8).set_index("key")
    assert shares["importance"][["model.a", "model.b"]].tolist() == pytest.approx([2 / 3, 2 / 3], abs=0.06)
    assert abs(shares["importance"]["model.c"]) < 0.02


def test_noise_does_not_stand_out_from_the_random_control() -> None:
    rng = np.random.default_rng(3)
    found = grid(seeds=3)
    found[MIG] = rng.normal(size=len(found))
    shares = importance(found, ["model.a", "model.b", "model.c"], MIG, repeats=8)
    assert (shares["importance"] < shares["control_high"] + 0.05).all()
    assert shares["control_high"].gt(shares["control"]).all()
    signal = importance(grid(seeds=3, noise=0.2), ["model.a", "model.c"], MIG, repeats=8).set_index("key")
    assert signal["low"]["model.a"] > signal["control_high"]["model.a"]
    assert signal["importance"]["model.c"] < signal["control_high"]["model.c"] + 0.02


def test_null_is_a_value_that_may_matter() -> None:
    found = grid(seeds=3)
    found["model.a"] = pd.Series([None if a else 0 for a in found["model.a"]], dtype=object)
    found["model.z"] = pd.Series([None] * len(found), dtype=object)
    shares = importance(found, ["model.a", "model.z", "model.b", "nowhere"], MIG, repeats=4).set_index("key")
    assert shares["importance"]["model.a"] > 0.3
    assert shares["importance"][["model.z", "nowhere"]].tolist() == [0, 0]


def test_importance_is_the_same_twice_and_leaves_runs_out_that_failed() -> None:
    found = grid(seeds=2)
    keys = ["model.a", "model.b"]
    first = importance(found, keys, MIG, repeats=3)
    worse = pd.concat([found, found.assign(state="failed", **{MIG: 99.0})], ignore_index=True)
    pd.testing.assert_frame_equal(first, importance(worse, keys, MIG, repeats=3))
    assert not first.equals(importance(found, keys, MIG, repeats=3, seed=1))


def test_bars_beyond_chance_are_coloured() -> None:
    figure = plot_importance(importance(grid(seeds=3), ["model.a", "model.b", "model.c"], MIG, repeats=8), MIG)
    axes = figure.axes[0]
    assert axes.get_yticklabels()[0].get_text().startswith("c ")
    colours = [patch.get_facecolor() for patch in axes.patches]
    assert colours == [to_rgba("0.75"), to_rgba("tab:blue"), to_rgba("tab:blue")]


def test_a_line_joins_the_means_over_seeds() -> None:
    found = table(score=[0, 1, 4, 6, 9, 2], model__beta=[1, 1, 2, 2, 2, 1], model=["x.A"] * 5 + ["x.B"])
    found[f"{MIG}_floor"], found[f"{MIG}_ceiling"] = -1.0, 10.0
    found.loc[4, "state"] = "diverged"
    axes = metric_versus(found, "model.beta", [MIG], "model").axes[0]
    drawn = {str(line.get_label()): np.array(line.get_xydata()).tolist() for line in axes.lines}
    assert drawn["A"] == [[1, 0.5], [2, 5]]
    assert drawn["B"] == [[1, 2]]
    assert [point[1] for point in drawn["floor"]] == [-1, -1]
    assert [point[1] for point in drawn["ceiling"]] == [10, 10]
    (band,) = (one for one in axes.collections if not isinstance(one, LineCollection))
    heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((5 - 12.706205, 5 + 12.706205)), "Student's t of 4 and 6"
    assert axes.get_xscale() == "linear"


@pytest.mark.parametrize(
    ("values", "scale"), [([1, 10, 100], "log"), ([0, 1, 100], "symlog"), ([1, 2, None], "linear")]
)
def test_the_axis_is_logarithmic_where_it_helps(values: list[Any], scale: str) -> None:
    figure = metric_versus(table(score=[1, 2, 3], model__beta=values), "model.beta", [MIG])
    assert figure.axes[0].get_xscale() == scale
    points = np.asarray(figure.axes[0].lines[0].get_xdata())
    assert len(points) == sum(value is not None for value in values)


def test_several_scores_are_several_panels_and_a_random_search_has_no_lines() -> None:
    found = table(score=list(range(30)), model__lr=np.geomspace(1e-4, 1, 30).tolist()).assign(**{"val/nll": 1.0})
    figure = metric_versus(found, "model.lr", [MIG, "val/nll"])
    assert [axes.get_ylabel() for axes in figure.axes] == ["mig", "val/nll"]
    assert {line.get_linestyle() for line in figure.axes[0].lines} == {"None"}


@pytest.mark.parametrize(
    "found",
    [
        table(score=[0.5], model__beta=[1], model=["A"]),
        table(score=[0.5] * 9, model__beta=[1, 2, 3] * 3, model=list("AAABBBCCC")),
        table(score=[math.nan] * 3, model__beta=[1, 2, 3], model=list("AAB")),
        table(score=[0.1, math.nan, 0.3], model__beta=[None, 1, 2], model=[None, None, "A"]),
        table(score=[0.1, 0.2, 0.3], model__beta=[1, 1, 1], model=["A", "A", "A"]),
        table(score=[0.1] * 9 + [0.2], model__beta=["null"] * 9 + [0], model=[True, None] * 5),
        table(score=[-1e9, 1e-9, 1e9], model__beta=[-1e300, 0, 1e300], model=[LONG, "", "[]"]),
        table(score=[0.1, 0.2], model__beta=[None, None], model=["a b", "c/d"]),
    ],
    ids=["one", "equal", "none", "missing", "constant", "nulls", "extreme", "nothing"],
)
def test_all_pictures_survive(found: pd.DataFrame, tmp_path: Path) -> None:
    paths = plot_sweep(found, ["model.beta", "model", "nowhere", "model.beta"], MIG, "minimize", tmp_path / "new")
    assert [path.name for path in paths[:2]] == ["parallel.png", "importance.png"]
    assert paths[-1].name == "importance.tsv"
    assert all(path.stat().st_size > 50 for path in paths)
    plot_sweep(found, [], MIG, "maximize", tmp_path)


def test_a_sweep_has_a_picture_for_every_numeric_setting_but_the_seed(tmp_path: Path) -> None:
    found = grid(seeds=2)
    paths = plot_sweep(found, ["model.init_args.a", "model.b", "seed_everything", "model.c"], MIG, "maximize", tmp_path)
    names = ["parallel.png", "importance.png", "versus_model.a.png", "versus_model.c.png", "importance.tsv"]
    assert [path.name for path in paths] == names
    shares = pd.read_csv(tmp_path / "importance.tsv", sep="\t")
    assert set(shares["key"]) == {"model.a", "model.b", "model.c", "seed_everything"}


def test_any_number_may_be_the_metric_of_a_sweep(tmp_path: Path) -> None:
    found = table(metric="train/nll", score=[1, 2, 3], model__beta=[1, 2, 3])
    assert len(plot_sweep(found, ["model.beta"], "train/nll", "minimize", tmp_path)) == 4


def test_unknown_scores_and_goals_are_one_sentence(tmp_path: Path) -> None:
    found = table(score=[1, 2], model__beta=[1, 2])
    for metric, goal, said in (("mig", "maximize", "did you mean disentanglement/mig"), (MIG, "best", "maximize or")):
        with pytest.raises(InputError, match=said):
            plot_sweep(found, ["model.beta"], metric, goal, tmp_path)
    with pytest.raises(InputError, match="did you mean"):
        importance(found, [], "mig")
    with pytest.raises(InputError, match="did you mean"):
        metric_versus(found, "model.beta", ["mig"])
