"""InfoMEC of quantised latents: modularity, compactness and explicitness where the values of latents are classes."""

import numpy as np

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.infomec import InfoMEC, concentration, explained_per_factor
from disentangle_pl.metrics.information import entropy, mutual_information
from disentangle_pl.metrics.score import CodesLike, Factors, check, moving, varying


def infomec_discrete(codes: CodesLike, factors: Factors, *, bins: int = 20) -> InfoMEC:
    r"""Return the InfoMEC scores of codes that take few values, over the factors that vary.

    .. math::

        N_{jk} = \frac{I(c_j; v_k)}{H(v_k)}

    from which the scores follow as in `infomec`. The mutual information is that of the joint counts of the values of a
    latent and a factor; every latent that moves is active, for quantised ones have no noise; and explicitness is that
    of a linear probe which sees one indicator a value, of whatever order or distance. Counted information is biased
    upwards by about (values of the latent - 1)(values of the factor - 1) / 2N nats.

    Source: Hsu et al. 2023 (arXiv:2305.18378) and the authors' code, for discrete latents.

    Args:
        codes: (N, d) values of quantised latents, in any units.
        factors: (N, k), at least 2 of which vary; a quantity is cut into as many bins for the information, and its
            explicitness is that of linear regression. A row counts for the factors it has.
        bins: The number of bins of a quantity, at least 2.

    Returns:
        The scores.

    Raises:
        InputError: If the input fails `check`, fewer than 2 factors vary, bins < 2, or a latent takes more values than
            half the number of rows, as continuous ones do.
    """
    codes, truth = check(codes, factors, values=2)
    truth = truth.columns(varying(truth, least=2))
    numbered = [np.unique(column, return_inverse=True) for column in codes.T]
    fine = [latent for latent, (values, _) in enumerate(numbered) if len(values) > max(len(codes) / 2, 2)]
    if fine:
        raise InputError(
            f"latents {fine} take more values than half the {len(codes)} rows: they are not quantised, use infomec"
        )
    active, labels = moving(codes), truth.labels(bins)
    information = mutual_information(np.stack([each for _, each in numbered], axis=1), labels) / entropy(labels)
    indicators = np.concatenate([np.eye(len(values), dtype=np.float32)[each] for values, each in numbered], axis=1)
    explained = explained_per_factor(indicators, truth)
    return InfoMEC(
        concentration(information[active]),
        concentration(information[active].T),
        float(explained.mean()),
        int(active.sum()),
    )
