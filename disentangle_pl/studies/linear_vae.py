"""The best linear VAE in closed form, and images on which its answer is known: factors of different amounts."""

from typing import NamedTuple

import numpy as np

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import GroundTruth, Values, ground_truth

LEVELS, NOISE = 10, 0.1


class LinearVAE(NamedTuple):
    """p(z) = N(0, I), p(x|z) = N(mean + W z, noise I), with orthogonal columns of W.

    Attributes:
        mean: (D,).
        directions: W, (D, d), by falling length.
        noise: The variance of a pixel.
    """

    mean: Values
    directions: Values
    noise: float

    def posterior(self, images: Values) -> tuple[Values, Values]:
        """Return means and variances (N, d) of p(z|x), which is diagonal, for images (N, D)."""
        precision = np.square(self.directions).sum(axis=0) + self.noise
        means: Values = (images - self.mean) @ self.directions / precision
        return means, np.broadcast_to(self.noise / precision, means.shape)

    def nll(self, z: Values, images: Values) -> Values:
        """Return -log p(x|z) (N,) in nats for latents (N, d) and images (N, D)."""
        residual = np.square(images - self.mean - z @ self.directions.T).sum(axis=1)
        nats: Values = 0.5 * (residual / self.noise + images.shape[1] * np.log(2 * np.pi * self.noise))
        return nats

    def log_evidence(self, images: Values) -> Values:
        """Return log p(x) (N,) in nats for images (N, D): the ELBO of the posterior above, which is exact."""
        pixels = images.shape[1]
        covariance = self.directions @ self.directions.T + self.noise * np.eye(pixels)
        centred = images - self.mean
        distance = (centred * np.linalg.solve(covariance, centred.T).T).sum(axis=1)
        nats: Values = -0.5 * (distance + np.linalg.slogdet(covariance)[1] + pixels * np.log(2 * np.pi))
        return nats


def fit_linear_vae(images: Values, latent_dim: int) -> LinearVAE:
    """Return the linear VAE of greatest likelihood whose posterior is diagonal.

    Source: Tipping and Bishop 1999, Probabilistic Principal Component Analysis, eq. 7 and 8; that the linear VAE has no
    better optimum: Lucas et al. 2019 (arXiv:1911.02469).

    Args:
        images: (N, D).
        latent_dim: d, below D.

    Raises:
        InputError: If there are as many latents as pixels.
    """
    pixels = images.shape[1]
    if not 0 < latent_dim < pixels:
        raise InputError(f"a linear VAE of {pixels} pixels needs 1 to {pixels - 1} latents, got {latent_dim}")
    values, vectors = np.linalg.eigh(np.cov(images.T, bias=True))
    noise = float(values[:-latent_dim].mean())
    kept = slice(None, -latent_dim - 1, -1)
    return LinearVAE(images.mean(axis=0), vectors[:, kept] * np.sqrt(np.maximum(values[kept] - noise, 0)), noise)


def linear_images(
    rows: int, ratio: float, *, factors: int = 5, pixels: int = 20, seed: int = 0
) -> tuple[Values, GroundTruth]:
    """Draw images that are sums of factors along orthogonal directions, with a little noise.

    Args:
        rows: N.
        ratio: Between the standard deviations of a factor and the next; 1 for factors of equal amounts.
        factors: k, of 10 values each.
        pixels: D.
        seed: Of all draws.

    Returns:
        Images (N, D) and the factors (N, k).
    """
    random = np.random.default_rng(seed)
    levels = random.integers(0, LEVELS, (rows, factors))
    directions = np.linalg.qr(random.normal(size=(pixels, factors)))[0]
    amounts = ratio ** -np.arange(factors, dtype=float)
    amounts *= np.sqrt(factors / np.square(amounts).sum())
    scaled = (levels - (LEVELS - 1) / 2) / np.sqrt((LEVELS**2 - 1) / 12) * amounts
    return scaled @ directions.T + NOISE * random.normal(size=(rows, pixels)), ground_truth(levels)
