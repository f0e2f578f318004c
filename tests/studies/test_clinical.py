"""Dementia scores from latents: targets, sides, answers that are kept, the table, the page, and the verb."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.prediction import Asked, Plan
from disentangle_pl.metrics.prediction_folds import person_weights
from disentangle_pl.metrics.prediction_scores import Scored
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies import clinical_probe
from disentangle_pl.studies.clinical_codes import Encoded, reference
from disentangle_pl.studies.clinical_inputs import (
    covariates,
    fixed,
    images,
    indicators,
    joined,
    residual,
    sites,
    volumes,
)
from disentangle_pl.studies.clinical_people import Sides, refuse_seen, refuse_twins, sides_of
from disentangle_pl.studies.clinical_probe import ALL, ONE, Question, answer, question
from disentangle_pl.studies.clinical_reliability import Line, measure_lines, rescan_pairs
from disentangle_pl.studies.clinical_report import Study, how, page, sections_of
from disentangle_pl.studies.clinical_table import (
    COVARIATES,
    LATENTS,
    RIVAL,
    WITH,
    Answered,
    Name,
    reliability_rows,
    rows_of,
    table_of,
)
from disentangle_pl.studies.clinical_targets import TARGETS, TITLES, Target, later, made_targets, make_target, stages
from tests.command_line import refused, run
from tests.studies.clinic import PEOPLE, TRAIN, Clinic, make_clinic, visits_of
from tests.studies.run_folders import make_run

NAN = np.nan


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


def people(*rows: tuple[str, float, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["participant_id", "years", "diagnosis", "mmse"])


def test_diagnoses_are_stages() -> None:
    table = people(
        *(("a", 0.0, said, 30.0) for said in ("CN", "LMCI", "Dementia", " ad ", "FTD")), ("b", 0.0, "NL", 1.0)
    )
    np.testing.assert_array_equal(stages(table), [0, 1, 2, 2, NAN, 0])
    np.testing.assert_array_equal(make_target("cn_ad", table).values, [0, NAN, 1, 1, NAN, 0])
    np.testing.assert_array_equal(make_target("cn_mci", table).values, [0, 1, NAN, NAN, NAN, 0])


def test_later_scores_are_of_the_same_person_near_the_time() -> None:
    table = people(
        ("a", 0.0, "CN", 30), ("a", 0.9, "CN", 29), ("a", 1.2, "CN", 28), ("b", 0.0, "CN", 20), ("b", 1.3, "CN", 9)
    )
    np.testing.assert_array_equal(later(table, table["mmse"].to_numpy(), 1.0), [29, NAN, NAN, NAN, NAN])
    target = make_target("mmse_12m", table)
    assert (target.baseline, target.discrete) == ("mmse", False)
    unscored = table.assign(mmse=[NAN, 29, 28, 20, 9])
    with pytest.raises(InputError, match="mmse_12m is not known of any of the 5 scans"):
        make_target("mmse_12m", unscored)


def test_conversion_needs_impairment_and_time() -> None:
    table = people(
        ("converts", 0.0, "MCI", 1),
        ("converts", 2.0, "Dementia", 1),
        ("late", 0.0, "MCI", 1),
        ("late", 2.0, "MCI", 1),
        ("late", 4.0, "AD", 1),
        ("lost", 0.0, "MCI", 1),
        ("lost", 1.0, "MCI", 1),
        ("better", 0.0, "MCI", 1),
        ("better", 1.0, "CN", 1),
        ("better", 2.0, "MCI", 1),
        ("well", 0.0, "CN", 1),
        ("well", 1.0, "AD", 1),
    )
    expected = [1, NAN, 0, 1, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN]
    np.testing.assert_array_equal(make_target("conversion", table).values, expected)
    within_a_year = make_target("conversion", table, 1.0).values
    assert within_a_year[5] == 0
    assert within_a_year[0] == 0, "dementia came later than that"


def test_targets_that_cannot_be_made_are_said() -> None:
    table = people(("a", 0.0, "CN", 30), ("b", 0.0, "AD", 20)).assign(age=70.0, sex=["F", "M"])
    found, remarks = made_targets([], table)
    assert [target.name for target in found] == ["mmse", "age", "sex", "cn_ad", "cn_mci"]
    assert len(found) + len(remarks) == len(TARGETS)
    assert any(remark.startswith("cdr_sb: no table of the scans has cdr_sb") for remark in remarks)
    with pytest.raises(InputError, match=r"no target 'moca': name some of mmse, cdr_sb"):
        made_targets(["moca"], table)
    with pytest.raises(InputError, match="no score and no diagnosis"):
        made_targets([], table.drop(columns="mmse").assign(diagnosis=None))
    assert set(TITLES) == set(TARGETS)


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


def test_sources_differ_where_what_they_show_does() -> None:
    values = np.arange(12.0).reshape(6, 2)
    one, other = fixed("a", values), fixed("a", values + 1)
    assert one.digest == fixed("b", values).digest != other.digest
    both = joined(one, other)
    rows = np.array([1, 4])
    np.testing.assert_array_equal(both.at(rows)(np.array([0])), np.hstack((values, values + 1))[rows])
    assert both.name == "a+a"
    less = residual(one, np.ones((6, 1)), np.ones(6, bool))
    assert less.digest != one.digest
    assert images("pca", values @ values.T, 1).digest != images("pca", values @ values.T, 2).digest


def test_people_on_two_sides_and_seen_people_are_refused(clinic: Clinic, tmp_path: Path) -> None:
    data = data_of(clinic)
    sides = sides_of(data, "both")
    held_out = set(data.visits["participant_id"].iloc[sides.held_out])
    assert len(held_out) == PEOPLE - TRAIN
    assert not data.visits["session_id"].iloc[np.concatenate(sides)].str.contains("run").any(), "rescans are left out"
    assert len(sides_of(data, "val").held_out) == 30
    refuse_seen(clinic.good[0], data, sorted(held_out))
    with pytest.raises(InputError, match=r"was trained on 1 of the 1 people to be tested \(000\)"):
        refuse_seen(clinic.good[0], data, ["sub-000"])
    hashed = make_run(tmp_path / "hashed") / "checkpoints" / "last.ckpt"
    with pytest.raises(InputError, match="were split by the hash of their ids: give the same"):
        refuse_seen(hashed, data, sorted(held_out))
    alone = tmp_path / "alone" / "checkpoints" / "last.ckpt"
    refuse_seen(alone, data, sorted(held_out))
    with pytest.raises(InputError, match="cannot be told: there is no"):
        refuse_seen(alone, LongitudinalData(str(clinic.root)), sorted(held_out))
    (alone.parent.parent).mkdir()
    (alone.parent.parent / "config.yaml").write_text("data: {split_file: /gone.tsv}")
    with pytest.raises(InputError, match=r"the split /gone.tsv cannot be read"):
        refuse_seen(alone, data, sorted(held_out))
    few = tmp_path / "few.tsv"
    few.write_text("participant_id\tpart\n" + "\n".join(f"sub-{i:03d}\ttrain" for i in range(PEOPLE)))
    with pytest.raises(InputError, match="and 57 more are in training and held out"):
        sides_of(data_of(clinic, split_file=str(few)), "both")


def test_an_image_of_two_people_is_refused() -> None:
    table = pd.DataFrame({"participant_id": ["a", "a", "b"]})
    refuse_twins(table, ["x", "x", "y"])
    with pytest.raises(InputError, match=r"1 images are of several people \(a; b\)"):
        refuse_twins(table, ["x", "y", "x"])


def small_question() -> tuple[Question, Values]:
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(20), 2)
    codes = rng.normal(size=(40, 3))
    asked = Asked(codes[:, 0], False, who, person_weights(who))
    return Question("x", ALL, np.arange(40), asked, np.empty(0, np.intp), np.arange(40)), codes


def test_answers_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to, codes = small_question()
    plan = Plan(repeats=1)
    first = answer(to, fixed("z", codes), "linear", plan, tmp_path)
    assert first["r2"].value > 0.9
    monkeypatch.setitem(clinical_probe.PROBES, "linear", cast(Any, None))
    again = answer(to, fixed("z", codes), "linear", plan, tmp_path)
    np.testing.assert_array_equal(first["r2"].draws, again["r2"].draws)
    for other in (
        (to, fixed("z", 2 * codes), plan),
        (to._replace(asked=to.asked._replace(target=codes[:, 1])), fixed("z", codes), plan),
        (to, fixed("z", codes), plan._replace(seed=1)),
    ):
        with pytest.raises(TypeError):
            answer(other[0], other[1], "linear", other[2], tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(b"cut")
    with pytest.raises(TypeError):
        answer(to, fixed("z", codes), "linear", plan, tmp_path)


def test_questions_are_of_held_out_people_whose_all_is_known() -> None:
    visits, _ = visits_of()
    sides = Sides(np.flatnonzero(visits.index < 40), np.flatnonzero(visits.index >= 40))
    values = visits["mmse"].to_numpy().copy()
    values[45] = NAN
    known = np.ones((len(visits), 1))
    known[50] = NAN
    target = Target("mmse", False, values)
    to = question(target, visits, sides, "held-out", known)
    assert set(to.rows) == set(range(40, len(visits))) - {45, 50}
    assert not len(to.train)
    one = question(target, visits, sides, "held-out", known, ONE)
    assert len(np.unique(one.asked.people)) == len(one.rows) == len(np.unique(to.asked.people))
    across = question(target, visits, sides, "train-test", known)
    assert set(across.rows[across.train]) == set(range(40))
    assert not set(across.asked.people[across.train]) & set(across.asked.people[across.test]) - {
        across.asked.people[40]
    }
    with pytest.raises(InputError, match="not known together of any held-out scan"):
        question(target, visits, sides, "held-out", known * NAN)


def answered(name: Name, inputs: str, value: float, spread: float = 0.1) -> Answered:
    draws = value + spread * np.linspace(-1, 1, 101)
    return Answered(name, "linear", inputs, {"r2": Scored(value, draws)})


def planted_rows(covariates: float = 0.1) -> list[dict[str, object]]:
    to, _ = small_question()
    found = [answered(Name(), COVARIATES, covariates)]
    for setting, seed, value in (("ada", "0", 0.4), ("ada", "1", 0.6), ("beta", "0", 0.3)):
        found += [
            answered(Name(setting, f"{setting}<{seed}>", seed), inputs, value) for inputs in (LATENTS, WITH + LATENTS)
        ]
    return rows_of(to, found, "beta")


def test_the_table_has_increments_seeds_and_the_baseline() -> None:
    table = table_of(planted_rows())
    index = table.set_index(["model", "inputs", "versus", "interval"])["value"]
    assert index["ada<0>", WITH + LATENTS, COVARIATES, "people"] == pytest.approx(0.3)
    assert index["mean of 2", WITH + LATENTS, COVARIATES, "people"] == pytest.approx(0.4)
    assert index["mean of 2", LATENTS, "", "seeds"] == pytest.approx(0.5)
    assert index["mean of 2", WITH + LATENTS, "baseline", "people"] == pytest.approx(0.2)
    assert index["ada<1>", LATENTS, "baseline", "people"] == pytest.approx(0.3)
    seeds = table[(table["interval"] == "seeds") & (table["inputs"] == LATENTS) & (table["versus"] == "")].iloc[0]
    assert (seeds["low"], seeds["high"]) == (pytest.approx(0.4), pytest.approx(0.6))
    assert not table[(table["setting"] == "beta")]["versus"].eq("baseline").any()
    paired = table[(table["versus"] == COVARIATES) & (table["model"] == "ada<0>")].iloc[0]
    assert paired["low"] == pytest.approx(paired["value"]), "the same draws differ by a constant"
    assert (table["people"] == 20).all()
    worse = table_of(planted_rows(covariates=-5)).set_index(["model", "inputs", "versus", "interval"])["value"]
    assert worse["ada<0>", WITH + LATENTS, COVARIATES, "people"] == pytest.approx(0.4), "less than chance is chance"


def test_the_reference_is_named_or_the_only_plain_setting() -> None:
    models = [
        Encoded(Name(setting, str(i)), np.zeros((2, 1)), shares)
        for i, (setting, shares) in enumerate((("ada", True), ("beta", False)))
    ]
    paths = [Path("a"), Path("b")]
    assert reference(models, paths, []) == "beta"
    assert reference(models, paths, [Path("a")]) == "ada"
    assert reference(models[:1], paths[:1], []) is None


def test_measures_are_described() -> None:
    visits, signals = visits_of()
    held_out = np.flatnonzero(~visits["session_id"].str.contains("run").to_numpy())
    lines, remarks = measure_lines(["ill", "age", "noise"], signals[:, [0, 1, 6]], visits, held_out, identify=True)
    assert not remarks
    found = {(line.measure, line.number): line.value.mean for line in lines}
    assert found["ill", "icc"] > 0.9
    assert abs(found["noise", "icc"]) < 0.5
    assert found["age", "between"] > 0.9
    assert found["age", "within"] + found["age", "between"] == pytest.approx(1)
    assert found["ill", "n80"] < 200 < found["noise", "n80"]
    assert found["ill", "n80_beyond_ageing"] > found["ill", "n80"] * 0.5
    assert found["age", "slope"] == pytest.approx(0.1, abs=0.03)
    assert found["all latents", "identification"] > 3 * found["all latents", "identification_chance"]
    pairs = rescan_pairs(visits, held_out)
    assert len(pairs) == PEOPLE // 2
    assert (visits["session_id"].iloc[pairs[:, 1]].to_numpy() == "ses-M000_run-2").all()
    nothing, said = measure_lines(["x"], signals[:, :1], visits.assign(diagnosis=None), held_out[:4])
    assert {line.number for line in nothing} == {"within", "between"}
    assert len(said) == 2


def study(rows: list[dict[str, object]], **more: Any) -> Study:
    base = Study(table_of(rows), ["sub-1"], 3, "held-out", "both", Plan(), "beta", (), ["a <b> & c: no."])
    return base._replace(**more)


def test_the_page_is_whole_and_escaped() -> None:
    lines = [Line("z<0>", "n80", Interval(40.0, 20, np.inf), 9), Line("z<0>", "icc", Interval(0.9, 0.8, 1), 9)]
    rows = planted_rows() + reliability_rows(Name("ada", "ada<0>", "0"), lines, 3)
    made = study(rows)
    html = page(made, sections_of(made), {"scores": b"12", "reliability": b"34"})
    assert "ada&lt;0&gt;" in html
    assert "ada<0>" not in html
    assert "a &lt;b&gt; &amp; c: no.</li>" in html
    assert html.count("data:image/png;base64,") == 2
    assert "http" not in html
    assert re.search(r"<(script|link|iframe)", html) is None
    assert "z&lt;0&gt; 40 [20, any number]" in html


def test_the_words_say_what_was_done() -> None:
    made = study(planted_rows(), protocol="train-test", residualised=("age",))
    assert "fitted to the people the encoders were trained on" in how(made)
    assert "Taken out as training controls have them: age" in how(made)
    assert "1 people are few" in how(made)
    told = sections_of(study(planted_rows()))
    added = told["What latents add to covariates"][0]
    assert "R2 0.10 by covariates, 0.30 [0.20, 0.40] by latents of beta<0>" in added
    assert "0.50 [0.41, 0.59] by latents of ada (2 seeds)" in added
    assert "ada (2 seeds) +0.40 [+0.40, +0.40] (more)" in added
    assert told["Against the baseline beta"] == ["x: ada (2 seeds) +0.20 [+0.20, +0.20] R2 (more)"]
    few = [row | {"people": 19} for row in planted_rows()]
    assert "too few people to tell" in sections_of(study(few))["What latents add to covariates"][0]
    assert all(row["setting"] != RIVAL or row["versus"] == "" for row in planted_rows())


def test_the_verb_finds_what_is_planted(clinic: Clinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--targets",
        "mmse",
        "cn_ad",
        "mmse_12m",
        "--repeats=1",
        f"--data.truth={clinic.truth}",
        f"--out={tmp_path}",
    ]
    models = [*map(str, clinic.good), "--baseline", str(clinic.blind)]
    run("predict-scores", *models, *flags)
    table = pd.read_csv(tmp_path / "scores.tsv", sep="\t", keep_default_na=False, na_values=["n/a"])
    main = table[(table["mode"] == ALL) & (table["interval"] == "people")]
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
    said = capsys.readouterr().out
    assert "40 people of the validation and test part" in said
    assert "the nearest other visit by all latents of good0" in said
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
    assert across[(across["inputs"] == LATENTS) & (across["metric"] == "r2")]["value"].min() > 0.8
    assert "Taken out" in (tmp_path / "b" / "findings.md").read_text()


def test_wrong_input_is_one_sentence(clinic: Clinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*flags: str) -> str:
        return refused(capsys, "predict-scores", str(clinic.good[0]), f"--out={tmp_path / 'out'}", *flags)

    assert "there is no target 'iq'" in said("--targets", "iq")
    assert "no table of the scans has adas13" in said("--targets", "adas13")
    assert "cannot be cut into 30 folds" in said("--targets", "cn_ad", "--folds", "30")
    assert "at least 2" in said("--folds", "1")
    assert "shoe cannot be taken out" in said("--residualise", "shoe")
    assert "no checkpoint at" in said("--baseline", str(tmp_path / "none.ckpt"))
    other = tmp_path / "other.tsv"
    names = [f"sub-{i:03d}" for i in range(PEOPLE)]
    parts = ["test"] * 30 + ["val"] * 10 + ["train"] * 20
    other.write_text("participant_id\tpart\n" + "\n".join(map("\t".join, zip(names, parts, strict=True))))
    assert "was trained on 20 of the 40 people to be tested" in said(f"--data.split_file={other}")
    assert "has none" in said(
        "--data=SyntheticData", "--data.dataset=disentangle_pl.data.sprites.Sprites", "--data.batch_size=2"
    )
    assert not list((tmp_path / "out").glob("*.html"))
