import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.cells import CellRules, is_numbers, read_numbers, read_times, read_words, sentence
from disentangle_pl.brain.fields import of_group
from disentangle_pl.brain.scales import scale_of

LAX, BOUNDED = CellRules(), CellRules(bounds=True)
NAN = float("nan")


def numbers(name: str, *cells: str | None, rules: CellRules = LAX) -> tuple[list[float], str]:
    values, faults = read_numbers(pd.Series(cells, dtype=object), name, rules)
    return values.tolist(), sentence(name, faults)


@pytest.mark.parametrize(
    ("cell", "plain", "bounded"),
    [
        ("66", 66, 66),
        ("39,5", 39.5, 39.5),
        ("071Y", 71, 71),
        ("018M", 1.5, 1.5),
        ("71 years", 71, 71),
        ("89+", NAN, 89),
        (">90", NAN, 90),
        ("\u2265 90", NAN, 90),
        ("<=5", NAN, 5),
        ("65-70", NAN, 67.5),
        ("65 to 70", NAN, 67.5),
        ("70-65", NAN, NAN),
        ("unknown", NAN, NAN),
        ("inf", NAN, NAN),
        ("852", NAN, NAN),
        ("-4", NAN, NAN),
        (None, NAN, NAN),
    ],
)
def test_a_cell_of_age(cell: str | None, plain: float, bounded: float) -> None:
    np.testing.assert_equal(numbers("age", cell)[0], [plain])
    np.testing.assert_equal(numbers("age", cell, rules=BOUNDED)[0], [bounded])


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1,5", 1.5), ("1234,567", 1234.567), ("0,123", 0.123), ("-0,25", -0.25), ("1,2345", 1.2345), ("1,234", NAN)],
)
def test_a_comma_is_decimal_unless_it_may_stand_for_thousands(cell: str, value: float) -> None:
    np.testing.assert_equal(numbers("volume", cell)[0], [value])


def test_units_of_age_are_of_ages_alone() -> None:
    np.testing.assert_equal(numbers("dose", "071Y")[0], [NAN])


def test_scores_outside_their_scale_are_missing_and_named() -> None:
    values, remark = numbers("mmse", "29", "-4", "999", "30", None)
    np.testing.assert_equal(values, [29, NAN, NAN, 30, NAN])
    assert remark == "mmse: 2 cells outside 0..30 (-4, 999): missing"


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("mmse", 0, 30),
        ("mmse_bl", 0, 30),
        ("cdr_sb", 0, 18),
        ("cdr", 0, 3),
        ("adas11", 0, 70),
        ("adas_cog_13", 0, 85),
        ("moca", 0, 30),
        ("faq", 0, 30),
        ("gds", 0, 15),
        ("ravlt_immediate", 0, 75),
    ],
)
def test_ranges_of_scales(name: str, low: float, high: float) -> None:
    cells = [str(low), str(high), str(low - 1), str(high + 1)]
    np.testing.assert_equal(numbers(name, *cells)[0], [low, high, NAN, NAN])


@pytest.mark.parametrize("name", ["age_group", "mmse_date", "stage", "age_days", "ravlt_forgetting", "cdr_memory"])
def test_other_columns_have_no_range(name: str) -> None:
    assert scale_of(name) is None


@pytest.mark.parametrize("code", ["-1", "-4", "-9", "-99", "-999", "-9999"])
def test_a_repeated_code_among_positive_numbers_is_missing(code: str) -> None:
    values, remark = numbers("ldeltotal", "12", code, "9", code)
    np.testing.assert_equal(values, [12, NAN, 9, NAN])
    assert remark == f"ldeltotal: 2 cells with a code of missing ({code}): missing"


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("atrophy", ["-1", "-4", "-1", "-2.5"]),  # other numbers below 0 speak for them
        ("side", ["-1", "1", "-1", "1"]),
        ("mmse_change", ["-1", "-1", "3", "4"]),
        ("once", ["-1", "3", "4"]),
    ],
)
def test_numbers_that_look_like_codes_stay(name: str, cells: list[str]) -> None:
    assert numbers(name, *cells)[0] == [float(cell) for cell in cells]


def test_doubtful_codes_are_said() -> None:
    assert "2 cells with what often means missing (-1): taken as numbers" in numbers("x", "-1", "-1", "-2.5")[1]


def test_words_lose_their_codes() -> None:
    words, faults = read_words(pd.Series(["CN", "-9999", " AD ", "unknown", None], dtype=object))
    assert words.fillna("?").tolist() == ["CN", "?", "AD", "?", "?"]
    assert "1 cell with a code of missing (-9999): missing" in sentence("diagnosis", faults)
    assert read_words(pd.Series(["1", "-1"]))[0].tolist() == ["1", "-1"], "two groups"


def test_times_that_cannot_be_are_missing() -> None:
    years, faults = read_times(pd.Series(["1970-01-01", "1971-01-01T12:00:00", "yesterday", "9999-01-01", None]))
    np.testing.assert_allclose(years, [0, 365.5 / 365.25, NAN, NAN, NAN])
    assert [len(fault.cells) for fault in faults] == [1, 1]
    assert read_times(pd.Series(["1825-01-01"]))[0].notna().all(), "dates of BIDS are shifted by centuries"


@pytest.mark.parametrize(
    ("name", "cells", "numeric"),
    [
        ("abeta", [">1700", "<200", "900"], True),
        ("mmse", ["29", "refused", "unknown", "stroke"], True),
        ("grade", ["1", "a", "b"], False),
        ("bands", ["20-25", "25-30"], False),
        ("scanner", ["Prisma", "Trio"], False),
    ],
)
def test_what_is_a_column_of_numbers(name: str, cells: list[str], numeric: bool) -> None:
    assert is_numbers(pd.Series(cells), name) is numeric


def test_a_group_means_the_diagnosis_of_the_same_meaning() -> None:
    written = pd.Series(["Dementia", "CN", None, "MCI"])
    assert of_group(written, "AD") == ["Dementia"]
    assert of_group(written, "cn") == ["CN"]
    assert of_group(pd.Series(["AD", "Dementia"]), "ad") == ["AD"], "exactly that, where somebody has it"
    assert of_group(written, "FTD") == []
