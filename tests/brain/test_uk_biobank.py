import zipfile
from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.brain.clinical import read_clinical
from disentangle_pl.brain.mapping import load_mapping
from disentangle_pl.brain.nearest import join_clinical
from disentangle_pl.brain.scan_choice import choice_of
from disentangle_pl.brain.visits import find_visits, read_visits
from disentangle_pl.errors import InputError
from tests.brain.scans import anatomy, keys, touch, write

WIDE = (
    "eid,31-0.0,53-0.0,53-2.0,53-3.0,54-2.0,54-3.0,21003-0.0,21003-2.0,21003-3.0,20016-2.0,25010-2.0,25010-3.0,4079-0.1\n"
    "1000001,0,2008-05-01,2015-05-01,2017-10-30,11025,11027,57,64,66,-3,1200000,1190000,7\n"
    "1000002,1,2009-01-02,2016-01-02,,11026,,60,67,,9,1300000,,7\n"
    "1000003,1,2009-01-02,,,,,60,,,,,,7\n"
)


def bulk(root: Path, packed: bool = True) -> Path:
    """Write two people as UK Biobank hands them out, the first with two imaging visits."""
    away = root / "not_imaging" / "of" / "a" / "scan"
    names = ["T1/T1_brain_to_MNI.nii.gz", "T1/T1_brain.nii.gz", "T1/T1.nii.gz", "T1/T1_fast/T1_brain_pve_0.nii.gz"]
    for seed, visit in enumerate(("1000001_20252_2_0", "1000001_20252_3_0", "1000002_20252_2_0")):
        folder = away if packed else root
        paths = [write(folder / visit / name, anatomy(10 * seed + i)) for i, name in enumerate(names)]
        if packed:
            root.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(root / f"{visit}.zip", "w") as archive:
                for path, name in zip(paths, names, strict=True):
                    archive.write(path, name)
    touch(root, "1000009_20253_2_0.zip", "1000001_20263_2_0/mri/norm.mgz", "ukb12345.csv")
    return root


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("below", ["", "Brain MRI/T1"])
def test_archives_and_folders_are_people_and_visits(
    tmp_path: Path, packed: bool, below: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = bulk(tmp_path / "ukb" / below, packed)
    with caplog.at_level("INFO"):
        found = find_visits(tmp_path / "ukb", check=True)
    assert found.layout == "UK Biobank"
    assert found.skipped.empty
    assert keys(found.visits) == [("sub-1000001", "ses-2"), ("sub-1000001", "ses-3"), ("sub-1000002", "ses-2")]
    first = root / f"1000001_20252_2_0{'.zip' * packed}" / "T1" / "T1_brain_to_MNI.nii.gz"
    assert found.visits["path"][0] == str(first)
    assert "3 scans are warped to MNI152 by UK Biobank, not linearly" in caplog.text
    native = find_visits(tmp_path / "ukb", choice=choice_of(["space=none", "desc=brain"])).visits["path"]
    assert {Path(path).name for path in native} == {"T1_brain.nii.gz"}
    whole = find_visits(tmp_path / "ukb", choice=choice_of(["space=none", "desc=none"])).visits["path"]
    assert {Path(path).name for path in whole} == {"T1.nii.gz"}


def test_what_a_person_lacks_is_the_same_at_all_visits_and_what_is_unusable_is_named(tmp_path: Path) -> None:
    root = bulk(tmp_path / "ukb", packed=False)
    (root / "1000001_20252_3_0" / "T1" / "T1_brain_to_MNI.nii.gz").unlink()
    with zipfile.ZipFile(root / "1000004_20252_2_0.zip", "w") as archive:
        archive.writestr("T1/unusable/T1.nii.gz", b"")
    (root / "1000005_20252_2_0.zip").write_bytes(b"not whole")
    touch(root, "1000006_20252_2_0/T1/T1_notes.txt")
    visits, skipped, _ = find_visits(root)
    names = [Path(path).name for path in visits["path"]]
    assert names == ["T1_brain.nii.gz", "T1_brain.nii.gz", "T1_brain_to_MNI.nii.gz"]
    assert [Path(path).parts[-3][:7] for path in skipped["path"]] == ["1000004", "1000005", "1000006"]
    unusable, broken, empty = skipped["reason"]
    assert "put under unusable" in unusable
    assert "1000005_20252_2_0.zip, which cannot be opened" in broken
    assert empty == "is not there"


def test_flair_is_a_field_of_its_own_and_a_folder_comes_before_its_archive(tmp_path: Path) -> None:
    touch(tmp_path, "1000001_20253_2_0/T2_FLAIR/T2_FLAIR_brain.nii.gz", "1000001_20253_2_0.zip")
    visits = find_visits(tmp_path, choice=choice_of([], "FLAIR")).visits
    assert Path(visits["path"][0]).parts[-3:] == ("1000001_20253_2_0", "T2_FLAIR", "T2_FLAIR_brain.nii.gz")
    with pytest.raises(InputError, match="has no T1w scans, but FLAIR"):
        read_visits(tmp_path)
    with pytest.raises(InputError, match="but FLAIR"):
        find_visits(tmp_path, choice=choice_of([], "T2w"))


def spelt(style: str) -> str:
    """Write the header as other programs do."""
    head, _, body = WIDE.partition("\n")
    names = [name.replace("-", ".").partition(".") for name in head.split(",")[1:]]
    parts = [(field, *rest.split(".")) for field, _, rest in names]
    written = {
        "showcase": ["eid", *head.split(",")[1:]],
        "R": ["f.eid", *(f"f.{field}.{i}.{a}" for field, i, a in parts)],
        "platform": ["eid", *("p31" if f == "31" else f"p{f}_i{i}" + f"_a{a}" * (f == "4079") for f, i, a in parts)],
        "cohort": ["participant.eid", *(f"participant.p{field}_i{i}_a{a}" for field, i, a in parts)],
    }
    return ",".join(written[style]) + "\n" + body


@pytest.mark.parametrize("style", ["showcase", "R", "platform", "cohort"])
def test_wide_tables_of_the_showcase_stand_on_their_visits(tmp_path: Path, style: str) -> None:
    root = bulk(tmp_path / "ukb", packed=False)
    (tmp_path / "t.csv").write_text(spelt(style))
    mapping = load_mapping("uk_biobank")
    table, remarks = join_clinical(read_visits(root), read_clinical(tmp_path / "t.csv", mapping), mapping)
    assert table["sex"].tolist() == ["F", "F", "M"], "31 is 0 for women and 1 for men, and stands on instance 0 alone"
    assert table["age"].tolist() == [64, 66, 67]
    assert table["site"].tolist() == ["11025", "11027", "11026"]
    np.testing.assert_allclose(table["entry_years"], np.array([2556, 3469, 2556]) / 365.25)
    np.testing.assert_equal(table["fluid_intelligence"].to_numpy(), [np.nan, np.nan, 9], "-3: prefer not to answer")
    assert table["brain_volume"].tolist() == [1200000, 1190000, 1300000]
    assert table["uk_biobank_gap_years"].tolist() == [0, 0, 0]
    assert any("without the optional columns 20023, 21001, 845" in remark for remark in remarks)
    assert "bmi" not in table


def test_without_dates_or_ages_the_instance_alone_joins(tmp_path: Path) -> None:
    root = bulk(tmp_path / "ukb", packed=False)
    (tmp_path / "t.csv").write_text("eid,31-0.0,25010-2.0,25010-3.0\n1000001,0,5,6\n1000002,1,7,\n")
    mapping = load_mapping("uk_biobank")
    table, _ = join_clinical(read_visits(root), read_clinical(tmp_path / "t.csv", mapping), mapping)
    assert table["brain_volume"].tolist() == [5, 6, 7]
    assert table["sex"].tolist() == ["F", "F", "M"]
    assert table["age"].isna().all()


@pytest.mark.parametrize(
    ("text", "words"),
    [("id,31-0.0\n1,0\n", "has no column eid"), ("eid,x\n1,0\n", "none of 53; 21003"), ("eid,31-0.0\n1,0\n1,1\n", "1")],
)
def test_wrong_tables_are_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_clinical(tmp_path / "t.csv", load_mapping("uk_biobank"))
