"""The codes of every scan of a longitudinal data set, beside the table of its visits."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from disentangle_pl.brain.fields import of_group
from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.tables import listing
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.ageing import MixedSlopes, mixed_slopes
from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.exposure import Exposure, exposure_to, sides_by


class ScanCodes(NamedTuple):
    """All scans of a data set, encoded.

    Attributes:
        mean: (N, d) posterior means on the CPU; row i is row i of the visits.
        visits: Table of `read_visits`.
        train: (M,) rows that slopes and ComBat are fitted to, see `Sides`.
        held_out: (K,) rows of people who are not among these.
        exposure: Which scans are of people that the model was trained on.
    """

    mean: Tensor
    visits: pd.DataFrame
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    exposure: Exposure

    def people(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number the participants of some rows."""
        return pd.factorize(self.visits["participant_id"].iloc[rows])[0].astype(np.int64)


@torch.no_grad()
def encode_scans(model: VAE, data: LongitudinalData) -> ScanCodes:
    """Encode every scan, on the device of the model.

    Args:
        model: The model.
        data: Scans; they are set up here.

    Raises:
        InputError: If the scans have another shape than the model's.
    """
    if data.shape != model.backbone.shape:
        raise InputError(f"the model takes images of shape {model.backbone.shape}, but the data have {data.shape}")
    data.prepare_data()
    data.setup("predict")
    means = []
    for (index,) in track(data.predict_dataloader(), "encoding", console=Console(stderr=True), transient=True):
        batch = data.on_after_batch_transfer((index.to(model.device),), 0)
        means.append(model.encode(batch.image).mean.float().cpu())
    return scan_codes(torch.cat(means), data, exposure_to(model.provenance, data))


def scan_codes(mean: Tensor, data: LongitudinalData, seen: Exposure) -> ScanCodes:
    """Put codes (N, d) of all scans beside the visits of data that are set up, and take sides."""
    train, val, test = (part.index.to_numpy(np.int64, copy=True) for part in data.parts)
    sides = sides_by(seen, train, np.concatenate((val, test)))
    return ScanCodes(mean, data.visits, sides.train, sides.held_out, seen)


def images_of(data: LongitudinalData, rows: NDArray[np.int64], device: torch.device) -> Tensor:
    """Look up the scans of some rows (n,) as images (n, 1, D, H, W), float32."""
    assert data.volumes is not None, "setup comes first"
    return data.volumes.images(torch.from_numpy(rows).to(device))


def group_slopes(scans: ScanCodes, group: str, seed: int = 0) -> tuple[MixedSlopes, str]:
    """Fit slopes to the training scans of a diagnosis, and say whose they are; everybody's where nobody has it.

    Where no age is known, years since the first visit stand for it.

    Raises:
        InputError: As `mixed_slopes`.
    """
    visits = scans.visits.loc[scans.train]
    aged_at = visits["age"] if visits["age"].notna().any() else visits["years"]
    visits = visits.assign(age=aged_at)[aged_at.notna()]
    names = of_group(visits["diagnosis"], group)
    mine = visits[visits["diagnosis"].isin(names)]
    meant = "" if names == [group] else f", written {', '.join(names)}"
    whose = f"training participants with diagnosis {group}{meant}"
    if mine.empty:
        there = listing(sorted(map(str, visits["diagnosis"].dropna().unique()))) or "no diagnosis is known"
        mine, whose = visits, f"all training participants (none has diagnosis {group}: there are {there})"
    rows = mine.index.to_numpy(np.int64, copy=True)
    codes, age = scans.mean[rows].double().numpy(), mine["age"].to_numpy(np.float64)
    try:
        return mixed_slopes(codes, age, scans.people(rows), seed=seed), whose
    except InputError as error:
        raise InputError(
            f"the ageing of {whose} is not known, as {error}: name another diagnosis by --group"
        ) from error
