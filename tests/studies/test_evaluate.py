"""`disentangle-pl evaluate` through the real command line."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.studies.evaluate import _summarise, run_names
from tests.command_line import PAIRS, TINY, refused, run
from tests.metrics.golden import FOLDER, draw

FACTORS = draw((3, 4), 300)


def read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "scores.json").read_text())
    return found


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Train a tiny model and return its checkpoint."""
    flags = [*TINY, *PAIRS, "--trainer.max_epochs=1", "--disentanglement.sheet=false"]
    run("fit", *flags, f"--runs_dir={tmp_path / 'runs'}", "--run_id=one")
    return tmp_path / "runs" / "one" / "checkpoints" / "last.ckpt"


def test_codes_of_the_reference_give_its_values(tmp_path: Path) -> None:
    path = FOLDER / "edge_constant_duplicate.npz"
    if not path.is_file():
        pytest.skip(f"no reference values at {path}")
    run("evaluate", f"--codes={path}", f"--out={tmp_path}", "--references=false")
    found = read(tmp_path / "edge_constant_duplicate")
    scores, golden = {name: ends["value"] for name, ends in found["scores"].items()}, np.load(path)
    close = {
        "mig": ("mig_discrete_mig", 1e-6),
        "modularity": ("modularity_score", 1e-6),
        "irs": ("irs_IRS", 1e-6),
        "sap": ("sap_SAP_score", 1e-3),
        "dci_disentanglement": ("dci_disentanglement", 5e-3),
        "dci_completeness": ("dci_completeness", 5e-3),
        "dci_informativeness": ("dci_informativeness_test", 5e-3),
        "wasserstein_correlation": ("unsup_gaussian_wasserstein_correlation", 1e-6),
        "factor_vae_score": ("factorvae_eval_accuracy", 2e-2),
        "beta_vae_score": ("betavae_eval_accuracy", 2e-2),
    }
    for name, (key, room) in close.items():
        if key in golden:
            assert scores[name] == pytest.approx(float(golden[key]), abs=room), name
    assert (found["rows"], found["test_rows"]) == (2000, 1000)
    assert found["left_out"] == {}


def test_codes_of_any_program_are_scored_with_the_ends_of_the_scale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "mine.npz", codes=perfect_codes(FACTORS, 3), factors=FACTORS, names=["a", "b"])
    run("evaluate", "--codes", str(tmp_path / "mine.npz"), "--out", str(tmp_path / "out"), "--quick=true")
    found = read(tmp_path / "out" / "mine")
    assert found["scores"]["mig"]["value"] == found["scores"]["mig"]["ceiling"]
    assert found["scores"]["mig"]["floor"] < 0.1
    assert set(found["mig_per_factor"]) == {"a", "b"}
    assert found["versions"]["scikit-learn"]
    with (tmp_path / "out" / "mine" / "scores.tsv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert float(rows["sap"]["value"]) == found["scores"]["sap"]["value"]
    assert "modularity" in capsys.readouterr().out


def test_a_checkpoint_is_scored_on_the_data_of_its_run(trained: Path, tmp_path: Path) -> None:
    run("evaluate", str(trained), f"--out={tmp_path / 'out'}", "--quick=true", "--references=false")
    with np.load(tmp_path / "out" / "one" / "codes.npz") as codes:
        assert codes["codes"].shape == (40, 6)
        assert codes["names"].tolist() == ["shape", "scale", "x", "y"]
    with (trained.parents[1] / "scores.tsv").open(newline="") as file:
        fitted = {row["name"]: row for row in csv.DictReader(file, delimiter="\t")}
    for name, ends in read(tmp_path / "out" / "one")["scores"].items():
        assert ends["value"] == pytest.approx(float(fitted[name]["value"]), abs=1e-6), name


def test_settings_of_the_data_can_be_changed(trained: Path, tmp_path: Path) -> None:
    run("evaluate", str(trained), f"--out={tmp_path}", "--quick=true", "--references=false", "--data.eval_size=60")
    assert read(tmp_path / "one")["rows"] == 40


def test_several_checkpoints_are_compared_and_ranked(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = trained.with_name("twin.ckpt")
    twin.write_bytes(trained.read_bytes())
    run("evaluate", str(trained), str(twin), f"--out={tmp_path}", "--quick=true", "--references=false")
    with (tmp_path / "models.tsv").open(newline="") as file:
        rows = {row["score"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert {"mig", "sap", "udr"} < set(rows)
    mig = rows["mig"]
    assert mig["one-last"] == mig["one-twin"] == mig["mean"] == mig["low"] == mig["high"]
    _summarise({"a": {"mig": 0.4}, "b": {"mig": 0.6}}, tmp_path)
    (row,) = csv.DictReader((tmp_path / "models.tsv").read_text().splitlines(), delimiter="\t")
    assert [float(row[end]) for end in ("low", "high")] == pytest.approx([0.5 - 1.270620, 0.5 + 1.270620]), "t of two"
    assert "2 models" in capsys.readouterr().out


def test_wrong_inputs_are_one_sentence(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = tmp_path / "codes.npz"
    np.savez(codes, codes=np.full((9, 2), np.nan), factors=FACTORS[:9])
    assert "NaN or infinite" in refused(capsys, "evaluate", f"--codes={codes}", f"--out={tmp_path}")
    np.savez(codes, codes=np.zeros((8, 2)), factors=FACTORS[:9])
    assert "8 codes and 9 factors" in refused(capsys, "evaluate", f"--codes={codes}", f"--out={tmp_path}")
    assert "either checkpoints or --codes" in refused(capsys, "evaluate")
    assert "either checkpoints or --codes" in refused(capsys, "evaluate", str(trained), f"--codes={codes}")
    assert "no checkpoint at" in refused(capsys, "evaluate", str(tmp_path / "none.ckpt"), *TINY[:2])
    alone = tmp_path / "alone.ckpt"
    alone.write_bytes(trained.read_bytes())
    assert "give --data or --config" in refused(capsys, "evaluate", str(alone))
    shape = refused(capsys, "evaluate", str(trained), "--data.dataset.resolution=32", f"--out={tmp_path}")
    assert "shape (1, 16, 16), but the data have (1, 32, 32)" in shape
    assert "nonsense" in refused(capsys, "evaluate", str(trained), "--nonsense=1")


def test_runs_are_named_after_their_folders() -> None:
    last = Path("runs/a/checkpoints/last.ckpt")
    assert run_names([last, Path("runs/b/checkpoints/last.ckpt")]) == ["a", "b"]
    assert run_names([last, Path("runs/a/checkpoints/best.ckpt")]) == ["a-last", "a-best"]
    assert run_names([Path("x/a/checkpoints/last.ckpt"), last]) == ["0-a-last", "1-a-last"]
    assert run_names([Path("elsewhere/model.ckpt")]) == ["elsewhere"]
    for wrong in ([], [last, last]):
        with pytest.raises(InputError, match="give evaluate a checkpoint"):
            run_names(wrong)
