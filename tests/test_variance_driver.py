"""The study of variance asks for the right steps, measures what is new and keeps what it has found."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import variance_study
from benchmarks.variance_study import EXAMPLES, KEPT, SCORE, main
from disentangle_pl.verbs import VERBS
from tests.command_line import ROOT


def test_examples_are_data_sets() -> None:
    assert all((ROOT / "configs" / "data" / f"{name}.yaml").is_file() for name in EXAMPLES)


def test_all_steps_in_order_and_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, called, measured = tmp_path / "variance", [], []

    def call(verb: str, *args: object, **_: object) -> None:
        called.append([verb, *map(str, args)])
        out = Path(str(args[list(args).index("--out") + 1]))
        out.mkdir(parents=True, exist_ok=True)
        (out / "found.tsv").touch()
        if verb == "sweep":
            rows = {"run": ["a", "b", "c"], "state": ["finished", "failed", "finished"], SCORE: [0.1, 0.9, 0.4]}
            pd.DataFrame(rows).to_csv(out / "results.tsv", sep="\t", index=False)
        if verb == "study":
            rows = {"data_set": ["ColourSize"], "model": ["BetaVAE"], "strength": [1.0]}
            pd.DataFrame(rows).to_csv(out / "runs.tsv", sep="\t", index=False)
        for name in KEPT:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if not (folder / name).exists():
                (folder / name).touch()

    def variance(words: list[str]) -> None:
        measured.append(words[1])
        Path(words[3]).mkdir(parents=True)

    monkeypatch.setattr(variance_study, "call", call)
    monkeypatch.setattr(variance_study, "variance", variance)
    (folder / "examples" / EXAMPLES[1]).mkdir(parents=True)
    (folder / "measures" / "a").mkdir(parents=True)
    main(["--out", str(folder), "--results", str(tmp_path / "kept")])
    verbs = [verb for verb, *_ in called]
    assert verbs == [*["variance"] * (len(EXAMPLES) - 1), "sweep", "study", "impossibility"]
    assert set(verbs) <= set(VERBS)
    assert measured == [str(folder / "models" / "c" / "checkpoints" / "last.ckpt")]
    assert called[-1][1] == measured[0], "the best of the finished"
    kept = {str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert kept >= {
        *KEPT,
        "study/found.tsv",
        "study/controls.md",
        f"examples/{EXAMPLES[0]}/found.tsv",
        "impossibility/found.tsv",
    }
    assert not (folder / "measures" / "b").exists()
