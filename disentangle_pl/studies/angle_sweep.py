"""Scores of a model under rotations by growing angles: which of them see a rotation?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.metrics.chance import noise_codes, perfect_codes
from disentangle_pl.metrics.mcc import mcc
from disentangle_pl.metrics.references import Watch, silent
from disentangle_pl.metrics.score import Values
from disentangle_pl.metrics.sheet import Entry, score_codes
from disentangle_pl.studies.rotated_model import AXES, Subject, check_active, turned_scores
from disentangle_pl.studies.rotations import diagonal_gap, paired_turn

OTHER_SCALES = ("correlation", "information", "latents", "units")  # higher is more, not better
SEES, BLIND = 0.2, 0.05
ANGLES = (0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 90.0)


class Sweep(NamedTuple):
    """Scores under rotations by one angle in every plane of two latents.

    Attributes:
        angles: (A,) in degrees.
        scores: One row an angle, one column a score.
        gap: (A,) mean `diagonal_gap` in nats.
    """

    angles: Values
    scores: pd.DataFrame
    gap: Values


def angle_sweep(
    subject: Subject,
    entries: Mapping[str, Entry],
    angles: Sequence[float] = ANGLES,
    *,
    watch: Watch = silent,
) -> Sweep:
    """Score a model under rotations by growing angles of its active latents, two by two in the order of their KL.

    Args:
        subject: The model.
        entries: Entries of the score sheet; see `model_table`.
        angles: In degrees.
        watch: Passes the entries on and may show how far they are.

    Raises:
        InputError: If fewer than two latents are active.
    """
    check_active(subject)
    turns = [paired_turn(subject.mean.shape[1], subject.active.tolist(), angle) for angle in angles]
    rows = [
        turned_scores(subject, turn, entries, f"{angle:g} degrees", watch)
        for angle, turn in zip(angles, turns, strict=True)
    ]
    gap = [float(diagonal_gap(subject.variance[: subject.shown], turn).mean()) for turn in turns]
    return Sweep(np.array(angles, dtype=float), pd.DataFrame(rows), np.array(gap))


def sight(subject: Subject, entries: Mapping[str, Entry], *, watch: Watch = silent) -> pd.DataFrame:
    """Tell which scores see a rotation by 45 degrees: those of perfect codes of the factors of a model.

    A model that is not disentangled has nothing to lose by a rotation; its own codes stand in where no factors are
    known, or more of them than latents.

    Args:
        subject: The model.
        entries: Entries of the score sheet; see `model_table`.
        watch: Passes the entries on and may show how far they are.

    Returns:
        As `seen_table`.

    Raises:
        InputError: If fewer than two latents are active.
    """
    ideal = _perfect(subject)
    sweep = angle_sweep(ideal, entries, (0, 45), watch=watch)
    return seen_table(sweep, _of_noise(ideal, entries, watch))


def seen_table(sweep: Sweep, noise: Mapping[str, float]) -> pd.DataFrame:
    """Tell which scores fall along a sweep, on their scale from its first angle to noise.

    Args:
        sweep: Of codes whose factors are on the axes at the first angle.
        noise: The scores of noise; a score that noise reaches says nothing.

    Returns:
        One row a score: `score`, `axes` (at the first angle), `worst`, `at` (its angle), `noise`, `lost` (the share of
        the way from the axes to noise) and `sees`: yes from a fifth on, barely, or no below a twentieth; empty for what
        is no score of quality, or if noise scores as well.
    """
    rows = []
    for name in sweep.scores:
        values = sweep.scores[name].to_numpy(float)
        worst, floor = int(values.argmin()), noise.get(str(name), 0.0)
        scale = values[0] - floor
        lost = (values[0] - values[worst]) / scale if scale > 0.05 else np.nan
        told = np.isfinite(lost) and not str(name).endswith(OTHER_SCALES)
        sees = ("yes" if lost >= SEES else "barely" if lost >= BLIND else "no") if told else ""
        row = {"score": name, "axes": values[0], "worst": values[worst], "at": sweep.angles[worst], "noise": floor}
        rows.append(row | {"lost": lost if told else np.nan, "sees": sees})
    return pd.DataFrame(rows)


def _perfect(subject: Subject) -> Subject:
    factors, (rows, dim) = subject.factors, subject.mean.shape
    if factors is None or not 2 <= factors.shape[1] <= dim:
        return subject
    used = np.arange(dim) < factors.shape[1]
    variance = np.broadcast_to(np.where(used, 0.01, 1.0), (rows, dim))
    return subject._replace(name="perfect codes", mean=perfect_codes(factors, dim), variance=variance)


def _of_noise(subject: Subject, entries: Mapping[str, Entry], watch: Watch) -> dict[str, float]:
    silence = noise_codes(*subject.mean.shape)
    kept = {AXES: mcc(silence[:, subject.active], subject.mean[:, subject.active])}
    if subject.factors is None:
        return kept
    return score_codes(silence, subject.factors, watch(list(entries.items()), "scoring noise")).values | kept
