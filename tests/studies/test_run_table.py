"""Run folders as one table, whole and broken ones."""

import math
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from disentangle_pl.errors import InputError
from disentangle_pl.run_state import Claim
from disentangle_pl.studies.run_table import (
    best_first,
    check_column,
    find_runs,
    finished,
    more_is_better,
    scores,
    settings,
    tidy,
)
from disentangle_pl.yaml_text import LOADER
from tests.studies.run_folders import MIG, make_run, table

HEAD = "step,train/loss,val/loss,disentanglement/mig\n"


def row(folder: Path) -> dict[str, object]:
    """Read one run."""
    (found,) = tidy([folder]).to_dict("records")
    return {str(key): value for key, value in found.items()}


def test_a_run_is_one_row_of_state_settings_and_last_scores(tmp_path: Path) -> None:
    rows = HEAD + "1,9,8,.1\r\n5,7,6,.5\r\n6,5,,\r\n"
    folder = make_run(tmp_path / "a", seed=3, beta=4.0, rows=rows, data={"names": ["x", "y"], "pairs": None})
    found = tidy([folder])
    assert list(found.columns[:6]) == ["run", "state", "message", "seconds", "steps", "folder"]
    assert settings(found) == ["data.names", "data.pairs", "model", "model.beta", "run_id", "seed_everything"]
    assert scores(found) == ["val/loss", MIG]
    (first,) = found.to_dict("records")
    assert (first["run"], first["state"], first["seconds"], first["steps"]) == ("a", "finished", 12.5, 6)
    assert (first["val/loss"], first[MIG]) == (6, 0.5)
    assert first["model"] == "disentangle_pl.models.beta_vae.BetaVAE"
    assert (first["model.beta"], first["seed_everything"], first["data.names"]) == (4.0, 3, '["x", "y"]')
    assert first["data.pairs"] is None
    assert "train/loss" not in found


def test_runs_are_found_at_any_depth_and_counted_once(tmp_path: Path) -> None:
    for name in ("sweep/b", "sweep/a", "deep/er/a"):
        make_run(tmp_path / name)
    make_run(tmp_path / "sweep/a/inner")
    make_run(tmp_path / "sweep/wandb/not")
    make_run(tmp_path / ".hidden/not")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    assert find_runs(tmp_path) == [tmp_path / name for name in ("deep/er/a", "sweep/a", "sweep/b")]
    found = tidy([tmp_path / "sweep", tmp_path, tmp_path / "deep/er/a"])
    assert found["run"].tolist() == ["sweep/a", "b", "er/a"]


def test_the_last_value_counts_and_only_if_it_is_finite(tmp_path: Path) -> None:
    for i, last in enumerate(("nan", "inf", "-inf")):
        folder = make_run(tmp_path / str(i), rows=f"{HEAD}1,1,1,.9\n2,1,1,{last}\n")
        assert math.isnan(float(str(tidy([folder]).get(MIG, pd.Series([np.nan]))[0])))
    assert row(make_run(tmp_path / "3", rows=f"{HEAD}1,1,1,.9\n2,1,1,\n"))[MIG] == 0.9


def test_a_diverged_run_keeps_its_row_but_is_never_ranked(tmp_path: Path) -> None:
    make_run(tmp_path / "fine", rows=f"{HEAD}1,1,1,.2\n")
    make_run(tmp_path / "lost", rows=f"{HEAD}1,1,1,.9\n2,nan,,\n")
    make_run(tmp_path / "lost_on_validation", rows=f"{HEAD}1,1,inf,.9\n")
    for state in ("failed", "preempted", "running"):
        make_run(tmp_path / state, state=state, rows=f"{HEAD}1,1,1,.9\n2,nan,,\n")
    found = tidy([tmp_path]).set_index("run")
    assert found["state"].to_dict() == {
        "fine": "finished",
        "lost": "diverged",
        "lost_on_validation": "diverged",
        "failed": "failed",
        "preempted": "preempted",
        "running": "crashed",
    }
    assert found["message"]["lost"] == "the last train/loss is nan"
    assert found[MIG]["lost"] == 0.9
    assert finished(found, MIG).index.tolist() == ["fine"]
    assert best_first(found, MIG, "maximize").index[0] == "fine"


def test_a_run_at_work_is_running_whatever_its_files_look_like(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", rows=f"{HEAD}1,1,1,.2\n2,1,1,.")
    claim = Claim(folder)
    assert (row(folder)["state"], row(folder)[MIG]) == ("running", 0.2)
    (folder / "config.yaml").write_text("")
    assert row(folder)["state"] == "running"
    assert "config.yaml" in str(row(folder)["message"])
    claim.release()
    assert row(folder)["state"] == "corrupt"


def test_old_runs_count_as_finished_if_they_have_final_scores(tmp_path: Path) -> None:
    old = make_run(tmp_path / "old", state=None)
    assert row(old)["state"] == "unknown"
    (old / "scores.tsv").write_text("name\tvalue\tfloor\tceiling\nmig\t.7\t.01\t.9\nsap\t.3\tnan\t.5\n")
    found = row(old)
    assert (found["state"], found[MIG]) == ("finished", 0.5)
    assert (found["disentanglement/mig_floor"], found["disentanglement/sap"]) == (0.01, 0.3)
    assert "disentanglement/sap_floor" not in found
    (old / "scores.json").write_text('{"scores": {"sap": {"value": 0.4, "floor": null}}}')
    assert row(old)["disentanglement/sap"] == 0.4


def test_the_best_value_is_given_where_it_is_asked_for(tmp_path: Path) -> None:
    make_run(tmp_path / "a", rows=f"{HEAD}1,1,3,.9\n2,1,2,nan\n3,1,4,.2\n")
    assert "best/val/loss" not in tidy([tmp_path])
    for goal, value in (("minimize", 2), ("maximize", 4)):
        assert tidy([tmp_path], best=["val/loss"], goal=goal)["best/val/loss"].tolist() == [value]
    assert tidy([tmp_path], best=[MIG, "nowhere"])[f"best/{MIG}"].tolist() == [0.9]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.yaml", b"", "config.yaml holds no settings"),
        ("config.yaml", b"a list", "config.yaml holds no settings"),
        ("config.yaml", b"\x00\xff\x89PNG", "config.yaml cannot be read"),
        ("config.yaml", b"a: [1, 2", "config.yaml cannot be read"),
        ("config.yaml", None, "there is no config.yaml"),
        ("metrics.csv", b"", "metrics.csv is empty"),
        ("metrics.csv", HEAD.encode() + b"1,1,1,.5\n2,1,1", "metrics.csv is cut short"),
        ("metrics.csv", HEAD.encode() + b"1,1,1,.5\n2,1\n", "row of 2 cells under 4 columns"),
        ("metrics.csv", HEAD.encode() + b"1,1,1,half\n", "metrics.csv cannot be read"),
        ("metrics.csv", b"\xff\xfe\x00\n", "metrics.csv cannot be read"),
        ("metrics.csv", b"no table\n", "metrics.csv has no column step"),
        ("scores.json", b'{"scores": {"mig": ', "scores.json cannot be read"),
        ("scores.json", b"[]", "scores.json cannot be read"),
        ("scores.json", b'{"scores": {"mig": 1}}', "scores.json cannot be read"),
        ("scores.tsv", b"name\tvalue\nmig\n", "scores.tsv cannot be read"),
        ("scores.tsv", b"other\tvalue\nmig\t1\n", "scores.tsv cannot be read"),
        ("state.json", b'{"state": "fin', "state.json cannot be read"),
        ("state.json", b'{"state": "finished", "seconds": null}', "state.json cannot be read"),
        ("checkpoints/last.ckpt", b"PK\x03\x04 cut", "last.ckpt is cut short"),
    ],
)
def test_a_broken_file_makes_the_row_corrupt_and_stops_nothing(
    name: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    make_run(tmp_path / "fine")
    path = make_run(tmp_path / "broken") / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content or b"")
    if content is None:
        path.unlink()
    found = tidy([tmp_path]).set_index("run")
    assert found["state"].to_dict() == {"broken": "corrupt", "fine": "finished"}
    assert words in found["message"]["broken"]
    assert "\n" not in found["message"]["broken"]


def test_a_given_folder_without_a_run_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    make_run(tmp_path / "a")
    (tmp_path / "bare" / "plots").mkdir(parents=True)
    found = tidy([tmp_path / "bare", tmp_path / "a", tmp_path / "bare"])
    assert found[["run", "state"]].to_numpy().tolist() == [["a", "finished"], ["bare", "corrupt"]]
    assert tidy([tmp_path])["run"].tolist() == ["a"]


def test_folders_that_hold_nothing_or_folders_for_files(tmp_path: Path) -> None:
    (tmp_path / "empty" / "checkpoints").mkdir(parents=True)
    (tmp_path / "odd" / "config.yaml").mkdir(parents=True)
    (tmp_path / "odd" / "metrics.csv").mkdir()
    found = tidy([tmp_path]).set_index("run")
    assert set(found["state"]) == {"corrupt"}
    assert found["message"]["empty"] == "there is no config.yaml"
    assert "config.yaml cannot be read" in found["message"]["odd"]
    assert "metrics.csv cannot be read" in found["message"]["odd"]


def test_a_kill_may_leave_half_a_line_and_a_start_no_configuration(tmp_path: Path) -> None:
    killed = make_run(tmp_path / "killed", state="preempted", rows=f"{HEAD}1,1,1,.5\n2,1,1,.")
    assert (row(killed)["state"], row(killed)[MIG]) == ("preempted", 0.5)
    (killed / "config.yaml").unlink()
    assert row(killed)["state"] == "preempted"


def test_a_message_of_many_lines_is_one(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", state="failed")
    (folder / "state.json").write_text('{"state": "failed", "message": "Boom:\\n  all\\tgone\\n"}')
    assert row(folder)["message"] == "Boom: all gone"


def test_a_whole_checkpoint_is_fine(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "checkpoints").mkdir()
    with zipfile.ZipFile(folder / "checkpoints" / "last.ckpt", "w") as file:
        file.writestr("weights", "1")
    assert row(folder)["state"] == "finished"


def test_wrong_paths_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no run folder or export at .*nowhere"):
        tidy([tmp_path / "nowhere"])
    with pytest.raises(InputError, match=f"no run found in {tmp_path}"):
        tidy([tmp_path])
    with pytest.raises(InputError, match="no run found in nothing"):
        tidy([])
    for wrong in ("max", ""):
        with pytest.raises(InputError, match="maximize or minimize"):
            more_is_better(wrong)


def test_runs_are_ordered_best_first_and_the_rest_behind() -> None:
    found = table(score=[0.2, math.nan, 0.9, 0.5])
    found.loc[2, "state"] = "crashed"
    assert best_first(found, MIG, "maximize")["run"].tolist() == ["r3", "r0", "r1", "r2"]
    assert best_first(found, MIG, "minimize")["run"].tolist() == ["r0", "r3", "r1", "r2"]


def test_an_unknown_name_is_answered_with_those_near() -> None:
    known = ["disentanglement/mig", "disentanglement/sap", "model.beta"]
    check_column("model.beta", known, "setting")
    for name, near in (("mig", "disentanglement/mig"), ("beta", "model.beta"), ("disentanglement/spa", "ment/sap")):
        with pytest.raises(InputError, match=f"no run has the score {name}: did you mean .*{near}"):
            check_column(name, known, "score")
    with pytest.raises(InputError, match="there are disentanglement/mig, "):
        check_column("zzz", known, "score")


def test_the_fast_yaml_reader_is_used_where_it_is_there() -> None:
    assert (LOADER is getattr(yaml, "CSafeLoader", None)) == yaml.__with_libyaml__
