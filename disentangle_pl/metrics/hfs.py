"""Hausdorff-factorised support: do latents take every combination of their values?"""

import numpy as np
import torch

from disentangle_pl.errors import InputError
from disentangle_pl.losses import hausdorff_support
from disentangle_pl.metrics.score import CodesLike, Factors, check_codes


def hfs(
    codes: CodesLike,
    factors: Factors | None = None,
    *,
    rows: int = 64,
    draws: int = 8,
    normalised: bool = True,
    seed: int = 0,
) -> float:
    r"""Return how far the support of the codes is from the product of the supports of the latents: 0 is factorised.

    .. math::

        \sum_{i < j} \max_{a, b} \min_n \big\| (c_{ai}, c_{bj}) - (c_{ni}, c_{nj}) \big\|^2

    over batches of rows, and their mean. Unlike a total correlation it lets latents correlate, as long as all
    combinations occur. It falls with the number of rows of a batch, so compare it at one number, and beside
    `noise_codes`: the corners of independent normal latents are empty too.

    Source: Roth et al. 2023 (arXiv:2210.07347); their code gives the sum, here over sum_{i < j} (Var c_i + Var c_j),
    which has no unit and gives a latent that moves little a small part.

    Args:
        codes: (N, d) posterior means.
        factors: Without a part: it is there so that this stands where other scores do.
        rows: Of a batch, at least 2; all where there are fewer. Time and memory grow with their cube.
        draws: How many batches, at least 1; fewer where the rows do not suffice, for none is taken twice.
        normalised: Divide by the variances; otherwise the sum in squared units of the codes.
        seed: Of the rows drawn.

    Returns:
        At least 0; 0 for a single latent, or if none moves.

    Raises:
        InputError: If the codes fail `check_codes`, rows is below 2 or draws below 1.
    """
    table = check_codes(codes).astype(np.float64)
    if rows < 2 or draws < 1:
        raise InputError(f"the distance needs batches of 2 rows and one draw at least, got {rows} and {draws}")
    rows = min(rows, len(table))
    draws = min(draws, len(table) // rows)
    order = np.random.default_rng(seed).permutation(len(table))[: rows * draws].reshape(draws, rows)
    distance = float(np.mean([hausdorff_support(torch.from_numpy(table[batch])).item() for batch in order]))
    spread = float(table.var(axis=0).sum()) * (table.shape[1] - 1)
    return distance if not normalised else distance / spread if spread > 0 else 0.0
