"""What TRIPOD+AI asks for, on tables made by hand."""

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.metrics.prediction import Plan
from disentangle_pl.metrics.prediction_folds import person_weights
from disentangle_pl.studies.clinical_ahead import visits_around
from disentangle_pl.studies.clinical_participants import (
    flow_table,
    follow_up_sentences,
    follow_up_table,
    people_table,
    size_sentences,
)
from disentangle_pl.studies.clinical_people import Sides
from disentangle_pl.studies.clinical_predictions import (
    ALONE,
    EVERYBODY,
    PLUS_VOLUMES,
    calibration_table,
    decision_table,
    main_predictions,
    subgroup_table,
)
from disentangle_pl.studies.clinical_probe import prior
from disentangle_pl.studies.clinical_targets import Target, conversion_times
from tests.studies.clinic import small_question, visits_of

NAN = np.nan


def predictions(kind: str = "class") -> pd.DataFrame:
    """Of 40 people seen twice, half of whom are ill; chances say so or nothing."""
    person = np.repeat(np.arange(40), 2)
    ill = (person % 2).astype(float)
    common: dict[str, object] = {
        "participant_id": [f"p{i}" for i in person],
        "session_id": ["a", "b"] * 40,
        "kind": kind,
    }
    common |= {"target": "cn_ad", "probe": "linear", "observed": ill, "training": 0.5}
    tables = []
    for setting, model, inputs, sure in (
        ("rival", "", "covariates", 0.0),
        ("rival", "", "covariates+volumes", 0.2),
        ("ada", "a", "latents", 0.4),
        ("ada", "a", "covariates+latents", 0.4),
        ("ada", "b", "covariates+latents", 0.3),
    ):
        chance = 0.5 + sure * np.where(ill, 1, -1) * np.where(person < 30, 1, -1)
        tables.append(pd.DataFrame(common | {"predicted": chance}).assign(setting=setting, model=model, inputs=inputs))
    return pd.concat(tables, ignore_index=True).assign(seed="")


def test_calibration_and_decisions_are_of_every_model() -> None:
    table = calibration_table(predictions()).set_index(["model", "inputs"])
    assert len(table) == 5
    assert (table["people"] == 40).all()
    (sure,) = table.loc[[("a", "covariates+latents")]].to_dict("records")
    assert sure["brier"] == pytest.approx(0.75 * 0.01 + 0.25 * 0.81)
    assert sure["slope"] == pytest.approx(np.log(3) / np.log(9)), "right for three of four, sure as for nine of ten"
    assert sure["intercept"] == pytest.approx(0, abs=1e-9)
    assert table["brier_training"].tolist() == [0.25] * 5
    quantity = calibration_table(predictions("quantity"))
    assert quantity["slope"].tolist()[2:] == pytest.approx([0.625, 0.625, 0.5 / 0.6])
    assert "brier" not in quantity
    curves = decision_table(predictions(), np.array([0.5, 0.8])).set_index(["model", "inputs", "threshold"])
    assert curves["net_benefit"]["a", "latents", 0.5] == pytest.approx(0.375 - 0.125)
    assert curves["net_benefit"]["a", "latents", 0.8] == pytest.approx(0.375 - 0.125 * 4)
    assert curves[EVERYBODY]["", "covariates", 0.8] == pytest.approx(0.5 - 0.5 * 4)
    assert decision_table(predictions("quantity")).empty


def test_the_main_predictions_are_those_of_one_model_a_setting() -> None:
    main = main_predictions(predictions())
    assert list(dict.fromkeys(main["series"])) == [ALONE, PLUS_VOLUMES, "+ latents of a"]
    ahead = predictions().replace({"covariates+latents": "score before+latents", "covariates+volumes": "score before"})
    series = main_predictions(ahead).drop_duplicates("series")
    assert dict(zip(series["series"], series["inputs"], strict=True)) == {
        ALONE: "score before",
        "+ latents of a": "score before+latents",
    }


def test_subgroups_are_of_ten_people_and_both_classes() -> None:
    people = [f"p{i}" for i in range(40)]
    visits = pd.DataFrame({"participant_id": np.repeat(people, 2), "session_id": ["a", "b"] * 40})
    number = np.repeat(np.arange(40), 2)
    visits = visits.assign(sex=np.where(number < 30, "F", "M"))
    places = pd.Series(np.where(number < 5, "small", np.where(number % 2, "ill only", "well only")))
    table = subgroup_table(predictions(), visits, places)
    table = table[(table["model"] == "a") & (table["inputs"] == "latents")]
    assert table[["subgroup", "level", "people", "value"]].to_numpy().tolist() == [
        ["sex", "F", 30, 1.0],
        ["sex", "M", 10, 0.0],
    ]
    assert list(subgroup_table(predictions(), visits, None)["subgroup"].unique()) == ["sex"]


def test_people_flow_and_follow_up_are_counted() -> None:
    visits, _ = visits_of()
    first = np.flatnonzero(~visits["session_id"].str.contains("run").to_numpy())
    number = visits["participant_id"].str.removeprefix("sub-").astype(int).to_numpy()
    sides = Sides(first[number[first] < 20], first[number[first] >= 20])
    covariates = pd.DataFrame({"age": visits["age"], "sex": visits["sex"].map({"F": 0.0, "M": 1.0})})
    table = people_table(visits, sides, covariates, visits["site"]).set_index("characteristic")
    assert table["training"][["people", "scans", "healthy", "sites"]].tolist() == ["20", "60", "7 (35%)", "3"]
    assert table["tested"][["people", "scans", "sites"]].tolist() == ["40", "120", "3"]
    target = Target("mmse_12m", False, np.where(number == 25, NAN, 1.0), baseline="mmse")
    used = pd.DataFrame({"target": "mmse_12m", "participant_id": ["sub-030"] * 2, "session_id": ["a", "b"]})
    (flow,) = flow_table([target], visits, sides, pd.concat((used, used))).to_dict("records")
    assert [
        flow[f"people_{step}"] for step in ("in_the_table", "of_the_tested_part", "with_the_target", "analysed")
    ] == [*(60, 40, 39, 1)]
    assert (flow["scans_with_the_target"], flow["scans_analysed"]) == (117, 2)
    lost = follow_up_table([target, Target("age", False, visits["age"].to_numpy())], visits, sides)
    assert lost["people"].tolist() == [39, 1]
    assert lost["age"][1] == pytest.approx(visits["age"][number == 25].min())
    assert follow_up_sentences(lost)[0].startswith("MMSE +12 mo: 1 of 40 people (2%) were not followed up")
    assert "ask for people: CN or AD" in size_sentences(predictions(), 12)[0]
    assert not size_sentences(predictions(), 0)


def test_chances_are_at_the_odds_of_the_people_fitted_to() -> None:
    to, _ = small_question()
    person = to.targets.people
    ill = (person < 5).astype(float)
    asked = to._replace(targets=to.targets._replace(target=ill, discrete=True))
    odds = prior(asked, Plan(folds=5, repeats=2))
    np.testing.assert_allclose(odds, np.full((2, 40), np.log(1 / 3)))
    train, test = np.flatnonzero(person < 10), np.flatnonzero(person >= 10)
    across = asked._replace(train=train, test=test)
    np.testing.assert_allclose(prior(across, Plan()), np.zeros((1, 20)))
    assert person_weights(person).sum() == 40


def test_times_to_conversion_are_censored_when_last_diagnosed() -> None:
    rows = [
        *(("converts", 0.0, "MCI"), ("converts", 1.0, "MCI"), ("converts", 2.0, "AD"), ("converts", 3.0, "AD")),
        *(("stays", 0.0, "MCI"), ("stays", 1.5, "CN"), ("stays", 4.0, None)),
        *(("once", 0.0, "MCI"), ("well", 0.0, "CN"), ("well", 1.0, "AD")),
    ]
    table = pd.DataFrame(rows, columns=["participant_id", "years", "diagnosis"])
    years, event = conversion_times(table, visits_around(table)[0])
    np.testing.assert_array_equal(years, [2, 1, NAN, NAN, 1.5, NAN, NAN, NAN, NAN, NAN])
    np.testing.assert_array_equal(event, [1, 1, NAN, NAN, 0, NAN, NAN, NAN, NAN, NAN])
