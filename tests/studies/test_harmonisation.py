"""ComBat as the verbs offer it: who is fitted to, what is refused, and what is written."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.harmonisation import (
    AFTER,
    BEFORE,
    TABLE,
    Harmonisation,
    auc_line,
    batches_of,
    fitted,
    sentences_of,
    without_sites,
    write_lines,
)
from tests.command_line import refused, run
from tests.studies.brain_runs import HELD_OUT, PEOPLE, Runs

SITE = Harmonisation("site")


def table(people: int = 60) -> tuple[pd.DataFrame, Values]:
    """Two visits a person; site b adds 4 to all codes; every third person is ill, which lowers the first code."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(people), 2)
    age = rng.uniform(60, 80, people)[who] + np.tile([0.0, 1.0], people)
    visits = pd.DataFrame(
        {
            "participant_id": [f"sub-{person:02d}" for person in who],
            "age": age,
            "years": np.tile([0.0, 1.0], people),
            "sex": np.array(["F", "M"])[who // 2 % 2],
            "site": pd.Series(np.array(["a", "b"])[who % 2], dtype=object),
            "diagnosis": np.where(who % 3 == 2, "Dementia", "CN"),
        }
    )
    codes = rng.normal(size=(people, 3))[who] + 0.3 * rng.normal(size=(2 * people, 3)) - 0.1 * (age[:, None] - 70)
    codes[:, 0] -= 2.0 * (who % 3 == 2)
    return visits, codes + 4.0 * (who % 2 == 1)[:, None]


def test_only_controls_in_training_are_fitted_to() -> None:
    visits, codes = table()
    train = np.arange(80)
    batches = batches_of(SITE, visits, train)
    assert set(visits["diagnosis"].iloc[batches.fit]) == {"CN"}
    assert batches.fit.max() < 80
    assert "54 training scans with diagnosis CN, of 27 people at 2 sites; what stays in: age, sex" in batches.remarks[0]
    moved = codes.copy()
    moved[80:] += np.random.default_rng(1).normal(size=moved[80:].shape)
    moved[visits["diagnosis"] == "Dementia"] *= 3
    for part, same in zip(fitted(codes, batches), fitted(moved, batches), strict=True):
        np.testing.assert_array_equal(part, same)
    everybody = batches_of(Harmonisation("site", controls=None), visits, train)
    assert len(everybody.fit) == 80


def test_a_site_and_no_illness_is_taken_out_of_held_out_people() -> None:
    visits, codes = table()
    batches = batches_of(SITE, visits, np.arange(60))
    rows = np.arange(60, 120)
    done, remarks = without_sites(codes, batches, rows)
    assert not remarks
    before, after = (
        auc_line("m", "latents", stage, values[rows], batches, rows)
        for stage, values in ((BEFORE, codes), (AFTER, done))
    )
    assert before["site_auc"] == pytest.approx(1, abs=0.02)
    assert float(str(after["site_auc"])) < 0.7
    ill = (visits["diagnosis"] == "Dementia").to_numpy()[rows]
    true = codes[rows] - 4.0 * (visits["site"] == "b").to_numpy()[rows][:, None]
    expected = true[ill, 0].mean() - true[~ill, 0].mean()
    assert done[rows][ill, 0].mean() - done[rows][~ill, 0].mean() == pytest.approx(expected, abs=0.2)


def test_scans_that_are_not_covered_are_refused_or_kept_with_a_word() -> None:
    visits, codes = table()
    visits.loc[100:103, "site"] = "new"
    visits.loc[104, "site"] = None
    visits.loc[106, "age"] = np.nan
    with pytest.raises(InputError, match=r"out of 6 scans of 4 people: sites without 2 people in the fit \(new\)"):
        without_sites(codes, batches_of(SITE, visits, np.arange(60)), np.arange(60, 120))
    kept = batches_of(Harmonisation("site", unknown="keep"), visits, np.arange(60))
    done, remarks = without_sites(codes, kept, np.arange(60, 120))
    assert remarks[0].endswith(
        "scans without a covariate, or with a value that nobody in the fit has; they stay as they are"
    )
    still = [*range(100, 105), 106]
    np.testing.assert_array_equal(done[still], codes[still])
    assert (done[[99, 105, 107]] != codes[[99, 105, 107]]).all()
    assert not without_sites(codes, batches_of(SITE, visits, np.arange(60)), np.arange(60, 99))[1]


def test_a_site_of_one_person_is_not_fitted() -> None:
    visits, _ = table()
    visits.loc[:1, "site"] = "lonely"
    batches = batches_of(SITE, visits, np.arange(60))
    assert batches.fit.min() == 2
    words = "leaves out of its fit each site with one person of the training scans with diagnosis CN"
    assert words in batches.remarks[-1]
    everybody = batches_of(Harmonisation("site", controls=None), visits, np.arange(60)).remarks[-1]
    assert everybody.endswith("with one person of the training scans, whom nobody tells from it: lonely")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Harmonisation("scanner"), "needs the column scanner, and the tables of the scans have participant_id"),
        (Harmonisation("site", ("weight",)), "needs the column weight"),
        (Harmonisation("sex", ("site", "sex")), "cannot be told apart"),
        (Harmonisation("site", ("age", "diagnosis")), "diagnosis is the same in all controls"),
        (Harmonisation("site", controls="XY"), "no scan has the diagnosis XY: there are CN; Dementia"),
        (Harmonisation("one"), "needs two sites with 2 people of the training scans with diagnosis CN"),
    ],
)
def test_wrong_settings_are_one_sentence(settings: Harmonisation, said: str) -> None:
    visits, codes = table()
    with pytest.raises(InputError, match=said):
        fitted(codes, batches_of(settings, visits.assign(one="x"), np.arange(60)))


def test_settings_without_a_batch_are_refused() -> None:
    assert Harmonisation().batch is None
    with pytest.raises(InputError, match=r"--combat.controls is of no use without --combat.batch"):
        Harmonisation(controls="MCI")


def test_the_table_says_unknown_where_nobody_can_tell(tmp_path: Path) -> None:
    visits, codes = table(8)
    batches = batches_of(SITE, visits, np.arange(16))
    line = auc_line("", "latents", BEFORE, codes[:8], batches, np.arange(8))
    write_lines([line], tmp_path)
    assert sentences_of([line]) == [
        "site AUC of latents, before unknown (chance 0.5; 0 sites with enough of 4 held-out people)"
    ]
    assert pd.read_csv(tmp_path / TABLE, sep="\t")["site_auc"].isna().all()


def test_a_fit_to_few_people_that_marks_sites_is_warned_of() -> None:
    rng = np.random.default_rng(0)
    visits, _ = table(60)
    codes = rng.normal(size=(60, 12))[np.repeat(np.arange(60), 2)] + 0.3 * rng.normal(size=(120, 12))
    batches = batches_of(SITE, visits, np.arange(12))
    assert "ComBat knows the smallest site by 2 of these people: below 20" in batches.remarks[1]
    rows = np.arange(12, 120)
    done, _ = without_sites(codes, batches, rows)
    lines = [
        auc_line("", "latents", BEFORE, codes[rows], batches, rows),
        auc_line("", "latents", AFTER, done[rows], batches, rows),
    ]
    assert sentences_of(lines)[1].startswith("**ComBat has made the sites of latents easier to tell**")
    assert len(sentences_of([{**lines[1], "stage": BEFORE}, {**lines[0], "stage": AFTER}])) == 1


def test_latents_without_sites(brain_runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scans = pd.read_csv(brain_runs.scans, sep="\t", na_values=["n/a"])
    number = scans["participant_id"].factorize()[0]
    scans.assign(site=np.array(["a", "b"])[number % 2]).to_csv(
        tmp_path / "scans.tsv", sep="\t", index=False, na_rep="n/a"
    )
    flags = [str(brain_runs.shared), f"--data.root={tmp_path / 'scans.tsv'}", f"--data.truth={brain_runs.truth}"]
    flags += [f"--out={tmp_path / 'out'}", "--data.factors=[ml_ventricles,gain,age,years]"]
    combat = ["--combat.batch=site", "--combat.covariates=[age]", "--combat.controls=null"]
    run("latents", *flags, *combat)
    said = capsys.readouterr().out
    assert f"of {PEOPLE - HELD_OUT - 1} people at 2 sites; what stays in: age, and the person" in said
    found = pd.read_csv(tmp_path / "out" / TABLE, sep="\t")
    assert found["stage"].tolist() == [BEFORE, AFTER]
    assert found["people"].tolist() == [HELD_OUT, HELD_OUT]
    assert "--combat.unknown is of no use without --combat.batch" in refused(
        capsys, "latents", *flags, "--combat.unknown=keep"
    )
    assert "no scan has the diagnosis XY" in refused(capsys, "latents", *flags, *combat[:2], "--combat.controls=XY")
