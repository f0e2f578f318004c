"""How well the latents of a model keep apart what is apart: numbers of whole models, each beside its controls."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import permuted_rows
from disentangle_pl.metrics.correlation import correlations
from disentangle_pl.metrics.identity import identification
from disentangle_pl.metrics.score import Codes, Values
from disentangle_pl.metrics.sheet import chosen, score_codes
from disentangle_pl.studies.held_out import Encoded, Scans
from disentangle_pl.studies.latent_table import DYNAMIC, LEVEL, PASSIVE, STATIC, kinds

SHEET = ("mig", "dci", "infomec", "corrected", "mcc")
CONTROLS = 5
FACTORS_APART = ("ml_ventricles", "gain")
Rows: TypeAlias = NDArray[np.intp]


class Number(NamedTuple):
    """One number of a model.

    Attributes:
        name: What it is.
        value: For the codes.
        low: Lower end of its 95 % interval over people; NaN where there is none.
        high: Upper end.
        chance: Its mean after people are permuted.
        rotated: Its mean after the active codes are rotated at random; NaN where a rotation means nothing.
    """

    name: str
    value: float
    low: float
    high: float
    chance: float
    rotated: float


def model_numbers(
    encoded: Encoded,
    known: Scans,
    resampled: Values,
    apart: Sequence[str] = FACTORS_APART,
    controls: int = CONTROLS,
) -> tuple[list[Number], list[str]]:
    """Return the numbers of a model, and what could not be computed and why.

    Args:
        encoded: Codes of N scans.
        known: What is known of the scans.
        resampled: (B, d, k) |correlations| over samples of people, or none.
        apart: Two factors that separate latents ought to hold.
        controls: Permutations of people, and rotations of codes, that each control is the mean of.
    """
    kind = np.array(kinds(encoded))
    counts = {f"latents_{name}": float((kind == name).sum()) for name in (DYNAMIC, STATIC, PASSIVE)}
    numbers = [Number(name, value, *([np.nan] * 4)) for name, value in counts.items()]
    rates, remarks = _identifications(encoded, known, kind)
    pair = [name for name in apart if name in known.names]
    lines, refused = _scored(encoded, known, kind != PASSIVE, pair, controls)
    ends = _separation_ends(resampled, known, pair)
    numbers += rates + [
        Number(name, *values[:1], *ends.get(name, (np.nan, np.nan)), *values[1:]) for name, values in lines
    ]
    if len(pair) < 2:
        refused.append(f"separation needs the factors {' and '.join(apart)}, and there are {', '.join(known.names)}")
    return numbers, remarks + refused


def best_with(factor: str, other: str) -> str:
    """Name the |correlation| of the best latent of a factor with another, or with the factor itself."""
    return f"best_{factor}_with_{other}"


def separation(strength: Values, names: Sequence[str]) -> dict[str, float]:
    """Tell whether two factors are held by two latents.

    Beside the |correlations| of both best latents with both factors (see `best_with`) there is `separation`, the mean
    over the factors of that with the own factor less that with the other: 1 if each factor has a latent that knows
    nothing of the other, 0 if one latent is the best for both.

    Args:
        strength: (d, 2) |correlations| of latents with the two factors.
        names: Of the factors.
    """
    best = strength.argmax(axis=0)
    found = {best_with(names[i], names[j]): float(strength[best[i], j]) for i in (0, 1) for j in (0, 1)}
    own, other = strength[best, [0, 1]].mean(), strength[best, [1, 0]].mean()
    return found | {"separation": float(own - other)}


def rotated(codes: Codes, active: NDArray[np.bool_], seed: int) -> Codes:
    """Rotate the active latents, in standard deviations, at random; the passive ones stay."""
    turned = codes.astype(np.float64)
    units = turned[:, active] - turned[:, active].mean(axis=0)
    spread = units.std(axis=0)
    gauss = np.random.default_rng(seed).normal(size=(active.sum(), active.sum()))
    q, r = np.linalg.qr(gauss)
    turned[:, active] = units / np.where(spread > 0, spread, 1.0) @ (q * np.sign(np.diag(r)))
    return turned


def _identifications(encoded: Encoded, known: Scans, kind: NDArray[np.str_]) -> tuple[list[Number], list[str]]:
    """Ask who a scan is of, rescans left out: another visit must be the nearest."""
    codes, people = encoded.codes[known.first], known.people[known.first]
    found = []
    for name, latents in (("all", kind != ""), ("static", kind == STATIC), ("dynamic", kind == DYNAMIC)):
        said = codes[:, latents] if latents.any() else np.zeros((len(codes), 1))
        try:
            rate, chance, _ = identification(said, people)
        except InputError as error:
            return [], [str(error)]
        found.append(Number(f"identification_{name}", rate, np.nan, np.nan, chance, np.nan))
    return found, []


def _scored(
    encoded: Encoded, known: Scans, active: NDArray[np.bool_], pair: Sequence[str], controls: int
) -> tuple[list[tuple[str, tuple[float, float, float]]], list[str]]:
    """Score the codes, the codes beside permuted people, and rotated codes."""
    cut = _split(known)
    try:
        values, refused = _scores(encoded.codes, known, cut, pair)
    except InputError as error:
        return [], [str(error)]
    others = (permuted_rows(known.people, seed=seed) for seed in range(controls))
    permuted = [known._replace(factors=known.factors[rows].with_groups(known.people)) for rows in others]
    chance = _mean([_scores(encoded.codes, table, cut, pair)[0] for table in permuted])
    turned = [rotated(encoded.codes, active, seed) for seed in range(controls)] if active.sum() > 1 else []
    after = _mean([_scores(codes, known, cut, pair)[0] for codes in turned])
    return [
        (name, (value, chance.get(name, np.nan), after.get(name, np.nan))) for name, value in values.items()
    ], refused


def _scores(
    codes: Codes, known: Scans, cut: tuple[Rows, Rows], pair: Sequence[str]
) -> tuple[dict[str, float], list[str]]:
    (train, test), factors = cut, known.factors
    entries = chosen(SHEET).items()
    done = score_codes(codes[train], factors[train], entries, test=(codes[test], factors[test]))
    strength = np.abs(correlations(codes, factors))[:, [known.names.index(name) for name in pair]]
    apart = separation(strength, pair) if len(pair) == 2 else {}
    return done.values | apart, [f"{name}: {reason}" for name, reason in done.refused.items()]


def _split(known: Scans) -> tuple[Rows, Rows]:
    """Deal people to two thirds that train probes and a third that tests them; one person serves both."""
    groups = np.unique(known.people)
    last = np.random.default_rng(0).permutation(groups)[: len(groups) // 3]
    tests = np.isin(known.people, last)
    return np.flatnonzero(~tests), np.flatnonzero(tests if tests.any() else ~tests)


def _separation_ends(resampled: Values, known: Scans, pair: Sequence[str]) -> dict[str, tuple[float, float]]:
    if len(pair) < 2 or not len(resampled):
        return {}
    at = [known.names.index(name) for name in pair]
    drawn = [separation(strength, pair) for strength in resampled[:, :, at]]
    low, high = np.quantile([list(each.values()) for each in drawn], LEVEL, axis=0)
    return dict(zip(drawn[0], zip(low.tolist(), high.tolist(), strict=True), strict=True))


def _mean(tables: Sequence[dict[str, float]]) -> dict[str, float]:
    names = [name for name in (tables[0] if tables else {}) if all(name in table for table in tables)]
    return {name: float(np.mean([table[name] for table in tables])) for name in names}
