from pathlib import Path

import pytest

from disentangle_pl.brain.mapping import SHIPPED, Column, load_mapping
from disentangle_pl.errors import InputError

SMALL = "table: mine\nparticipant: {column: id}\n"


def written(folder: Path, text: str) -> str:
    (folder / "mine.yaml").write_text(text)
    return str(folder / "mine.yaml")


def test_shipped_mappings_are_what_their_file_says() -> None:
    assert set(SHIPPED) == {"adnimerge", "clinica", "oasis2", "oasis3_demographics", "oasis3_udsb4", "uk_biobank"}
    for name in SHIPPED:
        mapping = load_mapping(name)
        assert mapping.columns[0] == mapping.participant.column
        assert mapping.table in name
    adni = load_mapping("adnimerge")
    assert adni.age
    assert adni.age.at == "entry"
    assert adni.scores["mmse"] == Column("MMSE")
    assert adni.traits["diagnosis"].values["Dementia"] == "AD"
    assert {"PTID", "Years_bl", "VISCODE", "AGE", "DX", "CDRSB"} <= set(adni.columns)
    assert adni.required == ["PTID", "MMSE"]
    assert list(adni.missing) == ["-4", "-1"]


def test_a_small_mapping_has_defaults(tmp_path: Path) -> None:
    mapping = load_mapping(written(tmp_path, SMALL + "scores: {mmse: MMSE, iq: {column: IQ, values: {'9+': null}}}\n"))
    assert mapping.time is None
    assert mapping.scores == {"mmse": Column("MMSE"), "iq": Column("IQ", {"9+": None})}
    assert mapping.columns == ["id", "MMSE", "IQ"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("table: mine\nparticipant: {colum: id}", "Group 'participant' does not accept option 'colum'"),
        (SMALL + "time: {column: t, unit: weeks}", "time.unit: .*'years', 'months', 'days'"),
        (SMALL + "age: {column: a, at: birth}", "age.at"),
        (SMALL + "tables: 3", "'tables' is not accepted"),
        (SMALL + "traits: {gender: G}", "'gender' cannot be used: traits are sex, site, diagnosis"),
        (SMALL + "scores: {age: A}", "'age' cannot be used"),
        (SMALL + "scores: {CDR-SB: A}", "'CDR-SB' cannot be used"),
        (SMALL + "scores: {a: {column: A, values: {'(': 1}}}", "no regular expression"),
        (SMALL + "wide: '('", "no regular expression"),
        (SMALL + "wide: '(?P<column>a)'", "needs the groups .*column.* and .*session"),
        (SMALL + "scores: {a: A}\noptional: [B]", "'B' is optional, but none of the columns"),
        (SMALL + "scores: {a: A}\noptional: [id]", "'id' is optional, but none of the columns"),
        ("table: mine\nparticipant: {column: id, pattern: '(', template: a}", "no regular expression"),
        ("participant: {column: id}", "table"),
        ("- a list", "must have the keys table and participant"),
        ("", "must have the keys table and participant"),
        ("a: [", "while parsing"),
    ],
)
def test_wrong_mappings_are_refused_in_one_line(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as error:
        load_mapping(written(tmp_path, text))
    assert "mine.yaml is wrong" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_name_lists_those_shipped() -> None:
    with pytest.raises(
        InputError, match="there is no mapping adni: give a YAML file, or one of adnimerge, clinica, oas"
    ):
        load_mapping("adni")
