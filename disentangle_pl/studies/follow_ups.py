"""Does ageing a scan predict the one taken years later? Against no change, and the mean change of a cohort."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from disentangle_pl.brain.rescans import visit_rows
from disentangle_pl.metrics.ageing import MixedSlopes
from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.interventions import aged, transport

Rows = NDArray[np.int64]
Images = Callable[[Rows], Tensor]
Read = Callable[[Tensor], NDArray[np.float64]]
BATCH = 16
INSIDE = 0.05  # of the white range: darker voxels in both scans are no brain
CHANGE = "change of "
NO_CHANGE, MEAN_CHANGE, LATENTS = "no change", "mean change", "latents"


class FollowUps(NamedTuple):
    """Pairs of scans of one person.

    Attributes:
        first: (P,) rows of the earlier scans, the first of each person.
        later: (P,) rows of the later ones.
        years: (P,) between them, above 0.
    """

    first: Rows
    later: Rows
    years: NDArray[np.float64]


def follow_ups(visits: pd.DataFrame, rows: Rows) -> FollowUps:
    """Pair the first scan of every person with that of each later visit; visits of unknown time are left out.

    Args:
        visits: Table of `read_visits`.
        rows: Which of its rows count.
    """
    scans = visits.loc[rows]
    known = scans.loc[visit_rows(scans), ["participant_id", "years"]].dropna().sort_values("years", kind="stable")
    pairs = [
        (first, later, gap)
        for _, mine in known.groupby("participant_id", sort=True)
        for first, later, gap in _pairs_of(mine["years"])
    ]
    first, later, years = zip(*pairs, strict=True) if pairs else ((), (), ())
    return FollowUps(np.array(first, np.int64), np.array(later, np.int64), np.array(years, np.float64))


def _pairs_of(years: pd.Series) -> Iterator[tuple[int, int, float]]:
    first = years.index[0]
    for row, year in years.iloc[1:].items():
        if year > years.iloc[0]:
            yield first, int(str(row)), float(year - years.iloc[0])


def mean_change(pairs: FollowUps, images: Images) -> Tensor:
    """Return the change a year (1, *S) of every voxel that fits pairs best, by least squares through no change.

    Args:
        pairs: Of training participants, at least one.
        images: Looks up rows (n,) as images (n, 1, *S).
    """
    total = torch.zeros(())
    for chunk in _chunks(len(pairs.years)):
        gap = torch.from_numpy(pairs.years[chunk]).float()
        change = (images(pairs.later[chunk]) - images(pairs.first[chunk])).cpu()
        total = total + torch.einsum("n,n...->...", gap, change)
    return total / float((pairs.years**2).sum())


class Volumes(NamedTuple):
    """Quantities of all scans, and how to read them off images.

    Attributes:
        names: (k,) what they are.
        true: (N, k) of all rows.
        read: Maps images (n, 1, *S) to (n, k).
    """

    names: tuple[str, ...]
    true: NDArray[np.float64]
    read: Read


@torch.no_grad()
def predict(
    model: VAE,
    images: Images,
    codes: Tensor,
    pairs: FollowUps,
    slopes: MixedSlopes,
    change: Tensor,
    volumes: Volumes | None = None,
) -> pd.DataFrame:
    """Predict every later scan from the first in three ways, and say how far off they are.

    Args:
        model: Decodes.
        images: Looks up rows (n,) as images (n, 1, *S) on the device of the model.
        codes: (N, d) of all rows.
        pairs: Of people that neither the model nor the slopes nor the mean change has seen.
        slopes: Of training participants.
        change: Of `mean_change`.
        volumes: Quantities whose change is read off the predictions; None for none.

    Returns:
        A row a pair and way: columns first, later, years, way, mae (mean absolute error of the voxels of the brain),
        ssim (mean structural similarity of the same voxels), and `change of NAME` for every quantity: how far its
        change between the first scan and the prediction, both read off the image, is from the true one.
    """
    rows = []
    for chunk in _chunks(len(pairs.years)):
        x, y = images(pairs.first[chunk]), images(pairs.later[chunk])
        z = codes[pairs.first[chunk]].to(x)
        moved = torch.stack([aged(mean, slopes, gap) for mean, gap in zip(z, pairs.years[chunk], strict=True)])
        gaps = torch.from_numpy(pairs.years[chunk]).to(x).view(-1, *(1,) * (x.dim() - 1))
        ways = {
            NO_CHANGE: x,
            MEAN_CHANGE: x + gaps * change.to(x),
            LATENTS: transport(model, x, z, moved),
        }
        for way, predicted in ways.items():
            error, likeness = (part.cpu().numpy() for part in distances(predicted, y, x))
            rows.append(
                pd.DataFrame(
                    {
                        **{name: part[chunk] for name, part in zip(pairs._fields, pairs, strict=True)},
                        **{"way": way, "mae": error, "ssim": likeness},
                        **(_changes(volumes, predicted, x, pairs, chunk) if volumes else {}),
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def _changes(
    volumes: Volumes, predicted: Tensor, before: Tensor, pairs: FollowUps, chunk: slice
) -> dict[str, NDArray[np.float64]]:
    """Return how far the change of every quantity is from the true one, (n,) by name."""
    told = volumes.read(predicted) - volumes.read(before)
    true = volumes.true[pairs.later[chunk]] - volumes.true[pairs.first[chunk]]
    return {f"{CHANGE}{name}": error for name, error in zip(volumes.names, np.abs(told - true).T, strict=True)}


def distances(predicted: Tensor, truth: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean absolute error and structural similarity (n,) within the brain of either scan.

    Args:
        predicted: (n, 1, *S).
        truth: (n, 1, *S) scans in [0, 1].
        before: (n, 1, *S) the earlier scans.

    Source: Wang et al. 2004, IEEE Transactions on Image Processing 13:600, for the similarity.
    """
    brain = ((truth > INSIDE) | (before > INSIDE)).flatten(1).float()
    voxels = brain.sum(1).clamp_min(1)
    error = ((predicted - truth).abs().flatten(1) * brain).sum(1) / voxels
    _, everywhere = structural_similarity_index_measure(predicted, truth, data_range=1.0, return_full_image=True)
    return error, (everywhere.flatten(1) * brain).sum(1) / voxels


def against_no_change(found: pd.DataFrame, person: NDArray[np.int64], *, seed: int = 0) -> pd.DataFrame:
    """Average over people, and compare every way with no change.

    Args:
        found: Of `predict`.
        person: (P,) a number a pair, in the order of the pairs.
        seed: Of the bootstrap over people, from 20 on.

    Returns:
        A row a way and measure: columns way, measure, mean, difference, low, high; difference and its 95 % interval,
        that of a mean over people (`mean_interval`), are those to no change.
    """
    _, who = np.unique(person, return_inverse=True)
    rows = []
    for measure in ("mae", "ssim", *(name for name in found if str(name).startswith(CHANGE))):
        wide = found.pivot(index=["first", "later"], columns="way", values=measure)
        order = found.drop_duplicates(["first", "later"]).set_index(["first", "later"]).index
        wide = wide.loc[order]
        for way in (NO_CHANGE, MEAN_CHANGE, LATENTS):
            value = _by_person(wide[way].to_numpy(), who)
            difference = _by_person((wide[way] - wide[NO_CHANGE]).to_numpy(), who)
            rows.append((way, measure, value.mean(), *mean_interval(difference, seed=seed)))
    return pd.DataFrame(rows, columns=["way", "measure", "mean", "difference", "low", "high"])


def _by_person(values: NDArray[np.float64], who: NDArray[np.intp]) -> NDArray[np.float64]:
    means: NDArray[np.float64] = np.bincount(who, values) / np.bincount(who)
    return means


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + BATCH) for start in range(0, n, BATCH))
