"""People are matched by family and name, and what a table cannot mean is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.people import (
    covariates_of,
    has_component,
    joined_covariates,
    numbers_of,
    people_table,
    read_people,
    rows_of,
)

PEOPLE = pd.DataFrame({"fid": ["F1", "F1", "F2", "F3"], "iid": ["1", "2", "1", "sub-9"]})


def table(tmp_path: Path, text: str, name: str = "table.txt") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("FID IID z0  z1\nF2 1 0.5 NA\nF1 1 -9 2\n", "a.txt"),
        ("#FID\tIID\tz0\tz1\nF2\t1\t0.5\t\nF1\t1\tn/a\t2\n", "a.tsv"),
        ("IID,FID,z0,z1\n1,F2,0.5,nan\n1,F1,,2\n", "a.csv"),
    ],
)
def test_tables_of_all_kinds(tmp_path: Path, text: str, name: str) -> None:
    read = read_people(table(tmp_path, text, name))
    assert rows_of(PEOPLE, read).tolist() == [1, -1, 0, -1]
    names, values = numbers_of(read)
    assert names == ["z0", "z1"]
    np.testing.assert_array_equal(values, [[0.5, np.nan], [np.nan, 2]])


def test_iid_alone_where_it_is_of_one_person(tmp_path: Path) -> None:
    alone = read_people(table(tmp_path, "participant_id\tz\n9\t1\n2\t2\n", "a.tsv"))
    assert rows_of(PEOPLE[1:], alone).tolist() == [1, -1, 0]
    other = read_people(table(tmp_path, "FID IID z\n0 9 1\nX 2 2\n"))
    assert rows_of(PEOPLE[1:], other).tolist() == [1, -1, 0]
    with pytest.raises(InputError, match="IID 1 is not of one person"):
        rows_of(PEOPLE, alone)


@pytest.mark.parametrize(("codec", "words"), [("utf-16", ""), ("latin-1", "is no UTF-8: it is read as Windows-1252")])
def test_other_encodings_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture, codec: str, words: str) -> None:
    path = tmp_path / "table.txt"
    path.write_bytes("FID IID site\n1 2 Malm\xf6\n".encode(codec))
    with caplog.at_level("INFO"):
        assert read_people(path).values["site"].tolist() == ["Malm\xf6"]
    assert words in caplog.text
    assert bool(caplog.text) == bool(words)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a b\n1 2\n", "it needs IID"),
        ("FID IID\n1 2\n", "at least one more"),
        ("FID IID z\n1 2 3\n1 2 4\n", "has 2: keep one line a person"),
        ("FID\tIID\tz\n1\t\t3\n", "a person without IID"),
        ("", "cannot be read"),
    ],
)
def test_what_is_no_table_of_people(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_people(table(tmp_path, text))
    with pytest.raises(InputError, match="cannot be read"):
        read_people(tmp_path / "nothing.txt")


def test_nobody_in_common(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of the genotyped people: it has X, the genotypes 2; 1"):
        rows_of(PEOPLE[1:], read_people(table(tmp_path, "IID z\nX 1\n")))


def test_a_phenotype_that_is_no_number(tmp_path: Path) -> None:
    for cell in ("high", "inf"):
        with pytest.raises(InputError, match="in column z: write a number"):
            numbers_of(read_people(table(tmp_path, f"IID z\n1 {cell}\n")))


def test_covariates_of_text_become_columns(tmp_path: Path) -> None:
    read = read_people(table(tmp_path, "IID age sex site\n1 60 M b\n2 61 F a\n3 NA F NA\n4 63 F c\n"))
    names, values = covariates_of(read)
    assert names == ["age", "sex=M", "site=b", "site=c"]
    nan = np.nan
    np.testing.assert_array_equal(values, [[60, 1, 1, 0], [61, 0, 0, 0], [nan, 0, nan, nan], [63, 0, 0, 1]])


def test_infinite_covariates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an infinite number in column age"):
        covariates_of(read_people(table(tmp_path, "FID IID age\nF1 1 inf\nF1 2 3\n")))


def test_given_covariates_join_those_of_the_scans() -> None:
    rng = np.random.default_rng(0)
    iids, age = [str(i) for i in range(20)], rng.normal(size=20)
    sex, site = np.array(["F", "M"])[np.arange(20) % 2], np.array(list("abcd"))[np.arange(20) % 4]
    columns = {"IID": [f"sub-{iid}" for iid in iids], "age": age, "age2": age**2, "sex": sex, "site": site}
    own = people_table(pd.DataFrame(columns), "the visits")
    given = pd.DataFrame({"IID": [*iids, "98", "99"], "PC1": rng.normal(size=22).astype(str)})
    joined, said = joined_covariates(own, people_table(given[::-1], "pcs.txt"))
    names, values = covariates_of(joined)
    assert names == ["PC1", "age", "age2", "sex=M", "site=b", "site=c"], "site d is sex M without site b"
    np.testing.assert_allclose(values[:, 0], given["PC1"][:20].astype(float))
    np.testing.assert_allclose(values[:, 1], age)
    assert joined.people["iid"].tolist() == own.people["iid"].tolist()
    assert said[0] == "covariates of pcs.txt join those of the visits, which are age; age2; sex=M; site=b; site=c"
    assert "site=d of the visits is left out: pcs.txt or another column says the same" in said[1]
    men = given[:19].assign(male=np.where(np.arange(19) % 2, "1", "0"), AGE="70")
    names, values = covariates_of(joined_covariates(own, people_table(men, "men.txt"))[0])
    assert names == ["PC1", "male", "AGE", "age2", "site=b", "site=c"], "what is given counts"
    assert np.isnan(values[19, :3]).all()


def test_given_covariates_of_others_or_twice_are_refused() -> None:
    own = people_table(pd.DataFrame({"IID": ["sub-1", "sub-2"], "age": [1.0, 2]}), "the visits")
    with pytest.raises(InputError, match="has none of the people of the scans: it has 7"):
        joined_covariates(own, people_table(pd.DataFrame({"IID": ["7"], "PC1": ["1"]}), "pcs.txt"))
    twice = people_table(pd.DataFrame({"FID": ["a", "b"], "IID": ["1", "1"], "PC1": ["1", "2"]}), "pcs.txt")
    with pytest.raises(InputError, match=r"pcs\.txt has 1 of the scans more than once"):
        joined_covariates(own, twice)


@pytest.mark.parametrize("name", ["PC1", "pc_10", "PC1_AVG", "EV2", "C3", "genetic_pc4", "22009-0.1", "p22009_a3"])
def test_components_of_ancestry_are_known_by_their_names(name: str) -> None:
    assert has_component(["age", name])
    assert not has_component(["age", "age2", "sex=M", "site=site 4", "head_size", "icv", "apc1", "batch12", "cdr1"])


@pytest.mark.parametrize("cell", ["#N/A", "na", "NaN", "-9", "-9.0", "-9.00", "N/A"])
def test_missing_cells_of_every_spelling(tmp_path: Path, cell: str) -> None:
    read = read_people(table(tmp_path, f"IID\tage\tpc\n1\t60\t{cell}\n2\t{cell}\t2\n3\t62\t3\n", "a.tsv"))
    for names, values in (numbers_of(read), covariates_of(read)):
        assert names == ["age", "pc"]
        np.testing.assert_array_equal(values, [[60, np.nan], [np.nan, 2], [62, 3]])


def test_numbers_and_texts_in_one_column_are_no_categories(tmp_path: Path) -> None:
    read = read_people(table(tmp_path, "IID age\n1 60\n2 unknown\n3 62\n"))
    with pytest.raises(InputError, match="numbers and 'unknown' in column age: write NA"):
        covariates_of(read)


@pytest.mark.parametrize("end", ["\t", "\t\t", "\t \t"])
def test_tabs_at_the_end_of_lines(tmp_path: Path, end: str) -> None:
    for head in ("IID\tz0\tz1", f"IID\tz0\tz1{end}"):
        names, values = numbers_of(read_people(table(tmp_path, f"{head}\n1\t5\t6{end}\n2\t7\t{end}\n", "a.tsv")))
        assert names == ["z0", "z1"]
        np.testing.assert_array_equal(values, [[5, 6], [7, np.nan]])
    with pytest.raises(InputError, match="more cells than the header has names, in line 3"):
        read_people(table(tmp_path, "IID\tz0\n1\t5\n2\t7\t8\n", "a.tsv"))


def test_a_doubled_name_is_refused(tmp_path: Path) -> None:
    for text, name in (("IID\tz\tz\n1\t2\t3\n", "a.tsv"), ("IID z z\n1 2 3\n", "a.txt"), ("IID,z,z\n1,2,3\n", "a.csv")):
        with pytest.raises(InputError, match="has z more than once in its header"):
            read_people(table(tmp_path, text, name))
