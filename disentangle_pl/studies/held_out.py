"""Codes of the scans of people that a model has not seen, with what is known of them."""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from disentangle_pl.aggregation import shared_latents
from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.rescans import visit_numbers
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.reliability import People
from disentangle_pl.metrics.score import FEWEST, Codes, GroundTruth, Values, ground_truth
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.studies.codes import check_fits, posteriors

Part = Literal["val", "test"]
RATIO = 0.5  # of Ada-GVAE: the rule that tells which latents stay, for models of any kind


class Scans(NamedTuple):
    """What is known of N scans.

    Attributes:
        people: (N,) the number of the person of every scan.
        years: (N,) since the person's first visit, NaN where unknown.
        visit: (N,) the number of the visit of every scan (see `visit_numbers`).
        factors: (N, k) the factors that vary.
        names: Their names.
    """

    people: People
    years: Values
    visit: NDArray[np.int64]
    factors: GroundTruth
    names: tuple[str, ...]

    @property
    def first(self) -> NDArray[np.bool_]:
        """(N,) True for the first scan of a visit, False for rescans."""
        return np.isin(np.arange(len(self.visit)), np.unique(self.visit, return_index=True)[1])


class Encoded(NamedTuple):
    """What a model makes of N scans.

    Attributes:
        codes: (N, d) posterior means.
        kl: (d,) mean KL divergence of every latent to the prior, in nats.
        stays: (d,) how often two visits of a person have posteriors that the rule of Ada-GVAE calls alike, people
            counting alike; NaN where nobody has two visits.
        shared: (d,) how often the model's own aggregation shares the latent of such pairs; None without aggregation,
            or where it asks what changed.
    """

    codes: Codes
    kl: Values
    stays: Values
    shared: Values | None


def open_part(data: ImageData, part: Part) -> pd.DataFrame:
    """Set data up and return the visits of the held-out people.

    Raises:
        InputError: If the data are no brain scans, or too few are held out.
    """
    if not isinstance(data, LongitudinalData):
        raise InputError(f"latents of brain scans are asked for, but the data are {type(data).__name__}: give scans")
    data.prepare_data()
    data.setup("validate")
    visits: pd.DataFrame = getattr(data.parts, part)
    if len(visits) < FEWEST:
        raise InputError(
            f"the {part} part has {len(visits)} scans of {visits['participant_id'].nunique()} people, and latents need "
            f"at least {FEWEST} scans of held-out people: choose the part by --part, or hold out more people with "
            "disentangle-pl scans FOLDER --split FILE --fractions 0.6 0.1 0.3"
        )
    return visits


def scans(data: LongitudinalData, visits: pd.DataFrame) -> Scans:
    """Collect what is known of scans.

    Args:
        data: Set up.
        visits: Rows of its table.

    Raises:
        InputError: If no factor varies among them.
    """
    people = visits["participant_id"].factorize()[0].astype(np.int64)
    truth = ground_truth(data.factors.numpy()[visits.index.to_numpy()].astype(np.float64), people)
    if not truth.varying.any():
        raise InputError(
            f"none of the factors {', '.join(data.factor_names)} is known and varies over the {len(visits)} held-out "
            "scans: give --data.truth and --data.factors"
        )
    names = tuple(np.array(data.factor_names)[truth.varying].tolist())
    years = visits["years"].to_numpy(np.float64)
    return Scans(people, years, np.asarray(visit_numbers(visits), dtype=np.int64), truth.columns(truth.varying), names)


def encode_scans(model: VAE, data: LongitudinalData, part: Part, known: Scans, words: str) -> Encoded:
    """Encode the held-out scans.

    Raises:
        InputError: If the model takes images of another shape.
    """
    check_fits(model, data)
    loader = data.val_dataloader() if part == "val" else data.test_dataloader()
    q, codes, _ = posteriors(model, data, loader, words)
    stays, shared = sharing_of_visits(model, q, known)
    return Encoded(codes, q.kl().double().mean(0).numpy(), stays, shared)


@torch.no_grad()
def sharing_of_visits(model: VAE, q: DiagonalGaussian, known: Scans) -> tuple[Values, Values | None]:
    """Return `Encoded.stays` and `Encoded.shared` for posteriors (N, d) of the scans."""
    pairs, weights = _visit_pairs(known)
    if not len(pairs):
        return np.full(q.mean.shape[1], np.nan), None
    grouped = DiagonalGaussian(*(moment[pairs] for moment in q))
    stays = weights @ shared_latents(grouped, RATIO).squeeze(1).double().numpy()
    if model.aggregation is None:
        return stays, None
    try:
        shared = model.aggregation.cpu()(grouped).shared.squeeze(1)
    except InputError:
        return stays, None
    return stays, weights @ shared.double().numpy()


def _visit_pairs(known: Scans) -> tuple[NDArray[np.intp], Values]:
    """Return all pairs (n, 2) of two visits of one person, and weights (n,) that sum to 1 and are equal for people."""
    rows, shares = [], []
    for person in np.unique(known.people):
        mine = np.flatnonzero((known.people == person) & known.first)
        first, second = np.triu_indices(len(mine), 1)
        rows.append(np.stack((mine[first], mine[second]), axis=1))
        shares.append(np.full(len(first), 1 / max(len(first), 1)))
    weights = np.concatenate(shares)
    return np.concatenate(rows), weights / max(weights.sum(), 1.0)
