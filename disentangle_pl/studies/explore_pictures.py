"""Images, planes of volumes and their differences as PNG, a pixel a pixel."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from disentangle_pl.brain.export import Cut
from disentangle_pl.brain.orientation import LETTERS
from disentangle_pl.studies.scene import Scene
from disentangle_pl.studies.traverse_plot import cut_planes

PLANES = {2: "axial", 1: "coronal", 0: "sagittal"}
DIVERGING = "RdBu_r"
COLOURS: NDArray[np.uint8] = (colormaps[DIVERGING](np.linspace(0, 1, 255))[:, :3] * 255).round().astype(np.uint8)
Pixels = NDArray[np.uint8]


class Plane(NamedTuple):
    """A plane through volumes, or the one picture that an image is.

    Attributes:
        axis: Of the volume; -1 of images.
        name: In words.
        size: How many there are along the axis.
        first: Which of them is shown first.
        sides: Left, right, bottom and top; nothing of images.
    """

    axis: int
    name: str
    size: int
    first: int
    sides: tuple[str, ...]


def planes_of(shape: tuple[int, ...], scene: Scene) -> tuple[Plane, ...]:
    """List what is shown of images of a shape (C, *S): one picture, or three planes of volumes."""
    if len(shape) < 4:
        return (Plane(-1, "", 1, 0, ()),)
    chosen = {cut.axis: cut.voxel for cut in scene.cuts}
    sizes = shape[1:]
    return tuple(
        Plane(axis, name, sizes[axis], chosen.get(axis, sizes[axis] // 2), LETTERS[axis] if scene.grid else ())
        for axis, name in PLANES.items()
    )


def grey(image: Tensor, plane: Plane, at: int = 0) -> Pixels:
    """Turn an image (C, *S) with values from 0 to 1 into pixels (H, W) or (H, W, 3); what is beyond is cut off."""
    values = _flat(image, plane, at)
    pixels: Pixels = (values.clip(0, 1) * 255).round().astype(np.uint8)
    return pixels if pixels.shape[-1] == 3 else pixels.mean(axis=-1).round().astype(np.uint8)


def diverging(difference: Tensor, limit: float, plane: Plane, at: int = 0) -> Pixels:
    """Turn a difference (*S,) into pixels (H, W, 3): white for none, blue for less, red for more up to the limit."""
    values = _flat(difference[None], plane, at)[..., 0] / limit
    return COLOURS[((values.clip(-1, 1) + 1) * 127).round().astype(np.intp)]


def gradient(steps: int = 9) -> str:
    """Write the colours of differences as those of a gradient in CSS, from less to more."""
    colours = COLOURS[np.linspace(0, len(COLOURS) - 1, steps).round().astype(np.intp)]
    return ", ".join("#" + bytes(colour).hex() for colour in colours)


def png(pixels: Pixels) -> bytes:
    """Write pixels (H, W) or (H, W, 3) as PNG."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="png", compress_level=1)
    return buffer.getvalue()


def data_uri(pixels: Pixels) -> str:
    """Write pixels as the source of an image in a page."""
    return "data:image/png;base64," + b64encode(png(pixels)).decode()


def _flat(image: Tensor, plane: Plane, at: int) -> NDArray[np.float32]:
    """Return the values (H, W, C) of an image (C, *S); one of a single dimension is one row."""
    values = image.numpy()
    if values.ndim == 2:
        values = values[:, None]
    cuts: Sequence[Cut] = () if plane.axis < 0 else (Cut(plane.axis, at, ""),)
    pictures: NDArray[np.float32] = cut_planes(values[None, None].astype(np.float32), cuts)[0, 0]
    return pictures
