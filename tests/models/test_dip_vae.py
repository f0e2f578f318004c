from typing import Any

import numpy as np
import pytest
import torch

from disentangle_pl.errors import InputError
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.models.dip_vae import DIPVAE1, DIPVAE2
from disentangle_pl.posterior import DiagonalGaussian
from tests.models.tiny import SETTINGS

SHAPE = (1, 16, 16)
Kind = type[DIPVAE1] | type[DIPVAE2]
KINDS = [DIPVAE1, DIPVAE2]
every_kind = pytest.mark.parametrize("kind", KINDS)


def dip(kind: Kind, **arguments: Any) -> DIPVAE1 | DIPVAE2:
    torch.manual_seed(0)
    return kind(SHAPE, **(SETTINGS | arguments))


def draw(n: int) -> DiagonalGaussian:
    return DiagonalGaussian(*torch.randn(2, n, 3, generator=torch.Generator().manual_seed(0)))


def by_hand(q: DiagonalGaussian, sampled: bool) -> tuple[float, float]:
    """The penalties of covariances and variances in plain loops."""
    cov = np.cov(q.mean.double().numpy().T, ddof=0)
    if sampled:
        cov += np.diag(np.exp(q.logvar.double().numpy()).mean(0))
    off = sum(cov[i, j] ** 2 for i in range(3) for j in range(3) if i != j)
    return off, sum((cov[i, i] - 1) ** 2 for i in range(3))


@pytest.mark.parametrize(("kind", "sampled"), [(DIPVAE1, False), (DIPVAE2, True)])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_the_loss_is_that_of_the_vae_plus_the_weighted_penalties(kind: Kind, sampled: bool, n: int) -> None:
    q, nll = draw(n), torch.arange(n).float()
    kl = 2 * q.kl()  # whatever the posterior, the given KL counts
    found = dip(kind, off_diagonal=3.0, diagonal=5.0).objective(nll, kl, q, q.mean)
    off, diagonal = by_hand(q, sampled)
    expected = {
        "loss": nll.mean().item() + kl.sum(1).mean().item() + 3 * off + 5 * diagonal,
        "nll": nll.mean().item(),
        "kl": kl.sum(1).mean().item(),
        "covariances": off,
        "variances": diagonal,
    }
    assert {name: term.item() for name, term in found.items()} == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_second_kind_penalises_the_covariance_of_the_sampled_latents() -> None:
    n = 200_000
    one = draw(4)
    q = DiagonalGaussian(*(moment.repeat(n // 4, 1) for moment in one))
    z = q.sample(torch.randn(n, 3, generator=torch.Generator().manual_seed(1)))
    cov = torch.cov(z.T, correction=0)
    found = dip(DIPVAE2).objective(torch.zeros(n), q.kl(), q, z)
    off = cov.square().sum() - cov.diagonal().square().sum()
    torch.testing.assert_close(found["covariances"], off, rtol=0.05, atol=0.01)
    torch.testing.assert_close(found["variances"], (cov.diagonal() - 1).square().sum(), rtol=0.05, atol=0.01)


@pytest.mark.parametrize(("kind", "ratio"), [(DIPVAE1, 10), (DIPVAE2, 1)])
def test_the_variances_weigh_as_in_the_published_study_unless_told_otherwise(kind: Kind, ratio: float) -> None:
    assert (dip(kind).off_diagonal, dip(kind).diagonal) == (10, 10 * ratio)
    assert dip(kind, off_diagonal=2.0).diagonal == 2 * ratio
    assert dip(kind, off_diagonal=2.0, diagonal=0.0).diagonal == 0


@every_kind
def test_without_weights_it_is_the_vae(kind: Kind) -> None:
    model = dip(kind, off_diagonal=0.0)
    plain = BetaVAE(SHAPE, **SETTINGS, beta=1.0)
    plain.load_state_dict(model.state_dict())
    image, noise = torch.rand(5, *SHAPE), torch.randn(5, 3)
    found, expected = model.terms(image, noise), plain.terms(image, noise)
    torch.testing.assert_close(found["loss"], expected["loss"], rtol=0, atol=0)
    torch.autograd.backward([found["loss"], expected["loss"]])
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)


@every_kind
def test_independent_latents_of_variance_one_cost_nothing(kind: Kind) -> None:
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    narrow = DiagonalGaussian(corners, torch.full((8, 3), -30.0))
    found = dip(kind).objective(torch.zeros(8), torch.zeros(8, 3), narrow, corners)
    assert found["loss"].item() == pytest.approx(0, abs=1e-9)


@every_kind
def test_the_statistics_are_those_of_all_processes(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    q, model = draw(8), dip(kind)
    whole = model.objective(torch.zeros(8), torch.zeros(8, 3), q, q.mean)
    everywhere = {rows[:4].sum().item(): rows for rows in q}
    monkeypatch.setattr(model, "gather", lambda rows: everywhere[rows.sum().item()])
    own = DiagonalGaussian(q.mean[:4], q.logvar[:4])
    found = model.objective(torch.zeros(4), torch.zeros(4, 3), own, own.mean)
    torch.testing.assert_close(found, whole)


@every_kind
@pytest.mark.parametrize("wrong", [{"off_diagonal": -1.0}, {"diagonal": -1.0}])
def test_negative_weights_are_refused(kind: Kind, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="off_diagonal and diagonal must not be negative, got"):
        dip(kind, **wrong)
