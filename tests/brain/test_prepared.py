import gzip
import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from disentangle_pl.brain.augmentation import Augmentation
from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.prepared import is_prepared, open_prepared
from disentangle_pl.brain.split import split_of
from disentangle_pl.brain.split_file import write_split
from disentangle_pl.brain.visits import find_visits, read_visits
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.errors import InputError
from disentangle_pl.studies.prepare import report_prepared
from tests.brain.scans import bids


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = bids(tmp_path_factory.mktemp("cohort"), {f"{i:02d}": 1 + i % 2 for i in range(12)})
    (root / "participants.tsv").write_text(
        "participant_id\tsex\tage\tmmse\nsub-01\tF\t70.5\t29\nsub-02\tn/a\tn/a\t30\n"
    )
    return root


@pytest.fixture(scope="module")
def prepared(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "out"
    report_prepared(source, folder, Preparation((6, 8, 10), 2.0))
    return folder


def data(root: Path, **settings: Any) -> LongitudinalData:
    module = LongitudinalData(str(root), **{"batch_size": 4, "steps_per_epoch": 3, **settings})
    module.prepare_data()
    module.setup("fit")
    return module


def test_the_table_is_the_one_it_was_made_from(source: Path, prepared: Path) -> None:
    assert is_prepared(prepared)
    assert not is_prepared(source)
    pd.testing.assert_frame_equal(read_visits(prepared), read_visits(source))
    assert find_visits(prepared, check=True).layout == "a folder of prepared scans"


def test_prepared_scans_are_taken_as_they_are(source: Path, prepared: Path, tmp_path: Path) -> None:
    module = data(prepared)
    cached = data(source, size=(6, 8, 10), spacing=2.0, cache=str(tmp_path))
    assert module.shape == cached.shape == (1, 6, 8, 10)
    for own, other in zip(module.train_dataloader(), cached.train_dataloader(), strict=True):
        batch, expected = (m.on_after_batch_transfer(rows, 0) for m, rows in ((module, own), (cached, other)))
        assert torch.equal(batch.image, expected.image)
        assert torch.equal(batch.factors.nan_to_num(-1), expected.factors.nan_to_num(-1))
    assert data(prepared, size=(6, 8, 10), spacing=2.0).shape == module.shape


def test_the_scans_may_be_gone(prepared: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("volumes.npy", "index.parquet", "prepared.json"):
        (moved / name).write_bytes((prepared / name).read_bytes())
    index = pd.read_parquet(moved / "index.parquet")
    index.assign(path="/nowhere/" + index["sha256"]).to_parquet(moved / "index.parquet", index=False)
    part = pd.Series({f"{i:02d}": ("train", "train", "val")[i % 3] for i in range(12)})
    write_split(tmp_path / "split.tsv", part, "by hand")
    module = data(moved, split_file=str(tmp_path / "split.tsv"))
    assert len(module.parts.val) > 0
    assert len(open_prepared(moved).crcs) == len(module.visits)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": (6, 8, 12)}, r"holds scans of \[6, 8, 10\] voxels of 2.0 mm, not \[6, 8, 12\] of 2.0 mm: give null"),
        ({"spacing": 3.0}, r"not \[6, 8, 10\] of 3.0 mm"),
    ],
)
def test_a_contradiction_is_one_sentence(prepared: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        LongitudinalData(str(prepared), **settings)


def test_other_sources_need_size_and_spacing(source: Path) -> None:
    with pytest.raises(InputError, match="no folder of prepared scans: give size and spacing"):
        LongitudinalData(str(source), size=(6, 8, 10))


@pytest.mark.parametrize("name", ["volumes.npy", "index.parquet", "prepared.json"])
def test_a_damaged_folder_is_one_sentence(prepared: Path, tmp_path: Path, name: str) -> None:
    for whole in ("volumes.npy", "index.parquet", "prepared.json"):
        (tmp_path / whole).write_bytes((prepared / whole).read_bytes())
    (tmp_path / name).write_bytes((prepared / name).read_bytes()[:60])
    with pytest.raises(InputError, match=r"are damaged \(.*give disentangle-pl prepare once more"):
        open_prepared(tmp_path)
    about = json.loads((prepared / "prepared.json").read_text())
    (tmp_path / name).write_bytes((prepared / name).read_bytes())
    (tmp_path / "prepared.json").write_text(json.dumps({**about, "shape": [1, 6, 8, 10]}))
    with pytest.raises(InputError, match="are damaged"):
        open_prepared(tmp_path)


@pytest.mark.parametrize("pairs", [True, False])
def test_training_images_are_augmented_and_others_are_not(prepared: Path, pairs: bool) -> None:
    plain, module = (data(prepared, pairs=pairs, augmentation=a) for a in (None, Augmentation(gain=0.2, noise=0.1)))
    rows, *chance = next(iter(module.train_dataloader()))
    image = module.on_after_batch_transfer((rows, *chance), 0).image
    bare = plain.on_after_batch_transfer((rows,), 0).image
    assert image.shape == bare.shape
    assert not torch.equal(image, bare)
    assert torch.equal(image, Augmentation(gain=0.2, noise=0.1)(bare, *chance))
    for loader in (module.val_dataloader(), module.predict_dataloader()):
        shown = module.on_after_batch_transfer(next(iter(loader)), 0).image
        np.testing.assert_array_equal(shown, plain.on_after_batch_transfer(next(iter(loader)), 0).image)


def copy_of(prepared: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in ("volumes.npy", "index.parquet", "prepared.json", "journal.jsonl"):
        (folder / name).write_bytes((prepared / name).read_bytes())
    return folder


def flip(volumes: Path, where: int = -7, content: bytes = b"\x01\x02") -> None:
    with volumes.open("r+b") as file:
        file.seek(where, 2)
        file.write(content)


def test_volumes_are_checked_once_and_again_when_they_change(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of(prepared, tmp_path / "copy")
    crcs = open_prepared(folder).crcs
    assert [zlib.crc32(volume.tobytes()) for volume in np.load(folder / "volumes.npy")] == crcs.tolist()
    with monkeypatch.context() as patch:
        patch.setattr(zlib, "crc32", None)
        assert open_prepared(folder).crcs.equals(crcs)
    flip(folder / "volumes.npy")
    os.utime(folder / "volumes.npy", (1, 1))
    with pytest.raises(InputError, match=r"damaged \(1 volumes are not those that were prepared.*: sub-11 ses-2\)"):
        open_prepared(folder)
    (folder / "volumes.checked.json").write_text("torn")
    with pytest.raises(InputError, match="damaged"):
        open_prepared(folder)


def test_stored_nan_is_refused_and_made_again(source: Path, tmp_path: Path, prepared: Path) -> None:
    folder = copy_of(prepared, tmp_path / "copy")
    flip(folder / "volumes.npy", -2, np.float16(np.nan).tobytes())
    crc = zlib.crc32(np.load(folder / "volumes.npy")[-1].tobytes())
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    last = pd.read_parquet(folder / "index.parquet")["sha256"].iloc[-1]
    lines = [{**line, "crc": crc} if line.get("sha256") == last else line for line in lines]
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(InputError, match="or hold NaN: sub-11 ses-2"):
        open_prepared(folder)
    report_prepared(source, folder, Preparation((6, 8, 10), 2.0))
    np.testing.assert_array_equal(open_prepared(folder).volumes, open_prepared(prepared).volumes)


def test_a_recompressed_copy_is_never_on_two_sides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = bids(tmp_path / "bids", {f"{i}": 2 for i in range(9)})
    one = root / "sub-0/ses-1/anat/sub-0_ses-1_T1w.nii.gz"
    content = gzip.decompress(one.read_bytes())
    parts = pd.Series({f"{i}": ("train", "val", "test")[i % 3] for i in range(9)})
    write_split(tmp_path / "split.tsv", parts, "by hand")
    settings = {"size": (6, 6, 6), "spacing": 2.0, "cache": str(tmp_path / "cache")}
    later = root / "sub-0/ses-2/anat/sub-0_ses-2_T1w.nii.gz"
    later.write_bytes(gzip.compress(content, 1))
    with caplog.at_level("INFO"):
        train = data(root, split_file=str(tmp_path / "split.tsv"), **settings).parts.train
    assert train["participant_id"].tolist() == ["sub-0", "sub-3", "sub-3", "sub-6", "sub-6"]
    assert f"1 scans are left out of training, validation and test: {later}: is the same image" in caplog.text
    other = root / "sub-4/ses-1/anat/sub-4_ses-1_T1w.nii.gz"
    other.unlink()
    other.with_suffix("").write_bytes(content)
    with pytest.raises(InputError, match=r"same image is on two sides of the split: \S+sub-0_ses-1\S+; \S+sub-4_ses-1"):
        data(root, split_file=str(tmp_path / "split.tsv"), **settings)


def test_the_split_by_ids_refuses_a_copy_too(tmp_path: Path) -> None:
    root = bids(tmp_path / "bids", {f"{i:02d}": 1 for i in range(20)})
    part = {f"{i:02d}": split_of(f"{i:02d}") for i in range(20)}
    first, second = (next(name for name in part if part[name] == side) for side in ("train", "test"))
    content = gzip.decompress((root / f"sub-{first}/ses-1/anat/sub-{first}_ses-1_T1w.nii.gz").read_bytes())
    (root / f"sub-{second}/ses-1/anat/sub-{second}_ses-1_T1w.nii.gz").write_bytes(gzip.compress(content, 1))
    with pytest.raises(InputError, match="same image is on two sides of the split"):
        data(root, size=(6, 6, 6), spacing=2.0, cache=str(tmp_path / "cache"), pairs=False)
