import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.pairing import IntervalPairs
from disentangle_pl.brain.sampling import visit_pairs
from disentangle_pl.brain.split_file import extend_split, write_split
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.data.factors import Batch
from disentangle_pl.errors import InputError
from disentangle_pl.studies.prepare import report_prepared
from tests.brain.scans import REAL, bids

ALL = {"limit_train_batches": 1.0, "overfit_batches": 0.0}  # of a trainer that takes every batch
COHORT = {f"{i:03d}": 1 + i % 3 for i in range(30)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 participants with one, two or three visits; two whose sessions are not named in time's order."""
    root = bids(tmp_path_factory.mktemp("cohort"), COHORT)
    for who in ("002", "005"):
        text = "session_id\tage\nses-1\t72\nses-2\t70\nses-3\t71\n"
        (root / f"sub-{who}" / f"sub-{who}_sessions.tsv").write_text(text)
    return root


def data(root: Path, **settings: Any) -> LongitudinalData:
    usual: dict[str, Any] = {"size": (6, 6, 6), "spacing": 2.0, "batch_size": 4, "steps_per_epoch": 5}
    module = LongitudinalData(str(root), cache=str(root / "cache"), **(usual | settings))
    module.prepare_data()
    module.setup("fit")
    return module


def whole(module: LongitudinalData, batch: tuple[Tensor, ...]) -> Batch:
    return module.on_after_batch_transfer(cast(tuple[Tensor], batch), 0)


def place(module: LongitudinalData, rank: int, world_size: int) -> LongitudinalData:
    module.trainer = cast(Trainer, SimpleNamespace(global_rank=rank, world_size=world_size, **ALL))
    return module


def test_what_is_known_before_any_scan_is_read() -> None:
    module = LongitudinalData("nowhere", (6, 8, 10), 2.0, 4)
    assert module.shape == (1, 6, 8, 10)
    assert module.group == 2
    assert module.factor_names == ("age", "years")
    assert LongitudinalData("nowhere", (6, 8, 10), 2.0, 4, pairs=False).group == 1
    with pytest.raises(InputError, match="nowhere does not exist"):
        module.prepare_data()
    with pytest.raises(InputError, match="batch_size is 0"):
        LongitudinalData("nowhere", (6, 8, 10), 2.0, 0)


@pytest.mark.parametrize("resident_mib", [2048, 0])
def test_pairs_are_two_visits_of_one_training_participant(root: Path, resident_mib: int) -> None:
    module = data(root, resident_mib=resident_mib)
    train = set(module.parts.train["participant_id"])
    seen = set()
    for (rows,) in module.train_dataloader():
        image, factors, changed = whole(module, (rows,))
        assert image.shape == (4, 2, 1, 6, 6, 6)
        assert image.dtype == torch.float32
        assert factors.shape == (4, 2, 2)
        assert factors.dtype == torch.float32
        assert changed is None
        for first, second in rows.tolist():
            one, two = module.visits.loc[first], module.visits.loc[second]
            assert one["participant_id"] == two["participant_id"]
            assert first != second
            assert one["participant_id"] in train
            assert not one["years"] > two["years"]
            seen.add(one["participant_id"])
    assert len(seen) > 5


def test_images_and_covariates_are_those_of_the_rows(root: Path) -> None:
    module, on_disk = data(root), data(root, resident_mib=0)
    rows = torch.tensor([[7, 3], [2, 2]])
    image, factors, _ = whole(module, (rows,))
    torch.testing.assert_close(image, whole(on_disk, (rows,)).image)
    assert not torch.equal(image[0, 0], image[0, 1])
    expected = module.visits.loc[[7, 3], ["age", "years"]].to_numpy(np.float32)
    np.testing.assert_array_equal(factors[0].numpy(), expected)


def test_every_pair_of_visits_is_equally_likely_within_a_participant() -> None:
    visits = pd.DataFrame({"participant_id": list("aabbbc"), "years": [0, 1, 2, 0, 1, np.nan], "age": np.nan})
    visits["session_id"] = list("121231")
    (rows,) = visit_pairs(visits)(30_000, torch.Generator().manual_seed(0))
    pairs, counts = np.unique(rows.numpy(), axis=0, return_counts=True)
    assert pairs.tolist() == [[0, 1], [3, 2], [3, 4], [4, 2]]
    np.testing.assert_allclose(counts / len(rows), [1 / 2, 1 / 6, 1 / 6, 1 / 6], atol=0.01)


def test_single_visits_are_said_and_nothing_but_single_visits_is_refused(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        module = data(root)
    counts = module.parts.train["participant_id"].value_counts()
    said = f"{(counts == 1).sum()} of {len(counts)} training participants have one visit and are left out"
    assert caplog.text.count(said) == 1
    lonely = bids(tmp_path, {"01": 1, "02": 1})
    with pytest.raises(InputError, match="set pairs to false"):
        data(lonely)
    batch = whole(single := data(lonely, pairs=False), next(iter(single.train_dataloader())))
    assert batch.image.shape == (4, 1, 6, 6, 6)
    assert batch.factors.shape == (4, 2)


@pytest.mark.parametrize("pairs", [True, False])
def test_draws_repeat_and_resume_in_mid_epoch(root: Path, pairs: bool) -> None:
    module = data(root, pairs=pairs)
    loader = module.train_dataloader()
    assert len(loader) == 5
    expected = [rows for _ in range(2) for (rows,) in loader]
    assert not torch.equal(expected[0], expected[5]), "the second epoch goes on"
    killed = module.train_dataloader()
    drawn = iter(killed)
    start = [next(drawn)[0] for _ in range(3)]
    resumed = module.train_dataloader()
    resumed.go_on_from(killed.state())
    rest = [rows for _ in range(2) for (rows,) in resumed]
    assert all(torch.equal(a, b) for a, b in zip(expected, start + rest, strict=True))
    other = data(root, pairs=pairs, seed=1)
    assert not torch.equal(next(iter(other.train_dataloader()))[0], expected[0])
    assert other.parts.train.equals(module.parts.train), "the split is the same for every seed"


def test_two_processes_are_one_with_twice_the_batch(root: Path) -> None:
    ranks = [place(data(root), rank, 2) for rank in (0, 1)]
    alone = data(root, batch_size=8)
    for (zero,), (one,), (both,) in zip(*(module.train_dataloader() for module in (*ranks, alone)), strict=True):
        assert torch.equal(torch.cat((zero, one)), both)
    seen = torch.cat([rows for module in ranks for (rows,) in module.predict_dataloader()])
    assert sorted(seen.tolist()) == list(range(len(alone.visits)))


@pytest.mark.parametrize("resident_mib", [2048, 0])
@pytest.mark.parametrize("ready", [False, True])
def test_who_has_withdrawn_is_in_no_part_and_the_images_of_all_other_people_stay_theirs(
    root: Path, tmp_path: Path, resident_mib: int, ready: bool
) -> None:
    (tmp_path / "w12345.csv").write_text("eid\n000\n007\n007\n\n029\n")
    if ready:
        report_prepared(root, tmp_path / "ready", Preparation((6, 6, 6), 2.0))
    source, size = (tmp_path / "ready", {"size": None, "spacing": None}) if ready else (root, {})
    everybody, module = (
        data(source, resident_mib=resident_mib, **size, **more)
        for more in ({}, {"withdrawn": str(tmp_path / "w12345.csv")})
    )
    gone = everybody.visits["participant_id"].isin(["sub-000", "sub-007", "sub-029"])
    assert gone.sum() == 1 + 2 + 3
    assert module.visits.equals(everybody.visits[~gone].reset_index(drop=True))
    where = torch.from_numpy(np.flatnonzero(~gone))
    assert module.volumes
    assert everybody.volumes
    rows = torch.arange(len(where))
    assert torch.equal(module.volumes.images(rows), everybody.volumes.images(where))
    assert torch.equal(module.factors.isnan(), everybody.factors[where].isnan())
    np.testing.assert_array_equal(module.centres, everybody.centres[where.numpy()])
    for part, whole_part in zip(module.parts, everybody.parts, strict=True):
        assert set(part["participant_id"]) == set(whole_part["participant_id"]) - {"sub-000", "sub-007", "sub-029"}
    (drawn,) = next(iter(module.train_dataloader()))
    assert int(drawn.max()) < len(where)


def test_evaluation_is_single_scans_in_order(root: Path) -> None:
    module = data(root)
    for loader, part in (
        (module.val_dataloader(), module.parts.val),
        (module.test_dataloader(), module.parts.test),
        (module.predict_dataloader(), module.visits),
    ):
        rows = torch.cat([rows for (rows,) in loader])
        assert rows.tolist() == part.index.tolist()
        assert whole(module, next(iter(loader))).image.shape[1:] == (1, 6, 6, 6)


class Mean(LightningModule):
    """A model that checks what Lightning hands it."""

    def __init__(self) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        assert batch.image.shape[1:3] == (2, 1)
        return (batch.image - self.level).square().mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        assert batch.image.ndim == 5
        assert batch.factors.shape[1:] == (2,)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.skipif(not REAL.exists(), reason="the real scans of ../shared/data/brain are not here")
def test_real_scans_train(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    module = LongitudinalData(
        str(REAL / "longitudinal-ms"), (32, 32, 32), 6.0, 2, steps_per_epoch=2, cache=str(tmp_path)
    )
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    model = Mean()
    trainer.fit(model, module)
    assert trainer.global_step == 2
    assert model.level > 0
    assert "1 of 2 training participants have one visit" in caplog.text
    assert "NOT held-out" in caplog.text


def test_a_split_file_says_who_is_where(root: Path, tmp_path: Path) -> None:
    part = pd.Series({f"{i:03d}": ("train", "val", "test")[i // 10] for i in range(30)})
    write_split(tmp_path / "split.tsv", part, "by hand")
    module = data(root, split_file=str(tmp_path / "split.tsv"))
    assert sorted(set(module.parts.val["participant_id"])) == [f"sub-{i:03d}" for i in range(10, 20)]
    assert {"sub-029"} <= set(module.parts.test["participant_id"])


def test_a_split_that_has_grown_fits_and_one_that_lacks_somebody_says_how_to(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "split.tsv"
    write_split(path, pd.Series({f"{i:03d}": ("train", "val", "test")[i // 10] for i in range(29)}), "by hand")
    with pytest.raises(InputError, match=r"no part for 1 of 30 participants \(sub-029\): disentangle-pl scans with"):
        data(root, split_file=str(path))
    extend_split(path, pd.Series({"029": "val"}), "later")
    parts = data(root, split_file=str(path)).parts
    assert [rows["participant_id"].nunique() for rows in parts] == [10, 11, 9]


def test_a_copied_scan_on_two_sides_is_refused(tmp_path: Path) -> None:
    root = bids(tmp_path, {"1": 2, "2": 1, "3": 1})
    write_split(tmp_path / "split.tsv", pd.Series({"1": "train", "2": "val", "3": "test"}), "by hand")
    settings = {"split_file": str(tmp_path / "split.tsv")}
    assert len(data(root, **settings).parts.train) == 2
    copied = (root / "sub-1/ses-2/anat/sub-1_ses-2_T1w.nii.gz").read_bytes()
    (root / "sub-3/ses-1/anat/sub-3_ses-1_T1w.nii.gz").write_bytes(copied)
    with pytest.raises(InputError, match=r"same image is on two sides of the split: \S+sub-1_ses-2\S+; \S+sub-3_ses-1"):
        data(root, **settings)


def test_pairs_are_those_of_the_pairing_and_their_interval_is_in_the_batch(root: Path) -> None:
    module = data(root, pairing=IntervalPairs(min_years=1.5))
    for rows in module.train_dataloader():
        years = whole(module, rows).factors[:, :, module.factor_names.index("years")]
        assert (years[:, 1] - years[:, 0]).tolist() == [2, 2, 2, 2]


def test_a_filter_chooses_among_the_scans_of_a_folder_and_is_refused_of_a_list(tmp_path: Path) -> None:
    source = bids(tmp_path / "bids", {"1": 1, "2": 1})
    for person in ("1", "2"):
        folder = source / f"sub-{person}" / "ses-1" / "anat"
        shutil.copy(folder / f"sub-{person}_ses-1_T1w.nii.gz", folder / f"sub-{person}_ses-1_acq-mprage_T1w.nii.gz")
    usual, chosen = (data(source, filter=filters, pairs=False).visits["path"] for filters in (None, ["acq=mprage"]))
    assert not usual.str.contains("acq-mprage").any()
    assert chosen.str.contains("acq-mprage").all()
    with pytest.raises(InputError, match="the filter mprage cannot be used"):
        data(source, filter=["mprage"])
    table = data(source, pairs=False).visits
    table.to_csv(tmp_path / "scans.tsv", sep="\t", index=False, na_rep="n/a")
    report_prepared(source, tmp_path / "prepared", Preparation((4, 4, 4), 3.0))
    for listed in ("scans.tsv", "prepared"):
        with pytest.raises(InputError, match=f"--data.filter chooses among .* a folder, and .*{listed} lists scans"):
            LongitudinalData(str(tmp_path / listed), (4, 4, 4), 3.0, filter=["acq=mprage"])
