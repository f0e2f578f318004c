"""Exports of W&B."""

import json
import math
from pathlib import Path

import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.studies.run_groups import group_numbers, meaningful
from disentangle_pl.studies.run_table import scores, settings, tidy
from tests.studies.run_folders import MIG, make_run

COLUMNS = (
    "Name,State,Notes,Created,Runtime,Sweep,Tags,model,model.init_args.beta,model.mask,model.names,data.class_path,flag,"
    "epoch,_step,trainer/global_step,disentanglement/mig,val/loss,train/loss,_wandb"
)
SITE = (
    COLUMNS
    + """
"sunny-1","finished","-","2026-11-01T10:00:00.000Z","61","abc","","a.BetaVAE","4","null","[""x"", 1]",\
"d.Data","true","3","9","1500","0.5","7","1","{}"
"bad-2","finished","","","62","abc","","a.BetaVAE","4.0","","[""x"",1]","d.Data","false","3","9","10","0.9","NaN","1",""
"cut-3","crashed","","","","abc","","a.BetaVAE","1e-3","","","","","","","","Infinity","","",""
"""
)


def test_the_csv_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("\ufeff" + SITE, encoding="utf-8")
    found = tidy([tmp_path / "export.csv"])
    assert found["run"].tolist() == ["sunny-1", "bad-2", "cut-3"]
    assert found["state"].tolist() == ["finished", "diverged", "crashed"]
    assert found["message"].tolist() == ["", "the last val/loss is nan", ""]
    assert found["seconds"].tolist()[:2] == [61, 62]
    assert found["steps"].tolist()[:2] == [1500, 10]
    assert settings(found) == ["model", "model.beta", "model.mask", "model.names", "data", "flag"]
    assert scores(found) == [MIG, "val/loss"]
    assert found["model.beta"].tolist() == [4, 4.0, 0.001]
    assert found["model.names"].tolist() == ['["x", 1]', '["x", 1]', None]
    assert found["flag"].tolist() == [True, False, None]
    assert found["model.mask"].tolist() == [None, None, None]
    assert found[MIG].tolist()[:2] == [0.5, 0.9]
    assert math.isnan(found[MIG][2])
    assert group_numbers(found, ["model", "model.beta", "model.names", "model.mask"]) == [0, 0, 1]


def test_the_records_of_the_python_interface(tmp_path: Path) -> None:
    runs = [
        {
            "name": "one",
            "state": "finished",
            "config": {"model": {"class_path": "a.B", "init_args": {"beta": 2, "mask": None}}, "model.gamma": 3},
            "summary": {MIG: 0.25, "val/loss": "NaN", "_runtime": 5, "_step": 7, "val/kl": {"min": 1}, "x": True},
        },
        {"name": "two", "state": "Finished", "config": {"seed_everything": 1}, "summary": {MIG: 0.5, "val/mse": None}},
        {"id": "three", "config": None, "summary": None},
    ]
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    (tmp_path / "runs.jsonl").write_text("\n".join(map(json.dumps, runs)) + "\n\n")
    found = tidy([tmp_path / "runs.json"])
    assert found.equals(tidy([tmp_path / "runs.jsonl"]))
    assert found["run"].tolist() == ["one", "two", "three"]
    assert found["state"].tolist() == ["diverged", "finished", "unknown"]
    assert settings(found) == ["model", "model.beta", "model.mask", "model.gamma", "seed_everything"]
    assert scores(found) == [MIG]
    assert (found["seconds"][0], found["steps"][0]) == (5, 7)


def test_the_table_reads_what_it_has_written(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a", beta=4, data={"names": ["x"], "flag": True, "pairs": None})
    make_run(tmp_path / "runs" / "b", beta=0.5, state="failed")
    found = tidy([tmp_path / "runs"])
    found.to_csv(tmp_path / "runs.tsv", sep="\t", index=False)
    again = tidy([tmp_path / "runs.tsv"])
    assert again.columns.tolist() == found.columns.tolist()
    assert again.to_dict("records") == found.to_dict("records")


def test_folders_and_exports_of_the_same_configuration_are_one_group(tmp_path: Path) -> None:
    make_run(tmp_path / "a", beta=4.0, data={"pairs": None, "names": ["x", "y"]})
    (tmp_path / "b.csv").write_text(
        "Name,State,seed_everything,model,model.beta,data.names,val/loss\n"
        'b,finished,7,disentangle_pl.models.beta_vae.BetaVAE,4,"[""x"",""y""]",1\n'
    )
    found = tidy([tmp_path])
    both = tidy([tmp_path / "a", tmp_path / "b.csv"])
    assert len(found) == 1
    assert group_numbers(both, meaningful(both)) == [0, 0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"Name,x\na,1,2\n", "row 1 has not as many cells"),
        ("a.csv", b"Name,x\na\n", "row 1 has not as many cells"),
        ("a.csv", b"x,y\n1,2\n", "a run has no name"),
        ("a.csv", b"\xff\xfe\x00", "cannot be read as runs"),
        ("a.csv", b'Name,x\n"a,1\n', "cannot be read as runs"),
        ("a.csv", b"", "no run found"),
        ("a.json", b"{}", "no list of runs"),
        ("a.json", b"[1]", "cannot be read as runs"),
        ("a.json", b'[{"name": "a", "config": [1]}]', "cannot be read as runs"),
        ("a.jsonl", b'{"name": "a"}\n{"na', "cannot be read as runs"),
        ("a.txt", b"Name\na\n", "neither a run folder nor an export"),
    ],
)
def test_what_is_no_export_is_one_sentence(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as wrong:
        tidy([tmp_path / name])
    assert "\n" not in str(wrong.value)


def test_second_names_of_settings_and_least_values_are_left_out(tmp_path: Path) -> None:
    config: dict[str, object] = {"seed_everything": 3, "seed": 3, "model.beta": 4, "beta": 4, "model.mask.density": 0.3}
    config |= {"mask_density": 0.3, "model.mask": "a.RandomMask", "mask": "RandomMask", "project": "p"}
    config |= {"disentangle_pl": "0.1.0", "aggregation": "none", "precision": "bf16-mixed"}
    summary = {MIG: {"max": 0.5, "last": 0.25}, "val/nll": {"min": 1, "last": 2}}
    (tmp_path / "runs.json").write_text(json.dumps([{"name": "one", "config": config, "summary": summary}]))
    found = tidy([tmp_path / "runs.json"])
    assert settings(found) == [
        *("seed_everything", "model.beta", "model.mask.density", "model.mask", "project", "disentangle_pl")
    ]
    assert found[MIG].tolist() == [0.25]
    assert scores(found) == [MIG, "val/nll"]
    (tmp_path / "runs.csv").write_text(f"Name,seed,seed_everything,{MIG}.last,{MIG}.max\none,3,3,0.25,0.5\n")
    found = tidy([tmp_path / "runs.csv"])
    assert settings(found) == ["seed_everything"]
    assert found[MIG].tolist() == [0.25]
    assert scores(found) == [MIG]
