from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.freesurfer import with_keys
from disentangle_pl.brain.truth import scan_factors
from disentangle_pl.brain.visits import read_visits
from disentangle_pl.errors import InputError
from tests.brain.scans import touch

HEAD = "Measure:volume\tLeft-Lateral-Ventricle\tEstimatedTotalIntraCranialVol\n"


@pytest.fixture
def visits(tmp_path: Path) -> pd.DataFrame:
    names = [
        f"sub-{who}/ses-{s}/anat/sub-{who}_ses-{s}_T1w.nii.gz" for who, s in (("01", "01"), ("01", "02"), ("2", 1))
    ]
    return read_visits(touch(tmp_path / "bids", *names))


def factors(visits: pd.DataFrame, folder: Path, rows: list[str], head: str = HEAD) -> list[float]:
    path = folder / "aseg.tsv"
    path.write_text(head + "".join(f"{identity}\t{i}\t{1000 + i}\n" for i, identity in enumerate(rows)))
    found = scan_factors(visits, path, ["Left-Lateral-Ventricle", "EstimatedTotalIntraCranialVol"])
    np.testing.assert_array_equal(found.iloc[:, 1] - found.iloc[:, 0], np.where(found.iloc[:, 0].isna(), np.nan, 1000))
    values: list[float] = found.iloc[:, 0].tolist()
    return values


@pytest.mark.parametrize(
    "rows",
    [
        ["sub-01_ses-01", "sub-01_ses-02", "sub-2_ses-1"],
        ["sub-01_ses-01.long.sub-01", "sub-01_ses-02.long.sub-01", "sub-2_ses-1.long.sub-2"],
        ["/data/fs/sub-01_ses-01/", "/data/fs/sub-01_ses-02.long.sub-01", "subjects/sub-2"],
        ["01_01", "sub-01_ses-02_T1w", "2"],
    ],
)
def test_ids_of_folders_are_those_of_scans(visits: pd.DataFrame, tmp_path: Path, rows: list[str]) -> None:
    assert factors(visits, tmp_path, rows) == [0, 1, 2]


def test_the_longitudinal_stream_is_taken_and_templates_are_nobodys(
    visits: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = ["sub-01_ses-01", "sub-01", "sub-01_ses-01.long.sub-01", "sub-2_ses-1", "sub-9_ses-1"]
    with caplog.at_level("INFO"):
        np.testing.assert_equal(factors(visits, tmp_path, rows), [2, np.nan, 3])
    assert "1 rows of Measure:volume are left out for those of the longitudinal stream" in caplog.text
    assert "1 ids of Measure:volume are of people with several scans and tell none: sub-01" in caplog.text
    assert "1 of 3 scans have no row" in caplog.text


def test_twice_the_same_scan_and_strangers_are_refused(visits: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than one row of sub-01 ses-01"):
        factors(visits, tmp_path, ["sub-01_ses-01", "/fs/sub-01_ses-01"])
    with pytest.raises(InputError, match="has no row of any scan: it has sub-x1"):
        factors(visits, tmp_path, ["x1"])


def test_ids_of_public_studies_and_tables_of_the_cortex(tmp_path: Path) -> None:
    touch(tmp_path / "o", "OAS30001_MR_d0129/anat2/sub-OAS30001_ses-d0129_T1w.nii.gz")
    touch(tmp_path / "u", "1000001_20252_2_0/T1/T1.nii.gz", "1000001_20252_3_0/T1/T1.nii.gz")
    head = HEAD.replace("Measure:volume", "lh.aparc.thickness")
    assert factors(read_visits(tmp_path / "o"), tmp_path, ["OAS30001_Freesurfer53_d0129"], head) == [0]
    ids = ["1000001_20263_3_0", "1000001_20263_2_0"]
    assert factors(read_visits(tmp_path / "u"), tmp_path, ids) == [1, 0]


def test_other_tables_stay_as_they_are(visits: pd.DataFrame) -> None:
    for table in (pd.DataFrame({"scan": ["a"], "x": ["1"]}), pd.DataFrame()):
        assert with_keys(table, visits) is table
