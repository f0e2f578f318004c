"""Latent traversals with difference images: what does every latent change?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.figure import Figure
from torch import Tensor

from disentangle_pl.callbacks import score_table
from disentangle_pl.callbacks.pictures import label, letters, planes, publish, strip
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian

LATENTS = "latents.tsv"
VOLUMES_INCHES = 10


class Traversal(NamedTuple):
    """Images along every latent.

    Attributes:
        latents: (r,) the latents shown, by falling KL.
        kl: (r,) their mean KL in nats.
        values: (r, n) the values they take.
        images: (r, n, C, *S) the decoded images.
    """

    latents: Tensor
    kl: Tensor
    values: Tensor
    images: Tensor


@torch.no_grad()
def traverse(
    model: VAE,
    q: DiagonalGaussian,
    columns: int = 7,
    rows: int = 10,
    span: float = 2.0,
    start: Tensor | None = None,
    chosen: Sequence[int] = (),
) -> Traversal:
    """Move one latent at a time through the aggregate posterior, the others staying at a typical image.

    Args:
        model: Decodes.
        q: Posteriors (N, d) of the images that define the aggregate posterior. The typical image is the one whose
            codes lie nearest to their mean, in standard deviations.
        columns: Values a latent, evenly spaced; odd, so that there is a middle image.
        rows: Latents shown at most.
        span: Distance of the outer columns from the mean, in standard deviations of the aggregate posterior.
        start: (d,) codes to start from instead of the typical image; its own value is then the middle of a row.
        chosen: Latents to show, in this order; none for those of the largest KL.

    Returns:
        The traversal, on the device of the model.
    """
    kl = q.kl().mean(0)
    latents = torch.tensor(chosen, device=kl.device) if chosen else kl.argsort(descending=True)[:rows]
    mean = q.mean.mean(0)
    spread = (q.mean.var(0, unbiased=False) + q.logvar.exp().mean(0)).sqrt()
    typical = q.mean[((q.mean - mean) / spread).square().sum(1).argmin()] if start is None else start
    steps = torch.linspace(-span, span, columns, device=mean.device)
    values = (mean if start is None else start)[latents, None] + spread[latents, None] * steps
    z = typical.repeat(len(latents), columns, 1)
    z[torch.arange(len(latents)), :, latents] = values
    images = torch.cat([model.decode(row) for row in z])
    return Traversal(latents, kl[latents], values, images.reshape(*z.shape[:2], *images.shape[1:]))


def draw_traversal(traversal: Traversal) -> Figure:
    """Draw a row of images a latent, and under it their differences to the middle image.

    All differences share one symmetric colour scale that ends at the 99.5 % quantile of their size. Volumes, axes in
    RAS order, show their axial, coronal and sagittal middle slices side by side, large enough for the letters of their
    sides, and of the steps only the first, the middle and the last.

    Args:
        traversal: Images (r, n, C, *S), n odd.

    Returns:
        The figure.
    """
    images = traversal.images.float().cpu()
    last, volumes = images.shape[1] - 1, images.dim() == 6
    middle = images[:, last // 2, None]
    if volumes:
        images = images[:, sorted({0, last // 2, last})]
    differences = (images - middle).mean(2, keepdim=True)
    limit = max(float(np.quantile(differences.abs().numpy(), 0.995)), 1e-6)
    pictures, changes = planes(images), planes(differences)
    rows, columns, height, width = pictures.shape[:4]
    inches = min(max(2 + columns * width / 60, 6 if volumes else 0), VOLUMES_INCHES if volumes else 16)
    tall = 0.4 + 2 * rows * (inches - 2) / columns * height / width
    figure = Figure(figsize=(inches, tall), layout="constrained")
    axes = figure.subplots(2 * rows, 1, squeeze=False)
    low, high = float(images.min()), float(images.max())
    for row in range(rows):
        top, bottom = axes[2 * row, 0], axes[2 * row + 1, 0]
        picture = strip((pictures[row] - low) / max(high - low, 1e-6), gap=1.0)
        top.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
        change = strip(changes[row], gap=0.0)[..., 0]
        shown = bottom.imshow(change, cmap="RdBu_r", vmin=-limit, vmax=limit)
        label(top, f"z{int(traversal.latents[row])}\nKL {float(traversal.kl[row]):.2f}")
        label(bottom, "change")
        letters(top, tuple(images.shape[2:]), 8)
    figure.colorbar(shown, ax=axes[:, 0].tolist(), fraction=0.02, pad=0.01, label="difference to the middle image")
    return figure


class LogTraversals(Callback):
    """Write the traversal figure of the validation images to `traversals/` and to the loggers.

    At the end `latents.tsv` has the mean KL of every latent in nats, and the standard deviation of its posterior means.

    Args:
        every_n_epochs: Draw at every so many validations in training; 0 draws at the end only.
        columns: Images a latent, odd.
        rows: Latents shown at most, by falling KL.
        span: Half the width of a traversal, in standard deviations of the aggregate posterior.
        images: Validation images that define the aggregate posterior, at most.
    """

    def __init__(
        self, every_n_epochs: int = 0, columns: int = 7, rows: int = 10, span: float = 2.0, images: int = 2000
    ) -> None:
        self.every_n_epochs = every_n_epochs
        self.columns = columns
        self.rows = rows
        self.span = span
        self.images = images
        self._posteriors: list[DiagonalGaussian] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the posteriors of the last validation."""
        self._posteriors = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the posteriors that the model has computed anyway."""
        if sum(len(q.mean) for q in self._posteriors) < self.images:
            self._posteriors.append(DiagonalGaussian(**outputs))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw on the first process."""
        final = trainer.state.fn == TrainerFn.VALIDATING
        due = self.every_n_epochs and (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if trainer.sanity_checking or not trainer.is_global_zero or not (final or due) or not self._posteriors:
            return
        if not isinstance(pl_module, VAE):
            return
        q = DiagonalGaussian(*(torch.cat(parts) for parts in zip(*self._posteriors, strict=True)))
        figure = draw_traversal(traverse(pl_module, q, self.columns, self.rows, self.span))
        publish(figure, trainer, "traversals")
        if final:
            numbers = {"kl": q.kl().mean(0), "spread": q.mean.std(0, unbiased=False)}
            columns = {name: values.float().cpu().numpy() for name, values in numbers.items()}
            score_table.write_latents(Path(trainer.default_root_dir) / LATENTS, columns)
