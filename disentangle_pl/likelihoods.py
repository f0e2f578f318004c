"""p(x|z): what the decoder's output says about the image, in nats per image."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from disentangle_pl.errors import InputError

ROUNDING = 1e-5  # of images computed in [0, 1]


class Likelihood(nn.Module, ABC):
    """Scores images under the decoder's output and turns that output into an image."""

    @abstractmethod
    def forward(self, output: Tensor, image: Tensor) -> Tensor:
        """Return -log p(image|output) (B,) in nats, summed over pixels, for output and image (B, C, *S)."""

    def check(self, image: Tensor) -> None:
        """Look at images (B, C, *S), or groups of them, before the likelihood is trained on such.

        Raises:
            InputError: If they are none that this likelihood describes.
        """
        if not image.isfinite().all():
            raise InputError(
                f"{int((~image.isfinite()).flatten(1).any(1).sum())} of {len(image)} images looked at have pixels that "
                "are NaN or infinite: mend the data"
            )

    @abstractmethod
    def mean(self, output: Tensor) -> Tensor:
        """Return the expected image (B, C, *S) for output (B, C, *S)."""


class Bernoulli(Likelihood):
    """Independent Bernoulli pixels, output = logits.

    Grey values in [0, 1] are taken as probabilities, as in the study of Locatello et al. 2019. Beyond them the
    cross-entropy has no lower bound.
    """

    def check(self, image: Tensor) -> None:
        """Look at images (B, C, *S), or groups of them, before the likelihood is trained on such.

        Raises:
            InputError: If a pixel is not finite, or outside [0, 1] by more than rounding.
        """
        super().check(image)
        low, high = (float(end) for end in image.aminmax())
        if low < -ROUNDING or high > 1 + ROUNDING:
            raise InputError(
                f"the images have values from {low:.4g} to {high:.4g}, but the Bernoulli likelihood needs them in "
                "[0, 1]: scale the data, or set --model.likelihood=Gaussian"
            )

    def forward(self, output: Tensor, image: Tensor) -> Tensor:
        """Return the cross-entropy (B,)."""
        return F.binary_cross_entropy_with_logits(output.float(), image, reduction="none").flatten(1).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """Return the pixel probabilities."""
        return output.sigmoid()


class Gaussian(Likelihood):
    """Independent normal pixels with one standard deviation, output = mean.

    Args:
        scale: Standard deviation, in units of the image.
        learned: Learn it with the network, starting at `scale`.

    Raises:
        InputError: If scale is not positive.
    """

    def __init__(self, scale: float = 1.0, learned: bool = False) -> None:
        super().__init__()
        if scale <= 0:
            raise InputError(f"the Gaussian likelihood needs scale > 0, got {scale}")
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)), requires_grad=learned)

    def forward(self, output: Tensor, image: Tensor) -> Tensor:
        """Return the negative log density (B,)."""
        residual = (image - output.float()) * torch.exp(-self.log_scale)
        pixels = image[0].numel()
        return 0.5 * residual.square().flatten(1).sum(1) + pixels * (self.log_scale + 0.5 * math.log(2 * math.pi))

    def mean(self, output: Tensor) -> Tensor:
        """Return the output itself."""
        return output
