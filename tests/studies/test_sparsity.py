"""The sparsity study on made-up runs whose answer is known."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from disentangle_pl.errors import InputError
from disentangle_pl.studies.sparsity import report_sparsity
from disentangle_pl.studies.sparsity_compare import compare, holm, pooled, trends
from disentangle_pl.studies.sparsity_control import write_controls
from disentangle_pl.studies.sparsity_layers import by_layer, over_rotation
from disentangle_pl.studies.sparsity_plots import by_density, by_strength
from disentangle_pl.studies.sparsity_table import arrange, layer_densities
from disentangle_pl.studies.sparsity_words import unfinished
from disentangle_pl.sweeps.sweep_file import read_sweep

MIG = "disentanglement/mig"
PROXIMAL, RANDOM = "disentangle_pl.masks.l1.ProximalL1Mask", "disentangle_pl.masks.random_mask.RandomMask"
SPRITES = "disentangle_pl.data.sprites.Sprites"


def a_run(seed: int, mig: float, mask: str | None = None, **more: object) -> dict[str, object]:
    """Describe a finished run as `tidy` does."""
    return {
        "run": f"{mask}-{seed}-{len(more)}-{mig}", "state": "finished", "message": "", "seconds": 1.0, "steps": 2.0,
        "folder": "", "seed_everything": seed, "model": "BetaVAE", "model.mask": mask, "data.dataset": SPRITES,
        "model.placement.pixels": False, MIG: mig, "val/nll": 10.0 + mig,
    } | more  # fmt: skip


def learned(seed: int, mig: float, strength: float, density: float) -> dict[str, object]:
    """Describe a run with a learned mask whose layers differ in density."""
    layers = {"encoder_0": 1.0, "encoder_2": density, "encoder_10": density / 2, "decoder_0": density, "decoder_3": 1.0}
    logged = {f"sparsity/density_{name}": share for name, share in layers.items()}
    more = {"model.mask.strength": strength, "model.mask.warm_up": 5, "sparsity/effective_density": density}
    return a_run(seed, mig, PROXIMAL, **more, **logged)


def random(seed: int, mig: float, density: float | str, achieved: float) -> dict[str, object]:
    """Describe a run with a random mask."""
    return a_run(seed, mig, RANDOM, **{"model.mask.density": density, "sparsity/effective_density": achieved})


def study() -> pd.DataFrame:
    """Dense .5; random falls by .1 with every halving; learned is .2 above random at a quarter."""
    rows = []
    for seed, jitter in enumerate((0.0, 0.01, 0.03)):
        rows.append(a_run(seed, 0.5 + jitter))
        rows += [random(seed, 0.5 + jitter + 0.1 * math.log2(share), share, share) for share in (0.5, 0.125)]
        rows += [learned(seed, 0.5 + jitter * 2, 0.1, 0.25), learned(seed, 0.3 + jitter * 1.1, 1.0, 0.0625)]
    return pd.DataFrame(rows)


def row(found: pd.DataFrame, kind: str, rank: int) -> pd.Series:
    """Return the row of a setting."""
    (position,) = np.flatnonzero((found["kind"] == kind) & (found["rank"] == rank))
    return found.iloc[int(position)]


def test_runs_are_arranged_by_kind_and_density() -> None:
    runs = arrange(study(), MIG)
    assert set(runs["kind"]) == {"dense", "RandomMask", "ProximalL1Mask"}
    assert set(runs["data_set"]) == {"Sprites"}
    mine = runs[runs["kind"] == "ProximalL1Mask"]
    assert dict(zip(mine["setting"], mine["rank"], strict=True)) == {"strength=0.1": 1, "strength=1": 2}
    assert (runs[runs["kind"] == "dense"]["density"] == 1).all()


def test_a_switch_that_older_runs_do_not_know_is_off() -> None:
    rows = study().to_dict("records")
    mixed = pd.DataFrame(
        [row | ({"model.placement.whole_channels": False} if i % 2 else {}) for i, row in enumerate(rows)]
    )
    runs = arrange(mixed, MIG)
    assert set(runs["data_set"]) == {"Sprites"}
    assert runs["rank"].tolist() == arrange(study(), MIG)["rank"].tolist()
    on = arrange(mixed.assign(**{"model.placement.whole_channels": [i % 2 == 0 for i in range(len(mixed))]}), MIG)
    assert set(on["data_set"]) == {"Sprites, whole_channels=true", "Sprites, whole_channels=null"}


def test_differences_are_paired_by_seed_and_random_masks_interpolated_in_the_logarithm() -> None:
    found = compare(arrange(study(), MIG), [MIG])
    best = row(found, "ProximalL1Mask", 1)
    assert best["gain"] == pytest.approx(np.mean([0, 0.01, 0.03]))
    assert best["over"] == pytest.approx(
        0.2 + np.mean([0, 0.01, 0.03])
    )  # random at a quarter: .3, between its settings
    gains = np.array([0, 0.01, 0.03])
    half = 4.302653 * gains.std(ddof=1) / math.sqrt(3)  # t quantile, 2 degrees of freedom
    assert best["gain_low"] == pytest.approx(gains.mean() - half, abs=1e-6)
    assert best["control"] == "same density over all, interpolated"
    below = row(found, "ProximalL1Mask", 2)  # sparser than any random mask: nothing to compare with
    assert math.isnan(below["over"])
    assert below["control"] == ""
    dense = row(found, "dense", 1)
    assert (dense["mean"], dense["high"]) == pytest.approx((0.5 + gains.mean(), 0.5 + gains.mean() + half), abs=1e-6)


def test_settings_come_by_strength_though_a_stronger_one_may_leave_more() -> None:
    rows = [a_run(0, 0.5), learned(0, 0.5, 0.1, 0.25), learned(0, 0.4, 1.0, 0.0625), learned(0, 0.0, 10.0, 0.9)]
    found = arrange(pd.DataFrame([*rows, random(0, 0.1, 0.125, 0.125), random(0, 0.3, 0.5, 0.5)]), MIG)
    ranks = dict(zip(found["density"], found["rank"], strict=True))
    assert [ranks[density] for density in (0.25, 0.0625, 0.9)] == [1, 2, 3]
    assert [ranks[density] for density in (0.5, 0.125)] == [1, 2]


def test_random_masks_with_the_same_layers_are_the_control_where_there_are_any() -> None:
    layers = json.dumps([0.0625, 0.0312, 0.0625])
    rows = [random(seed, 0.2 + jitter, layers, 0.0625) for seed, jitter in enumerate((0.0, 0.01, 0.02))]
    runs = arrange(pd.concat([study(), pd.DataFrame(rows)]), MIG)
    assert "RandomMask, layers as ProximalL1Mask" in set(runs["kind"])
    found = row(compare(runs, [MIG]), "ProximalL1Mask", 2)
    assert found["control"] == "same density in every layer"
    assert found["over"] == pytest.approx(0.1 + np.mean([0, 0.001, 0.013]))


def test_the_layers_of_a_control_are_the_masked_ones_in_order() -> None:
    runs = arrange(study(), MIG)
    mine = runs[(runs["kind"] == "ProximalL1Mask") & (runs["rank"] == 1)]
    assert layer_densities(mine) == [0.25, 0.125, 0.25]  # the two layers at the pixels are dense; 10 comes after 2
    assert layer_densities(mine.assign(**{"model.placement.encoder": False})) == [0.25]
    assert layer_densities(mine.assign(**{"model.placement.pixels": True})) == [1, 0.25, 0.125, 0.25, 1]


def test_settings_of_a_kind_are_pooled_within_every_seed() -> None:
    (found,) = pooled(arrange(study(), MIG), [MIG]).to_dict("records")
    gains = np.array([(0 - 0.2) / 2, (0.01 - 0.2 + 0.001) / 2, (0.03 - 0.2 + 0.003) / 2])
    assert found["kind"] == "ProximalL1Mask"
    assert found["seeds"] == 3
    assert found["gain"] == pytest.approx(gains.mean())
    half = 4.302653 * gains.std(ddof=1) / math.sqrt(3)
    assert found["gain_high"] == pytest.approx(gains.mean() + half, abs=1e-6)
    assert found["over"] == pytest.approx(0.2 + np.mean([0, 0.01, 0.03]))  # only the denser setting has a control


def test_p_values_are_corrected_after_holm() -> None:
    corrected = holm(pd.Series([0.04, math.nan, 0.01, 0.03]))
    np.testing.assert_allclose(corrected, [0.06, math.nan, 0.03, 0.06])
    np.testing.assert_allclose(holm(pd.Series([0.9, 0.8])), [1, 1])


def test_a_score_that_falls_with_the_density_has_a_trend_of_one() -> None:
    rows = [a_run(0, 0.9), *(learned(0, density, 1 / density, density) for density in (0.5, 0.25, 0.125))]
    (found,) = trends(arrange(pd.DataFrame(rows), MIG), [MIG]).to_dict("records")
    assert found["rho"] == pytest.approx(1)
    assert found["n"] == 4


def test_the_report_says_nothing_where_nothing_is_and_more_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study().to_csv(tmp_path / "runs.tsv", sep="\t", index=False)
    report_sparsity([tmp_path / "runs.tsv"], tmp_path / "out", ["mig"])
    said = capsys.readouterr().out
    assert "dense 0.513 (n = 3); best mean 0.527 by ProximalL1Mask (strength=0.1) at density 0.25" in said
    assert "Of 2 settings, 0 are above and 1 below the dense network" in said
    assert "ProximalL1Mask over all its settings is +0.213" in said
    assert "Of 1 settings, 1 are above and 0 below random masks of the same density" in said
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"runs.tsv", "comparison.tsv", "trends.tsv", "findings.md", "strength.png", "density.png"} <= names
    report_sparsity([tmp_path / "out" / "runs.tsv"], tmp_path / "again", ["mig"])  # its own table is enough
    assert (tmp_path / "again" / "comparison.tsv").read_text() == (tmp_path / "out" / "comparison.tsv").read_text()


def test_runs_without_a_score_are_counted_by_their_cause() -> None:
    cut = random(3, math.nan, 0.02, math.nan) | {"state": "failed", "message": "everything is pruned"}
    table = pd.DataFrame([*study().to_dict("records"), cut, cut | {"seed_everything": 4}])
    assert unfinished(table, MIG) == ["Left out: 2 of 17 runs, RandomMask (0.02), failed: everything is pruned."]
    assert unfinished(study(), MIG) == []


def test_every_panel_has_the_baseline_and_every_kind() -> None:
    runs = arrange(study(), MIG)
    for figure in (by_strength(runs, [MIG]), by_density(runs, [MIG])):
        labels = {text.get_text() for text in figure.legends[0].get_texts()}
        assert {"dense, mean and interval", "RandomMask", "ProximalL1Mask"} <= labels


def test_layers_are_read_from_the_image_to_the_latents_and_back_over_their_rotation() -> None:
    layers = {"encoder_2": 0.3, "decoder_0": 0.5, "encoder_10": 0.4, "latents": 0.9}
    logged = {f"layers/infom_{name}": value for name, value in layers.items()}
    logged |= {f"layers/infom_{name}_rotated": 0.2 for name in layers} | {"layers/infom_latents_floor": 0.1}
    runs = arrange(pd.DataFrame([*study().to_dict("records"), a_run(7, 0.5) | logged]), MIG)
    found = over_rotation(runs)
    assert found["layer"].tolist() == ["encoder_2", "decoder_0", "encoder_10", "latents"]
    assert found["place"].tolist() == [0, 3, 1, 2]
    assert found["mean"].tolist() == pytest.approx([0.1, 0.3, 0.2, 0.7])
    assert (found["n"] == 1).all()
    assert found[["low", "high"]].isna().all(axis=None), "one run has no interval"
    (axes,) = by_layer(found).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["encoder_2", "encoder_10", "latents", "decoder_0"]
    assert over_rotation(arrange(study(), MIG)).empty


def test_a_control_sweep_holds_every_learned_setting_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    config = {"seed_everything": 1, "run_id": None, "model": {"class_path": "X", "init_args": {"mask": {}, "beta": 4}}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (path,) = write_controls(arrange(study().assign(folder=str(folder)), MIG), tmp_path / "control")
    sweep = read_sweep(path)
    (masks,) = [parameter for parameter in sweep.parameters if parameter.key == "model.mask"]
    asked = [
        yaml.safe_load(mask)["init_args"]["density"]
        for mask in yaml.safe_load(path.read_text())["parameters"]["model.mask"]["values"]
    ]
    assert asked == [[0.25, 0.125, 0.25], [0.0625, 0.0312, 0.0625]]
    assert not masks.constant
    recipe = yaml.safe_load((tmp_path / "control" / "sprites.yaml").read_text())
    assert recipe["model"]["init_args"] == {"beta": 4}
    with pytest.raises(InputError, match="needs the folder"):
        list(write_controls(arrange(study(), MIG), tmp_path / "refused"))
    assert not (tmp_path / "refused").exists()


def test_runs_without_masks_or_scores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of these runs has a mask"):
        arrange(pd.DataFrame([a_run(0, 0.5)]), MIG)
    with pytest.raises(InputError, match="no run here has finished"):
        arrange(study().assign(state="crashed"), MIG)
    study().to_csv(tmp_path / "runs.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match="no run has the score disentanglement/mug"):
        report_sparsity([tmp_path / "runs.tsv"], tmp_path / "out", ["mug"])
