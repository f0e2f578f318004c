"""What the sparsity benchmark compares: networks, kinds of masks, and ways to cut."""

from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from disentangle_pl.backbones import ConvBackbone
from disentangle_pl.masks.channel_mask import MASKABLE, TRANSPOSED, MaskFactory, follow_step, penalties
from disentangle_pl.masks.gates import BinaryMask, GumbelMask, HardConcreteMask
from disentangle_pl.masks.l1 import GroupLassoMask, L1Mask, ProximalL1Mask, WeightL1
from disentangle_pl.masks.magnitude import MagnitudeMask
from disentangle_pl.masks.placement import Placement
from disentangle_pl.masks.random_mask import RandomMask
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.models.vae import EVERYWHERE, BackboneFactory

RATE = 1e-4
KINDS: dict[str, MaskFactory] = {  # as configs/mask has them
    "random": partial(RandomMask, density=0.5),
    "magnitude": partial(MagnitudeMask, density=0.1, rounds=5, interval=500),
    "l1": partial(L1Mask, strength=1e-3),
    "proximal": partial(ProximalL1Mask, strength=1e-2, warm_up=500),
    "group_lasso": partial(GroupLassoMask, strength=1e-2, warm_up=500),
    "weight_l1": partial(WeightL1, strength=1e-4),
    "binary": partial(BinaryMask, strength=1e-3, warm_up=500),
    "hard_concrete": partial(HardConcreteMask, strength=1e-3, warm_up=500),
    "gumbel": partial(GumbelMask, strength=1e-3, warm_up=500),
}


class Setup(NamedTuple):
    """A network and how it is trained.

    Attributes:
        name: In the tables.
        shape: (C, *S) of an image.
        batch: Images of a step.
        latents: Their number.
        backbone: Makes the network.
        epoch: Steps of an epoch.
        steps: Timed steps of a round; 0 where the cost of masks is not measured.
        wanted: Share of images/s that masks may cost.
        placement: Which layers are masked, and how.
    """

    name: str
    shape: tuple[int, ...]
    batch: int
    latents: int
    backbone: BackboneFactory
    epoch: int
    steps: int = 0
    wanted: float = 0.0
    placement: Placement = EVERYWHERE

    def model(self, mask: MaskFactory | None = None, placement: Placement | None = None) -> BetaVAE:
        """Make the model, always from the same first values."""
        torch.manual_seed(0)
        adam, where = partial(Adam, lr=RATE, fused=True), placement or self.placement
        return BetaVAE(self.shape, self.latents, self.backbone, mask=mask, placement=where, optimizer=adam)

    def images(self) -> Tensor:
        """Return a batch of noise (B, C, *S)."""
        return torch.rand(self.batch, *self.shape, generator=torch.Generator().manual_seed(0))


BRAIN = partial(ConvBackbone, channels=(16, 32, 64), hidden=256)
SETUPS = (
    Setup("2-D", (1, 64, 64), 64, 10, ConvBackbone, 2000, 10, 0.10),
    Setup("2-D, whole channels", (1, 64, 64), 64, 10, ConvBackbone, 2000, 10, 0.10, Placement(whole_channels=True)),
    Setup("3-D", (1, 64, 64, 64), 16, 16, BRAIN, 60, 2, 0.05),
    Setup("3-D, whole channels", (1, 64, 64, 64), 16, 16, BRAIN, 60, 2, 0.05, Placement(whole_channels=True)),
    Setup("sprites_beta_vae.yaml", (1, 32, 32), 64, 10, ConvBackbone, 2000),
    Setup("3-D, 32 x 32 x 32", (1, 32, 32, 32), 8, 16, BRAIN, 60),
)


def train_step(model: BetaVAE, optimizer: Optimizer, images: Tensor, step: int) -> None:
    """Make one step as `disentangle-pl fit` makes it, without the trainer around it."""
    loss = model.terms(images)["loss"]
    if model.masks:
        loss = loss + penalties(model.masks, step)[0]
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
    if model.masks:
        follow_step(model.masks, optimizer, step + 1)


@torch.no_grad()
def cut_channels(network: nn.Sequential, kept: float, generator: torch.Generator) -> None:
    """Cut all pairs of randomly chosen hidden channels, in place, so that the share `kept` of every layer's stays."""
    layers = [layer for layer in network if isinstance(layer, MASKABLE)]
    for before, after in pairwise(layers):
        outputs, inputs = _oriented(before), _oriented(after).transpose(0, 1)
        channels = min(len(outputs), len(inputs))  # at the border to convolutions a channel has many units
        dead = torch.randperm(channels, generator=generator) >= max(1, round(kept * channels))
        outputs[dead.repeat_interleave(len(outputs) // channels)] = 0
        inputs[dead.repeat_interleave(len(inputs) // channels)] = 0


def _oriented(layer: nn.Module) -> Tensor:
    """View the weight of a layer as (outputs, inputs, *kernel)."""
    weight: Tensor = layer.weight.detach()  # type: ignore[operator]
    return weight.transpose(0, 1) if isinstance(layer, TRANSPOSED) else weight
