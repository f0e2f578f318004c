"""The study of scores and genes asks for the right steps and counts what was found, without encoding anything."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import downstream_study
from benchmarks.brain_study import METHODS
from benchmarks.downstream_study import TRUTH, main
from benchmarks.downstream_tables import calibration, draw_found, found_by_factor, summed_up
from disentangle_pl.brain.split_file import read_split
from disentangle_pl.verbs import VERBS

LEVELS = {"effective": 2.5e-8, "study": 0.05 / 3 / 2}
PLANTED = "snp\tfactor\tfrequency\teffect_sd\nv1\tcortex\t0.5\t0.5\nv2\tseverity\t0.3\t0.01\nv3\tn/a\t0.3\t0\n"


def write_study(folder: Path, p: list[float], people: int = 500) -> Path:
    folder.mkdir(parents=True)
    table = pd.DataFrame({"id": ["v1", "v2", "v3"] * 2, "phenotype": ["z0"] * 3 + ["z1"] * 3, "p": [*p, 1, 1, 1]})
    table.to_parquet(folder / "associations.parquet")
    told = {"people": people, "covariates": ["age"], "phenotypes": ["z0", "z1"], "thresholds": LEVELS}
    permuted = {"lambda": {"z0": [0.97, 0.9, 1.1], "z1": [1.02, 0.9, 1.1]}, "lambda_all": [1.0, 0.98, 1.03], "tests": 9}
    (folder / "summary.json").write_text(json.dumps({**told, "permuted": permuted}))
    return folder


def test_planted_variants_are_counted_by_factor_and_threshold(tmp_path: Path) -> None:
    (tmp_path / "truth_snps.tsv").write_text(PLANTED)
    studies = {
        TRUTH: [write_study(tmp_path / "truth", [1e-20, 0.5, 0.5])],
        "ada": [write_study(tmp_path / "a", [1e-6, 0.5, 1e-3]), write_study(tmp_path / "b", [0.2, 0.5, 0.9])],
    }
    table = found_by_factor(studies, tmp_path / "truth_snps.tsv")
    rows = {(row["study"], row["level"], row["factor"]): row for row in table.to_dict("records")}
    assert rows["truth", "effective", "cortex"]["p"] == pytest.approx(2.5e-8)
    assert rows["truth", "study", "cortex"]["p"] == pytest.approx(0.05 / 3 / 2)
    assert rows["truth", "effective", "cortex"]["found"] == 1
    assert rows["a", "effective", "cortex"]["found"] == 0
    assert rows["a", "study", "cortex"]["found"] == 1
    assert rows["a", "study", "none"]["found"] == 1
    assert (rows["b", "study", "all"]["found"], rows["b", "study", "all"]["planted"]) == (0, 2)
    assert rows["b", "study", "cortex"]["expected"] > 0.99  # it explains an eighth of the variance
    assert rows["b", "study", "severity"]["expected"] < 0.02
    assert np.isnan(rows["b", "study", "none"]["expected"])
    assert len(draw_found(table).axes) == 2
    summed = {(row["method"], row["level"], row["factor"]): row for row in summed_up(table).to_dict("records")}
    ada = summed["ada", "study", "cortex"]
    assert (ada["studies"], ada["found"], ada["fewest"], ada["most"]) == (2, 0.5, 0, 1)
    assert ada["expected"] == pytest.approx(rows["b", "study", "cortex"]["expected"])
    told = calibration(studies).to_dict("records")
    assert [row["study"] for row in told] == ["truth", "a", "b"]
    assert (told[0]["least"], told[0]["largest"], told[0]["low"]) == (0.97, 1.02, 0.98)


@pytest.fixture
def brain(tmp_path: Path) -> Path:
    """What make brain leaves: runs and a split."""
    folder = tmp_path / "brain"
    (folder / "methods").mkdir(parents=True)
    rows = [
        {"run": method, "state": "finished", "config": f"configs/{method}.yaml", "seed_everything": 0}
        for method in METHODS
    ]
    pd.DataFrame(rows).to_csv(folder / "methods" / "results.tsv", sep="\t", index=False)
    (folder / "split.tsv").write_text("participant_id\tpart\nsub-1\ttrain\nsub-2\tval\n")
    return folder


def test_all_steps_in_order_and_whose_numbers_are_written(
    brain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, called = tmp_path / "out", []
    people = ["sub-1", "sub-2", "sub-3"]

    def call(verb: str, *args: object, **_: object) -> None:
        called.append([verb, *map(str, args)])
        out = Path(str(args[list(args).index("--out") + 1]))
        if verb == "simulate":
            out.mkdir()
            sheet = pd.DataFrame({"participant_id": people})
            sheet.to_csv(out / "participants.tsv", sep="\t", index=False)
            numbers = {name: [1.0, 2.0, 3.0] for name in ("age", "male", *downstream_study.VOLUMES)}
            sheet.assign(site=1, **numbers).to_csv(out / "truth.tsv", sep="\t", index=False)
            (out / "truth_snps.tsv").write_text(PLANTED)
        if verb == "scans":
            visits = [(name, session) for name in people for session in ("ses-M000", "ses-M000_run-2", "ses-M012")]
            table = pd.DataFrame(visits, columns=["participant_id", "session_id"])
            table.to_csv(out, sep="\t", index=False)
        if verb == "gwas":
            write_study(out, [0.1, 0.2, 0.3])
            (out / "findings.md").write_text("found")
        if verb == "predict-scores":
            out.mkdir()
            (out / "scores.tsv").write_text("target\n")
            (out / "findings.md").write_text("found")

    monkeypatch.setattr(downstream_study, "call", call)
    flags = ["--subjects", "3", "--followed", "1", "--results", str(tmp_path / "kept")]
    main(["--brain", str(brain), "--out", str(folder), *flags])
    verbs = [verb for verb, *_ in called]
    assert verbs == ["simulate", "scans", "prepare", *["gwas"] * 4, "predict-scores", "predict-scores"]
    assert set(verbs) <= set(VERBS)
    scans = pd.read_csv(folder / "scans.tsv", sep="\t")
    assert scans["participant_id"].value_counts().to_dict() == {"sub-1": 3, "sub-2": 2, "sub-3": 2}
    assert read_split(folder / "split.tsv").to_dict() == {"1": "train", "2": "val", "3": "test"}
    assert pd.read_csv(folder / "volumes.tsv", sep="\t")["IID"].tolist() == [2, 3]
    assert pd.read_csv(folder / "covariates.tsv", sep="\t")["age2"].tolist() == [1, 0, 1]
    assert (tmp_path / "kept" / "genome" / "true_volumes" / "findings.md").is_file()
    assert (tmp_path / "kept" / "genome" / "found.tsv").is_file()
    assert (tmp_path / "kept" / "clinic" / "scores.tsv").is_file()
    assert (tmp_path / "kept" / "clinic" / "without_site.md").is_file()
    assert not list((tmp_path / "kept").rglob("*.parquet"))


def test_without_models_it_says_what_to_run_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--brain", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "make brain" in capsys.readouterr().err
