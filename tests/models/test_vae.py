"""What a group and known factors do to the terms of any objective."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from disentangle_pl.aggregation import GVAE, MLVAE, AdaGVAE, Aggregation, KnownMask
from disentangle_pl.data.factors import Batch
from disentangle_pl.errors import InputError
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.supervision import MatchPairs, RankPairs, RestrictedLabels, Supervision
from tests.models.tiny import tiny

SHAPE = (1, 16, 16)
NAN = float("nan")


def images(*size: int) -> Tensor:
    return torch.rand(*size, *SHAPE, generator=torch.Generator().manual_seed(0))


def noise(rows: int) -> Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(1))


def seeded(**arguments: Any) -> BetaVAE:
    torch.manual_seed(0)
    return tiny(**arguments)


def content_of(q: DiagonalGaussian, product: bool) -> tuple[Tensor, Tensor]:
    """The mean and variance of the first 2 latents of a group (G, d), by the formulas of the two papers."""
    mean, variance = q.mean[:, :2], q.logvar[:, :2].exp()
    if product:
        inverse = sum(1 / v for v in variance)
        return sum(m / v for m, v in zip(mean, variance, strict=True)) / inverse, 1 / inverse
    return sum(mean) / len(mean), sum(variance) / len(mean)  # type: ignore[return-value]


@pytest.mark.parametrize(("kind", "product"), [(GVAE, False), (MLVAE, True)])
@pytest.mark.parametrize("size", [2, 3])
def test_the_loss_of_a_group_counts_its_content_once(kind: type[GVAE], product: bool, size: int) -> None:
    groups, beta = 4, 2.5
    model, x, eps = seeded(aggregation=kind(content=2), beta=beta), images(groups, size), noise(groups * size)
    negative_elbo = torch.zeros(())
    kl_total = torch.zeros(())
    for i in range(groups):
        q = model.encode(x[i])
        mean, variance = content_of(q, product)
        content = Normal(mean, variance.sqrt())
        style = Normal(q.mean[:, 2:], (0.5 * q.logvar[:, 2:]).exp())
        own = eps[i * size : (i + 1) * size]
        z = torch.cat((mean + own[:, :2] * content.scale, style.loc + own[:, 2:] * style.scale), 1)
        decoder = Bernoulli(logits=model.backbone.decode(z), validate_args=False)
        nll = -decoder.log_prob(x[i]).sum()  # type: ignore[no-untyped-call]
        kl = kl_divergence(style, Normal(0, 1)).sum() + kl_divergence(content, Normal(0, 1)).sum()
        negative_elbo = negative_elbo + nll + beta * kl
        kl_total = kl_total + kl
    terms = model.terms(x, eps)
    torch.testing.assert_close(terms["loss"], negative_elbo / (groups * size))
    torch.testing.assert_close(terms["kl"], kl_total / (groups * size))
    assert terms["shared"] == 2


def test_the_kl_of_an_adaptive_pair_counts_for_every_image() -> None:
    model, x = seeded(aggregation=AdaGVAE(floor=1e9)), images(4, 1).expand(4, 2, *SHAPE)
    kl = model.encode(x[:, 0]).kl().sum(1).mean()
    terms = model.terms(x, noise(8))
    torch.testing.assert_close(terms["kl"], kl)  # everything is shared, and still counted twice a pair of images
    assert terms["shared"] == 3


def test_what_changed_reaches_the_aggregation() -> None:
    model, x = seeded(aggregation=KnownMask()), images(3, 2)
    changed = torch.tensor([[True, False], [False, True], [True, True]])
    q = model.encode(x.flatten(0, 1))
    together = KnownMask()(DiagonalGaussian(q.mean.view(3, 2, 3), q.logvar.view(3, 2, 3)), changed)
    terms = model.terms(x, noise(6), changed=changed)
    torch.testing.assert_close(terms["kl"], together.posterior.kl().sum(2).mean())
    assert terms["shared"] == pytest.approx((2 + 2 + 1) / 3)
    with pytest.raises(InputError, match="the data do not tell which"):
        model.terms(x, noise(6))


def test_a_batch_hands_its_factors_and_changes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BetaVAE, "log_dict", lambda *args, **kwargs: None)
    model = seeded(aggregation=KnownMask(), supervision=MatchPairs(strength=3.0))
    factors = torch.tensor([[[0, 1], [0, 0]], [[1, 1], [0, 1]]])
    changed = factors[:, 0] != factors[:, 1]
    x = images(2, 2)
    torch.manual_seed(1)
    loss = model.training_step(Batch(x, factors, changed), 0)
    torch.manual_seed(1)
    torch.testing.assert_close(loss, model.terms(x, factors=factors, changed=changed)["loss"])


def test_the_posterior_that_an_objective_sees_is_the_aggregated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = seeded(aggregation=AdaGVAE(floor=1e9)), images(3, 2)

    def objective(nll: Tensor, kl: Tensor, q: DiagonalGaussian, z: Tensor) -> dict[str, Tensor]:
        assert (nll.shape, kl.shape, z.shape) == ((6,), (6, 3), (6, 3))
        assert torch.equal(q.mean[0::2], q.mean[1::2])
        torch.testing.assert_close(kl, q.kl())
        torch.testing.assert_close(z, q.sample(noise(6)))
        return {"seen": nll}

    monkeypatch.setattr(model, "objective", objective)
    assert set(model.terms(x, noise(6))) == {"seen", "shared"}


SUPERVISIONS = [RestrictedLabels(2.0, (0, 1), (3, 3)), MatchPairs(2.0, (0, 1)), RankPairs(2.0, (0, 1))]
FACTORS = torch.tensor([[[0, 1], [2, 1]], [[0, 0], [0, 2]], [[1, 2], [2, 2]]])


@pytest.mark.parametrize("supervision", SUPERVISIONS)
@pytest.mark.parametrize("aggregation", [None, AdaGVAE()])
def test_the_penalty_is_that_of_the_encoded_posteriors_and_enters_with_its_strength(
    supervision: Supervision, aggregation: Aggregation | None
) -> None:
    plain = seeded(aggregation=aggregation)
    model = seeded(aggregation=aggregation, supervision=supervision)
    x = images(3, 2)
    q = model.encode(x.flatten(0, 1))
    penalty = supervision(DiagonalGaussian(q.mean.view(3, 2, 3), q.logvar.view(3, 2, 3)), FACTORS)
    expected = plain.terms(x, noise(6))
    terms = model.terms(x, noise(6), factors=FACTORS)
    assert terms.keys() == expected.keys() | {"supervision"}
    assert penalty > 0
    torch.testing.assert_close(terms["supervision"], penalty)
    torch.testing.assert_close(terms["loss"], expected["loss"] + 2 * penalty)
    torch.testing.assert_close(terms["nll"], expected["nll"])


def test_labels_supervise_single_images() -> None:
    model, x = seeded(supervision=SUPERVISIONS[0]), images(6)
    q = model.encode(x)
    penalty = SUPERVISIONS[0](DiagonalGaussian(*(moment.unsqueeze(1) for moment in q)), FACTORS.view(6, 1, 2))
    torch.testing.assert_close(model.terms(x, noise(6), factors=FACTORS.view(6, 2))["supervision"], penalty)


@pytest.mark.parametrize("kind", [RestrictedLabels, MatchPairs, RankPairs])
def test_a_supervision_without_strength_is_none(kind: type[Supervision]) -> None:
    plain, model, x = seeded(), seeded(supervision=kind(strength=0.0)), images(3, 2)
    terms, expected = model.terms(x, noise(6), factors=FACTORS), plain.terms(x, noise(6))
    assert torch.equal(terms["loss"], expected["loss"])
    torch.autograd.backward([terms["loss"], expected["loss"]])
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)


@pytest.mark.parametrize("supervision", SUPERVISIONS)
def test_missing_factors_leave_the_weights_finite(supervision: Supervision) -> None:
    model, x = seeded(supervision=supervision), images(3, 2)
    factors = FACTORS.float()
    factors[0, 1, 0] = factors[1] = NAN
    torch.autograd.backward(model.terms(x, noise(6), factors=factors)["loss"])
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


def test_a_supervision_needs_factors() -> None:
    with pytest.raises(InputError, match="needs data with factors"):
        seeded(supervision=RankPairs()).terms(images(3, 2))


@pytest.mark.parametrize("supervision", SUPERVISIONS)
def test_a_supervised_model_learns_what_it_is_taught(supervision: Supervision) -> None:
    model, x = seeded(supervision=supervision), images(3, 2)
    optimizer = torch.optim.Adam(model.backbone.encoder.parameters(), lr=1e-2)
    penalties = []
    for _ in range(30):
        terms = model.terms(x, noise(6), factors=FACTORS)
        penalties.append(terms["supervision"].item())
        optimizer.zero_grad()
        torch.autograd.backward(terms["supervision"])
        optimizer.step()
    assert penalties[-1] < 0.5 * penalties[0]


def test_without_a_trainer_nothing_is_gathered() -> None:
    model, rows = seeded(), torch.rand(4, 3)
    assert model.gather(rows) is rows
    assert model.eval().gather(rows) is rows
