"""The study of brain models asks for the right runs and keeps what it has found, without training anything."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import brain_study
from benchmarks.brain_study import KEPT, METHODS, checkpoints, first_of, main
from disentangle_pl.cli import VERBS
from tests.command_line import ROOT


@pytest.fixture
def methods(tmp_path: Path) -> Path:
    """Two seeds of every method, one of which has failed, in an order of its own."""
    rows = [
        {"run": f"{method}-{seed}", "state": "finished", "config": f"configs/{method}.yaml", "seed_everything": seed}
        for method in METHODS[::-1]
        for seed in (1, 0)
    ]
    rows[0]["state"] = "failed"
    folder = tmp_path / "brain" / "methods"
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(folder / "results.tsv", sep="\t", index=False)
    return folder


def test_methods_are_recipes() -> None:
    assert all((ROOT / "configs" / f"{method}.yaml").is_file() for method in METHODS)


def test_checkpoints_are_those_of_finished_runs_by_seed_with_the_baseline_first(methods: Path) -> None:
    found = checkpoints(methods)
    assert list(found) == list(METHODS)
    assert [path.parent.parent.name for path in found[METHODS[0]]] == [f"{METHODS[0]}-0", f"{METHODS[0]}-1"]
    assert [path.parent.parent.name for path in found[METHODS[-1]]] == [f"{METHODS[-1]}-0"]


def test_a_held_out_participant_is_chosen(tmp_path: Path) -> None:
    scans = {"participant_id": ["sub-1", "sub-2", "sub-3"], "diagnosis": ["CN", "CN", "Dementia"]}
    pd.DataFrame(scans).to_csv(tmp_path / "scans.tsv", sep="\t", index=False)
    (tmp_path / "split.tsv").write_text("# hash\nparticipant_id\tpart\nsub-1\ttrain\nsub-2\ttest\nsub-3\ttest\n")
    assert first_of(tmp_path, "CN") == "sub-2"
    with pytest.raises(SystemExit, match="Alzheimer"):
        first_of(tmp_path, "Alzheimer")


def test_all_steps_in_order_and_what_is_kept(methods: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, called = methods.parent, []

    def call(verb: str, *args: object, **_: object) -> None:
        called.append([verb, *map(str, args)])
        if verb == "scans":
            pd.DataFrame({"participant_id": ["sub-1", "sub-2"], "diagnosis": ["CN", "Dementia"]}).to_csv(
                folder / "scans.tsv", sep="\t", index=False
            )
            (folder / "split.tsv").write_text("# hash\nparticipant_id\tpart\nsub-1\ttest\nsub-2\ttest\n")
        for name in (KEPT + ("latents/latents.png", "traverse/traverse.png")) if verb == "latents" else ():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()

    monkeypatch.setattr(brain_study, "call", call)
    main(["--out", str(folder), "--runs", "6", "--subjects", "9", "--results", str(tmp_path / "kept")])
    verbs = [verb for verb, *_ in called]
    assert list(dict.fromkeys(verbs)) == [
        "simulate",
        "scans",
        "prepare",
        "sweep",
        "latents",
        "traverse",
        "counterfactual",
    ]
    assert set(verbs) <= {*VERBS, "sweep"}
    assert called[3][called[3].index("--count") + 1] == "6"
    assert verbs.count("counterfactual") == 5 + 2
    assert (tmp_path / "kept" / "latents" / "findings.md").is_file()
    assert not list((tmp_path / "kept").rglob("*.ckpt"))
