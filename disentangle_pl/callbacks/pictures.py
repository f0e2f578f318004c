"""Images and volumes as strips of pictures, and figures as files and W&B images."""

from pathlib import Path

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import WandbLogger
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from disentangle_pl.brain.orientation import frames_of, side_by_side, write_letters

GAP = 2  # pixels between images
PLANES = (2, 1, 0)  # axial, coronal and sagittal, from left to right


def planes(images: Tensor) -> NDArray[np.float32]:
    """Turn images (r, n, C, *S) into pictures (r, n, H, W, C), volumes into three planes side by side."""
    values = images.numpy()
    if images.dim() == 6:
        cuts = [(axis, values.shape[3 + axis] // 2) for axis in PLANES]
        values = side_by_side(values, cuts, fill=0.0, gap=GAP)
    return np.moveaxis(values, 2, -1)


def letters(axis: Axes, shape: tuple[int, ...], points: float) -> None:
    """Write the letters of the planes of volumes of a shape (C, *S) on the first picture of a strip."""
    if len(shape) == 4:
        for plane, frame in zip(PLANES, frames_of(shape[1:], PLANES, GAP), strict=True):
            write_letters(axis, plane, frame, points)


def strip(pictures: NDArray[np.float32], gap: float) -> NDArray[np.float32]:
    """Lay pictures (n, H, W, C) side by side, (H, n (W + GAP), C), gaps filled with a value."""
    padded = np.pad(pictures, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=gap)
    return np.concatenate(list(padded), axis=1)


def label(axis: Axes, text: str) -> None:
    """Write a text to the left of a strip and take its frame away."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_frame_on(False)
    axis.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=8)


def publish(figure: Figure, trainer: Trainer, kind: str) -> None:
    """Write a figure to `<run folder>/<kind>/step-<step>.png` and send it to W&B as `media/<kind>`."""
    path = Path(trainer.default_root_dir) / kind / f"step-{trainer.global_step:07d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.05)  # labels beside strips stay whole
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(f"media/{kind}", [str(path)])
