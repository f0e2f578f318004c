"""The page on UK Biobank: its commands, typed on a folder in the exact layout."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl import verbs_genome
from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.prepared import open_prepared
from disentangle_pl.genetics.people import PeopleTable
from tests.brain.test_uk_biobank import WIDE, bulk
from tests.command_line import ROOT, run


def typed(verb: str) -> list[list[str]]:
    """Return the commands of a verb on the page, word by word."""
    page = (ROOT / "docs" / "uk_biobank.md").read_text().replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in re.findall(rf"^\$ (disentangle-pl {verb} .*)$", page, re.MULTILINE)]


def test_the_commands_of_the_page_go_from_a_bulk_folder_to_prepared_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    bulk(tmp_path / "ukb")
    Path("ukb12345.csv").write_text(WIDE)
    Path("w12345.csv").write_text("eid\n1000003\n")
    scans, *_ = typed("scans")
    run(*[word for word in scans if not word.startswith("--split")])  # two people are too few for three parts
    assert "people               2 with 3 scans" in capsys.readouterr().out
    table = pd.read_csv("scans.tsv", sep="\t")
    assert table["sex"].tolist() == ["F", "F", "M"]
    assert table["years"].tolist()[:2] == [0, pytest.approx(2.4997, abs=1e-3)]
    assert set(table["path"].map(lambda name: Path(name).name)) == {"T1_brain.nii.gz"}
    prepare, again = typed("prepare")
    blocks = {"--size": ["8", "8", "8"], "--spacing": ["1.5"], "--align": []}  # two blocks are no brains to align
    run(*_with(prepare, blocks))
    assert len(open_prepared(Path("prepared")).visits) == 3
    Path("w12345_new.csv").write_text("1000002\n")
    run(*_with(again, blocks))
    assert set(open_prepared(Path("prepared")).visits["participant_id"]) == {"sub-1000001"}


def test_every_later_verb_of_the_page_has_a_way_to_leave_people_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for verb in ("fit", "latents", "predict-scores"):
        for words in typed(verb):
            named = [word for word in words if word.startswith("--data.")]
            assert {word.split("=")[0].removeprefix("--data.") for word in named} <= set(
                LongitudinalData.__init__.__annotations__
            )
    phenotypes = []

    def associate(plan: object, table: PeopleTable, *_: object) -> None:
        phenotypes.append(table)

    monkeypatch.setattr(verbs_genome, "associate", associate)
    rows = "".join(f"{eid} {eid} {z}\n" for z, eid in enumerate((1000001, 1000002, -7)))
    (tmp_path / "z.txt").write_text("FID IID z0\n" + rows)
    (tmp_path / "w.csv").write_text("1000002\n")
    run(
        *("gwas", "--bed", str(tmp_path / "x.bed"), "--phenotypes", str(tmp_path / "z.txt")),
        *("--withdrawn", str(tmp_path / "w.csv"), "--out", str(tmp_path / "study")),
    )
    assert phenotypes[0].people["iid"].tolist() == ["1000001", "-7"]
    np.testing.assert_array_equal(phenotypes[0].values["z0"], ["0", "2"])


def _with(words: list[str], instead: dict[str, list[str]]) -> list[str]:
    """Replace the values of flags; a flag without values goes, and one that is not there comes."""
    kept: list[str] = []
    flag = ""
    for word in words:
        flag = word if word.startswith("--") else flag
        kept += [] if flag in instead else [word]
    return kept + [part for name, values in instead.items() if values for part in (name, *values)]
