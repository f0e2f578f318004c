"""The picture of a sparse network: who is connected to whom, how densely, and where the paths of the latents lead."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from disentangle_pl.connectivity import Layer, reached

BINS = 40


def draw_connectivity(
    encoder: Sequence[Layer], decoder: Sequence[Layer], sizes: Tensor, gates: Tensor | None = None
) -> Figure:
    """Draw the channel graph of every layer, what each latent reaches, densities, sizes of kernels, and the masks.

    Args:
        encoder: Layers from the image to the moments of the posterior.
        decoder: Layers from the latents to the image.
        sizes: (pairs,) norms of all kernels; 0 where a pair is cut.
        gates: (pairs,) entries of the masks in evaluation; None where there are none.

    Returns:
        The figure: black is connected. First two rows: outputs of a layer downwards, inputs across. Third row: hidden
        decoder channels downwards, latents across.
    """
    columns = max(len(encoder), len(decoder), 2)
    figure = Figure(figsize=(2.2 * columns + 0.6, 9.6), layout="constrained")
    grid = figure.add_gridspec(4, columns)
    for row, (part, layers) in enumerate((("encoder", encoder), ("decoder", decoder))):
        for column, layer in enumerate(layers):
            axis = figure.add_subplot(grid[row, column])
            title = f"{part}.{layer.name}\n{layer.kept / layer.total:.1%} of {layer.total}"
            _matrix(axis, layer.pairs, title)
    for column, (layer, paths) in enumerate(zip(decoder[:-1], reached(decoder), strict=False)):
        axis = figure.add_subplot(grid[2, column])
        _matrix(axis, paths, f"latents reach {paths.float().mean():.0%}\nof decoder.{layer.name}")
        axis.set_xlabel("latent", fontsize=7)
    bottom = grid[3, :].subgridspec(1, 2 if gates is None else 3)
    _densities(figure.add_subplot(bottom[0]), encoder, decoder)
    _sizes(figure.add_subplot(bottom[1]), sizes)
    if gates is not None:
        _gates(figure.add_subplot(bottom[2]), gates)
    return figure


def _matrix(axis: Axes, pairs: Tensor, title: str) -> None:
    axis.imshow(pairs.cpu().numpy(), cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axis.set_title(title, fontsize=7)
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.tick_params(labelsize=6)


def _densities(axis: Axes, encoder: Sequence[Layer], decoder: Sequence[Layer]) -> None:
    layers = [*encoder, *decoder]
    names = [*(f"encoder.{layer.name}" for layer in encoder), *(f"decoder.{layer.name}" for layer in decoder)]
    axis.barh(range(len(layers)), [layer.kept / layer.total for layer in layers], color="tab:blue")
    axis.set_yticks(range(len(layers)), names, fontsize=6)
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.set_xlabel("density: pairs that connect", fontsize=7)
    axis.tick_params(labelsize=6)


def _sizes(axis: Axes, sizes: Tensor) -> None:
    uncut = sizes[sizes > 0].numpy()
    if len(uncut):
        low, high = float(uncut.min()), float(uncut.max())
        axis.hist(uncut, bins=np.geomspace(low, max(high, low * 1.001), BINS).tolist(), color="tab:blue")
        axis.set_xscale("log")
    axis.set_xlabel("norm of the kernels that connect", fontsize=7)
    axis.set_title(f"{float((sizes == 0).float().mean()):.1%} of the pairs are cut", fontsize=7)
    axis.tick_params(labelsize=6)


def _gates(axis: Axes, gates: Tensor) -> None:
    # in double precision, which has room for bins between gates that differ by a rounding
    axis.hist(gates.double().numpy(), bins=BINS, color="tab:orange", log=True)
    axis.set_xlabel("entries of the masks M in evaluation", fontsize=7)
    shut, opened = (float((gates == value).float().mean()) for value in (0, 1))
    axis.set_title(f"{shut:.1%} are exactly 0, {opened:.1%} exactly 1", fontsize=7)
    axis.tick_params(labelsize=6)
