from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.brain.clinical import read_clinical
from disentangle_pl.brain.mapping import Age, Column, Mapping, Participant, Time, load_mapping
from disentangle_pl.errors import InputError

ADNI = "RID,PTID,VISCODE,DX_bl,DX,AGE,PTGENDER,SITE,PTEDUCAT,APOE4,MMSE,CDRSB,ADAS11,ADAS13,FAQ,MOCA,Years_bl,ABETA\n"
ROWS = [
    "74,027_S_0074,bl,AD,Dementia,70.5,Female,27,12,1,22,4.5,18,27,9,,0,>1700",
    "74,027_S_0074,m12,AD,,70.5,Female,27,12,1,20,n/a,20,30,11,,1.02,<200",
    "75,027_S_0075,bl,CN,CN,80,Male,27,16,0,30,0,4,6,0,27,0,900",
    "75,027_S_0075,m03,CN,,80,,,,,,,,,,,0.25,",
    "76,withdrawn,bl,CN,CN,66,Male,27,16,0,30,0,4,6,0,27,0,900",
    "77,941_S_12345,bl,MCI,MCI,,Male,941,16,0,28,1,9,14,2,24,,900",
]


def adni(folder: Path) -> Path:
    (folder / "ADNIMERGE.csv").write_text(ADNI + "\n".join(ROWS))
    return folder / "ADNIMERGE.csv"


def mapping(**more: object) -> Mapping:
    return Mapping("mine", Participant("id"), **more)  # type: ignore[arg-type]


def written(folder: Path, text: str) -> Path:
    (folder / "table.csv").write_text(text)
    return folder / "table.csv"


def test_adnimerge(tmp_path: Path) -> None:
    rows, remarks = read_clinical(adni(tmp_path), load_mapping("adnimerge"))
    people = ["sub-ADNI027S0074", "sub-ADNI027S0074", "sub-ADNI027S0075", "sub-ADNI941S12345"]
    assert rows["participant_id"].tolist() == people
    assert rows["time"].tolist() == [0, 1.02, 0, 0], "the last one by its label alone"
    assert rows["planned_years"].tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(rows["age"], [70.5, 71.52, 80, np.nan], err_msg="AGE is that at baseline")
    assert rows["sex"].tolist() == ["F", "F", "M", "M"]
    assert rows["diagnosis"].fillna("?").tolist() == ["AD", "?", "CN", "MCI"], "not that at baseline"
    np.testing.assert_equal(rows["cdr_sb"].to_numpy(), [4.5, np.nan, 0, 1])
    np.testing.assert_equal(rows["moca"].to_numpy(), [np.nan, np.nan, 27, 24])
    assert remarks == [
        "adnimerge: 1 of 6 rows have a PTID that does not fit '(\\\\d{3})_S_(\\\\d{4,5})' and are left out",
        "adnimerge: 1 of 6 rows have no diagnosis and no score and are left out",
    ]


@pytest.mark.parametrize(("bounds", "values"), [(False, [np.nan, np.nan, 7, np.nan]), (True, [1700, 80, 7, np.nan])])
def test_cells_behind_a_comparison_sign(tmp_path: Path, bounds: bool, values: list[float]) -> None:
    path = written(tmp_path, "id,x,y\n1,>1700,1\n2, <=80,1\n3, 7 ,1\n4,n/a,1\n")
    rows, remarks = read_clinical(path, mapping(scores={"x": Column("x"), "y": Column("y")}), bounds)
    np.testing.assert_equal(rows["x"].to_numpy(), values)
    outcome = "taken at it, or at its middle" if bounds else "missing without --bounds"
    assert remarks == [f"mine: x: 2 cells with a bound or a range ('>1700', '<=80'): {outcome}"]


def test_values_mean_what_the_mapping_says(tmp_path: Path) -> None:
    path = written(tmp_path, "id,apoe,dx\n1,34,AD dem w/CVD\n2,33,Cognitively NORMAL\n3,-4,Q\n4,44,\n5,24,.\n")
    told = mapping(
        traits={"diagnosis": Column("dx", {"AD dem.*": "AD", "cognitively normal": "CN", "Q": None})},
        scores={"apoe4": Column("apoe", {"22|23|33": 0, "24|34": 1, "44": 2})},
        missing=[".", -4],
    )
    rows = read_clinical(path, told).rows
    np.testing.assert_equal(rows["apoe4"].to_numpy(), [1, 0, 2, 1], "the third row has nothing")
    assert rows["diagnosis"].fillna("?").tolist() == ["AD", "CN", "?", "?"]


@pytest.mark.parametrize(
    ("unit", "cells", "years"),
    [
        ("years", ["0", "1.5"], [0, 1.5]),
        ("months", ["0", "18"], [0, 1.5]),
        ("days", ["-3", "365.25"], [-3 / 365.25, 1]),
        ("label", ["bl", "m18"], [0, 1.5]),
        ("date", ["2005-09-08", "2004-09-08"], [365 / 365.25, 0]),
    ],
)
def test_units_of_time(tmp_path: Path, unit: str, cells: list[str], years: list[float]) -> None:
    path = written(tmp_path, f"id,t,x,a\n1,{cells[0]},5,60\n1,{cells[1]},5,60\n")
    told = mapping(time=Time("t", unit), age=Age("a", "entry"), scores={"x": Column("x")})  # type: ignore[arg-type]
    rows = read_clinical(path, told).rows
    np.testing.assert_allclose(rows["time"], years)
    np.testing.assert_allclose(rows["age"], np.array(years) + 60)


def test_other_dates_need_their_format(tmp_path: Path) -> None:
    path = written(tmp_path, "id,t,x\n1,9/8/2005,5\n2,9/8/2005,5\n2,9/9/2005,5\n")
    iso = mapping(time=Time("t", "date"), scores={"x": Column("x")})
    rows, remarks = read_clinical(path, iso)
    assert rows.empty
    assert (
        "mine: time: 3 cells without an ISO 8601 time such as 2012-05-31 ('9/8/2005', '9/9/2005'): missing" in remarks
    )
    with pytest.raises(InputError, match="'9/8/2005' as time in line 2: cells without an ISO 8601 time"):
        read_clinical(path, iso, strict=True)
    told = mapping(time=Time("t", "date", "%m/%d/%Y"), scores={"x": Column("x")})
    np.testing.assert_allclose(read_clinical(path, told).rows["time"], [0, 0, 1 / 365.25])


def test_sessions_of_clinica_are_one_table(tmp_path: Path) -> None:
    head = "session_id\tage\tdiagnosis\tMMSE\tcdr_sb\tadas11\tadas13\tFAQ"
    for who, text in (
        ("sub-A", f"{head}\tmoca\nses-M000\t70\tCN\t30\t0\t1\t2\t0\t28\n"),
        ("sub-B", f"{head}\nses-M006\t60\tMCI\t28\t1\t9\t12\t2\n"),
    ):
        (tmp_path / who).mkdir()
        (tmp_path / who / f"{who}_sessions.tsv").write_text(text)
    rows = read_clinical(tmp_path, load_mapping("clinica")).rows
    assert rows["participant_id"].tolist() == ["sub-A", "sub-B"]
    assert rows["time"].tolist() == [0, 0.5]
    np.testing.assert_equal(rows["moca"].to_numpy(), [28, np.nan])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("who,x\n1,2\n", "lacks the columns id: it has who, x"),
        ("id,y\n1,2\n", "lacks the columns x: it has id, y"),
        ("id,x\n1,high\n", "has 'high' as x in line 2: cells without a number are not read"),
        ("id,x\n1,>high\n", "has '>high' as x in line 2"),
        ("id,x\n,5\n", "has no participant that fits .*: its id has nothing"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_clinical(written(tmp_path, text), mapping(scores={"x": Column("x")}), strict=True)


def test_a_pattern_that_fits_nobody_shows_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its OASISID has 'OAS1'; 'OAS2'"):
        read_clinical(
            written(tmp_path, "OASISID,AgeatEntry,GENDER,EDUC,APOE\nOAS1,1,1,1,1\nOAS2,1,1,1,1\n"),
            load_mapping("oasis3_demographics"),
        )
    twisted = Mapping("mine", Participant("id", r"(\d)", r"sub-\2"))
    with pytest.raises(InputError, match=r"the template 'sub-.*' does not fit the pattern"):
        read_clinical(written(tmp_path, "id\n1\n"), twisted)
    with pytest.raises(InputError, match=r"has no sub-\*/sub-\*_sessions.tsv"):
        read_clinical(tmp_path, load_mapping("clinica"))


def test_visits_that_count_from_a_later_phase_have_no_time_and_are_said(tmp_path: Path) -> None:
    visits = ("1111,bl", "1111,y1", "2222,m12", "2222,init", "2222,y2")
    text = "".join(f"001_S_{visit},{score}\n" for score, visit in enumerate(visits, start=20))
    found = read_clinical(written(tmp_path, f"PTID,VISCODE,MMSE\n{text}"), load_mapping("adnimerge"))
    assert found.rows["time"].tolist() == [0, 1, 1]
    assert any("2 rows with init; y2 count from a later phase" in said for said in found.remarks)
