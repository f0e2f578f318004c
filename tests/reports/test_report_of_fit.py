"""`fit` leaves its report, and the verb computes what a run has not stored."""

from pathlib import Path

import pytest

from disentangle_pl import fit
from disentangle_pl.run_state import FINISHED, read_state
from tests.command_line import TINY, run
from tests.reports.folders import parsed


def _flags(folder: Path) -> list[str]:
    return [*TINY, f"--runs_dir={folder}", "--run_id=mine", "--trainer.max_epochs=1"]


def test_fit_leaves_a_report_with_latents_and_factors(tmp_path: Path) -> None:
    run("fit", *_flags(tmp_path))
    folder = tmp_path / "mine"
    page = parsed(folder / "report.html")
    assert read_state(folder).name == FINISHED
    assert "finished" in page.text
    assert "Latents and factors" in page.text
    assert len((folder / "latents.tsv").read_text().splitlines()) == 7, "a row a latent"
    assert (folder / "information.tsv").read_text().splitlines()[0].split("\t") == [
        "latent",
        "shape",
        "scale",
        "x",
        "y",
    ]
    for name in ("information.tsv", "latents.tsv"):
        (folder / name).unlink()
    run("report", str(folder))
    assert "Latents and factors" not in parsed(folder / "report.html").text
    run("report", str(folder), "--encode=true")
    assert "Latents and factors" in parsed(folder / "report.html").text


def test_a_report_that_fails_does_not_fail_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(folder: Path) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(fit, "write_own_report", fail)
    run("fit", *_flags(tmp_path))
    assert "no report: no ink" in capsys.readouterr().out
    assert read_state(tmp_path / "mine").name == FINISHED


def test_no_report_if_none_is_wanted(tmp_path: Path) -> None:
    run("fit", *_flags(tmp_path), "--report=false")
    assert not (tmp_path / "mine" / "report.html").exists()
