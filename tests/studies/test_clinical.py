"""Dementia scores from latents: sides, leaks, rivals and the verb, on a small clinic."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.mapping import SHIPPED
from disentangle_pl.brain.prepared import INDEX, VOLUMES
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction import Plan, ProbeTarget, cross_validated, linear
from disentangle_pl.metrics.prediction_folds import person_weights
from disentangle_pl.metrics.prediction_inputs import principal_components, remembered
from disentangle_pl.metrics.prediction_scores import scored
from disentangle_pl.studies.clinical import ask_all
from disentangle_pl.studies.clinical_ahead import visits_around
from disentangle_pl.studies.clinical_inputs import (
    covariates,
    fixed,
    indicators,
    sites,
    volumes,
)
from disentangle_pl.studies.clinical_known import Settings, known_of
from disentangle_pl.studies.clinical_people import refuse_seen, sides_of
from disentangle_pl.studies.clinical_pictures import brief_pictures, inner_products, refuse_twins
from disentangle_pl.studies.clinical_probe import ALL, ONE
from disentangle_pl.studies.clinical_questions import PLACES
from disentangle_pl.studies.clinical_survival import survival_rows, survival_sentences
from disentangle_pl.studies.clinical_table import (
    COMPARED,
    COVARIATES,
    LATENTS,
    REFITTED,
    WITH,
    Name,
    table_of,
)
from disentangle_pl.studies.clinical_targets import Target
from disentangle_pl.studies.harmonisation import TABLE
from tests.command_line import refused, run
from tests.studies.clinic import PEOPLE, TRAIN, Clinic, make_clinic

NAN = np.nan
TESTED = 30  # people of the test part


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        patch.setattr("sys.argv", ["disentangle-pl"])
        yield make_clinic(tmp_path_factory.mktemp("clinic"))


def data_of(clinic: Clinic, **more: Any) -> LongitudinalData:
    data = LongitudinalData(str(clinic.root), **{"split_file": str(clinic.split), "truth": str(clinic.truth), **more})
    data.prepare_data()
    data.setup("validate")
    return data


def test_rivals_are_read_from_the_tables(clinic: Clinic) -> None:
    data = data_of(clinic)
    table, remarks = covariates(data.visits)
    assert list(table.columns) == ["age", "sex", "education", "apoe4"]
    assert not remarks
    patchy = data.visits.assign(apoe4=data.visits["apoe4"].where(data.visits.index % 2 == 0), sex="F")
    table, remarks = covariates(patchy)
    assert list(table.columns) == ["age", "education"]
    assert re.fullmatch(r"the covariate apoe4 is left out: it is known of 50% of the scans", remarks[0])
    measured, _ = volumes(data)
    assert list(measured.columns) == ["ml_ventricles"], "a skull of one size says nothing"
    named, _ = volumes(data, ["mmse"])
    assert list(named.columns) == ["mmse"]
    with pytest.raises(InputError, match="there is no volume thalamus"):
        volumes(data, ["thalamus"])
    assert list(sites(data)) == ["site"]
    assert indicators(sites(data)["site"]).sum(axis=0).min() > 0


def test_volumes_are_shares_of_the_skull(clinic: Clinic, tmp_path: Path) -> None:
    truth = pd.read_csv(clinic.truth, sep="\t")
    truth["ml_icv"] = np.where(truth.index % 2, 1000.0, 2000.0)
    truth.to_csv(tmp_path / "truth.tsv", sep="\t", index=False)
    shares, _ = volumes(data_of(clinic, truth=str(tmp_path / "truth.tsv")))
    assert list(shares.columns) == ["ml_ventricles", "ml_icv"]
    np.testing.assert_allclose(shares["ml_ventricles"] * truth["ml_icv"], truth["ml_ventricles"])


def test_people_on_two_sides_and_seen_people_are_refused(clinic: Clinic, tmp_path: Path) -> None:
    data = data_of(clinic)
    sides = sides_of(data, "both")
    held_out = set(data.visits["participant_id"].iloc[sides.held_out])
    assert len(held_out) == PEOPLE - TRAIN
    assert not data.visits["session_id"].iloc[np.concatenate(sides)].str.contains("run").any(), "rescans are left out"
    assert len(sides_of(data, "val").held_out) == 30
    assert refuse_seen(clinic.good[0], data, sorted(held_out)).cautions == ()
    with pytest.raises(InputError, match=r"was trained on 1 of the 1 people to be tested \(sub-000\), by the hashes"):
        refuse_seen(clinic.good[0], data, ["sub-000"])
    few = tmp_path / "few.tsv"
    few.write_text("participant_id\tpart\n" + "\n".join(f"sub-{i:03d}\ttrain" for i in range(PEOPLE)))
    with pytest.raises(InputError, match="and 57 more are in training and held out"):
        sides_of(data_of(clinic, split_file=str(few)), "both")


def test_an_image_of_two_people_is_refused() -> None:
    table = pd.DataFrame({"participant_id": ["a", "a", "b"]})
    refuse_twins(table, ["x", "x", "y"])
    with pytest.raises(InputError, match=r"1 images are of several people \(a; b\)"):
        refuse_twins(table, ["x", "y", "x"])


def test_inner_products_are_those_of_the_images_block_by_block(clinic: Clinic, tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(23, 50)).astype(np.float32) + 3
    centred = images - images.mean(0)
    for block in (5, 23, 64):
        np.testing.assert_allclose(inner_products(images, block), centred @ centred.T, atol=1e-4)
    data = data_of(clinic)
    found = brief_pictures(data, tmp_path)
    voxels = np.load(clinic.root / VOLUMES).reshape(len(data.visits), -1).astype(np.float64)
    voxels -= voxels.mean(0)
    assert found.products is not None
    np.testing.assert_allclose(found.products, voxels @ voxels.T, atol=1e-4)
    assert len(set(found.digests)) == len(voxels)
    few = brief_pictures(data, tmp_path, most=len(voxels) - 1)
    assert (few.products, few.digests) == (None, found.digests)
    assert not list(tmp_path.iterdir())


def test_random_labels_of_people_are_predicted_from_images_by_a_visit_split_only() -> None:
    """The leak of Wen et al. 2020, on components of images: seen people are recognised, others are not."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(40), 3)
    images = rng.normal(size=(40, 30)) @ rng.normal(size=(30, 500)) + 5
    scans = (images[who] + rng.normal(size=(120, 500))).astype(np.float32)
    inputs = remembered(principal_components(inner_products(scans), 30))
    auc = []
    for seed in range(4):
        label = np.random.default_rng(seed).permutation(np.arange(40) % 2).astype(np.float64)[who]
        for people in (who, np.arange(len(who))):
            targets = ProbeTarget(label, True, people, person_weights(people))
            said = cross_validated(inputs, targets, linear, Plan(repeats=1))
            auc.append(scored(targets, said, targets.weights[None])["auc"].value)
    honest, leaky = np.mean(np.reshape(auc, (4, 2)), axis=0)
    assert leaky > 0.8
    assert 0.3 < honest < 0.65


def test_the_verb_finds_what_is_planted(clinic: Clinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--targets",
        "mmse",
        "cn_ad",
        "mmse_12m",
        "--repeats=1",
        "--part=both",
        f"--data.truth={clinic.truth}",
        f"--out={tmp_path}",
    ]
    models = [*map(str, clinic.good), "--baseline", str(clinic.blind)]
    run("predict-scores", *models, *flags)
    table = pd.read_csv(tmp_path / "scores.tsv", sep="\t", keep_default_na=False, na_values=["n/a"])
    main = table[(table["mode"] == ALL) & table["interval"].isin(("people", COMPARED))]
    score = main.set_index(["target", "model", "inputs", "versus", "metric"])["value"]
    assert score["mmse", "good0", LATENTS, "", "r2"] > 0.8
    assert score["mmse", "blind", LATENTS, "", "r2"] < 0.1
    assert score["mmse", "mean of 2", WITH + LATENTS, "baseline", "r2"] > 0.6
    assert score["cn_ad", "good1", LATENTS, "", "auc"] > 0.95
    assert score["mmse", "", "volumes", "", "r2"] > 0.8
    assert score["mmse_12m", "", "score before", "", "r2"] > 0.5
    assert score["mmse_12m", "", COVARIATES, "", "r2"] > 0.5, "the score at the scan is among the covariates"
    increments = main[(main["versus"] == COVARIATES) & (main["target"] == "mmse") & (main["metric"] == "r2")]
    assert increments.set_index("model")["low"]["good0"] > 0
    places = table[(table["mode"] == "site probe") & (table["metric"] == "auc") & (table["inputs"] == LATENTS)]
    assert places["value"].between(0.2, 0.8).all()
    assert {"reliability", ONE} <= set(table["mode"])
    assert table["people"].max() == PEOPLE - TRAIN
    assert not ((table["metric"] == "icc") & (table["inputs"] == "mmse")).any()
    guesses = pd.read_csv(tmp_path / "predictions.tsv", sep="\t", keep_default_na=False, na_values=["n/a"])
    own = guesses[(guesses["target"] == "cn_ad") & (guesses["model"] == "good0") & (guesses["inputs"] == LATENTS)]
    assert len(own) == len(own.drop_duplicates(["participant_id", "session_id"])) > 60
    assert own["predicted"].between(0, 1).all()
    assert own.groupby("observed")["predicted"].mean().tolist() == pytest.approx([0, 1], abs=0.1)
    assert {"people", "flow", "follow_up", "calibration", "decisions", "subgroups"} <= {
        path.stem for path in tmp_path.glob("*.tsv")
    }
    away = table[(table["mode"] == PLACES) & (table["target"] == "mmse") & (table["metric"] == "r2")]
    assert away[away["inputs"] == WITH + LATENTS].set_index(["model", "versus"])["value"]["good0", ""] > 0.8
    said = capsys.readouterr().out
    assert "40 people of the validation and test part" in said
    assert said.index("Latents of AdaGVAE (2 seeds) add to covariates for") < said.index("Latents of plain model")
    assert "The nearest other visit by all latents of AdaGVAE is of the same person for" in said
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("scores.png", "reliability.png", "report.html"))
    answers = {path: path.stat().st_mtime_ns for path in (tmp_path / "answers").iterdir()}
    run("predict-scores", *models, *flags)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "answers").iterdir()} == answers
    run(
        "predict-scores",
        str(clinic.good[0]),
        "--protocol=train-test",
        "--targets",
        "mmse",
        "--residualise",
        "age",
        *flags[5:-1],
        f"--out={tmp_path / 'b'}",
    )
    across = pd.read_csv(tmp_path / "b" / "scores.tsv", sep="\t")
    assert set(across["probe"].dropna()) == {"linear"}
    assert across[(across["inputs"] == LATENTS) & (across["metric"] == "r2")]["value"].min() > 0.8
    words = (tmp_path / "b" / "findings.md").read_text()
    assert "Taken out" in words
    assert re.search(r"Confounds \(1 columns\) are fitted to \d+ scans of controls", words)


def test_times_to_conversion_stand_beside_the_yes_or_no(clinic: Clinic, tmp_path: Path) -> None:
    pytest.importorskip("sksurv")
    data = data_of(clinic)
    settings = Settings(plan=Plan(folds=2, inner=2, repeats=1))
    known, _ = known_of(data, sides_of(data, "both"), settings, tmp_path)
    score = fixed(LATENTS, data.visits[["mmse"]].to_numpy(np.float64))
    models = [(Name("ada", "a", "0"), score)]
    rows, remarks = survival_rows(models, known, visits_around(data.visits)[0], None)
    assert not remarks
    table = table_of(rows)
    assert set(table["metric"]) == {"c_index"}
    alone = table[(table["inputs"] == LATENTS) & (table["versus"] == "")]
    assert alone["value"].item() > 0.5
    assert (alone["people"].item(), alone["people_1"].item()) == (alone["scans"].item(), alone["people_1"].item())
    assert table[table["versus"] == COVARIATES]["p"].between(0, 1).all()
    assert "C-index" in survival_sentences(table)[0]
    assert survival_rows(models, known._replace(plan=Plan()), visits_around(data.visits)[0], None)[1][0].startswith(
        "conversion_time: "
    )


def test_a_site_that_holds_a_whole_class_is_said_and_refuses_nothing(clinic: Clinic, tmp_path: Path) -> None:
    data = data_of(clinic)
    sides = sides_of(data, "test")
    known, _ = known_of(data, sides, Settings(plan=Plan(folds=2, inner=2, repeats=1)), tmp_path)
    target = Target("cn_ad", True, np.asarray(data.visits["site"] == "A", dtype=np.float64))
    models = [(Name("ada", "a", "0"), fixed(LATENTS, data.visits[["mmse"]].to_numpy(np.float64)))]
    rows, remarks = ask_all([target], models, known, None, named=True)
    assert {row["mode"] for row in rows} >= {ALL, ONE}
    assert PLACES not in {row["mode"] for row in rows}
    assert remarks[0].startswith(f"cn_ad, {PLACES}: the target has one class only")


def test_trees_and_visits_without_a_scan_by_the_verb(clinic: Clinic, tmp_path: Path) -> None:
    """The scores of the year after the last scan are in a clinical table alone."""
    visits = pd.read_parquet(clinic.root / INDEX)
    last = visits[visits["years"] == 2]
    head = "PTID,Years_bl,AGE,PTGENDER,SITE,DX,MMSE,CDRSB,ADAS11,ADAS13,FAQ,MOCA,PTEDUCAT,APOE4"
    later = zip(last["participant_id"].str.removeprefix("sub-"), last["mmse"] - 1, strict=True)
    cells = [f"{who},3,,,,CN,{mmse},,,,,,," for who, mmse in later]
    (tmp_path / "later.csv").write_text("\n".join([head, *cells]))
    shipped = SHIPPED["adnimerge"].read_text()
    own = re.sub(r"participant: .*", r"participant: {column: PTID, pattern: '(\\d+)', template: 'sub-\\1'}", shipped)
    (tmp_path / "own.yaml").write_text(own)
    flags = ["--targets", "mmse_12m", "--repeats=1", "--folds=2", "--boosting=true", f"--out={tmp_path}"]
    scans = {}
    for name, more in (("scans", []), ("clinic", ["--clinical", "later.csv", "--mapping", "own.yaml"])):
        places = [str(tmp_path / word) if "." in word else word for word in more]
        run("predict-scores", str(clinic.good[0]), *flags, *places)
        table = pd.read_csv(tmp_path / "scores.tsv", sep="\t", keep_default_na=False, na_values=["n/a"])
        scans[name] = table[(table["target"] == "mmse_12m") & (table["mode"] == ALL)]["scans"].max()
        found = table[(table["inputs"] == LATENTS) & (table["versus"] == "") & (table["metric"] == "r2")]
        assert set(found["probe"]) == {"linear", "boosted"}
        assert found["value"].min() > 0.3
    assert scans["clinic"] == scans["scans"] + TESTED


def test_refitted_intervals_by_the_verb(clinic: Clinic, tmp_path: Path) -> None:
    run(
        "predict-scores",
        str(clinic.good[0]),
        "--targets=[mmse]",
        "--repeats=1",
        "--folds=2",
        "--refitted=true",
        f"--data.split_file={clinic.split}",
        f"--data.truth={clinic.truth}",
        f"--out={tmp_path}",
    )
    table = pd.read_csv(tmp_path / "scores.tsv", sep="\t", keep_default_na=False, na_values=["n/a"])
    rows = table[(table["metric"] == "r2") & (table["inputs"] == LATENTS) & (table["mode"] == ALL)]
    ends = rows[rows["versus"] == ""].set_index("interval")
    assert ends["value"]["people"] == pytest.approx(ends["value"][REFITTED])
    assert ends["low"][REFITTED] < ends["value"][REFITTED] < ends["high"][REFITTED]


def test_sites_are_taken_out_of_latents_volumes_and_images(
    clinic: Clinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--targets", "mmse", "--repeats=1", "--folds=3", f"--data.truth={clinic.truth}", f"--out={tmp_path}"]
    run("predict-scores", str(clinic.good[0]), *flags, "--combat.batch=site", "--combat.covariates=[age,sex]")
    found = pd.read_csv(tmp_path / TABLE, sep="\t", keep_default_na=False)
    assert list(zip(found["of"], found["stage"], strict=True)) == [
        (of, stage) for of in ("volumes", "latents", "pca") for stage in ("before", "after")
    ]
    assert (found["people"] == TESTED).all()
    said = capsys.readouterr().out
    assert "of 7 people at 3 sites; what stays in: age, sex, and the person" in said
    assert "Site AUC of latents of good0, before" in said
    assert "Site AUC of components, before" in said


def test_voxels_are_changed_before_they_are_multiplied(clinic: Clinic, tmp_path: Path) -> None:
    def doubled(before: NDArray[np.float32], after: NDArray[np.float32]) -> None:
        after[:] = 2 * before

    data = data_of(clinic)
    plain, changed = brief_pictures(data, tmp_path), brief_pictures(data, tmp_path, change=doubled)
    assert changed.products is not None
    assert changed.unchanged is not None
    assert plain.products is not None
    np.testing.assert_array_equal(changed.unchanged, plain.products)
    np.testing.assert_allclose(changed.products, 4 * plain.products, rtol=1e-4, atol=1e-4)


def test_wrong_input_is_one_sentence(clinic: Clinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*flags: str) -> str:
        return refused(capsys, "predict-scores", str(clinic.good[0]), f"--out={tmp_path / 'out'}", *flags)

    assert "there is no target 'iq'" in said("--targets", "iq")
    assert "no table of the scans has adas13" in said("--targets", "adas13")
    assert "cannot be cut into 30 folds" in said("--targets", "cn_ad", "--folds", "30")
    assert "at least 2" in said("--folds", "1")
    assert "--protocol held-out" in said("--refitted=true", "--protocol=train-test")
    assert "shoe cannot be taken out" in said("--residualise", "shoe")
    assert "no checkpoint at" in said("--baseline", str(tmp_path / "none.ckpt"))
    other = tmp_path / "other.tsv"
    names = [f"sub-{i:03d}" for i in range(PEOPLE)]
    parts = ["test"] * 30 + ["val"] * 10 + ["train"] * 20
    other.write_text("participant_id\tpart\n" + "\n".join(map("\t".join, zip(names, parts, strict=True))))
    assert "was trained on 20 of the 30 people to be tested" in said(f"--data.split_file={other}")
    assert "has none" in said(
        "--data=SyntheticData", "--data.dataset=disentangle_pl.data.sprites.Sprites", "--data.batch_size=2"
    )
    assert not list((tmp_path / "out").glob("*.html"))
