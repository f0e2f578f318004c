from itertools import combinations, product

import pytest
import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.losses import hausdorff_support
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.models.hfs_vae import HFSVAE
from disentangle_pl.posterior import DiagonalGaussian
from tests.models.tiny import SETTINGS

SHAPE = (1, 16, 16)


def by_hand(z: Tensor) -> Tensor:
    """The distance in plain loops."""
    total = z.sum() * 0
    for i, j in combinations(range(z.shape[1]), 2):
        near = []
        for a, b in product(range(len(z)), repeat=2):
            near.append(min((z[a, i] - point[i]) ** 2 + (z[b, j] - point[j]) ** 2 for point in z))
        total = total + max(near)
    return total


def draw(rows: int, latents: int) -> Tensor:
    return torch.randn(rows, latents, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("rows", "latents"), [(1, 3), (2, 2), (7, 4), (9, 1)])
def test_the_distance_and_its_gradient_are_those_of_plain_loops(rows: int, latents: int) -> None:
    z, same = (draw(rows, latents).requires_grad_() for _ in range(2))
    distance, expected = hausdorff_support(z), by_hand(same)
    torch.testing.assert_close(distance, expected)
    torch.testing.assert_close(torch.autograd.grad(distance, z)[0], torch.autograd.grad(expected, same)[0])


def test_a_grid_has_none_however_its_cells_are_filled_and_a_diagonal_has() -> None:
    grid = torch.cartesian_prod(torch.arange(4.0), torch.arange(3.0))
    assert hausdorff_support(grid[[*range(12), 0, 0, 0, 5]]) == 0
    line = torch.arange(3.0).unsqueeze(1).repeat(1, 2)
    assert hausdorff_support(line) == 2  # the corner (0, 2) to the point (1, 1)


def test_the_loss_is_that_of_the_vae_plus_the_weighted_distance() -> None:
    torch.manual_seed(0)
    q, nll = DiagonalGaussian(*torch.randn(2, 6, 3)), torch.arange(6.0)
    terms = HFSVAE(SHAPE, **SETTINGS, beta=2.0, gamma=3.0).objective(nll, q.kl(), q, q.mean)
    kl, distance = q.kl().sum(1).mean(), by_hand(q.mean)
    expected = {"loss": nll.mean() + 2 * kl + 3 * distance, "nll": nll.mean(), "kl": kl, "hfs": distance}
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {name: term.item() for name, term in expected.items()}, rel=1e-5
    )


def test_without_the_distance_it_is_the_beta_vae() -> None:
    torch.manual_seed(0)
    model, plain = HFSVAE(SHAPE, **SETTINGS, gamma=0.0), BetaVAE(SHAPE, **SETTINGS, beta=1.0)
    plain.load_state_dict(model.state_dict())
    image, noise = torch.rand(5, *SHAPE), torch.randn(5, 3)
    torch.testing.assert_close(model.terms(image, noise)["loss"], plain.terms(image, noise)["loss"], rtol=0, atol=0)


@pytest.mark.parametrize("weight", ["beta", "gamma"])
def test_negative_weights_are_refused(weight: str) -> None:
    with pytest.raises(InputError, match="must not be negative"):
        HFSVAE(SHAPE, **SETTINGS, **{weight: -1.0})
