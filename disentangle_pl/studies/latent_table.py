"""What every latent of a model means: one row a latent, and one row a latent and factor."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import permuted_rows
from disentangle_pl.metrics.correlation import (
    bootstrap_correlations,
    correlations,
    follows,
    ranked,
)
from disentangle_pl.metrics.reliability import People, agreement, variances, yearly_slopes
from disentangle_pl.metrics.score import Codes, Factors, Values, ground_truth
from disentangle_pl.studies.held_out import Encoded, Scans
from disentangle_pl.studies.labels import short_factor

PASSIVE, STATIC, DYNAMIC, ACTIVE = "passive", "static", "dynamic", "active"
KINDS = (DYNAMIC, STATIC, ACTIVE, PASSIVE)
NATS = 0.01
STAYS = 0.9
RESAMPLES = 1000
PERMUTATIONS = 200
NAMED = 2
LEVEL = (0.025, 0.975)


class Meanings(NamedTuple):
    """What the latents of one model mean.

    Attributes:
        latents: One row a latent: kl, kind, stays, shared, follows, r, r_low, r_high, gap, chance, within, between,
            icc, icc_low, icc_high, slope, slope_low, slope_high.
        pairs: One row a latent and factor: pearson, low, high, spearman, spearman_low, spearman_high, chance.
        resampled: (B, d, k) |Pearson's correlations| over samples of people; empty for one person.
    """

    latents: pd.DataFrame
    pairs: pd.DataFrame
    resampled: Values


def kinds(encoded: Encoded) -> list[str]:
    """Call latents passive (KL at most .01 nats), static (alike in over 90 % of visit pairs) or dynamic.

    Where nobody has two visits they are active or passive.
    """
    told = np.where(np.isnan(encoded.stays), ACTIVE, np.where(encoded.stays > STAYS, STATIC, DYNAMIC))
    return [str(kind) for kind in np.where(encoded.kl <= NATS, PASSIVE, told)]


def meanings(encoded: Encoded, known: Scans) -> Meanings:
    """Describe every latent.

    Correlations count scans; their intervals resample people. `chance` of a factor is the 95 % quantile of
    |correlation| after people are permuted; that of a latent is the quantile of its largest one over all factors.
    Variances and the slope a year are in units of the variance and standard deviation of the latent's codes. What
    cannot be known, such as agreement without rescans, is NaN.

    Args:
        encoded: Codes of N scans.
        known: What is known of the scans.
    """
    found = correlations(encoded.codes, known.factors)
    ranks = ranked(encoded.codes, known.factors)
    permuted = _permuted(encoded, known)
    straight, curved = _resampled(encoded.codes, known.factors, known), _resampled(*ranks, known)
    low, high = _ends(straight, found.shape)
    rank_low, rank_high = _ends(curved, found.shape)
    columns = {
        "pearson": found,
        "low": low,
        "high": high,
        "spearman": correlations(*ranks),
        "spearman_low": rank_low,
        "spearman_high": rank_high,
        "chance": np.quantile(permuted, 0.95, axis=0),
    }
    latent, factor = np.indices(found.shape)
    names = np.array(known.names)
    pairs = pd.DataFrame({"latent": latent.ravel(), "factor": names[factor.ravel()]})
    best = follows(np.abs(found))
    at = np.arange(len(found)), best.factor
    latents = pd.DataFrame({"latent": at[0], "kl": encoded.kl, "kind": kinds(encoded), "stays": encoded.stays})
    latents["shared"] = np.nan if encoded.shared is None else encoded.shared
    latents = latents.assign(follows=names[best.factor], r=found[at], r_low=low[at], r_high=high[at], gap=best.gap)
    latents["chance"] = np.quantile(permuted.max(axis=2), 0.95, axis=0)
    latents = latents.assign(**_over_time(encoded, known))
    return Meanings(
        latents, pairs.assign(**{name: values.ravel() for name, values in columns.items()}), np.abs(straight)
    )


def strongest(codes: Codes, factors: Factors, names: Sequence[str], people: People) -> list[str]:
    """Name for every latent the factors it follows most, the sign of r with them; one line a factor.

    Only correlations beyond chance are named: above the 95 % quantile of the largest of a latent after people are
    permuted.

    Args:
        codes: (N, d).
        factors: (N, k).
        names: Of the factors.
        people: (N,) a number of the person of every row.
    """
    truth = ground_truth(factors)
    found = correlations(codes, truth)
    permuted = (truth[permuted_rows(people, seed=seed)] for seed in range(PERMUTATIONS))
    largest = [np.abs(correlations(codes, table)).max(axis=1) for table in permuted]
    return [_named(row, chance, names) for row, chance in zip(found, np.quantile(largest, 0.95, axis=0), strict=True)]


def _named(row: Values, chance: float, names: Sequence[str]) -> str:
    best = [i for i in np.argsort(-np.abs(row))[:NAMED] if abs(row[i]) > chance]
    return "\n".join(f"{short_factor(names[i])} {row[i]:+.2f}" for i in best) or "nothing beyond chance"


def _over_time(encoded: Encoded, known: Scans) -> dict[str, Values]:
    """Return what repeats tell, in units of the spread of the codes."""
    spread = encoded.codes.std(axis=0, dtype=np.float64)
    unit = np.where(spread > 0, spread, 1.0)
    nothing = np.full(len(unit), np.nan)
    codes, first = encoded.codes / unit, known.first
    parts = _where_possible(lambda: variances(codes[first], known.people[first]), 2, nothing)
    slopes = _where_possible(lambda: yearly_slopes(codes, known.people, known.years)[:3], 3, nothing)
    repeats = _repeats(known)
    agreed = _where_possible(lambda: agreement(codes[repeats]), 3, nothing)
    return {
        **dict(zip(("within", "between"), parts, strict=True)),
        **dict(zip(("icc", "icc_low", "icc_high"), agreed, strict=True)),
        **dict(zip(("slope", "slope_low", "slope_high"), slopes, strict=True)),
    }


def _where_possible(measure: Callable[[], tuple[Values, ...]], count: int, nothing: Values) -> tuple[Values, ...]:
    try:
        return measure()
    except InputError:
        return (nothing,) * count


def _repeats(known: Scans) -> NDArray[np.intp]:
    """Return rows (n, 2) of the first scan and the first rescan of visits; one visit a person."""
    frame = pd.DataFrame({"person": known.people, "visit": known.visit, "first": known.first})
    again = frame[~frame["first"]].drop_duplicates("person").reset_index(names="rescan")
    origin = frame[frame["first"]].reset_index(names="scan")
    both = again.merge(origin, on="visit")
    return both[["scan", "rescan"]].to_numpy(np.intp).reshape(-1, 2)


def _permuted(encoded: Encoded, known: Scans) -> Values:
    tables = (known.factors[permuted_rows(known.people, seed=seed)] for seed in range(PERMUTATIONS))
    return np.stack([np.abs(correlations(encoded.codes, table)) for table in tables])


def _resampled(codes: Codes, factors: Factors, known: Scans) -> Values:
    try:
        return bootstrap_correlations(codes, factors, known.people, resamples=RESAMPLES)
    except InputError:
        return np.empty((0, codes.shape[1], len(known.names)))


def _ends(resampled: Values, shape: tuple[int, ...]) -> tuple[Values, Values]:
    if not len(resampled):
        return np.full(shape, np.nan), np.full(shape, np.nan)
    low, high = np.quantile(resampled, LEVEL, axis=0)
    return low, high
