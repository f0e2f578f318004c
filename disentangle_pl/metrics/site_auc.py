"""How well a linear probe tells from measures of a scan where it was made."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.prediction import Plan, ProbeTarget, cross_validated, linear
from disentangle_pl.metrics.prediction_folds import fewest_people, person_weights
from disentangle_pl.metrics.prediction_inputs import Inputs
from disentangle_pl.metrics.prediction_scores import interval_of, resampled_people, scored
from disentangle_pl.metrics.reliability import People

MOST = 20
PLAN = Plan(repeats=2)


class SiteAUC(NamedTuple):
    """How well sites are told.

    Attributes:
        auc: The mean over sites of the AUC of each against all others, and its 95 % interval over people; 0.5 is
            chance.
        sites: How many sites were target for.
    """

    auc: Interval
    sites: int


def site_auc(inputs: Inputs, sites: NDArray[np.object_], people: People, plan: Plan = PLAN) -> SiteAUC:
    """Tell each site from all others by logistic regression, cross-validated by people, who count alike.

    Sites with fewer people than there are folds are not target for, but stand among the others; of more than 20 sites
    the 20 with most people are target for.

    Source: Hanley and McNeil 1982, Radiology 143:29, for the AUC; Provost and Domingos 2003,
        Machine Learning 52:199, section 3, for the mean over classes, one against all others.

    Args:
        inputs: Of N scans, such as `columns` of codes.
        sites: (N,) names.
        people: (N,) a number of the person of every scan.
        plan: Folds and repeats.

    Raises:
        InputError: If no site has as many people as there are folds, and as many elsewhere.
    """
    weights = person_weights(people)
    areas = []
    for site in _largest(sites, people):
        target = ProbeTarget((sites == site).astype(np.float64), True, people, weights)
        if (target.target == 1).all() or fewest_people(people, target.target, True) < plan.folds:
            continue
        resampled = resampled_people(target._replace(discrete=False), seed=plan.seed)
        areas.append(scored(target, cross_validated(inputs, target, linear, plan), resampled)["auc"])
    if not areas:
        raise InputError(f"no site has {plan.folds} people, and as many elsewhere: sites cannot be told by folds")
    draws = np.mean([each.draws for each in areas], axis=0)
    return SiteAUC(interval_of(float(np.mean([each.value for each in areas])), draws), len(areas))


def _largest(sites: NDArray[np.object_], people: People) -> list[object]:
    counts = pd.Series(people).groupby(pd.Series(sites)).nunique()
    return list(counts.sort_values(ascending=False, kind="stable").index[:MOST])
