"""`disentangle-pl evaluate --codes`: files of every kind, factors and kinds by name, test sets, units, intervals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.studies.codes import load_codes
from tests.command_line import refused, run
from tests.metrics.golden import draw

FACTORS = draw((3, 4), 240)
CODES = perfect_codes(FACTORS, 3, noise=0.3) + np.random.default_rng(0).normal(0, 0.1, (240, 3))
AGES = np.random.default_rng(1).integers(60, 90, 240).astype(float)
PEOPLE = np.arange(240) // 3


def frame() -> pd.DataFrame:
    """Give the table as a frame: two classes, one of them in words, an age, and people; latents are not in order."""
    latents = {f"z{i}": CODES[:, i] for i in (2, 0, 1)}
    words = np.array(["ape", "bee", "cat"])[FACTORS[:, 0]]
    return pd.DataFrame({"word": words, "size": FACTORS[:, 1], "age": AGES, "people": PEOPLE} | latents)


def written(path: Path, table: pd.DataFrame) -> Path:
    """Write a table as its suffix says."""
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def scores(folder: Path) -> dict[str, Any]:
    """Read the sheet of a file."""
    sheet: dict[str, Any] = json.loads((folder / "scores.json").read_text())
    return sheet


def values(folder: Path) -> dict[str, float]:
    """Read the values of the sheet of a file."""
    return {name: ends["value"] for name, ends in scores(folder)["scores"].items()}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table_of_columns_is_read_by_their_names_and_types(suffix: str, tmp_path: Path) -> None:
    table = load_codes(written(tmp_path / f"codes{suffix}", frame()))
    assert table.names == ("word", "size", "age")
    np.testing.assert_allclose(table.codes, CODES)
    np.testing.assert_array_equal(table.factors.values, np.hstack([FACTORS, AGES[:, None]]))
    assert table.factors.kinds() == ["3 classes", "4 classes", "quantity"]
    assert table.factors.groups is not None
    np.testing.assert_array_equal(table.factors.groups, PEOPLE)


def test_tensors_are_read_without_running_code(tmp_path: Path) -> None:
    tables = {"codes": torch.from_numpy(CODES).bfloat16().requires_grad_(), "factors": torch.from_numpy(FACTORS)}
    torch.save(tables, tmp_path / "codes.pt")
    table = load_codes(tmp_path / "codes.pt")
    np.testing.assert_array_equal(table.codes, torch.from_numpy(CODES).bfloat16().float().numpy())
    assert table.factors.discrete.all()
    torch.save([CODES], tmp_path / "codes.pt")
    with pytest.raises(InputError, match=r"cannot be read as arrays"):
        load_codes(tmp_path / "codes.pt")


def test_files_of_every_kind_are_compared_and_score_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = frame().drop(columns="age")
    paths = [written(tmp_path / name, table) for name in ("a.csv", "b.parquet")]
    arrays = {"codes": CODES, "factors": FACTORS, "people": PEOPLE, "names": np.array(["word", "size"])}
    np.savez(tmp_path / "c.npz", **arrays)  # type: ignore[arg-type]
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "names"}
    torch.save(tensors, tmp_path / "d.pt")
    files = [*map(str, paths), str(tmp_path / "c.npz"), str(tmp_path / "d.pt")]
    run("evaluate", "--codes", *files, f"--out={tmp_path / 'out'}", "--quick=true", "--references=false")
    expected = values(tmp_path / "out" / "c")
    for name in "abd":
        assert values(tmp_path / "out" / name) == pytest.approx(expected)
    rows = pd.read_csv(tmp_path / "out" / "files.tsv", sep="\t", index_col="score")
    assert rows.columns.tolist() == ["a", "b", "c", "d"]
    assert rows.loc[["mig"]].to_numpy() == pytest.approx(np.full((1, 4), expected["mig"]))
    said = capsys.readouterr().out
    assert "4 files" in said
    assert "word: 3 classes; size: 4 classes" in said
    assert scores(tmp_path / "out" / "a")["people"] == 80


def test_a_column_that_names_rows_is_cautioned_of_and_a_table_without_rows_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "codes.csv", frame().assign(id=[f"image-{i}" for i in range(len(CODES))]))
    run("evaluate", f"--codes={path}", "--scores", "mig", "--references=false", f"--out={tmp_path}")
    (remark,) = scores(tmp_path / "codes")["cautions"]
    assert f"factor id has {len(CODES)} classes in {len(CODES)} rows" in remark
    written(path, frame().iloc[:0])
    assert "codes.csv cannot be read as arrays (no rows" in refused(capsys, "evaluate", f"--codes={path}")


def test_factors_kinds_and_scores_are_chosen_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "codes.csv", frame())
    choice = ["--factors", "size", "age", "--kinds", "age=classes", "--scores", "mig", "mcc", "--references=false"]
    run("evaluate", f"--codes={path}", *choice, f"--out={tmp_path}")
    sheet = scores(tmp_path / "codes")
    assert set(sheet["scores"]) == {"mig", "mcc"}
    assert sheet["kinds"] == {"size": "4 classes", "age": f"{len(np.unique(AGES))} classes"}
    assert set(sheet["mig_per_factor"]) == {"size", "age"}


def test_the_probes_are_tested_on_the_rows_of_another_file(tmp_path: Path) -> None:
    table = frame()
    later = table[table["word"] != "ape"]  # whose words would have other numbers by themselves
    first, second = written(tmp_path / "first.csv", table[:160]), written(tmp_path / "second.csv", later[100:])
    run("evaluate", f"--codes={first}", f"--test={second}", "--scores", "sap", "explicitness", f"--out={tmp_path}")
    sheet = scores(tmp_path / "first")
    assert (sheet["rows"], sheet["test_rows"]) == (160, len(later[100:]))
    assert sheet["scores"]["explicitness"]["value"] > 0.75
    assert sheet["scores"]["sap"]["floor_low"] <= sheet["scores"]["sap"]["floor"]


def test_other_units_are_cautioned_of_and_divided_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "small.npz", codes=perfect_codes(FACTORS, 3) * 0.01, factors=FACTORS)
    np.savez(tmp_path / "unit.npz", codes=perfect_codes(FACTORS, 3), factors=FACTORS)
    common = ["--scores", "factor_vae", "sap", "active", "--references=false"]
    for name, flags in (("unit", []), ("small", []), ("small", ["--standardise=true", f"--out={tmp_path / 'again'}"])):
        run("evaluate", f"--codes={tmp_path / name}.npz", *common, f"--out={tmp_path}", *flags)
    sheets = [values(folder) for folder in (tmp_path / "unit", tmp_path / "small", tmp_path / "again" / "small")]
    assert sheets[1]["factor_vae_score"] < sheets[0]["factor_vae_score"] - 0.3
    assert sheets[1]["active_units"] == 0
    assert sheets[2] == pytest.approx(sheets[0], abs=0.01)
    assert len(scores(tmp_path / "small")["cautions"]) == 1
    assert scores(tmp_path / "unit")["cautions"] == scores(tmp_path / "again" / "small")["cautions"] == []
    assert "caution: the widest latent has a standard deviation of 0.01" in capsys.readouterr().out


def test_an_outlier_is_cautioned_of_and_quantile_bins_restore_the_score(tmp_path: Path) -> None:
    far = np.isin(np.arange(240), [17, 18, 19])  # some of which are not held out
    codes = np.where(far[:, None], 99.0, perfect_codes(FACTORS, 2))
    np.savez(tmp_path / "codes.npz", codes=codes, factors=FACTORS)
    common = [f"--codes={tmp_path / 'codes.npz'}", "--scores", "mig", "--references=false"]
    run("evaluate", *common, f"--out={tmp_path / 'width'}")
    run("evaluate", *common, f"--out={tmp_path / 'quantile'}", "--bins=quantile")
    assert values(tmp_path / "width" / "codes")["mig"] < 0.1
    assert values(tmp_path / "quantile" / "codes")["mig"] > 0.9
    assert any("rows [17, 18, 19]" in remark for remark in scores(tmp_path / "width" / "codes")["cautions"])


def test_intervals_over_rows_and_people_stand_beside_the_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = np.random.default_rng(2).normal(size=(80, 3))[PEOPLE]
    traits = np.random.default_rng(3).normal(size=(80, 2))[PEOPLE] + codes[:, :2]
    for name, more in (("people", {"people": PEOPLE}), ("rows", {})):
        np.savez(tmp_path / f"{name}.npz", codes=codes, factors=traits, **more)  # type: ignore[arg-type]
        chosen = ["--scores", "mcc", "--references=false", "--intervals=true"]
        run("evaluate", f"--codes={tmp_path / name}.npz", *chosen, f"--out={tmp_path}")
    width = {}
    for name in ("people", "rows"):
        sheet = scores(tmp_path / name)
        low, high = sheet["intervals"]["mcc"]
        assert low < sheet["scores"]["mcc"]["value"] < high
        width[name] = high - low
    assert width["people"] > width["rows"]
    assert "95 % interval over rows" in " ".join(capsys.readouterr().out.split())


def test_wrong_names_and_files_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "codes.csv", frame())
    other = written(tmp_path / "other.csv", frame().rename(columns={"age": "years"}))
    no_codes = written(tmp_path / "none.csv", frame()[["word", "age"]])
    wrong = {
        "there is no factor 'aeg': there are word, size, age": [f"--codes={path}", "--factors", "aeg"],
        "NAME=classes or NAME=quantity, and 'age=class' is none": [
            f"--codes={path}",
            "--kinds",
            "age=class",
        ],
        "classes": [f"--codes={path}", "--kinds", "word"],
        "no entry 'mug'": [f"--codes={path}", "--scores", "mug"],
        "has the factors": [f"--codes={path}", f"--test={other}"],
        "there is no file": [f"--codes={path}", f"--test={tmp_path / 'gone.csv'}"],
        "no columns z0, z1, ... with codes": [f"--codes={no_codes}"],
        "is none of .npz, .pt": [f"--codes={Path(__file__)}"],
        "belong to --codes": [f"{tmp_path / 'last.ckpt'}", "--factors", "age"],
    }
    for words, flags in wrong.items():
        assert words in refused(capsys, "evaluate", *flags, f"--out={tmp_path}", "--quick=true"), words
