"""The table of a study of scores, its words and page, and how reliable measures are."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.prediction import Plan
from disentangle_pl.metrics.prediction_scores import Scored
from disentangle_pl.studies.clinical_codes import Encoded, reference
from disentangle_pl.studies.clinical_headline import called, headlines
from disentangle_pl.studies.clinical_page import summary
from disentangle_pl.studies.clinical_reliability import Line, measure_lines, rescan_pairs
from disentangle_pl.studies.clinical_report import Study, how, plainly, sections_of, write_report
from disentangle_pl.studies.clinical_table import (
    AHEAD,
    BEFORE,
    COMPARED,
    COVARIATES,
    LATENTS,
    REFITTED,
    RIVAL,
    VOLUMES,
    WITH,
    Answered,
    Name,
    reliability_rows,
    rows_of,
    table_of,
)
from disentangle_pl.studies.clinical_verdicts import EXPLORED, LESS, MORE, SAME, main_rows, verdict, with_verdicts
from disentangle_pl.studies.clinical_words import capital
from tests.studies.clinic import PEOPLE, small_question, visits_of

NAN = np.nan


def answered(name: Name, inputs: str, value: float, spread: float = 0.1) -> Answered:
    draws = value + spread * np.linspace(-1, 1, 101)
    return Answered(name, "linear", inputs, {"r2": Scored(value, draws)})


def planted_rows(covariates: float = 0.1) -> list[dict[str, object]]:
    to, _ = small_question()
    found = [answered(Name(), COVARIATES, covariates), answered(Name(), WITH + VOLUMES, 0.7)]
    for setting, seed, value in (("ada", "0", 0.4), ("ada", "1", 0.6), ("beta", "0", 0.3)):
        found += [
            answered(Name(setting, f"{setting}<{seed}>", seed), inputs, value) for inputs in (LATENTS, WITH + LATENTS)
        ]
    return rows_of(to, found, "beta")


def test_refitted_intervals_have_rows_of_their_own() -> None:
    to, _ = small_question()
    refitted = answered(Name("ada", "ada<0>", "0"), LATENTS, 0.4)._replace(refitted={"r2": Interval(0.4, -0.1, 0.9)})
    table = table_of(rows_of(to, [refitted, answered(Name("ada", "ada<1>", "1"), LATENTS, 0.6)], None))
    (row,) = table[table["interval"] == REFITTED].to_dict("records")
    assert (row["model"], row["inputs"], row["versus"], row["low"], row["high"]) == ("ada<0>", LATENTS, "", -0.1, 0.9)
    assert table[table["interval"] == "seeds"]["value"].tolist() == [pytest.approx(0.5)]


def test_the_table_has_increments_seeds_and_the_baseline() -> None:
    table = table_of(planted_rows())
    index = table.set_index(["model", "inputs", "versus", "interval"])["value"]
    assert index["ada<0>", WITH + LATENTS, COVARIATES, COMPARED] == pytest.approx(0.3)
    assert index["mean of 2", WITH + LATENTS, COVARIATES, COMPARED] == pytest.approx(0.4)
    assert index["mean of 2", LATENTS, "", "seeds"] == pytest.approx(0.5)
    assert index["mean of 2", WITH + LATENTS, "baseline", COMPARED] == pytest.approx(0.2)
    assert index["ada<1>", LATENTS, "baseline", COMPARED] == pytest.approx(0.3)
    seeds = table[(table["interval"] == "seeds") & (table["inputs"] == LATENTS) & (table["versus"] == "")].iloc[0]
    assert (seeds["low"], seeds["high"]) == (pytest.approx(0.5 - 1.270620), pytest.approx(0.5 + 1.270620))  # t of 2
    assert not table[(table["setting"] == "beta")]["versus"].eq("baseline").any()
    paired = table[(table["versus"] == COVARIATES) & (table["model"] == "ada<0>")].iloc[0]
    assert paired["low"] == pytest.approx(paired["value"]), "the same draws differ by a constant"
    assert (table["people"] == 20).all()
    beside = table[(table["versus"] == "volumes") & (table["interval"] == COMPARED)]
    assert set(beside["inputs"]) == {WITH + LATENTS}
    np.testing.assert_allclose(beside.set_index("model")["value"][["ada<0>", "ada<1>", "ada<0>"]], [-0.3, -0.1, -0.3])
    worse = table_of(planted_rows(covariates=-5)).set_index(["model", "inputs", "versus", "interval"])["value"]
    assert worse["ada<0>", WITH + LATENTS, COVARIATES, COMPARED] == pytest.approx(0.4), "less than chance is chance"


def test_only_primary_comparisons_have_a_verdict_after_holm() -> None:
    """One p of 0.03 is no verdict beside three others."""
    to, _ = small_question()
    rows: list[dict[str, object]] = []
    for target, z in (("clear", 4.5), ("so-so", 2.3), ("none", 0.5), ("worse", -5.0)):
        noise = np.random.default_rng(0).normal(size=1000) / 1.5  # 5 folds stretch a standard deviation by 1.5
        noise = (noise - noise.mean()) / noise.std(ddof=1) / 1.5
        found = [answered(Name(), COVARIATES, 0.1, 0.0)._replace(scores={"r2": Scored(0.1, np.full(1000, 0.1))})]
        for setting in ("ada", "beta"):
            scores = {"r2": Scored(0.1 + z, 0.1 + z + noise)}
            found.append(Answered(Name(setting, setting, "0"), "linear", WITH + LATENTS, scores))
        rows += [row | {"target": target} for row in rows_of(to, found, None)]
    table = with_verdicts(table_of(rows), "beta")
    main = main_rows(table)
    compared = main[main["versus"] == COVARIATES].to_dict("records")
    assert {row["target"]: verdict(row) for row in compared if row["setting"] == "ada"} == {
        **{"clear": MORE, "so-so": SAME, "none": SAME, "worse": LESS}
    }
    assert {verdict(row) for row in compared if row["setting"] == "beta"} == {EXPLORED}
    (row,) = (row for row in compared if (row["setting"], row["target"]) == ("ada", "so-so"))
    assert row["p"] == pytest.approx(0.033, abs=0.001)  # Student's t of 2.3, 19 degrees of freedom
    assert row["p_holm"] == pytest.approx(2 * row["p"])
    assert with_verdicts(table_of(measured()), None)["p_holm"].isna().all(), "of no comparison there is no verdict"


def test_the_rival_of_a_score_to_come_is_the_score_alone() -> None:
    to, _ = small_question()
    found = [answered(Name(), BEFORE, 0.5), answered(Name(), COVARIATES, 0.2), answered(Name(), AHEAD + VOLUMES, 0.4)]
    found.append(answered(Name("ada", "a", "0"), AHEAD + LATENTS, 0.6))
    table = with_verdicts(table_of(rows_of(to, found, None)), None)
    index = table.set_index(["inputs", "versus"])
    assert index["value"][AHEAD + LATENTS, BEFORE] == pytest.approx(0.1)
    assert index["value"][AHEAD + LATENTS, VOLUMES] == pytest.approx(0.2)
    assert index["value"][COVARIATES, BEFORE] == pytest.approx(-0.3)
    assert table["p_holm"].notna().sum() == 1
    line = summary(table)
    assert "R² 0.50" in line
    assert "▲ +0.10" in line
    assert headlines(table, None)[0].startswith(
        "Latents of ada, seed 0 add to covariates for 1 of 1 targets: x R² +0.10"
    )


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


def judged(rows: list[dict[str, object]], baseline: str | None = "beta") -> pd.DataFrame:
    return with_verdicts(table_of(rows), baseline)


def study(rows: list[dict[str, object]], **more: Any) -> Study:
    base = Study(judged(rows), ["sub-1"], 3, "held-out", "both", Plan(), "beta", (), ["a <b> & c: no."])
    return base._replace(**more)


def measured() -> list[dict[str, object]]:
    lines = [Line("z<0>", "n80", Interval(40.0, 20, np.inf), 9), Line("z<0>", "icc", Interval(0.9, 0.8, 1), 9)]
    volume = [Line("ml_cortex", "n80", Interval(30.0, 20, 50), 9)]
    return reliability_rows(Name("ada", "ada<0>", "0"), lines, 3) + reliability_rows(Name(), volume, 3)


def test_the_page_is_whole_and_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_report(study(planted_rows() + measured()), tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert "ada&lt;0&gt;" in html
    assert "ada<0>" not in html
    assert "A &lt;b&gt; &amp; c: no.</li>" in html
    assert html.count("data:image/png;base64,") == 2
    assert "http" not in html
    assert re.search(r"<(script|link|iframe)", html) is None
    assert "z&lt;0&gt; of ada, seed 0: 40 [20, any number]" in html
    assert html.index("In short") < html.index("<table>") < html.index("<img") < html.index("Caveats")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("scores.tsv", "findings.md", "report.html", "scores.png", "reliability.png")
    }
    assert capsys.readouterr().out.startswith("# Dementia scores from latents")


def test_a_row_of_the_page_has_what_is_added_and_how_sure_it_is() -> None:
    rows = [*planted_rows(), *(row | {"people": 19, "target": "mmse"} for row in planted_rows())]
    lines = re.findall("<tr>.*?</tr>", summary(judged(rows)))
    assert [re.sub("<.*?>", "", cell) for cell in re.findall("<th>.*?</th>", lines[0])] == [
        *("target", "covariates", "+ latents of ada (2 seeds)", "+ latents of beta, seed 0", "+ volumes"),
        *("ada less the baseline", "people"),
    ]
    assert '<td class="n">R² 0.10</td><td class="n more">▲ +0.40 [+0.40, +0.40]</td>' in lines[1]
    added = '<td class="n">+0.60 [+0.60, +0.60]</td><td class="n more">▲ +0.20 [+0.20, +0.20]</td>'
    assert lines[1].endswith(f"{added}<td>20</td></tr>")
    assert "<th>MMSE</th>" in lines[2]
    assert lines[2].count('<td class="n few">+') == 4


def test_the_headline_is_what_latents_add() -> None:
    explored = "of 1 targets; not a primary comparison, so without a verdict"
    told = headlines(judged(planted_rows() + measured()), "beta")
    assert told == [
        "Latents of ada (2 seeds) add to covariates for 1 of 1 targets: x R² +0.40 [+0.40, +0.40]",
        f"Latents of beta, seed 0, added to covariates: above 0 for 1 {explored}",
        f"Latents of ada (2 seeds) against volumes, each added to covariates: above 0 for 0 {explored}",
        "Latents of ada (2 seeds) against the baseline (beta), each added to covariates: more for x "
        "(+0.20 [+0.20, +0.20])",
        "Of a rescan the latents of ada say the same with a median ICC of 0.90 (0.90 to 0.90, 1 latents of 1 models)",
        "To show a slowing by 25 % a trial needs 40 people per arm by the best of 1 latents (z<0> of ada, seed 0), 30 "
        "by cortex; the best was chosen on these very people",
    ]
    few = headlines(judged([row | {"people": 19} for row in planted_rows()], None), None)
    assert few[0] == "Latents of ada (2 seeds) add nothing certain to covariates for any of 1 targets"
    assert few[2] == "Latents of ada (2 seeds) against volumes, each added to covariates: too few people for 1"
    worse = headlines(judged(planted_rows(covariates=0.9), None), None)[0]
    assert worse.endswith("; they take away from x")


def test_a_sentence_begins_with_a_capital_and_a_name_as_it_is_written() -> None:
    assert [capital(words) for words in ("site AUC", "b48 against", "mmse_24m: 1", "")] == [
        *("Site AUC", "b48 against", "mmse_24m: 1", "")
    ]


def test_settings_are_called_by_what_tells_them_apart() -> None:
    ada, plain = "aggregation=AdaGVAE, batch_size=4", "aggregation=null, batch_size=8"
    assert called([ada, plain]) == {ada: "AdaGVAE", plain: "plain model"}
    betas = ["aggregation=null, beta=1", "aggregation=null, beta=4"]
    assert list(called(betas).values()) == ["beta=1", "beta=4"]
    assert called(["model"]) == {"model": "model"}
    three = [
        f"aggregation={a}, batch_size={b}, pairs={p}" for a, b, p in (("AdaGVAE", 4, 1), ("null", 4, 1), ("null", 8, 0))
    ]
    three = [name.replace("=1", "=true").replace("=0", "=false") for name in three]
    assert list(called(three).values()) == ["AdaGVAE", "plain model, pairs=true", "plain model, pairs=false"]
    assert called([ada, "other"]) == {ada: ada, "other": "other"}
    made = plainly(study([row | {"setting": row["setting"].replace("ada", ada)} for row in planted_rows()]))  # type: ignore[attr-defined]
    assert set(made.table["setting"]) == {RIVAL, ada, "beta"}


def test_the_words_say_what_was_done() -> None:
    made = study(planted_rows(), protocol="train-test", residualised=("age",))
    assert "fitted to the people the encoders were trained on" in how(made)
    assert "Taken out as training controls have them: age" in how(made)
    assert "1 people are few" in how(made)
    told = sections_of(study(planted_rows()))
    added = told["What latents add to covariates"][0]
    assert "R² 0.10 by covariates, 0.50 [0.41, 0.59] by latents of ada (2 seeds), 0.30 [0.20, 0.40] by" in added
    assert "ada (2 seeds) +0.40 [+0.40, +0.40] (more)" in added
    assert told["Against the baseline beta"] == ["x: ada (2 seeds) +0.20 [+0.20, +0.20] R² (more)"]
    assert "within 2 years and 3 months of a scan" in told["How it was done"][1]
    few = [row | {"people": 19} for row in planted_rows()]
    assert "too few people to tell" in sections_of(study(few))["What latents add to covariates"][0]


def test_the_slope_of_few_patients_has_the_interval_of_student() -> None:
    own = np.array([0.2, 0.5, 0.1, 0.9, 0.3, 0.4])  # of six patients seen twice, a year apart
    names = [f"sub-{i}" for i in range(6) for _ in range(2)]
    visits = pd.DataFrame({"participant_id": names, "session_id": ["ses-M000", "ses-M012"] * 6})
    visits = visits.assign(years=[70.0, 71.0] * 6, diagnosis="AD")
    values = np.array([[0.0, slope] for slope in own]).reshape(-1, 1)
    lines, _ = measure_lines(["x"], values, visits, np.arange(12))
    (found,) = [line.value for line in lines if line.number == "slope"]
    half = 2.570582 * own.std(ddof=1) / 6**0.5
    assert found == pytest.approx((own.mean(), own.mean() - half, own.mean() + half), rel=1e-6)
