"""What a clinic would like to know of a scan, from tables of scans and of visits without one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.studies.clinical_ahead import Records, visits_around
from disentangle_pl.studies.clinical_targets import TARGETS, TITLES, Told, later, made_targets, make_target, stages

NAN = np.nan


def people(*rows: tuple[str, float, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["participant_id", "years", "diagnosis", "mmse"])


def test_diagnoses_are_stages() -> None:
    table = people(
        *(("a", 0.0, said, 30.0) for said in ("CN", "LMCI", "Dementia", " ad ", "FTD")), ("b", 0.0, "NL", 1.0)
    )
    np.testing.assert_array_equal(stages(table), [0, 1, 2, 2, NAN, 0])
    np.testing.assert_array_equal(make_target("cn_ad", table).values, [0, NAN, 1, 1, NAN, 0])
    np.testing.assert_array_equal(make_target("cn_mci", table).values, [0, 1, NAN, NAN, NAN, 0])


def test_later_scores_are_of_the_same_person_near_the_time() -> None:
    table = people(
        ("a", 0.0, "CN", 30), ("a", 0.9, "CN", 29), ("a", 1.2, "CN", 28), ("b", 0.0, "CN", 20), ("b", 1.3, "CN", 9)
    )
    told = Told(table, visits_around(table)[0])
    np.testing.assert_array_equal(later(told, "mmse", 1.0), [29, NAN, NAN, NAN, NAN])
    target = make_target("mmse_12m", table)
    assert (target.baseline, target.discrete) == ("mmse", False)
    gap = table.assign(mmse=[30, NAN, 28, 20, 9])
    assert make_target("mmse_12m", gap).values[0] == 28, "the nearest visit that has the score"
    unscored = table.assign(mmse=[NAN, 29, 28, 20, 9])
    with pytest.raises(InputError, match="mmse_12m is not known of any of the 5 scans"):
        make_target("mmse_12m", unscored)


def test_conversion_needs_impairment_and_time() -> None:
    table = people(
        ("converts", 0.0, "MCI", 1),
        ("converts", 2.0, "Dementia", 1),
        ("late", 0.0, "MCI", 1),
        ("late", 2.0, "MCI", 1),
        ("late", 4.0, "AD", 1),
        ("lost", 0.0, "MCI", 1),
        ("lost", 1.0, "MCI", 1),
        ("better", 0.0, "MCI", 1),
        ("better", 1.0, "CN", 1),
        ("better", 2.0, "MCI", 1),
        ("well", 0.0, "CN", 1),
        ("well", 1.0, "AD", 1),
    )
    expected = [1, NAN, 0, 1, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN]
    np.testing.assert_array_equal(make_target("conversion", table).values, expected)
    before = people(*(("was", *row, 1.0) for row in ((0.0, "CN"), (1.0, "AD"), (2.0, "MCI"), (4.0, "MCI"))))
    assert make_target("conversion", before).values[2] == 0, "what came before is no conversion"
    within_a_year = make_target("conversion", table, 1.0).values
    assert within_a_year[5] == 0
    assert within_a_year[0] == 0, "dementia came later than that"


def test_targets_that_cannot_be_made_are_said() -> None:
    table = people(("a", 0.0, "CN", 30), ("b", 0.0, "AD", 20)).assign(age=70.0, sex=["F", "M"])
    found, remarks = made_targets([], table)
    assert [target.name for target in found] == ["mmse", "age", "sex", "cn_ad", "cn_mci"]
    assert len(found) + len(remarks) == len(TARGETS)
    assert any(remark.startswith("cdr_sb: no table of the scans has cdr_sb") for remark in remarks)
    with pytest.raises(InputError, match=r"no target 'moca': name some of mmse, cdr_sb"):
        made_targets(["moca"], table)
    with pytest.raises(InputError, match="no score and no diagnosis"):
        made_targets([], table.drop(columns="mmse").assign(diagnosis=None))
    assert set(TITLES) == set(TARGETS)


def records(path: Path, *rows: str) -> Records:
    head = "PTID,Years_bl,AGE,PTGENDER,SITE,DX,MMSE,CDRSB,ADAS11,ADAS13,FAQ,MOCA,PTEDUCAT,APOE4"
    cells = [f"{who},{year},70,Male,1,{said},{mmse},,,,,,," for who, year, said, mmse in map(str.split, rows)]
    path.write_text("\n".join([head, *cells]) + "\n")
    return Records([path], ["adnimerge"])


def scanned_once() -> pd.DataFrame:
    table = people(("sub-ADNI001S0001", 0.0, "MCI", 27), ("sub-ADNI001S0002", 0.0, "MCI", 26))
    return table.assign(entry_years=[0.5, 0.0], age=[70.5, 70.0], adas13=NAN)


def test_what_is_to_come_is_read_from_clinical_tables(tmp_path: Path) -> None:
    """One scan a person, half a year after entry: time runs from the scan."""
    table = scanned_once()
    alone = visits_around(table)[0]
    with pytest.raises(InputError, match="mmse_12m is not known of any of the 2 scans"):
        make_target("mmse_12m", table, around=alone)
    later_on = records(
        tmp_path / "a.csv",
        *("001_S_0001 0.5 MCI 27", "001_S_0001 1.0 MCI 1", "001_S_0001 1.55 MCI 24", "001_S_0001 2.4 Dementia 20"),
        *("001_S_0002 1.1 MCI 25", "001_S_0002 2.0 MCI 23", "001_S_0003 2.0 MCI 3"),
    )
    around, remarks = visits_around(table, later_on)
    assert remarks == [
        "adnimerge: without the optional columns VISCODE",
        "adnimerge: later visits are known of 2 of 2 people with scans",
    ]
    np.testing.assert_array_equal(make_target("mmse_12m", table, around=around).values, [24, 25])
    np.testing.assert_array_equal(make_target("mmse_24m", table, around=around).values, [20, 23])
    np.testing.assert_array_equal(make_target("conversion", table, around=around).values, [1, 0])
    named = {target.name for target in made_targets([], table.assign(sex=None), around=around)[0]}
    assert {"conversion", "mmse_12m", "mmse_24m"} <= named


def test_time_is_that_of_entry_then_of_age_then_of_the_first_scan(tmp_path: Path) -> None:
    given = records(tmp_path / "a.csv", "001_S_0001 3.0 MCI 20", "001_S_0002 3.0 MCI 20")
    table = scanned_once()
    for columns, expected in (
        ({}, [2.5, 3.0]),
        ({"entry_years": NAN}, [2.5, 3.0]),
        ({"entry_years": NAN, "age": NAN}, [3.0, 3.0]),
    ):
        around, remarks = visits_around(table.assign(**columns), given)
        assert ("2 scans have neither an age" in " ".join(remarks)) == ("age" in columns)
        found = around[around["diagnosis"].eq("MCI") & around["mmse"].eq(20)].sort_values("scan")
        np.testing.assert_allclose(found["ahead"], expected)


def test_the_window_of_what_is_known_at_a_scan_is_said() -> None:
    remarks = visits_around(scanned_once().assign(adnimerge_gap_years=[-0.4, 0.1], oasis_gap_years=NAN))[1]
    assert remarks == ["what is known at a scan from adnimerge was written down at most 0.40 years from it"]


def test_clinical_tables_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    table = scanned_once()
    with pytest.raises(InputError, match="1 clinical tables and 0 mappings: give one each"):
        visits_around(table, Records([tmp_path], []))
    with pytest.raises(InputError, match=r"has nobody with a scan: it has sub-ADNI009S0009.*check participant"):
        visits_around(table, records(tmp_path / "b.csv", "009_S_0009 1 MCI 20"))
    timeless = tmp_path / "timeless.yaml"
    timeless.write_text("table: people\nparticipant: {column: PTID}\nscores: {mmse: MMSE}\n")
    with pytest.raises(InputError, match="has no time in the mapping"):
        visits_around(table, Records([tmp_path / "b.csv"], [str(timeless)]))
