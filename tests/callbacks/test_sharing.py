"""Sharing is judged by scored factors alone."""

from typing import Any

import pytest
import torch
from torch import Tensor

from disentangle_pl.aggregation import KnownMask
from disentangle_pl.callbacks.sharing import measure_sharing
from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.data.pairs import UniformDistinctPairs
from disentangle_pl.data.synthetic import SyntheticData
from disentangle_pl.posterior import DiagonalGaussian
from tests.models.tiny import tiny

SPACE = FactorSpace(("toy", "x", "y"), (8, 4, 4), nuisance=["toy"])


class Plain(FactorDataset):
    """Images that spell out their factors."""

    def __init__(self) -> None:
        self.shape, self.factors = (1, 16, 16), SPACE

    def images(self, index: Tensor) -> Tensor:
        images = torch.zeros(len(index), *self.shape)
        images[:, 0, 0, :3] = self.factors.to_factors(index) / 8
        return images


def test_a_latent_of_a_nuisance_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = tiny(latent_dim=4, aggregation=KnownMask())
    data = SyntheticData(Plain(), UniformDistinctPairs(1), eval_size=64)
    data.setup("fit")

    def encode(image: Tensor) -> DiagonalGaussian:
        mean = torch.cat((image[:, 0, 0, :3] * 8, torch.zeros(len(image), 1)), 1)
        return DiagonalGaussian(mean, torch.full_like(mean, -4.0))

    monkeypatch.setattr(model, "encode", encode)
    result = measure_sharing(model, data, 500)
    assert result == pytest.approx((1.0, 1.0, 0.5))  # one of two scored factors changes in every pair


def test_the_latent_of_a_nuisance_is_each_images_own() -> None:
    q = DiagonalGaussian(torch.randn(500, 2, 4), torch.randn(500, 2, 4))
    _, changed = UniformDistinctPairs(1).sample(SPACE, 500, torch.Generator().manual_seed(0))
    shared = KnownMask()(q, changed).shared[:, 0]
    assert not shared[:, 0].any()
    assert shared[:, 3].all()
    assert (shared[:, 1:3].sum(1) == 1).all()
