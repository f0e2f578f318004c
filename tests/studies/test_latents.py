from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from disentangle_pl.metrics.score import Values, ground_truth
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.studies.held_out import Encoded, Scans, sharing_of_visits
from disentangle_pl.studies.latent_groups import Group, baseline_of, groups_of, summarised
from disentangle_pl.studies.latent_numbers import Number, best_with, model_numbers, rotated, separation
from disentangle_pl.studies.latent_plot import Panel, draw_latents, in_order
from disentangle_pl.studies.latent_table import kinds, meanings, strongest
from tests.command_line import refused, run
from tests.studies.brain_runs import FACTORS, HELD_OUT, Runs
from tests.studies.run_folders import make_run

PEOPLE, VISITS = 60, 3
NAMES = ("ml_ventricles", "gain", "site")


def planted(rng: np.random.Generator, people: int = PEOPLE) -> tuple[Encoded, Scans]:
    """Codes of people with three visits and a rescan: ventricles that grow, the gain of a scan, noise, nothing."""
    who = np.repeat(np.arange(people), VISITS + 1)
    years, visit = np.tile([0.0, 0, 1, 2], people), VISITS * who + np.tile([0, 0, 1, 2], people)
    ventricles = rng.normal(size=people)[who] + 0.3 * years
    gain, site = rng.normal(size=len(who)), rng.normal(size=people)[who]
    codes = np.stack((-ventricles, gain, rng.normal(size=len(who)), np.zeros(len(who))), axis=1)
    codes[:, 0] += 0.05 * rng.normal(size=len(who))
    truth = ground_truth(np.stack((ventricles, gain, site), axis=1))
    encoded = Encoded(codes, np.array([3.0, 2, 1, 0]), np.array([0.95, 0.2, 0.3, 1]), None)
    return encoded, Scans(who, years, visit, truth, NAMES)


def numbers_of(encoded: Encoded, known: Scans, resampled: Values | None = None) -> dict[str, Number]:
    drawn = np.empty((0, 4, 3)) if resampled is None else resampled
    return {number.name: number for number in model_numbers(encoded, known, drawn, controls=1)[0]}


def test_planted_meanings_are_found() -> None:
    encoded, known = planted(np.random.default_rng(0))
    found = meanings(encoded, known)
    table = found.latents
    assert table["kind"].tolist() == ["static", "dynamic", "dynamic", "passive"]
    assert table["follows"].tolist()[:2] == ["ml_ventricles", "gain"]
    assert table["r"][0] < -0.99
    assert (table["r_low"] <= table["r"])[:3].all()
    assert (table["r"] <= table["r_high"])[:3].all()
    beyond = (table["r"].abs() > table["chance"]).tolist()
    assert beyond[:2] == [True, True]
    assert not beyond[3]
    icc = table["icc"].to_numpy()
    assert icc[0] > 0.98, "a rescan shows the same ventricles"
    assert abs(icc[1]) < 0.35, "but another gain"
    assert icc[3] == 0
    share = table["between"] / (table["within"] + table["between"])
    assert share[0] > 0.85
    assert share[1] < 0.2
    spread = encoded.codes[:, 0].std()
    assert table["slope"][0] == pytest.approx(-0.3 / spread, rel=0.05)
    assert table["slope_high"][0] < 0 < table["slope_high"][1]
    assert in_order(table)["latent"].tolist() == [1, 2, 0, 3]
    pairs = found.pairs.set_index(["latent", "factor"])
    assert len(pairs) == 12
    assert pairs["pearson"][0, "ml_ventricles"] == table["r"][0]
    assert pairs["chance"][1, "gain"] < 0.25 < pairs["pearson"][1, "gain"]
    assert not pairs.loc[3][["pearson", "spearman", "low", "high"]].to_numpy().any()


def test_what_cannot_be_known_is_left_open() -> None:
    encoded, known = planted(np.random.default_rng(0))
    alone = encoded._replace(codes=encoded.codes[:1].repeat(2, 0), stays=np.full(4, np.nan))
    one = Scans(np.zeros(2, int), np.zeros(2), np.arange(2), known.factors[:2], NAMES)
    table = meanings(alone, one).latents
    assert table["kind"].tolist() == ["active", "active", "active", "passive"]
    assert table[["icc", "within", "slope", "r_low"]].isna().all(axis=None)
    assert np.isfinite(table[["r", "gap", "chance"]]).all(axis=None)
    numbers, remarks = model_numbers(alone, one, meanings(alone, one).resampled)
    assert all(np.isfinite(number.value) for number in numbers)
    assert any("identification needs two people" in remark for remark in remarks)


def test_separation_falls_when_latents_are_mixed() -> None:
    encoded, known = planted(np.random.default_rng(0))
    apart = numbers_of(encoded, known, meanings(encoded, known).resampled)
    assert apart["separation"].value > 0.8
    assert 0.5 < apart["separation"].low < apart["separation"].value < apart["separation"].high
    assert apart["separation"].chance < 0.25
    assert apart["separation"].rotated < 0.6
    assert apart[best_with("ml_ventricles", "ml_ventricles")].value > 0.99
    half = np.eye(4)
    half[:2, :2] = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    units = encoded.codes / np.where(encoded.codes.std(axis=0) > 0, encoded.codes.std(axis=0), 1)
    mixed = numbers_of(encoded._replace(codes=units @ half), known)
    assert mixed["separation"].value < 0.25
    for score in ("mig", "dci_disentanglement"):
        assert mixed[score].value < 0.6 * apart[score].value
        assert apart[score].chance < 0.6 * apart[score].value


def test_separation_is_one_at_best_and_zero_for_one_latent() -> None:
    names = ("a", "b")
    assert separation(np.array([[1.0, 0], [0, 1], [0.3, 0.3]]), names)["separation"] == 1
    shared = separation(np.array([[0.9, 0.8], [0.2, 0.1]]), names)
    assert shared["separation"] == pytest.approx(0)
    assert shared == {**shared, "best_a_with_a": 0.9, "best_a_with_b": 0.8, "best_b_with_a": 0.9, "best_b_with_b": 0.8}


def test_static_latents_identify_and_dynamic_ones_do_not() -> None:
    encoded, known = planted(np.random.default_rng(0), people=25)
    codes = encoded.codes.copy()
    codes[:, 0] = np.repeat(np.arange(25), 4) + 0.01 * codes[:, 1]
    found = numbers_of(encoded._replace(codes=codes), known)
    assert found["identification_static"].value == 1
    assert found["identification_dynamic"].value < 0.2
    assert found["identification_all"].chance == pytest.approx(2 / 74)
    nobody = numbers_of(encoded._replace(codes=codes, stays=np.zeros(4)), known)
    assert nobody["identification_static"].value == nobody["identification_static"].chance


def test_without_the_two_factors_the_separation_is_left_out() -> None:
    encoded, known = planted(np.random.default_rng(0), people=10)
    numbers, remarks = model_numbers(encoded, known, np.empty((0, 4, 3)), ("ventricles", "gain"), controls=1)
    assert "separation" not in {number.name for number in numbers}
    assert any("separation needs the factors ventricles and gain" in remark for remark in remarks)


def test_rotated_codes_keep_passive_latents_and_lengths() -> None:
    codes = np.random.default_rng(0).normal(size=(50, 4)) * [1, 2, 3, 1e-3]
    active = np.array([True, True, True, False])
    turned = rotated(codes, active, 0)
    np.testing.assert_array_equal(turned[:, 3], codes[:, 3])
    units = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    np.testing.assert_allclose((turned[:, :3] ** 2).sum(axis=1), (units[:, :3] ** 2).sum(axis=1))
    assert np.abs(np.corrcoef(turned[:, 0], codes[:, 0])[0, 1]) < 0.99


def test_the_correlates_of_a_row_are_beyond_chance_and_signed() -> None:
    encoded, known = planted(np.random.default_rng(0))
    words = strongest(encoded.codes, known.factors, known.names, known.people)
    assert words[0].splitlines()[0] == "ventricles -1.00"
    assert words[1] == "gain +1.00"
    assert words[3] == "nothing beyond chance"


def test_pairs_of_visits_leave_rescans_out_and_people_count_alike(brain_runs: Runs) -> None:
    model = load_model(brain_runs.shared)
    plain = load_model(brain_runs.plain)
    known = planted(np.random.default_rng(0), people=2)[1]._replace(people=np.array([0, 0, 0, 0, 0, 1, 1, 1]))
    q = DiagonalGaussian(torch.randn(8, 4), torch.zeros(8, 4))
    stays, shared = sharing_of_visits(model, q, known)
    first = known.first
    rows = {person: np.flatnonzero((known.people == person) & first) for person in (0, 1)}
    wanted = []
    for mine in rows.values():
        pairs = [(i, j) for i in mine for j in mine if i < j]
        apart = np.array([0.5 * (q.mean[i] - q.mean[j]).square().numpy() for i, j in pairs])
        low, high = apart.min(axis=1, keepdims=True), apart.max(axis=1, keepdims=True)
        wanted.append((apart < (low + high) / 2).mean(axis=0))
    np.testing.assert_allclose(stays, np.mean(wanted, axis=0), atol=1e-6)
    assert shared is not None
    np.testing.assert_allclose(shared, stays)
    assert sharing_of_visits(plain, q, known)[1] is None


def test_groups_over_seeds_and_paired_differences(tmp_path: Path) -> None:
    paths = []
    for beta in (1, 4):
        for seed in (0, 1, 2):
            paths.append(make_run(tmp_path / f"b{beta}-{seed}", beta=beta, seed=seed) / "checkpoints" / "last.ckpt")
    groups = groups_of([*paths, tmp_path / "x" / "y" / "z.ckpt"], [*map(str, range(6)), "alone"])
    assert [group.name for group in groups] == ["beta=1"] * 3 + ["beta=4"] * 3 + ["alone"]
    assert [group.seed for group in groups[:6]] == list("012012")
    assert baseline_of(groups[:6], [True] * 3 + [False] * 3) == "beta=4"
    assert baseline_of(groups[:6], [False] * 6) == "beta=1"
    rows = [
        ("r", group.name, group.seed, "mig", value) for group, value in zip(groups, [1, 2, 9, 2, 3, 10, 5], strict=True)
    ]
    models = pd.DataFrame(rows, columns=["model", "group", "seed", "number", "value"]).astype({"value": float})
    found = summarised(models, "beta=1").set_index("group")
    assert found["mean"].tolist() == [4, 5, 5]
    assert found["n"].tolist() == [3, 3, 1]
    assert found["difference"]["beta=4"] == 1
    assert (found["difference_low"]["beta=4"], found["difference_high"]["beta=4"]) == (1, 1), "paired, seed by seed"
    half = 4.302653 * np.std([2, 3, 10], ddof=1) / 3**0.5  # Student's t of three
    assert (found["low"]["beta=4"], found["high"]["beta=4"]) == pytest.approx((5 - half, 5 + half), abs=1e-5)
    assert found["pairs"].tolist() == [0, 3, 0]
    assert np.isnan(found["low"]["alone"])
    assert Group("a", "0") == ("a", "0")


def test_passive_comes_before_static() -> None:
    found = kinds(Encoded(np.zeros((2, 3)), np.array([0.01, 0.02, 1]), np.array([1.0, 0.91, 0.9]), None))
    assert found == ["passive", "static", "dynamic"]


def test_the_verb_writes_tables_picture_and_words(
    brain_runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = [f"--data.truth={brain_runs.truth}", f"--data.factors=[{','.join(FACTORS)}]"]
    run("latents", str(brain_runs.shared), str(brain_runs.plain), *data, f"--out={tmp_path}")
    said = capsys.readouterr().out
    assert f"{HELD_OUT} held-out people, {HELD_OUT * 3 + HELD_OUT // 2} scans" in said
    assert "Are ml_ventricles and gain separate latents?" in said
    assert "## Compared with aggregation=null" in said
    tables = {name: pd.read_csv(tmp_path / f"{name}.tsv", sep="\t") for name in ("latents", "correlations", "models")}
    assert tables["latents"].groupby("model").size().to_dict() == {"plain": 4, "shared": 4}
    assert tables["latents"].groupby("model")["shared"].count().to_dict() == {"plain": 0, "shared": 4}
    assert tables["latents"]["icc"].notna().all()
    assert len(tables["correlations"]) == 2 * 4 * 4
    assert {"mig", "dci_disentanglement", "infom", "separation", "identification_all"} <= set(
        tables["models"]["number"]
    )
    groups = pd.read_csv(tmp_path / "groups.tsv", sep="\t")
    assert groups[groups["group"] == "aggregation=AdaGVAE"]["pairs"].eq(1).all()
    assert (tmp_path / "latents.png").stat().st_size > 10_000
    assert (tmp_path / "findings.md").read_text() in said + "\n"


def test_wrong_input_is_one_sentence(brain_runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*flags: str) -> str:
        return refused(capsys, "latents", str(brain_runs.plain), f"--out={tmp_path / 'out'}", *flags)

    assert "images of shape (1, 8, 8, 8), but the data have (1, 6, 6, 6)" in said("--data.size=[6,6,6]")
    assert "no checkpoint" in refused(capsys, "latents", str(tmp_path / "none.ckpt"))
    assert "the val part has 4 scans of 1 people, and latents need at least 6" in said("--part=val")
    constant = tmp_path / "truth.tsv"
    constant.write_text(brain_runs.truth.read_text())
    rows = pd.read_csv(brain_runs.truth, sep="\t")
    rows["scan"] = [str(brain_runs.truth.parent / name) for name in rows["scan"]]
    rows.to_csv(constant, sep="\t", index=False)
    assert "none of the factors constant is known and varies" in said(
        f"--data.truth={constant}", "--data.factors=[constant]"
    )
    rows.assign(scan="x").head(1).to_csv(constant, sep="\t", index=False)
    assert "no row of any scan" in said(f"--data.truth={constant}")
    assert "brain scans are asked for" in said("--data=SyntheticData", "--data.dataset=Sprites", "--data.batch_size=2")
    assert not (tmp_path / "out").exists()


def test_the_label_of_the_scale_is_whole_beside_few_latents() -> None:
    latents = pd.DataFrame(
        {"latent": [0, 1], "kind": ["dynamic", "static"], "kl": [2.0, 1.0], "stays": [0.1, 0.9], "shared": [0.1, 0.9]}
    )
    pairs = pd.DataFrame({"latent": [0, 1], "factor": ["gain", "gain"], "pearson": [0.5, -0.1], "chance": [0.2, 0.2]})
    figure = draw_latents([Panel("b48", latents, pairs)])
    figure.draw_without_rendering()
    label = figure.axes[-1].yaxis.label.get_window_extent()
    assert figure.bbox.y0 <= label.y0 < label.y1 <= figure.bbox.y1
