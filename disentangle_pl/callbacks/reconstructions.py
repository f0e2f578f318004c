"""What the model keeps of an image: originals, reconstructions and the difference."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.figure import Figure
from torch import Tensor

from disentangle_pl.callbacks.pictures import label, letters, planes, publish, strip
from disentangle_pl.callbacks.traversals import VOLUMES_INCHES
from disentangle_pl.models.vae import VAE

VOLUMES = 4  # shown, large enough for the letters of their sides


def draw_reconstructions(images: Tensor, reconstructions: Tensor) -> Figure:
    """Draw images, their reconstructions under them, and the differences on one symmetric scale.

    Args:
        images: (n, C, *S).
        reconstructions: (n, C, *S), the same images decoded from their posterior means.

    Returns:
        The figure; of volumes, axes in RAS order, the first four with three planes each and the letters of their sides.
    """
    volumes = images.dim() == 5
    if volumes:
        images, reconstructions = images[:VOLUMES], reconstructions[:VOLUMES]
    pair = torch.stack((images, reconstructions)).float().cpu()
    difference = (pair[1:] - pair[:1]).mean(2, keepdim=True)
    pictures, changes = planes(pair), planes(difference)
    height, width = pictures.shape[2:4]
    inches = min(max(1.5 + len(images) * width / 40, 6 if volumes else 0), VOLUMES_INCHES if volumes else 16)
    tall = 0.4 + 3 * (inches - 2) / len(images) * height / width
    figure = Figure(figsize=(inches, max(tall, 2)), layout="constrained")
    axes = figure.subplots(3, 1, squeeze=False)[:, 0]
    low, high = float(pair.min()), float(pair.max())
    for axis, row, text in zip(axes, pictures, ("image", "decoded"), strict=False):
        picture = strip((row - low) / max(high - low, 1e-6), gap=1.0)
        axis.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
        label(axis, text)
        letters(axis, tuple(images.shape[1:]), 8)
    limit = max(float(np.quantile(np.abs(changes), 0.995)), 1e-6)
    shown = axes[2].imshow(strip(changes[0], gap=0.0)[..., 0], cmap="RdBu_r", vmin=-limit, vmax=limit)
    label(axes[2], "difference")
    figure.colorbar(shown, ax=axes.tolist(), fraction=0.02, pad=0.01)
    return figure


class LogReconstructions(Callback):
    """Write the first validation images beside their reconstructions to `reconstructions/` and to the loggers.

    Drawn at the end, by `disentangle-pl validate`, which `fit` runs last.

    Args:
        images: How many; 0 draws none.
    """

    def __init__(self, images: int = 8) -> None:
        self.images = images
        self._image: Tensor | None = None
        self._mean: Tensor | None = None

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first images and their posterior means."""
        if batch_idx == 0 and trainer.state.fn == TrainerFn.VALIDATING:
            self._image, self._mean = batch.image[: self.images], outputs["mean"][: self.images]

    @torch.no_grad()
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw on the first process."""
        image, mean = self._image, self._mean
        self._image = self._mean = None
        if (
            trainer.is_global_zero
            and isinstance(pl_module, VAE)
            and image is not None
            and mean is not None
            and len(image)
        ):
            publish(draw_reconstructions(image, pl_module.decode(mean)), trainer, "reconstructions")
