"""The four demonstrations that labels or biases are needed, as tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import kstest

from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.references import Watch, silent
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import Values
from disentangle_pl.metrics.sheet import Entry
from disentangle_pl.studies.linear_vae import fit_linear_vae, linear_images
from disentangle_pl.studies.rotated_model import Subject, check_active, ledgers, turned_scores
from disentangle_pl.studies.rotations import (
    best_diagonal_gap,
    diagonal_gap,
    normal_log_density,
    paired_turn,
    random_turn,
    turn_uniform,
)

EXAMPLE = (0.02, 0.05, 0.1, 0.3, 1.0)  # variances of a posterior that uses some latents more than others


def prior_table(rows: int = 10_000, dim: int = 5, *, rotations: int = 10, seed: int = 0) -> pd.DataFrame:
    """Rotate draws of the prior itself, whose coordinates are the factors: MIG and SAP before and after.

    Args:
        rows: N.
        dim: d, at least 2.
        rotations: Random ones, of which means are told.
        seed: Of the draws and the first rotation.

    Returns:
        One row a prior and kind of rotation: `prior`, `rotation`, `smallest_entry` of |Q| (above 0: every new latent
        depends on every factor), `log_density_change` (the largest of a sample, in nats), `marginals_p` (the median
        over rotations of the smallest p of the Kolmogorov-Smirnov tests that every new latent has the law of the old,
        times their number), `mig`, `mig_rotated`, `sap` and `sap_rotated`.
    """
    random = np.random.default_rng(seed)
    laws = {"normal": random.normal(size=(rows, dim)), "uniform": random.random((rows, dim))}
    full = [random_turn(dim, np.arange(dim), seed=seed + i) for i in range(rotations)]
    found = []
    for prior, z in laws.items():
        found.append(_prior_row(prior, f"random, {dim} latents", z, full))
        found.append(_prior_row(prior, "45 degrees, 2 latents", z[:, :2], [paired_turn(2, [0, 1], 45)]))
    return pd.DataFrame(found)


def model_table(
    subject: Subject, entries: Mapping[str, Entry], *, rotations: int = 3, seed: int = 0, watch: Watch = silent
) -> pd.DataFrame:
    """Compare a model with random rotations of its active latents: terms of the ELBO, then scores.

    Args:
        subject: The model.
        entries: Entries of the score sheet; without factors `axes kept` alone is scored, the mean correlation of the
            latents with those before under the best matching.
        rotations: How many.
        seed: Of the first.
        watch: Passes the entries on and may show how far they are.

    Returns:
        One row a quantity: `quantity`, `trained`, `rotated` (the mean over rotations), `low`, `high` (the range) and
        `largest_change` (of the mean over images; for the scores of the score).

    Raises:
        InputError: If fewer than two latents are active.
    """
    check_active(subject)
    turns = [random_turn(subject.mean.shape[1], subject.active, seed=seed + i) for i in range(rotations)]
    before: dict[str, float] = {}
    after: list[dict[str, float]] = []
    for turn in turns:
        old, new = ledgers(subject, turn, seed=seed)
        before = {name: float(getattr(old, name).mean()) for name in ("nll", "kl", "elbo")}
        terms = {name: float(getattr(new, name).mean()) for name in before}
        after.append(terms | turned_scores(subject, turn, entries, "scoring a rotation", watch))
    before |= turned_scores(subject, np.eye(subject.mean.shape[1]), entries, "scoring the model", watch)
    return pd.DataFrame([_compared(name, value, after) for name, value in before.items()])


def gap_table(subject: Subject, *, rotations: int = 200, seed: int = 0) -> pd.DataFrame:
    """Tell what a rotation costs posteriors that must stay diagonal: mean and range over random rotations, in nats.

    Args:
        subject: The model, whose mean gap over images is taken.
        rotations: How many.
        seed: Of the first.

    Returns:
        One row for each of: the variances (.02, .05, .1, .3, 1), equal variances, the model, and the linear VAE of
        factors of equal amounts; columns `posterior`, `gap`, `low`, `high` (of `diagonal_gap`) and `elbo_lost` (of
        `best_diagonal_gap`).

    Raises:
        InputError: If fewer than two latents are active.
    """
    check_active(subject)
    images, factors = linear_images(2000, 1.0, seed=seed)
    alike = fit_linear_vae(images, factors.shape[1]).posterior(images)[1][:1]
    some = subject.variance[: subject.shown, subject.active]
    cases = {
        f"variances {', '.join(f'{v:g}' for v in EXAMPLE)}": np.array([EXAMPLE]),
        "equal variances": np.full((1, len(EXAMPLE)), 0.1),
        subject.name: some,
        "a linear VAE, factors of equal amounts": alike,
    }
    return pd.DataFrame([_gap_row(name, variance, rotations, seed) for name, variance in cases.items()])


def numbers(table: pd.DataFrame, column: str) -> dict[str, float]:
    """Return a column of `model_table` by quantity."""
    return {str(name): float(value) for name, value in zip(table["quantity"], table[column], strict=True)}


def _prior_row(prior: str, name: str, z: Values, rotations: Sequence[Values]) -> dict[str, object]:
    normal = prior == "normal"
    turned = [z @ turn.T if normal else turn_uniform(z, turn) for turn in rotations]
    law = "norm" if normal else "uniform"
    p = [z.shape[1] * min(float(kstest(column, law).pvalue) for column in codes.T) for codes in turned]
    before = normal_log_density(z)
    moved = max(float(np.abs(normal_log_density(codes) - before).max()) for codes in turned) if normal else 0.0
    return {
        "prior": prior,
        "rotation": name,
        "smallest_entry": min(float(np.abs(turn).min()) for turn in rotations),
        "log_density_change": moved,
        "marginals_p": min(1.0, float(np.median(p))),
        "mig": mig(z, z),
        "mig_rotated": np.mean([mig(codes, z) for codes in turned]),
        "sap": sap(z, z),
        "sap_rotated": np.mean([sap(codes, z) for codes in turned]),
    }


def _compared(name: str, value: float, after: Sequence[Mapping[str, float]]) -> dict[str, object]:
    found = np.array([row[name] for row in after])
    ends = {"rotated": found.mean(), "low": found.min(), "high": found.max()}
    return {"quantity": name, "trained": value, **ends, "largest_change": np.abs(found - value).max()}


def _gap_row(name: str, variance: Values, rotations: int, seed: int) -> dict[str, object]:
    dim = variance.shape[1]
    turns = [random_turn(dim, np.arange(dim), seed=seed + i) for i in range(rotations)]
    gaps = [float(diagonal_gap(variance, turn).mean()) for turn in turns]
    lost = [float(best_diagonal_gap(variance, turn).mean()) for turn in turns]
    return {"posterior": name, "gap": np.mean(gaps), "low": min(gaps), "high": max(gaps), "elbo_lost": np.mean(lost)}
