"""How a model encodes factors, and into which directions its decoder moves images."""

from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.anchor_intervals import over_anchors
from disentangle_pl.metrics.decoder_directions import DecoderDirections, decoder_directions
from disentangle_pl.metrics.decoder_geometry import jacobians
from disentangle_pl.metrics.encoding_shares import encoding_shares, share_matrix
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.polarised import spread_latents
from disentangle_pl.metrics.score import check
from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.codes import CodeTable
from disentangle_pl.studies.variance_factors import Plan, drawn_slices
from disentangle_pl.studies.variance_signal import Signal, check_finite, table_signal, varying

ALL = 2**62
ENCODED = 2**15  # grids up to so many images are encoded whole
POINTS = 4096
JACOBIANS = 64


class Encoding(NamedTuple):
    """How one factor is encoded.

    Attributes:
        k: Which factor of the grid.
        spread: Axis spread, exact or with its interval.
        inconsistency: Encoding inconsistency.
        switching: Its hard version.
        share: (d,) mean share of every active latent.
        anchors: How many anchors were looked at.
        known: Whether they are all.
    """

    k: int
    spread: Interval
    inconsistency: Interval
    switching: Interval
    share: Tensor
    anchors: int
    known: bool


class Codes(NamedTuple):
    """The codes of a grid.

    Attributes:
        signal: Posterior means (d,) by grid index.
        some: (n, d) codes of the whole grid, or of points drawn at random.
        active: (d,) bool.
        whole: Whether the grid was encoded whole.
    """

    signal: Signal
    some: Tensor
    active: Tensor
    whole: bool


@torch.no_grad()
def encode_grid(model: VAE, dataset: FactorDataset, seed: int = 0) -> Codes:
    """Encode a grid, as a whole if it has at most 32,768 images.

    Args:
        model: In evaluation mode.
        dataset: Of its shape.
        seed: Of the points drawn from larger grids.

    Raises:
        InputError: If a code is NaN or infinite.
    """
    space = dataset.factors
    found = Signal(space, lambda index: _encode(model, dataset.images(index)), _width(model, dataset))
    whole = len(space) <= ENCODED
    draws = torch.Generator().manual_seed(seed)
    index = torch.arange(len(space)) if whole else torch.randint(len(space), (POINTS,), generator=draws)
    some = found.at(index)
    if not some.isfinite().all():
        raise InputError("the model gives codes that are NaN or infinite: check that its training converged")
    return Codes(table_signal(space, some) if whole else found, some, spread_latents(some), whole)


def table_codes(table: CodeTable) -> Codes:
    """Return codes that any program made of every combination of factors, each once, in any order.

    Raises:
        InputError: If the codes are not finite numbers, a row for each of the factors; if a factor is not a class, or
            the rows are not one for every combination.
    """
    check(table.codes, table.factors)
    classes = table.factors.values
    if not table.factors.discrete.all() or not np.isfinite(classes).all():
        raise InputError("encoding shares need factors that are classes, none missing: give integers")
    places = [np.unique(column, return_inverse=True)[1] for column in classes.T]
    space = FactorSpace(table.names, [int(place.max()) + 1 for place in places])
    index = space.to_index(torch.from_numpy(np.stack(places, axis=1)))
    if len(index) != len(space) or len(np.unique(index.numpy())) != len(index):
        raise InputError(
            f"{len(index)} rows of codes are not one for each of the {len(space)} combinations of {list(space.names)}: "
            "encode the whole grid"
        )
    rows = torch.from_numpy(np.asarray(table.codes, np.float32))[index.argsort()]
    check_finite(rows)
    return Codes(table_signal(space, rows), rows, spread_latents(rows), True)


@torch.no_grad()
def measure_encoding(codes: Codes, plan: Plan) -> list[Encoding]:
    """Measure how every factor that varies is encoded by the active latents.

    Args:
        codes: With an active latent at least.
        plan: How much is looked at of grids that were not encoded whole.
    """
    plan = plan._replace(complete=ALL, most=ALL) if codes.whole else plan._replace(complete=0)
    variances = codes.some[:, codes.active].double().var(dim=0, correction=0)
    found = []
    moved = varying(codes.signal.space)
    for k in track(moved, "encoding slices", console=Console(stderr=True), transient=True):
        anchors, slices, every = drawn_slices(codes.signal, k, plan)
        amounts = slices[..., codes.active].double().var(dim=1, correction=0)
        share = share_matrix(amounts, variances)
        found.append(Encoding(k, *_over(share, every, plan, k), share.mean(dim=0), len(anchors), every))
    return found


@torch.no_grad()
def measure_decoder(model: VAE, codes: Codes, seed: int = 0) -> DecoderDirections:
    """Measure the directions of the decoder at 64 codes, over the active latents.

    Args:
        model: In evaluation mode.
        codes: With an active latent at least.
        seed: Of the choice of codes.
    """
    order = torch.randperm(len(codes.some), generator=torch.Generator().manual_seed(seed))[:JACOBIANS]
    at = codes.some[order].to(model.device)
    parts = [jacobians(model.decode, some).cpu()[..., codes.active] for some in torch.split(at, 16)]
    return decoder_directions(torch.cat(parts))


def decoded_signal(model: VAE, codes: Codes, width: int) -> Signal:
    """Return what the model makes of the images of a grid: (D,) vectors by grid index."""

    @torch.no_grad()
    def lookup(index: Tensor) -> Tensor:
        return model.decode(codes.signal.lookup(index).to(model.device)).flatten(1).float().cpu()

    return Signal(codes.signal.space, lookup, width)


def _over(share: Tensor, every: bool, plan: Plan, k: int) -> tuple[Interval, Interval, Interval]:
    """Return spread, inconsistency and switching."""

    def measure(which: int) -> Interval:
        return over_anchors(
            lambda counts: encoding_shares(share, counts)[which],
            len(share),
            sampled=not every,
            resamples=plan.resamples,
            seed=plan.seed + k,
        )

    return measure(0), measure(1), measure(2)


def _encode(model: VAE, images: Tensor) -> Tensor:
    return model.encode(images.to(model.device)).mean.float().cpu()


def _width(model: VAE, dataset: FactorDataset) -> int:
    return _encode(model, dataset.images(torch.zeros(1, dtype=torch.int64))).shape[1]
