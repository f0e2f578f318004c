"""Images made smaller the way the published studies did it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def lanczos(images: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize images (B, H, W) or (B, H, W, 3) to (height, width) by Pillow's Lanczos filter.

    Pillow's older name of the filter is ANTIALIAS; it is the one of the disentanglement library of Locatello et al.
    """
    small = [Image.fromarray(image).resize(size[::-1], Image.Resampling.LANCZOS) for image in images]
    return np.stack([np.asarray(image) for image in small])
