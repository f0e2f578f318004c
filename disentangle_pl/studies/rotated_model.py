"""A model whose latents are rotated: the same images, the same ELBO, other latents."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.mcc import mcc
from disentangle_pl.metrics.references import Watch
from disentangle_pl.metrics.score import GroundTruth, Values, ground_truth
from disentangle_pl.metrics.sheet import Entry, score_codes
from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.codes import check_fits, posteriors
from disentangle_pl.studies.linear_vae import fit_linear_vae, linear_images
from disentangle_pl.studies.rotations import diagonal_kl, full_kl

AXES = "axes kept"
NATS = 0.01  # a latent whose mean KL is below is passive
VALUES = 2**22  # pixels decoded at a time


class Subject(NamedTuple):
    """A model to be rotated, and what it makes of N images.

    Attributes:
        name: In a few words.
        mean: (N, d) posterior means.
        variance: (N, d) posterior variances.
        factors: The factors of the images (N, k) that vary; None where none is known.
        shown: The first so many images are decoded.
        nll: Maps latents (shown, d) to -log p(x|z) (shown,) in nats.
    """

    name: str
    mean: Values
    variance: Values
    factors: GroundTruth | None
    shown: int
    nll: Callable[[Values], Values]

    @property
    def active(self) -> NDArray[np.intp]:
        """The latents that say something, by falling KL."""
        kl = 0.5 * (np.square(self.mean) + self.variance - np.log(self.variance) - 1).mean(axis=0)
        order = np.argsort(-kl, kind="stable")
        active: NDArray[np.intp] = order[kl[order] > NATS]
        return active


class Ledger(NamedTuple):
    """The terms of the ELBO of M images, in nats.

    Attributes:
        nll: (M,) -log p(x|z) of one draw of z.
        kl: (M,) of the posterior to the prior.
    """

    nll: Values
    kl: Values

    @property
    def elbo(self) -> Values:
        """(M,)."""
        return -self.nll - self.kl


def ledgers(subject: Subject, rotation: Values, *, seed: int = 0) -> tuple[Ledger, Ledger]:
    """Return the ELBO of a model and of its rotation, of the images that are decoded.

    The rotated model is q'(z|x) = N(Q mean, Q diag(variance) Q^T) and p'(x|z) = p(x|Q^T z): a posterior with a full
    covariance, whose KL is that of the full formula. Both draw their latents with the same noise.

    Args:
        subject: The model.
        rotation: Q, (d, d).
        seed: Of the noise.
    """
    mean, variance = subject.mean[: subject.shown], subject.variance[: subject.shown]
    noise = np.random.default_rng(seed).normal(size=mean.shape)
    before = Ledger(subject.nll(mean + np.sqrt(variance) * noise), diagonal_kl(mean, variance))
    factor = rotation * np.sqrt(variance)[:, None, :]  # of the covariance: S = factor factor^T
    turned = mean @ rotation.T + np.einsum("nij,nj->ni", factor, noise)
    covariance = factor @ factor.transpose(0, 2, 1)
    return before, Ledger(subject.nll(turned @ rotation), full_kl(mean @ rotation.T, covariance))


def check_active(subject: Subject) -> None:
    """Refuse a model that has nothing to rotate.

    Raises:
        InputError: If fewer than two latents are active.
    """
    if len(subject.active) < 2:
        raise InputError(
            f"{subject.name} uses {len(subject.active)} latents, and a rotation needs two: give a model that was "
            "trained longer, or with a smaller penalty"
        )


def turned_scores(
    subject: Subject, rotation: Values, entries: Mapping[str, Entry], words: str, watch: Watch
) -> dict[str, float]:
    """Score the posterior means under a rotation (d, d).

    Args:
        subject: The model.
        rotation: Q.
        entries: Entries of the score sheet; without factors none is scored.
        words: Beside the progress bar.
        watch: Passes the entries on and may show how far they are.

    Returns:
        The scores by name, and `axes kept`: the mean correlation of the active latents with those before the rotation
        under the best matching, which needs no labels.
    """
    codes = subject.mean @ rotation.T
    kept = {AXES: mcc(codes[:, subject.active], subject.mean[:, subject.active])}
    if subject.factors is None:
        return kept
    watched: Iterable[tuple[str, Entry]] = watch(list(entries.items()), words)
    return score_codes(codes, subject.factors, watched).values | kept


def linear_subject(rows: int, shown: int, *, ratio: float = 1.5, seed: int = 0) -> Subject:
    """Make the best linear VAE of images that are sums of five factors; see `linear_images`.

    Args:
        rows: Images.
        shown: How many of them are decoded.
        ratio: Between the standard deviations of a factor and the next.
        seed: Of the images.
    """
    images, factors = linear_images(rows, ratio, seed=seed)
    model = fit_linear_vae(images, factors.shape[1])
    means, variances = model.posterior(images)
    decoded = images[:shown]
    return Subject("a linear VAE, exact", means, variances, factors, len(decoded), lambda z: model.nll(z, decoded))


@torch.no_grad()
def trained_subject(model: VAE, data: ImageData, name: str, *, rows: int, shown: int) -> Subject:
    """Make a subject of a trained model; its decoder computes in float64 from here on, on the CPU.

    Args:
        model: The model.
        data: Data of its shape; factors may be unknown.
        name: Of the model.
        rows: The first so many images of the validation sample.
        shown: How many of them are decoded.

    Raises:
        InputError: If the images have another shape than the model's, or the model gives NaN or infinite codes.
    """
    check_fits(model, data)
    data.prepare_data()
    data.setup("validate")
    q, _, factors = posteriors(model, data, _first(data, rows))
    mean, variance = q.mean[:rows].double().numpy(), q.logvar[:rows].double().exp().numpy()
    if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
        raise InputError(f"{name} gives codes that are NaN or infinite: check that the model converged")
    images = _first_images(data, min(shown, len(mean)))
    decoder = model.cpu().double()
    chunk = max(1, VALUES // prod(data.shape))

    @torch.no_grad()
    def nll(z: Values) -> Values:
        pieces = zip(torch.split(torch.from_numpy(z), chunk), torch.split(images, chunk), strict=True)
        nats = [decoder.likelihood(decoder.backbone.decode(some), x.double()).double() for some, x in pieces]
        return np.asarray(torch.cat(nats).numpy(), dtype=np.float64)

    return Subject(name, mean, variance, _known(data, factors[:rows]), len(images), nll)


def _first(data: ImageData, rows: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield batches of the validation sample until so many rows are there."""
    for batch in data.val_dataloader():
        yield batch
        rows -= len(batch[0])
        if rows <= 0:
            return


def _first_images(data: ImageData, wanted: int) -> torch.Tensor:
    images = [data.on_after_batch_transfer(batch, 0).image for batch in _first(data, wanted)]
    return torch.cat(images)[:wanted]


def _known(data: ImageData, factors: NDArray[Any]) -> GroundTruth | None:
    truth = ground_truth(factors)
    names = np.array(data.factor_names)
    scored = truth.varying & ~np.isin(names, data.nuisance)
    return truth.columns(scored) if scored.any() else None
