import math

import pytest
import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.polarised import delta_kl, informative_latents, passive_share, spread_latents
from disentangle_pl.posterior import DiagonalGaussian

# two active latents of variance .01 and .04, a passive one at the prior, one with a constant mean
MEANS = torch.tensor([[2.0, 0.5, 0.0, 1.0], [-2.0, -0.5, 0.0, 1.0]])
LOGVAR = torch.tensor([0.01, 0.04, 1.0, 1.0]).log().expand(2, 4)
POSTERIOR = DiagonalGaussian(MEANS, LOGVAR)


def test_the_variance_of_the_means_tells_what_moves() -> None:
    assert spread_latents(MEANS).tolist() == [True, True, False, False]
    assert spread_latents(MEANS, variance=0.25).tolist() == [True, False, False, False]
    assert spread_latents(MEANS, variance=0.2499).tolist() == [True, True, False, False]


def test_the_divergence_tells_what_informs() -> None:
    assert informative_latents(POSTERIOR).tolist() == [True, True, False, True]
    assert informative_latents(POSTERIOR, nats=0.5).tolist() == [True, True, False, False]


def test_the_divergence_is_a_mean_over_images() -> None:
    means = torch.tensor([[0.0], [0.0], [0.0], [0.4]])
    posterior = DiagonalGaussian(means, torch.zeros(4, 1))
    assert informative_latents(posterior, nats=0.019).tolist() == [True]
    assert informative_latents(posterior, nats=0.021).tolist() == [False]


def test_the_share_of_the_passive() -> None:
    assert passive_share(torch.tensor([True, False, False, False])) == 0.75


def test_the_polarised_difference_has_a_closed_form() -> None:
    first = 0.5 * (4 + 0.01 - math.log(0.01) - 1)
    second = 0.5 * (0.25 + 0.04 - math.log(0.04) - 1)
    total = first + second + 0.5
    active = torch.tensor([True, True, False, False])
    assert delta_kl(POSTERIOR, active) == pytest.approx((0.005 + 0.02 + 0.5) / total)
    assert delta_kl(POSTERIOR, torch.ones(4, dtype=torch.bool)) == pytest.approx((0.005 + 0.02 + 0.5 + 0.5) / total)
    assert delta_kl(POSTERIOR, torch.zeros(4, dtype=torch.bool)) == pytest.approx(1)


def test_a_collapsed_model_differs_in_nothing() -> None:
    prior = DiagonalGaussian(torch.zeros(3, 2), torch.zeros(3, 2))
    assert delta_kl(prior, spread_latents(prior.mean)) == 0
    assert passive_share(informative_latents(prior)) == 1


@pytest.mark.parametrize("broken", [MEANS[0], MEANS[:0], MEANS * torch.nan])
def test_wrong_means_are_refused(broken: Tensor) -> None:
    with pytest.raises(InputError, match="posterior"):
        spread_latents(broken)
    with pytest.raises(InputError, match="posterior"):
        informative_latents(DiagonalGaussian(broken, broken))


def test_a_divergence_that_overflows_and_a_mask_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match="KL divergence is NaN or infinite"):
        delta_kl(DiagonalGaussian(MEANS, LOGVAR + 1000), spread_latents(MEANS))
    with pytest.raises(InputError, match="mask of 4"):
        delta_kl(POSTERIOR, torch.tensor([True]))
