"""Times to an event that some people have not had when they were seen last: Cox regression and the C-index.

Source: Harrell et al. 1982, JAMA 247:2543; Cox 1972, JRSS B 34:187; Verweij and van Houwelingen 1994, Statistics in
Medicine 13:2427, on its ridge penalty; Pölsterl 2020, JMLR 21:212 (scikit-survival).
"""

from typing import NamedTuple

import numpy as np

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.prediction import Plan, ProbeTarget, dealt
from disentangle_pl.metrics.prediction_folds import Folds, Rows, person_folds
from disentangle_pl.metrics.prediction_inputs import Inputs
from disentangle_pl.metrics.score import Values

PENALTIES = (1.0, 10.0, 100.0, 1000.0)


class Times(NamedTuple):
    """When n people were seen last.

    Attributes:
        years: (n,) above 0, to the event or the last time they were seen.
        event: (n,) 1 where it came, 0 where it had not by then.
    """

    years: Values
    event: Values


def concordance(times: Times, risk: Values, folds: Folds, weights: Values) -> Values:
    """Return how often of two people of a fold the one with the event first has the higher risk (B,); ties are half.

    Pairs count of which one had the event while the other was still without it.

    Args:
        times: n people.
        risk: (n,) such as log hazards.
        folds: (n,) risks of different folds, from different probes, are not compared.
        weights: (B, n) of people.

    Returns:
        C-index of every weighting, NaN without a pair.
    """
    first = times.years[:, None] < times.years[None]
    first |= (times.years[:, None] == times.years[None]) & (times.event[None] == 0)
    pairs = first & (times.event[:, None] == 1) & (folds[:, None] == folds[None])
    right = (risk[:, None] > risk[None]) + 0.5 * (risk[:, None] == risk[None])
    above = np.einsum("bi,ij,bj->b", weights, pairs * right, weights, optimize=True)
    below = np.einsum("bi,ij,bj->b", weights, pairs.astype(np.float64), weights, optimize=True)
    index: Values = np.divide(above, below, out=np.full(len(weights), np.nan), where=below > 0)
    return index


@one_blas_thread()
def cox_risks(inputs: Inputs, times: Times, plan: Plan) -> tuple[Values, list[Folds]]:
    """Predict everybody by ridge Cox regression that was fitted to others, the penalty chosen by inner folds.

    Args:
        inputs: Of n people.
        times: Of the same.
        plan: Folds and repeats.

    Returns:
        Log hazards (R, n), and the folds of every repeat.

    Raises:
        InputError: If fewer people than folds had the event, or had not, or scikit-survival is not installed.
    """
    people = np.arange(len(times.event))
    folds = dealt(ProbeTarget(times.event, True, people, np.ones(len(people))), plan)
    risks = np.empty((len(folds), len(people)))
    for each, deal in zip(risks, folds, strict=True):
        for fold in np.unique(deal):
            train, test = np.flatnonzero(deal != fold), np.flatnonzero(deal == fold)
            each[test] = _fitted(inputs, times, train, _penalty(inputs, times, train, plan))[test]
    return risks, folds


def _penalty(inputs: Inputs, times: Times, train: Rows, plan: Plan) -> float:
    """Return the penalty of the highest C-index over inner folds, of equal ones the strongest."""
    event = times.event[train]
    inner = min(plan.inner, int(event.sum()), int((1 - event).sum()))
    if inner < 2:
        return PENALTIES[-1]
    deal = person_folds(np.arange(len(train)), event, inner, discrete=True, seed=plan.seed)
    own, scores = Times(times.years[train], event), []
    for penalty in PENALTIES:
        risks = np.empty(len(train))
        for fold in range(inner):
            risks[deal == fold] = _fitted(inputs, times, train[deal != fold], penalty)[train[deal == fold]]
        scores.append(concordance(own, risks, deal, np.ones((1, len(train))))[0])
    best = np.flatnonzero(np.nan_to_num(scores) >= np.nan_to_num(scores).max() - 1e-9)
    return PENALTIES[best[-1]]


def _fitted(inputs: Inputs, times: Times, train: Rows, penalty: float) -> Values:
    """Fit to training people, inputs in standard deviations of theirs, and return log hazards (n,) of all."""
    try:
        from sksurv.linear_model import CoxPHSurvivalAnalysis  # noqa: PLC0415 (an extra)
        from sksurv.util import Surv  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            "times to conversion need scikit-survival: pip install 'disentangle_pl[survival]', or read conversion as "
            "yes or no"
        ) from error
    matrix = inputs(train)
    spread = matrix[train].std(axis=0)
    units = (matrix - matrix[train].mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0)
    if not matrix.shape[1]:
        return np.zeros(len(matrix))
    seen = Surv.from_arrays(times.event[train] == 1, times.years[train])
    return np.asarray(units @ CoxPHSurvivalAnalysis(alpha=penalty).fit(units[train], seen).coef_, dtype=np.float64)
