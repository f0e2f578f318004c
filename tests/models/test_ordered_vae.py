from typing import Any

import pytest
import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.models.ordered_vae import OrderedVAE, ordered_weights
from disentangle_pl.posterior import DiagonalGaussian
from tests.models.tiny import SETTINGS, tiny

NLL = torch.tensor([10.0, 20.0])
KL = torch.tensor([[0.5, 1.0, 0.0], [3.0, 1.0, 0.5]])
Q, Z = DiagonalGaussian(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2, 3)


def ordered(**arguments: Any) -> OrderedVAE:
    return OrderedVAE((1, 16, 16), **(SETTINGS | arguments))


def test_the_weights_rise_by_one_factor_from_first_to_last() -> None:
    torch.testing.assert_close(ordered_weights(1.0, 16.0, 5), torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0]))
    assert ordered_weights(3.0, 16.0, 1).tolist() == [3.0]


def test_every_latent_pays_its_own_price() -> None:
    terms = ordered(beta=1.0, last_beta=4.0).objective(NLL, KL, Q, Z)
    weighted = 1 * 1.75 + 2 * 1.0 + 4 * 0.25  # mean KL of the latents times 1, 2, 4
    expected = {"loss": 15 + weighted, "nll": 15.0, "kl": 3.0, "weighted_kl": weighted}
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected)


def test_with_equal_weights_it_is_the_beta_vae() -> None:
    image, noise = torch.rand(4, 1, 16, 16), torch.randn(4, 3)

    def terms(model: Any) -> dict[str, Tensor]:
        found: dict[str, Tensor] = model.terms(image, noise)
        return found

    flat, plain = ordered(beta=3.0, last_beta=3.0), tiny(beta=3.0)
    flat.load_state_dict(plain.state_dict())
    for name, term in terms(plain).items():
        torch.testing.assert_close(terms(flat)[name], term)


def test_the_order_breaks_the_symmetry_of_the_latents() -> None:
    model, last = ordered(beta=1.0, last_beta=16.0), torch.tensor([2, 0, 1])
    assert model.objective(NLL, KL, Q, Z)["loss"] != model.objective(NLL, KL[:, last], Q, Z)["loss"]
    flat = ordered(beta=2.0, last_beta=2.0)
    torch.testing.assert_close(flat.objective(NLL, KL, Q, Z)["loss"], flat.objective(NLL, KL[:, last], Q, Z)["loss"])


@pytest.mark.parametrize("wrong", [{"beta": 0.0}, {"beta": 4.0, "last_beta": 2.0}, {"beta": -1.0}])
def test_impossible_weights_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="need 0 < beta <= last_beta"):
        ordered(**wrong)
