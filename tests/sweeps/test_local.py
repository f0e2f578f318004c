"""`disentangle-pl sweep` through the real command line."""

import csv
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from tests.command_line import TINY, refused, run
from tests.sweeps.test_engine import FAKE
from tests.warm_python import warm_python

OWN = ["${env}", "${interpreter}", "-m", "disentangle_pl", "fit", *TINY, "--trainer.max_epochs=1", "${args}"]


def sweep_file(folder: Path, parameters: dict[str, Any], command: list[str]) -> Path:
    """Write a grid sweep; lists are swept."""
    path = folder / "question.yaml"
    made = {"method": "grid", "command": command, "parameters": {key: {"values": v} for key, v in parameters.items()}}
    path.write_text(yaml.safe_dump(made | {"metric": {"name": "disentanglement/mig", "goal": "maximize"}}))
    return path


def sweep(*args: str) -> int:
    """Run the verb in this process and return its exit code."""
    with pytest.raises(SystemExit) as stop:
        run("sweep", *args)
    assert isinstance(stop.value.code, int)
    return stop.value.code


def table(folder: Path) -> list[dict[str, str]]:
    """Read the results."""
    with (folder / "results.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_a_sweep_leaves_a_table_best_first_and_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", warm_python())
    path = sweep_file(tmp_path, {"model.beta": [1.0, 8.0], "seed_everything": [3]}, OWN)
    assert sweep(str(path), f"--out={tmp_path / 'out'}") == 0
    rows = table(tmp_path / "out")
    assert [row["state"] for row in rows] == ["finished"] * 2
    assert {row["model.beta"] for row in rows} == {"1.0", "8.0"}
    scores = [float(row["disentanglement/mig"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert all(float(row["val/nll"]) > 0 for row in rows)
    assert all(float(row["best"]) >= float(row["disentanglement/mig"]) for row in rows)
    for row in rows:
        saved = yaml.safe_load((tmp_path / "out" / row["run"] / "config.yaml").read_text())
        assert saved["model"]["init_args"]["beta"] == float(row["model.beta"])
        assert saved["seed_everything"] == 3
    assert {path.name for path in (tmp_path / "out").glob("*.png")} >= {"parallel.png", "versus_model.beta.png"}
    said = capsys.readouterr().out
    assert "results.tsv" in said
    assert "finished model.beta=8" in said


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"model.betaa": [1.0]}, ["betaa", "not accepted"]),
        ({"model.beta": [1.0, "much"]}, ["beta", "much"]),
        ({"model": ["BetaVAE", "NopeVAE"]}, ["NopeVAE"]),
        ({"seed_everything": [0, 1, 2, 1.5]}, ["seed_everything", "1.5"]),
    ],
    ids=str,
)
def test_a_key_or_value_that_no_flag_takes_fails_before_the_first_run(
    parameters: dict[str, Any], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "sweep", str(sweep_file(tmp_path, parameters, OWN)), f"--out={tmp_path / 'out'}")
    assert all(word in said for word in words), said
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_what_would_run_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = sweep_file(tmp_path, {"model.beta": [1.0, 8.0], "seed_everything": [0, 1, 2]}, OWN)
    assert sweep(str(path), f"--out={tmp_path / 'out'}", "--dry_run=true") == 0
    said = capsys.readouterr().out
    assert said.startswith("6 runs")
    assert "--model.beta=1.0 --seed_everything=0" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("flag", "word"), [("--count=0", "--count"), ("--parallel=0", "--parallel")])
def test_wrong_numbers_are_one_sentence(
    flag: str, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert word in refused(capsys, "sweep", str(sweep_file(tmp_path, {"a": [1]}, FAKE)), flag)


def test_an_environment_variable_that_is_not_set_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCANS", raising=False)
    path = sweep_file(tmp_path, {"slope": [1]}, [*FAKE, "--root=${envvar:SCANS}"])
    assert "export SCANS=" in refused(capsys, "sweep", str(path))


def test_another_file_for_the_same_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = f"--out={tmp_path / 'out'}"
    assert sweep(str(sweep_file(tmp_path, {"slope": [1]}, FAKE)), where) == 0
    said = refused(capsys, "sweep", str(sweep_file(tmp_path, {"slope": [2]}, FAKE)), where)
    assert "parameters differ" in said


def test_any_file_name_makes_run_ids(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, {"slope": [1]}, FAKE).rename(tmp_path / ".β sweep (2).yaml")
    assert sweep(str(path), f"--out={tmp_path / 'out'}") == 0
    assert table(tmp_path / "out")[0]["run"].startswith("sweep-2-")


def test_two_coordinators_never_share_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = sweep_file(tmp_path, {"slope": [1]}, FAKE)
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".sweep"):
        assert "another process is running the sweep" in refused(
            capsys, "sweep", str(path), f"--out={tmp_path / 'out'}"
        )
    assert sweep(str(path), f"--out={tmp_path / 'out'}") == 0


def test_failed_runs_are_in_the_table_and_never_first(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, {"slope": [5, 1], "end": [3, 0]}, [*FAKE[:-1], "--steps=2", "${args}"])
    text = path.read_text().replace("disentanglement/mig", "val/score")
    path.write_text(text)
    assert sweep(str(path), f"--out={tmp_path / 'out'}") == 0
    rows = table(tmp_path / "out")
    assert [row["state"] for row in rows] == ["finished", "finished", "failed", "failed"]
    assert [row["val/score"] for row in rows] == ["10.0", "2.0", "", ""]
    assert "told to end" in rows[-1]["message"]


def test_runs_of_another_program_are_not_called_corrupt(tmp_path: Path) -> None:
    write = "printf 'loss,accuracy\\n3,0.5\\n' > $DISENTANGLE_PL_RUNS_DIR/$WANDB_RUN_ID/metrics.csv"
    other = ["sh", "-c", write, "${args}"]
    path = sweep_file(tmp_path, {"slope": [1, 2]}, other)
    path.write_text(path.read_text().replace("disentanglement/mig", "accuracy"))
    assert sweep(str(path), f"--out={tmp_path / 'out'}") == 0
    rows = table(tmp_path / "out")
    assert [row["state"] for row in rows] == ["finished"] * 2
    assert [row["accuracy"] for row in rows] == ["0.5"] * 2


def test_a_run_whose_folder_is_damaged_afterwards_loses_its_rank(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, {"slope": [1, 2]}, FAKE)
    path.write_text(path.read_text().replace("disentanglement/mig", "val/score"))
    assert sweep(str(path), f"--out={tmp_path / 'out'}") == 0
    best = table(tmp_path / "out")[0]
    assert best["slope"] == "2"
    (tmp_path / "out" / best["run"] / "config.yaml").write_text("model: [")
    assert sweep(str(path), f"--out={tmp_path / 'out'}") == 0
    (damaged,) = [row for row in table(tmp_path / "out") if row["slope"] == "2"]
    assert damaged["state"] == "corrupt"
    assert damaged["val/score"] == ""
    assert "config.yaml" in damaged["message"]


def test_a_journal_goes_on_where_the_folders_of_its_runs_are_not(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, {"slope": [1, 3, 2]}, FAKE)
    path.write_text(path.read_text().replace("disentanglement/mig", "val/score"))
    out = f"--out={tmp_path / 'out'}"
    assert sweep(str(path), out, "--count=2") == 0
    before = {row["run"]: row for row in table(tmp_path / "out")}
    for name in before:
        shutil.rmtree(tmp_path / "out" / name)
    assert sweep(str(path), out) == 0
    after = table(tmp_path / "out")
    assert len(after) == 3
    for row in after:
        known = before.get(row["run"], row)
        assert known == row
    scores = [float(row["val/score"]) for row in after]
    assert scores == sorted(scores, reverse=True)


def test_on_a_terminal_the_table_is_live(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, {"slope": [1, 2]}, [*FAKE[:-1], "--steps=3", "--pause=0.3", "${args}"])
    path.write_text(path.read_text().replace("disentanglement/mig", "val/score"))
    master, slave = pty.openpty()
    command = [warm_python(), "-m", "disentangle_pl", "sweep", str(path), f"--out={tmp_path / 'out'}"]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "140"}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    said = b""
    while True:
        try:
            said += os.read(master, 65536)
        except OSError:  # the other end has gone
            break
    os.close(master)
    assert process.wait(timeout=60) == 0
    text = said.decode(errors="replace")
    assert "running" in text
    assert "2/2 runs" in text
    assert "best val/score 6" in text
