import pytest

from disentangle_pl.backbones import ConvBackbone
from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import MASKABLE, masked_layers
from disentangle_pl.masks.l1 import L1Mask
from disentangle_pl.masks.placement import Placement


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        (Placement(), "1111 1111"),
        (Placement(encoder=False), "0000 1111"),
        (Placement(decoder=False), "1111 0000"),
        (Placement(pixels=False), "0111 1110"),
        (Placement(latents=False), "1110 0111"),
        (Placement(decoder=False, pixels=False, latents=False), "0110 0000"),
    ],
    ids=str,
)
def test_the_wanted_layers_are_masked(placement: Placement, expected: str) -> None:
    network = ConvBackbone((1, 8, 8), 3, channels=(4, 8), hidden=6)
    placement.apply(network.encoder, network.decoder, L1Mask)
    masked = [layer for _, layer in masked_layers(network)]
    for part, wanted in zip((network.encoder, network.decoder), expected.split(), strict=True):
        layers = [layer for layer in part.modules() if isinstance(layer, MASKABLE)]
        assert "".join(str(int(layer in masked)) for layer in layers) == wanted


def test_masks_nowhere_are_refused() -> None:
    with pytest.raises(InputError, match="neither"):
        Placement(encoder=False, decoder=False)
