"""The Z-max variance score: does the latent that moves most tell which factor varies?"""

import numpy as np

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.factor_vae_score import loudest, voting_accuracy
from disentangle_pl.metrics.interventions import all_but_one, table_of
from disentangle_pl.metrics.score import MISSING, CodesLike, Factors, Split, train_test_of_two


def z_max_variance(
    codes: CodesLike,
    factors: Factors,
    *,
    test: Split | None = None,
    votes: int = 10_000,
    test_votes: int = 5_000,
    batch: int = 64,
    threshold: float = 0.05,
    bins: int = 3,
    seed: int = 0,
) -> float:
    r"""Return how well a majority vote tells the one factor that varies from the latent that varies most.

    .. math::

        P\big( \hat{k}(j^*) = k \big), \qquad j^* = \mathrm{argmax}_j \,
        \frac{\mathrm{Var}[c_j \mid v_{l}, l \neq k]}{\mathrm{Var}[c_j]}

    The twin of `factor_vae_score`: there one factor is held and all others vary. Batches come from the rows given, not
    from a simulator, so the table must be dense: rows must share all factors but one. Chance is 1/k. A rotation by
    which another latent than its own moves most with a factor may still score 1.

    Source: Kim et al. 2019 (arXiv:1902.01568, Relevance Factor VAE), under this name in Carbonneau et al. 2022
    (arXiv:2012.09276), who scale chance to 0 and whose 3 bins for quantities these are.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), of which 2 vary; a quantity is cut into as many bins, and rows that lack a factor have no part.
        test: Codes (M, d) and factors (M, k) to draw the test votes from, or None for a random third of the rows.
        votes: How many votes to fit on; each factor has its turn.
        test_votes: How many votes to score on.
        batch: How many rows a vote takes its variances from, at least 2, with replacement.
        threshold: Latents whose codes have a smaller standard deviation are left out.
        bins: The number of bins of a quantity.
        seed: Seed of the draw.

    Returns:
        The test accuracy, in [0, 1]; 0 if no latent is active.

    Raises:
        InputError: If an input fails `check`, test has other columns, fewer than 2 factors vary alone among rows that
            share all others in both parts, bins < 2, there are fewer votes than factors, or batch is below 2.
    """
    train, held_out = train_test_of_two(codes, factors, test)
    first, second = (all_but_one(truth.columns(train[1].varying).labels(bins)) for _, truth in (train, held_out))
    useful = (first != MISSING).any(axis=0) & (second != MISSING).any(axis=0)
    if useful.sum() < 2:
        raise InputError(
            "Z-max variance needs rows that share all factors but one, for 2 factors, in train and in test: the table "
            "is too sparse, give more rows or fewer factors"
        )
    tables = table_of(train, first[:, useful]), table_of(held_out, second[:, useful])
    random = np.random.default_rng(seed)
    return voting_accuracy(tables, (votes, test_votes), loudest, batch=batch, threshold=threshold, random=random)
