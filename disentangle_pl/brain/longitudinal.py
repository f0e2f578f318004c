"""Batches of prepared scans: pairs of visits of one person, or single scans."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from disentangle_pl.brain.augmentation import Augmentation
from disentangle_pl.brain.cache import prepare
from disentangle_pl.brain.duplicates import copied, copies, same_volumes
from disentangle_pl.brain.intensity import Percentiles
from disentangle_pl.brain.pairing import Pairing
from disentangle_pl.brain.prepared import PreparedScans, Volumes, agreed_geometry, is_prepared, open_prepared
from disentangle_pl.brain.sampling import SingleScans, rows_of, visit_pairs
from disentangle_pl.brain.scan_choice import choice_of
from disentangle_pl.brain.split import Split, split
from disentangle_pl.brain.split_file import read_split, refuse_shared, split_by
from disentangle_pl.brain.tables import listing
from disentangle_pl.brain.truth import DEFAULT, scan_factors
from disentangle_pl.brain.visits import read_visits, reasons
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.brain.withdrawals import read_withdrawn, remaining, remaining_parts
from disentangle_pl.data.draws import Draw, Draws, Shard
from disentangle_pl.data.factors import Batch
from disentangle_pl.data.module import ImageData, check_counts
from disentangle_pl.errors import InputError
from disentangle_pl.folders import user_cache


class ResidentVolumes:
    """Prepared scans: on the device that asks for them if they are small, read from the file otherwise.

    Args:
        volumes: (N, D, H, W) float16.
        resident_mib: Keep them in memory when they take at most so many MiB.
        places: (M,) the volumes that are wanted; image i is volume places[i]. None for all.
    """

    def __init__(self, volumes: Volumes, resident_mib: int, places: npt.NDArray[np.int64] | None = None) -> None:
        places = np.arange(len(volumes)) if places is None else places
        small = volumes.nbytes <= resident_mib * 2**20
        self.volumes = torch.from_numpy(np.asarray(volumes[places])) if small else volumes
        self.places = places

    def images(self, index: Tensor) -> Tensor:
        """Look up rows (...) as images (..., 1, D, H, W), float32 on the device of `index`."""
        flat = index.flatten()
        if isinstance(self.volumes, Tensor):
            if self.volumes.device != index.device:
                self.volumes = self.volumes.to(index.device)
            volumes = self.volumes.index_select(0, flat)
        else:
            volumes = torch.from_numpy(np.asarray(self.volumes[self.places[flat.cpu().numpy()]])).to(index.device)
        return volumes.float().reshape(*index.shape, 1, *volumes.shape[1:])


class LongitudinalData(ImageData):
    """Brain scans of people who came more than once.

    Scans are prepared once and cached; participants are split by a file, or else by a hash of their id (see
    `split`), the same for every seed. The loaders carry row numbers; the images appear on the training device after the
    transfer.

    Args:
        root: A folder of scans (BIDS, CAPS, OASIS-3, UK Biobank), a .tsv or .csv table of them (see `read_visits`), or
            a folder of `disentangle-pl prepare`, whose volumes are taken as they are.
        size: Voxels along left-right, posterior-anterior and inferior-superior; null only for prepared scans.
        spacing: Edge of the cubic voxels in mm; null only for prepared scans.
        batch_size: Examples (scans, or pairs) a process and step.
        steps_per_epoch: Steps between two validations.
        pairs: Train on two visits of one participant; false trains on single scans of everybody.
        cache: Folder for the prepared scans; null takes `disentangle_pl` in the user's cache folder.
        seed: Seed of the training draws.
        jobs: Processes that prepare scans; -1 for one a core.
        percentiles: Intensity percentiles that become 0 and 1, unless the scans are prepared.
        resident_mib: Keep the prepared scans on the device when they take at most so many MiB.
        split_file: Who is for training, validation and test (see `read_split`); null splits by a hash.
        pairing: Which two scans make a pair; null takes any two visits of one participant.
        augmentation: Random changes of intensity of the training images; null for none.
        truth: A table of more numbers a scan, such as measured volumes (see `scan_factors`).
        factors: Columns of the table of truth, or of that of the scans, that are the factors; null takes age, years
            and all numbers of the table of truth.
        withdrawn: A file of people who have withdrawn, and are left out (see `read_withdrawn`); null for nobody.
        filter: Which of several scans of a session of a folder, as --filter of `scans`: [acq=mprage, desc=none]; null
            takes the kind of the most sessions.

    Attributes:
        parts: The visits of training, validation and test participants, from `setup` on.
        factors: (N, k) float32 factors of every scan, from `setup` on.
        centres: (N, 3) the middles of the volumes in mm, from `setup` on.

    Raises:
        InputError: If a setting makes no sense; in `prepare_data` and `setup` if the scans do not.
    """

    parts: Split
    factors: Tensor
    centres: npt.NDArray[np.float64]

    def __init__(
        self,
        root: str,
        size: tuple[int, int, int] | None = None,
        spacing: float | None = None,
        batch_size: int = 8,
        steps_per_epoch: int = 100,
        pairs: bool = True,
        cache: str | None = None,
        seed: int = 0,
        jobs: int = 1,
        percentiles: tuple[float, float] = (0.5, 99.5),
        resident_mib: int = 2048,
        split_file: str | None = None,
        pairing: Pairing | None = None,
        augmentation: Augmentation | None = None,
        truth: str | None = None,
        factors: list[str] | None = None,
        withdrawn: str | None = None,
        filter: list[str] | None = None,  # noqa: A002 - a flag is called as that of `scans`
    ) -> None:
        super().__init__()
        check_counts(batch_size=batch_size, steps_per_epoch=steps_per_epoch)
        self.root = Path(root)
        self.choice = choice_of(filter or [])
        if filter and (is_prepared(self.root) or self.root.is_file()):
            raise InputError(
                f"--data.filter chooses among the scans of a folder, and {root} lists scans that are chosen: leave it "
                "out, or give --filter to the scans or prepare that makes such a list"
            )
        if is_prepared(self.root):
            size, spacing = agreed_geometry(self.root, size, spacing)
        if size is None or spacing is None:
            raise InputError(
                f"{root} is no folder of prepared scans: give size and spacing, or run disentangle-pl prepare"
            )
        self.preparation = Preparation(size, spacing, Percentiles(*percentiles))
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.pairs = pairs
        self.cache = Path(cache) if cache else user_cache()
        self.seed = seed
        self.jobs = jobs
        self.resident_mib = resident_mib
        self.split_file = Path(split_file) if split_file else None
        self.pairing = pairing or visit_pairs
        self.augmentation = augmentation
        self.truth = Path(truth) if truth else None
        self.chosen = factors
        self.withdrawn = Path(withdrawn) if withdrawn else None
        if self.withdrawn:
            read_withdrawn(self.withdrawn)
        self.volumes: ResidentVolumes | None = None
        self.draw: Draw | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(1, D, H, W) of one scan."""
        return (1, *self.preparation.size)

    @property
    def group(self) -> int:
        """2 for pairs of visits, 1 for single scans."""
        return 2 if self.pairs else 1

    @property
    def train_size(self) -> int:
        """The number of scans of training participants, from `setup` on."""
        return len(self.parts.train)

    @property
    def factor_names(self) -> tuple[str, ...]:
        """The factors asked for, NaN where unknown; else age, and time since the first visit, both in years."""
        if self.chosen is None and self.truth is not None:
            return tuple(self.known.columns)
        return DEFAULT if self.chosen is None else tuple(self.chosen)

    @property
    def scores_quantities(self) -> bool:
        """True if factors were asked for."""
        return self.truth is not None or self.chosen is not None

    @property
    def nuisance(self) -> tuple[str, ...]:
        """None."""
        return ()

    @cached_property
    def visits(self) -> pd.DataFrame:
        """The table of all scans (see `read_visits`); row i is image i."""
        return self._remaining.reset_index(drop=True)

    @cached_property
    def _remaining(self) -> pd.DataFrame:
        """The table of all scans but those of people who have withdrawn, with the row numbers of the whole."""
        if is_prepared(self.root):
            return remaining(read_visits(self.root), self.withdrawn)
        return read_visits(self.root, self.withdrawn, self.choice)

    @cached_property
    def known(self) -> pd.DataFrame:
        """The factors of all scans (see `scan_factors`)."""
        return scan_factors(self.visits, self.truth, self.chosen)

    def prepare_data(self) -> None:
        """Prepare the scans on one process, unless they are prepared or cached; refuse wrong factors before."""
        _ = self.known
        self._prepared()

    def setup(self, stage: str) -> None:
        """Open the prepared scans, split the participants, and refuse impossible pairs before training."""
        if self.volumes is None:
            prepared = self._prepared()
            places = self._remaining.index.to_numpy(np.int64)
            self.volumes = ResidentVolumes(prepared.volumes, self.resident_mib, places)
            self.centres = prepared.centres[places]
            self.factors = self._resident_factors = torch.tensor(self.known.to_numpy(np.float32))
            crcs = prepared.crcs.iloc[places].reset_index(drop=True)
            self.parts = self._split(same_volumes(crcs, lambda row: prepared.volumes[places[row]].tobytes()))
        if stage == "fit" and self.draw is None:
            train = self.parts.train
            draw = self.pairing(train) if self.pairs else SingleScans(rows_of(train))
            self.draw = self.augmentation.drawn_with(draw) if self.augmentation else draw

    def train_dataloader(self) -> Draws:
        """Endless draws, cut into epochs of `steps_per_epoch`."""
        assert self.draw is not None, "setup comes first"
        return self.resumed(Draws(self.draw, self.batch_size, self.steps_per_epoch, self.seed, *self.place))

    def val_dataloader(self) -> Shard:
        """The scans of the validation participants in order."""
        return self._in_order(self.parts.val)

    def test_dataloader(self) -> Shard:
        """The scans of the test participants in order."""
        return self._in_order(self.parts.test)

    def predict_dataloader(self) -> Shard:
        """All scans in the order of `visits`."""
        return self._in_order(self.visits)

    def groups(self, part: Literal["val", "test"]) -> npt.NDArray[np.int64]:
        """Number the participants of the validation or test scans, (N,)."""
        visits = self.parts.val if part == "val" else self.parts.test
        return visits["participant_id"].factorize()[0].astype(np.int64)

    @property
    def people(self) -> dict[str, str]:
        """Say who is for training, validation and test, by participant_id; who is for several counts as the first."""
        parts: dict[str, str] = {}
        for name in reversed(Split._fields):
            parts |= dict.fromkeys(getattr(self.parts, name)["participant_id"].tolist(), name)
        return parts

    def transfer_batch_to_device(self, batch: tuple[Tensor, ...], device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch, but for the seeds of the noise: the CPU reads them, and would wait for a GPU."""
        return (*super().transfer_batch_to_device(batch[:2], device, dataloader_idx), *batch[2:])

    def on_after_batch_transfer(self, batch: tuple[Tensor, ...], dataloader_idx: int) -> Batch:
        """Turn row numbers (B,) or (B, 2) into images and covariates on their device; training images are augmented."""
        assert self.volumes is not None, "setup comes first"
        index, *chance = batch
        image = self.volumes.images(index)
        if self.augmentation and chance:
            image = self.augmentation(image, *chance)
        self._resident_factors = self._resident_factors.to(index.device)
        return Batch(image, self._resident_factors[index])

    def _prepared(self) -> PreparedScans:
        if is_prepared(self.root):
            return open_prepared(self.root)
        return prepare(self.visits, self.preparation, self.cache, self.jobs)

    def _split(self, images: pd.Series) -> Split:
        """Split the scans, without the copies of one person; people on two sides may share none of the images (N,)."""
        again = copies(self.visits["participant_id"], images)
        if again.any():
            reasons_of_copies = listing(reasons(copied(self.visits, images)))
            rank_zero_info(f"{again.sum()} scans are left out of training, validation and test: {reasons_of_copies}")
        visits, images = self.visits[~again], images[~again]
        if self.split_file:
            return split_by(visits, remaining_parts(read_split(self.split_file), self.withdrawn), images)
        parts = split(visits)
        part = pd.concat([pd.Series(name, index=rows.index) for name, rows in zip(Split._fields, parts, strict=True)])
        refuse_shared(visits, part[~part.index.duplicated()].reindex(visits.index), images)
        return parts

    def _in_order(self, visits: pd.DataFrame) -> Shard:
        return Shard(rows_of(visits), self.batch_size, *self.place)
