"""`disentangle-pl runs` through the real command line."""

import csv
import shutil
from pathlib import Path

import pandas as pd
import pytest

from disentangle_pl.studies.run_table import tidy
from tests.command_line import TINY, refused, run
from tests.studies.run_folders import MIG, make_run

HEAD = "step,train/loss,val/loss,disentanglement/mig\n"


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Write six runs: two strengths with two seeds each, one that diverged after a fine score, one that is broken."""
    folder = tmp_path / "runs"
    for beta, scores in ((1, (0.2, 0.4)), (4, (0.5, 0.7))):
        for seed, mig in enumerate(scores):
            make_run(folder / f"b{beta}-s{seed}", beta=beta, seed=seed, rows=f"{HEAD}1,9,{mig * 10},{mig}\n")
    make_run(folder / "lost", beta=4, seed=2, rows=f"{HEAD}1,9,9,.99\n2,nan,,\n")
    (make_run(folder / "broken", beta=1, seed=3) / "config.yaml").write_bytes(b"\x00")
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_runs_are_listed_best_first(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("runs", str(sweep), f"--out={tmp_path / 'out'}")
    said = capsys.readouterr().out
    rows = read(tmp_path / "out" / "runs.tsv")
    assert [row["run"] for row in rows] == ["b4-s1", "b4-s0", "b1-s1", "b1-s0", "broken", "lost"]
    assert [row["state"] for row in rows[4:]] == ["corrupt", "diverged"]
    assert rows[0]["model.beta"] == "4"
    listed = [line.split("│")[1].strip() for line in said.splitlines() if line.startswith("│") and "finished" in line]
    assert listed == ["b4-s1", "b4-s0", "b1-s1", "b1-s0"]
    assert "6 runs, 4 of them ranked" in said
    assert "not ranked: lost (diverged): the last train/loss is nan" in said
    assert "not ranked: broken (corrupt): config.yaml cannot be read" in said
    groups = {row["model.beta"]: row for row in read(tmp_path / "out" / "groups.tsv") if row["score"] == MIG}
    assert set(groups) == {"1", "4"}
    assert (groups["4"]["n"], groups["4"]["runs"]) == ("2", "3")
    assert float(groups["4"]["mean"]) == pytest.approx(0.6)
    ends = [float(groups["4"][end]) for end in ("low", "high")]
    assert ends == pytest.approx([0.6 - 1.27062, 0.6 + 1.27062], abs=1e-5)  # .5 and .7, t of one degree of freedom
    assert tidy([tmp_path / "out" / "runs.tsv"])["run"].tolist() == [row["run"] for row in rows]


def test_a_copy_of_a_run_counts_once_and_that_is_said(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(sweep / "b4-s0", tmp_path / "kept" / "b4-s0")
    run("runs", str(sweep), str(tmp_path / "kept"), f"--out={tmp_path / 'out'}")
    said = capsys.readouterr().out
    assert f"counted once: {tmp_path / 'kept' / 'b4-s0'} has the settings and the seed of {sweep / 'b4-s0'}" in said
    groups = {row["model.beta"]: row for row in read(tmp_path / "out" / "groups.tsv") if row["score"] == MIG}
    assert (groups["4"]["n"], groups["4"]["runs"]) == ("2", "3")


def test_another_score_and_goal(sweep: Path, tmp_path: Path) -> None:
    how = [f"--out={tmp_path}", "--metric", "val/loss", "--goal", "minimize"]
    run("runs", str(sweep), *how)
    assert [row["run"] for row in read(tmp_path / "runs.tsv")][:4] == ["b1-s0", "b1-s1", "b4-s0", "b4-s1"]
    run("runs", str(sweep), f"--out={tmp_path}", f"--metric=best/{MIG}")
    assert float(read(tmp_path / "runs.tsv")[0][f"best/{MIG}"]) == 0.7


def test_groups_by_what_is_asked_for(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("runs", str(sweep), f"--out={tmp_path}", "--by", "seed_everything", "model", "--all=true")
    groups = [row for row in read(tmp_path / "groups.tsv") if row["score"] == MIG]
    assert {row["seed_everything"]: row["n"] for row in groups} == {"0": "2", "1": "2", "2": "0"}
    assert "seed_" in capsys.readouterr().out


def test_pictures_on_request(sweep: Path, tmp_path: Path) -> None:
    run("runs", str(sweep), f"--out={tmp_path}", "--plots=true")
    assert {path.name for path in tmp_path.glob("*.png")} == {"parallel.png", "importance.png", "versus_model.beta.png"}


def test_one_run_alone_is_fine(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("runs", str(sweep / "b1-s0"), f"--out={tmp_path}", "--udr=true")
    said = capsys.readouterr().out
    assert "1 runs, 1 of them ranked" in said
    assert "UDR selects nothing" in said


def test_udr_of_trained_runs_and_what_it_is_worth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = [f"--runs_dir={tmp_path / 'runs'}", "--trainer.max_epochs=1", "--disentanglement.references=false"]
    for beta in (1, 2):
        for seed in (0, 1):
            run("fit", *TINY, *where, f"--model.beta={beta}", f"--seed_everything={seed}", f"--run_id=b{beta}-s{seed}")
    capsys.readouterr()
    out = tmp_path / "out"
    run("runs", str(tmp_path / "runs"), f"--out={out}", "--udr=true")
    said = capsys.readouterr().out
    assert "UDR selects beta=" in said
    assert "with fewer its ranks are uncertain" in said
    assert "has a mean disentanglement/mig of" in said
    assert "2 configurations are too few for a rank correlation" in said
    configurations = read(out / "udr.tsv")
    assert [row["seeds"] for row in configurations] == ["2", "2"]
    assert {row["model.beta"] for row in configurations} == {"1.0", "2.0"}
    assert {row["runs"] for row in configurations} >= {configurations[0]["runs"]}
    runs = pd.read_csv(out / "runs.tsv", sep="\t")
    for row in configurations:
        mine = runs[runs["model.beta"] == float(row["model.beta"])]
        assert float(row["udr"]) == pytest.approx(mine["udr"].median())
        assert float(row["metric"]) == pytest.approx(mine[MIG].mean())
    remembered = sorted((path.name, path.stat().st_mtime_ns) for path in (out / "codes").iterdir())
    assert len(remembered) == 4
    run("runs", str(tmp_path / "runs"), f"--out={out}", "--udr=true")
    assert sorted((path.name, path.stat().st_mtime_ns) for path in (out / "codes").iterdir()) == remembered


def test_wrong_input_is_one_sentence(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = f"--out={tmp_path / 'out'}"
    (tmp_path / "empty").mkdir()
    assert "no run found in" in refused(capsys, "runs", str(tmp_path / "empty"), out)
    assert "no run folder or export at" in refused(capsys, "runs", str(tmp_path / "nowhere"), out)
    assert "did you mean disentanglement/mig" in refused(capsys, "runs", str(sweep), "--metric=mig", out)
    assert "setting beta: did you mean model.beta" in refused(capsys, "runs", str(sweep), "--by", "beta", out)
    assert "goal" in refused(capsys, "runs", str(sweep), "--goal=upwards", out)
    assert "runs" in refused(capsys, "runs")
    assert not (tmp_path / "out").exists()


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("runs", "--help")
    assert stop.value.code == 0
    assert "\n    disentangle-pl runs runs/zoo --by model" in capsys.readouterr().out
