"""Every model, as a configuration file would name it, small enough to train in milliseconds."""

from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import torch

from disentangle_pl.data.pairs import GroupSampler, KnownGroups, UniformDistinctPairs, UniformPairs
from disentangle_pl.models.annealed_vae import AnnealedVAE
from disentangle_pl.models.beta_tc_vae import BetaTCVAE
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.models.dip_vae import DIPVAE1, DIPVAE2
from disentangle_pl.models.factor_vae import FactorVAE
from disentangle_pl.models.hfs_vae import HFSVAE
from disentangle_pl.models.ordered_vae import OrderedVAE
from disentangle_pl.models.vae import VAE

PLAIN = (1, 16, 16)
VOLUME = (1, 8, 8, 8)


class Kind(NamedTuple):
    """A model and the groups it trains on.

    Attributes:
        model: The class.
        arguments: Its own part of the configuration.
        pairs: Draws its groups; None for single images.
    """

    model: type[VAE]
    arguments: dict[str, Any]
    pairs: GroupSampler | None = None

    @property
    def group(self) -> int:
        """Images of an example."""
        return self.pairs.size if self.pairs else 1


def aggregation(name: str, **arguments: object) -> dict[str, Any]:
    """Configure an aggregation."""
    return {"aggregation": _part("aggregation", name, arguments)}


def supervision(name: str, **arguments: object) -> dict[str, Any]:
    """Configure a supervision."""
    return {"supervision": _part("supervision", name, arguments)}


def mask(module: str, name: str, **arguments: object) -> dict[str, Any]:
    """Configure a mask."""
    return {"mask": _part(f"masks.{module}", name, arguments)}


def _part(module: str, name: str, arguments: dict[str, object]) -> dict[str, Any]:
    return {"class_path": f"disentangle_pl.{module}.{name}", "init_args": arguments}


ADVERSARY = {"width": 8, "depth": 2, "discriminator_lr": 0.05}
CONV = {"backbone": _part("backbones", "ConvBackbone", {"channels": [4, 8], "hidden": 16})}
TRIPLES = KnownGroups(["shape", "x"], 3)
ZOO = {
    "vae": Kind(BetaVAE, {"beta": 1.0}),
    "annealed": Kind(AnnealedVAE, {"gamma": 30.0, "max_capacity": 0.12, "annealing_steps": 1}),
    "factor": Kind(FactorVAE, {"gamma": 10.0, **ADVERSARY}),
    "factor two batches": Kind(FactorVAE, {"gamma": 10.0, "two_batches": True, **ADVERSARY}),
    "tc weighted": Kind(BetaTCVAE, {"beta": 6.0, "dataset_size": 48}),
    "tc stratified": Kind(BetaTCVAE, {"beta": 6.0, "dataset_size": 48, "stratified": True}),
    "dip 1": Kind(DIPVAE1, {"off_diagonal": 5.0}),
    "dip 2": Kind(DIPVAE2, {"off_diagonal": 5.0}),
    "hfs": Kind(HFSVAE, {"gamma": 5.0}),
    "ordered": Kind(OrderedVAE, {"beta": 0.5, "last_beta": 8.0}),
    "ada gvae": Kind(BetaVAE, aggregation("AdaGVAE") | mask("l1", "L1Mask") | CONV, UniformPairs()),
    "ada gvae symmetric": Kind(
        BetaVAE,
        aggregation("AdaGVAE", ratio=0.3, floor=1e-3, divergence="disentangle_pl.aggregation.symmetric_kl"),
        UniformPairs(),
    ),
    "ada mlvae": Kind(
        BetaVAE, aggregation("AdaMLVAE", average="disentangle_pl.aggregation.dlib_product"), UniformPairs()
    ),
    "gvae": Kind(BetaVAE, aggregation("GVAE", content=2), TRIPLES),
    "mlvae": Kind(BetaVAE, aggregation("MLVAE", content=2), TRIPLES),
    "known mask": Kind(BetaVAE, aggregation("KnownMask"), UniformDistinctPairs()),
    "labels": Kind(BetaVAE, supervision("RestrictedLabels", columns=[0, 3], sizes=[3, 2])),
    "matches": Kind(BetaVAE, supervision("MatchPairs", strength=5.0, columns=[0, 3]), UniformDistinctPairs()),
    "ranks": Kind(BetaVAE, supervision("RankPairs", strength=50.0, columns=[3]), UniformDistinctPairs()),
    "factor of pairs": Kind(
        FactorVAE,
        {**ADVERSARY, **aggregation("AdaGVAE"), **supervision("RankPairs", columns=[3])},
        UniformPairs(),
    ),
}
# Their loss of a batch is the mean over its examples.
MEANS = [name for name, kind in ZOO.items() if kind.model in (BetaVAE, OrderedVAE)]


def config(name: str, shape: tuple[int, ...] = PLAIN, **more: object) -> dict[str, Any]:
    """Give the configuration of a model with 6 latents that gradient descent trains."""
    backbone = _part("backbones", "MLPBackbone", {"encoder_widths": [16], "decoder_widths": [16]})
    # Plain gradient descent: Adam would blow the rounding of tiny gradients up to whole steps.
    optimizer = {"class_path": "torch.optim.SGD", "init_args": {"lr": 1e-3}}
    own = {"shape": list(shape), "latent_dim": 6, "backbone": backbone, "optimizer": optimizer}
    return own | ZOO[name].arguments | more


def make(name: str, shape: tuple[int, ...] = PLAIN, **more: object) -> VAE:
    """Make a model, with the same weights every time, of its configuration: in a hundredth of the parser's time."""
    torch.manual_seed(0)
    return ZOO[name].model(**{key: _made(key, value) for key, value in config(name, shape, **more).items()})


def _made(key: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    arguments = {name: _find(given) if isinstance(given, str) else given for name, given in value["init_args"].items()}
    kind = _find(value["class_path"])
    return kind(**arguments) if key in ("aggregation", "supervision") else partial(kind, **arguments)


def _find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
