import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.clinical import PLANNED, Clinical
from disentangle_pl.brain.fields import COLUMNS
from disentangle_pl.brain.mapping import Age, Column, Mapping, Participant, Time
from disentangle_pl.brain.nearest import join_clinical
from disentangle_pl.errors import InputError

NAN = float("nan")
MINE = Mapping("mine", Participant("id"), Time("t"), Age("a"), {"diagnosis": Column("dx")}, {"mmse": Column("MMSE")})
PEOPLE = Mapping("people", Participant("id"), None, Age("a", "entry"), {"sex": Column("sex")}, {"educ": Column("e")})


def scans(**columns: list[object]) -> pd.DataFrame:
    visits = pd.DataFrame(columns).reindex(columns=[*COLUMNS, *(name for name in columns if name not in COLUMNS)])
    return visits.astype({"age": float, "years": float, "entry_years": float})


def rows(*cells: tuple[str, float, float, str, float]) -> Clinical:
    return Clinical(pd.DataFrame(cells, columns=["participant_id", "time", "age", "diagnosis", "mmse"]), [])


def test_the_nearest_visit_within_the_window_is_taken() -> None:
    visits = scans(participant_id=["a", "a", "a", "b"], entry_years=[0.1, 1.2, 4, 0])
    clinical = rows(
        ("a", 0, 70, "CN", 30), ("a", 0.9, 70.9, "MCI", 27), ("a", 1.4, 71.4, "AD", 25), ("c", 0, 60, "CN", 1)
    )
    table, remarks = join_clinical(visits, clinical, MINE)
    np.testing.assert_equal(table["mmse"].to_numpy(), [30, 25, NAN, NAN])
    np.testing.assert_allclose(
        table["mine_gap_years"], [0.1, -0.2, NAN, NAN], err_msg="positive: the clinic came first"
    )
    np.testing.assert_allclose(
        table["age"], [70.1, 71.2, 74, NAN], err_msg="that of the nearest row, moved to the scan"
    )
    assert table["diagnosis"].fillna("?").tolist() == ["CN", "AD", "?", "?"]
    assert remarks == [
        "mine: 2 of 4 scans have a visit within 0.5 years, 0.15 years away in the median",
        "mine: 1 of 4 rows have no scan within 0.5 years",
    ]
    assert "scan" not in table


@pytest.mark.parametrize(("window", "found"), [(0.25, 1), (0.249, 0), (0, 0)])
def test_the_window_is_kept_to(window: float, found: int) -> None:
    table, _ = join_clinical(
        scans(participant_id=["a"], entry_years=[1.25]), rows(("a", 1, 70, "CN", 30)), MINE, window
    )
    assert table["mmse"].notna().sum() == table["mine_gap_years"].notna().sum() == found


def test_of_two_equally_near_the_earlier_is_taken() -> None:
    clinical = rows(("a", 1.5, 71.5, "AD", 20), ("a", 0.5, 70.5, "CN", 30))
    assert join_clinical(scans(participant_id=["a"], entry_years=[1]), clinical, MINE)[0]["mmse"].tolist() == [30]


def test_ages_are_compared_where_the_time_since_entry_is_unknown() -> None:
    visits = scans(participant_id=["a", "a"], age=[72.0, 70.1], years=[1.9, 0])
    table, remarks = join_clinical(visits, rows(("a", 2, 72.3, "AD", 20), ("a", 0, 70.3, "CN", 30)), MINE)
    assert table["mmse"].tolist() == [20, 30]
    np.testing.assert_allclose(table["mine_gap_years"], [-0.3, -0.2])
    assert not any("counts as entry" in said for said in remarks)


def test_without_any_clock_the_first_scan_counts_as_entry_and_this_is_said() -> None:
    visits = scans(participant_id=["a", "a"], years=[0, 2.0])
    table, remarks = join_clinical(visits, rows(("a", 2.1, 72.1, "AD", 20), ("a", 0, 70, "CN", 30)), MINE)
    assert table["mmse"].tolist() == [30, 20]
    np.testing.assert_allclose(table["age"], [70, 72])
    assert "mine: 2 scans have neither an age nor a time since study entry: the first scan counts as entry" in remarks


def test_sex_education_and_genes_need_no_visit_near_and_ages_take_the_nearest_row_that_has_one() -> None:
    visits = scans(participant_id=["a", "a", "b"], entry_years=[0, 3, 0])
    cells = {"participant_id": ["a", "a"], "time": [0, 2.0], "age": [70, NAN], "sex": [None, "F"], "apoe4": [2, NAN]}
    clinical = Clinical(pd.DataFrame({**cells, "mmse": [30, 29]}), [])
    table, _ = join_clinical(visits, clinical, MINE)
    assert table["sex"].fillna("?").tolist() == ["F", "F", "?"]
    np.testing.assert_equal(table["apoe4"].to_numpy(), [2, 2, NAN])
    np.testing.assert_equal(table["mmse"].to_numpy(), [30, NAN, NAN])
    np.testing.assert_equal(table["age"].to_numpy(), [70, 73, NAN])


def test_what_is_known_stays_and_ages_that_disagree_are_counted() -> None:
    visits = scans(
        participant_id=["a", "b"], entry_years=[0, 0], age=[70, 60], mmse=[11.0, NAN], diagnosis=["CN", None]
    )
    table, remarks = join_clinical(visits, rows(("a", 0, 75, "AD", 20), ("b", 0, 60.5, "AD", 21)), MINE)
    assert table["mmse"].tolist() == [11, 21]
    assert table["diagnosis"].tolist() == ["CN", "AD"]
    assert table["age"].tolist() == [70, 60]
    assert "mine: 1 scans have an age more than 1 year off that of their own tables, which is kept" in remarks


def test_nothing_near_leaves_empty_columns() -> None:
    table, remarks = join_clinical(scans(participant_id=["a"], entry_years=[0]), rows(("a", 2, NAN, "CN", 2)), MINE)
    assert table["mine_gap_years"].isna().all()
    assert table["mmse"].isna().all()
    assert remarks[0] == "mine: 0 of 1 scans have a visit within 0.5 years"
    with pytest.raises(InputError, match="window -1"):
        join_clinical(table, rows(), MINE, -1)
    with pytest.raises(InputError, match="window nan"):
        join_clinical(table, rows(), MINE, NAN)


def test_people_are_matched_with_or_without_sub_and_nobody_in_common_is_refused() -> None:
    visits = scans(participant_id=["007"], entry_years=[0])
    assert join_clinical(visits, rows(("sub-007", 0, 70, "CN", 30)), MINE)[0]["mmse"].tolist() == [30]
    with pytest.raises(InputError, match="mine has nobody with a scan: it has sub-8, the scans are of 007; check"):
        join_clinical(visits, rows(("sub-8", 0, 70, "CN", 30)), MINE)


def test_a_table_of_people_holds_at_every_scan() -> None:
    visits = scans(participant_id=["a", "a", "b"], entry_years=[0, 2, 0])
    people = pd.DataFrame(
        [("a", NAN, 70, "F", 12), ("c", NAN, 1, "M", 1)], columns=["participant_id", "time", "age", "sex", "educ"]
    )
    table, remarks = join_clinical(visits, Clinical(people, ["said"]), PEOPLE)
    np.testing.assert_equal(table["age"].to_numpy(), [70, 72, NAN])
    np.testing.assert_equal(table["educ"].to_numpy(), [12, 12, NAN])
    assert table["sex"].fillna("?").tolist() == ["F", "F", "?"]
    assert remarks == ["said", "people: 2 of 3 scans are of people in it", "people: 1 of 2 people have no scan"]
    with pytest.raises(InputError, match="people has several rows of a: name the column of time"):
        join_clinical(visits, Clinical(people.iloc[[0, 0]], []), PEOPLE)


def test_dates_that_contradict_the_labels_of_visits_are_said() -> None:
    visits = scans(participant_id=["a", "a", "b", "b"], entry_years=[0, 1, 0, 1], years=[0, 3.1, 0, 1.2])
    visits["session_id"] = ["ses-M000", "ses-M012"] * 2
    clinical = rows(*((who, time, NAN, "CN", 30) for who in "ab" for time in (0, 1.05)))
    planned = clinical.rows.assign(**{PLANNED: [0, 1, 0, 1]})
    _, remarks = join_clinical(visits, clinical._replace(rows=planned), MINE)
    (said,) = (remark for remark in remarks if "contradict" in remark)
    assert said.endswith("of 1 people, whose labels are followed: a ses-M012 3.1 years after the first, 1.1 by mine")
