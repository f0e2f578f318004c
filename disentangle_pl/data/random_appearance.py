"""Grey images in a random colour, before noise or before a picture.

Over dSprites they are three of the seven data sets of Locatello et al. 2019 (arXiv:1811.12359): `ColorDSprites`,
`NoisyDSprites` and `ScreamDSprites` of google-research/disentanglement_lib.
"""

import math
from abc import ABC, abstractmethod
from typing import final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset
from disentangle_pl.data.perturbed import scatter
from disentangle_pl.errors import InputError

LARGEST = (350, 274)  # width and height into which a picture is shrunk
SCREAM = "https://upload.wikimedia.org/wikipedia/commons/f/f4/The_Scream.jpg"


class RandomAppearance(FactorDataset, ABC):
    """Grey images with something random that no factor describes.

    What is random is drawn anew whenever an image is trained on, as in the study, and is a function of seed and index
    alone (see `FactorDataset.stochastic`): a resumed training sees what an uninterrupted one sees, n processes what one
    sees, on every device. In evaluation every point of the grid keeps one appearance.

    Args:
        dataset: The grey images (1, H, W), 0 the background and 1 the object.
        seed: Other seeds give other appearances.

    Raises:
        InputError: If the images are not grey, or have random appearances already.
    """

    stochastic = True

    def __init__(self, dataset: FactorDataset, seed: int = 0) -> None:
        channels, *sides = dataset.shape
        if channels != 1 or len(sides) != 2 or dataset.stochastic:
            raise InputError(
                f"random appearances need grey images (1, H, W) without any, but {type(dataset).__name__} has "
                f"{dataset.shape}: take the sprites without colours, or dSprites"
            )
        self.dataset, self.seed = dataset, seed
        self.shape, self.factors = (3, *sides), dataset.factors

    def images(self, index: Tensor) -> Tensor:
        """Dress (B, 3, H, W) on the device of the grid index (B,)."""
        return self.dress(self.dataset.images(index % len(self)), index)

    @abstractmethod
    def dress(self, grey: Tensor, index: Tensor) -> Tensor:
        """Return (B, 3, H, W) of grey images (B, 1, H, W) at index (B,)."""

    def uniform(self, index: Tensor, *shape: int) -> Tensor:
        """Return numbers (B, *shape) in [0, 1) that belong to index (B,)."""
        count = math.prod(shape)
        numbers = index[:, None] * count + torch.arange(count, device=index.device)
        return scatter(numbers, self.seed).view(-1, *shape)


@final
class RandomColour(RandomAppearance):
    """Objects in a random colour on black, red, green and blue each uniform in [0.5, 1]: Color-dSprites.

    Source: Locatello et al. 2019 (arXiv:1811.12359), `ColorDSprites` of disentanglement_lib.
    """

    def dress(self, grey: Tensor, index: Tensor) -> Tensor:
        """Multiply by the colours."""
        return grey * (0.5 + 0.5 * self.uniform(index, 3, 1, 1))


@final
class NoiseBackground(RandomAppearance):
    """White objects before noise, every pixel and channel uniform in [0, 1]: Noisy-dSprites.

    Source: Locatello et al. 2019 (arXiv:1811.12359), `NoisyDSprites` of disentanglement_lib.
    """

    def dress(self, grey: Tensor, index: Tensor) -> Tensor:
        """Add noise, up to white."""
        return (grey + self.uniform(index, *self.shape)).clamp_max(1)


@final
class PictureBackground(RandomAppearance):
    """Objects as the negative of a random patch of a picture, which is their background: Scream-dSprites.

    The picture is shrunk to fit into 350 x 274 pixels; a patch of the size of the images is cut at a random place, and
    averaged with a random colour, red, green and blue each uniform in [0, 1]. Within the object the patch is inverted.
    The study takes The Scream by Edvard Munch; any picture serves.

    Source: Locatello et al. 2019 (arXiv:1811.12359), `ScreamDSprites` of disentanglement_lib.

    Args:
        dataset: The grey images (1, H, W).
        picture: The file of the picture.
        seed: Other seeds give other appearances.

    Raises:
        InputError: As `RandomAppearance`, or if the file is no picture, or too small to cut a patch at two places.
    """

    def __init__(self, dataset: FactorDataset, picture: str, seed: int = 0) -> None:
        super().__init__(dataset, seed)
        try:
            with Image.open(picture) as file:
                small = file.convert("RGB")
        except (OSError, Image.DecompressionBombError) as error:
            raise InputError(
                f"{picture} is missing or no picture ({error}): give the path of one, such as {SCREAM}"
            ) from error
        small.thumbnail(LARGEST)
        self.picture = torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1).float() / 255
        if min(self.places) < 1:
            raise InputError(
                f"{picture} has {small.height} x {small.width} pixels within {LARGEST[1]} x {LARGEST[0]}, too few to "
                f"cut patches of {self.shape[1]} x {self.shape[2]}: give a larger picture"
            )

    @property
    def places(self) -> tuple[int, int]:
        """At how many rows and columns a patch may begin; the last one of either is left out, as in the study."""
        (_, high, wide), (_, height, width) = self.picture.shape, self.shape
        return high - height, wide - width

    def dress(self, grey: Tensor, index: Tensor) -> Tensor:
        """Cut patches, tint them and invert them within the objects."""
        if self.picture.device != index.device:
            self.picture = self.picture.to(index.device)
        chance = self.uniform(index, 5)
        top, start = (chance[:, :2] * torch.tensor(self.places, device=index.device)).long().unbind(1)
        rows, columns = (
            at[:, None] + torch.arange(side, device=index.device)
            for at, side in zip((top, start), self.shape[1:], strict=True)
        )
        patch = self.picture[:, rows[:, :, None], columns[:, None, :]].transpose(0, 1)
        background = (patch + chance[:, 2:, None, None]) / 2
        return background + grey * (1 - 2 * background)
