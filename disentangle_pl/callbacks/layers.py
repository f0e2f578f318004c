"""Where in a network do axes come to mean something, and where do they get mixed? Scores of every layer."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn

from disentangle_pl.activations import activations, steps
from disentangle_pl.callbacks.layers_plot import draw_layers
from disentangle_pl.callbacks.pictures import publish
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.layerwise import DCI_ROWS, LayerScores, layer_scores
from disentangle_pl.metrics.score import GroundTruth, ground_truth, sampled_rows
from disentangle_pl.models.vae import VAE


class LogLayers(Callback):
    """Log how far the units of every layer keep to one factor each, at the end of a run, and draw it.

    `layers/dci_disentanglement_<layer>` and `layers/infom_<layer>` stand beside `_floor`, rows permuted, and
    `_rotated`, the same activations under a random rotation: a value no higher than that says that the axes of this
    layer mean nothing. See `metrics.layerwise`. Layers are those of the encoder on validation images, the `latents`
    (posterior means), and those of the decoder on the same means, all averaged over space. A layer with fewer than 2
    units alive has no value. Data without two ground-truth factors are left alone.

    Args:
        enabled: Do it: half a minute for a network of 12 layers and 6 factors.
        rows: Validation images, those of the first process; DCI takes 300 of them at random.
        draw: Draw the picture.

    Raises:
        InputError: If rows is below 2; at the start of a run, if the layers of the model do not follow one another.
    """

    def __init__(self, enabled: bool = False, rows: int = 1000, draw: bool = True) -> None:
        if rows < 2:
            raise InputError(f"scores of layers need at least 2 rows, got layers.rows={rows}")
        self.enabled, self.rows, self.draw = enabled, rows, draw
        self._batches: list[dict[str, Tensor]] = []
        self._factors: list[Tensor] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a network that cannot be looked into before it is trained."""
        if self.enabled and isinstance(pl_module, VAE):
            for part in (pl_module.backbone.encoder, pl_module.backbone.decoder):
                list(steps(part))

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the activations of the last validation."""
        self._batches, self._factors = [], []

    @torch.no_grad()
    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Run the network once more on the first images, layer by layer."""
        missing = self.rows - sum(map(len, self._factors))
        final = self.enabled and trainer.state.fn == TrainerFn.VALIDATING
        if not (final and trainer.is_global_zero and missing > 0 and isinstance(pl_module, VAE)):
            return
        if not batch.factors.is_floating_point():
            self._batches.append(layers_of(pl_module, batch.image[:missing], outputs["mean"][:missing]))
            self._factors.append(batch.factors[:missing].cpu())

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score the layers on the first process, and log the same numbers on all."""
        if not self.enabled or trainer.state.fn != TrainerFn.VALIDATING:
            return
        layers = self._score(trainer) if self._batches else {}
        logged = {
            f"layers/{name}_{layer}{suffix}": number
            for layer, scored in layers.items()
            for name, axes in scored.scores.items()
            for suffix, number in zip(("", "_floor", "_rotated"), axes, strict=True)
        }
        for name, value in trainer.strategy.broadcast(logged).items():
            pl_module.log(name, value, sync_dist=False, rank_zero_only=False)
        if layers and self.draw:
            publish(draw_layers(layers), trainer, "layers")

    def _score(self, trainer: Trainer) -> dict[str, LayerScores]:
        factors = _scored_factors(trainer, ground_truth(torch.cat(self._factors).numpy()))
        if factors.shape[1] < 2:
            return {}
        return {
            name: layer_scores(torch.cat([batch[name] for batch in self._batches]).numpy(), factors)
            for name in self._batches[0]
        }


def layers_of(model: VAE, images: Tensor, means: Tensor) -> dict[str, Tensor]:
    """Return what the layers of a model put out, from the image to the latents and back to the image.

    Args:
        model: Its encoder and decoder are feed-forward networks.
        images: (B, C, *S).
        means: (B, d) their posterior means.

    Returns:
        (B, units) on the CPU in single precision for `encoder_<layer>`, `latents` and `decoder_<layer>`. The last layer
        of the encoder is left out: the latents are its outputs.
    """
    encoder, decoder = model.backbone.encoder, model.backbone.decoder
    assert isinstance(encoder, nn.Sequential), "steps() refuses others"
    assert isinstance(decoder, nn.Sequential), "steps() refuses others"
    *hidden, _ = activations(encoder, images).items()
    outputs = {f"encoder_{name}": units for name, units in hidden}
    outputs |= {"latents": means}
    outputs |= {f"decoder_{name}": units for name, units in activations(decoder, means).items()}
    return {name: units.float().cpu() for name, units in outputs.items()}


def _scored_factors(trainer: Trainer, factors: GroundTruth) -> GroundTruth:
    module = trainer.datamodule  # type: ignore[attr-defined]  # set by Trainer.validate
    data = module if isinstance(module, ImageData) else None
    names = np.array(data.factor_names if data else range(factors.shape[1]))
    return factors.columns(
        factors[sampled_rows(len(factors), DCI_ROWS, groups=factors.groups)].varying
        & ~np.isin(names, data.nuisance if data else ())
    )
