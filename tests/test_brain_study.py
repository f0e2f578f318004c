"""The study of brain models asks for the right runs and keeps what it has found, without training anything."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import brain_study
from benchmarks.brain_study import KEPT, METHODS, finished, first_of, main
from disentangle_pl.verbs import VERBS
from tests.command_line import ROOT

PICTURES = ("latents/latents.png", "traverse/traverse.png", "figure/ends.png")
SCAN = "counterfactual/CN/sub-1_ses-1_years+5/counterfactual.png"


@pytest.fixture
def methods(tmp_path: Path) -> Path:
    """Two seeds of every method, one of which has failed, in an order of its own."""
    rows = [
        {
            "run": f"{method}-{seed}",
            "state": "finished",
            "config": f"configs/{method}.yaml",
            "seed_everything": seed,
            "model.beta": 1.0,
        }
        for method in METHODS[::-1]
        for seed in (1, 0)
    ]
    rows[0]["state"] = "failed"
    folder = tmp_path / "brain" / "methods"
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(folder / "results.tsv", sep="\t", index=False)
    fine = folder.with_name("fine")
    fine.mkdir()
    finer = [row | {"run": f"fine-{i}"} for i, row in enumerate((rows[-1], rows[1]))]
    pd.DataFrame(finer).to_csv(fine / "results.tsv", sep="\t", index=False)
    return folder


def test_methods_are_recipes() -> None:
    assert all((ROOT / "configs" / f"{method}.yaml").is_file() for method in METHODS)


def test_runs_are_those_that_finished_by_seed_with_the_baseline_first(methods: Path) -> None:
    found = finished(methods)
    assert found["method"].tolist() == [METHODS[0], METHODS[0], METHODS[1], METHODS[1], METHODS[2]]
    assert found["seed"].tolist() == [0, 1, 0, 1, 0]
    assert found["name"].iloc[-1] == f"{METHODS[-1]}-seed0"
    assert found["checkpoint"].iloc[0] == str(methods / f"{METHODS[0]}-0" / "checkpoints" / "last.ckpt")


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
        for name in (*KEPT, *PICTURES, SCAN) if verb == "latents" else ():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()

    monkeypatch.setattr(brain_study, "call", call)
    main(
        [
            "--out",
            str(folder),
            "--sweep",
            "sweeps/brain_small.yaml",
            "--subjects",
            "9",
            "--fine",
            "sweeps/brain_fine.yaml",
            "--results",
            str(tmp_path / "kept"),
        ]
    )
    verbs = [verb for verb, *_ in called]
    assert [words[3] for words in called if words[0] == "prepare"] == [
        str(folder / "prepared"),
        str(folder / "prepared_fine"),
    ]
    assert list(dict.fromkeys(verbs)) == [
        "simulate",
        "scans",
        "prepare",
        "sweep",
        "latents",
        "traverse",
        "counterfactual",
    ]
    assert set(verbs) <= set(VERBS)
    assert [words[1] for words in called if words[0] == "sweep"] == [
        "sweeps/brain_small.yaml",
        "sweeps/brain_fine.yaml",
    ]
    figure = next(words for words in called if words[0] == "traverse" and "--titles" in words)
    assert [Path(checkpoint).parents[1].name for checkpoint in figure[1:3]] == ["fine-0", "fine-1"]
    assert (tmp_path / "kept" / "figure" / "ends.png").is_file()
    assert verbs.count("counterfactual") == 5 + 2
    assert (tmp_path / "kept" / "latents" / "findings.md").is_file()
    assert (tmp_path / "kept" / SCAN).is_file()
    assert not list((tmp_path / "kept").rglob("*.ckpt"))
