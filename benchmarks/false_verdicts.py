"""How often are two equally good codes said to differ? By simulation.

    python -m benchmarks.false_verdicts [--studies 400]

Two codes see the same four causes of a target through noise of their own, beside four inputs of noise alone and three
covariates. Neither is better, so that whatever is said of them is false.
"""

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track

from benchmarks.machine import describe_commit, describe_machine
from disentangle_pl.metrics.comparison import compared
from disentangle_pl.metrics.prediction import Plan, ProbeTarget, cross_validated, linear
from disentangle_pl.metrics.prediction_inputs import columns
from disentangle_pl.metrics.prediction_scores import difference, resampled_people, scored
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.sparsity_compare import holm

CAUSES, NOISE, COVARIATES = 4, 4, 3
ROWS = (("r2", 50, 1.0), ("r2", 60, 1.0), ("r2", 100, 1.0), ("auc", 60, 0.25), ("auc", 100, 0.25))  # share of studies
TARGETS, FAMILIES, LEVEL = 13, 300, 0.05
NAMES = {"r2": "R²", "auc": "AUC"}


def study(metric: str, people: int, seed: int, targets: int = 1) -> Values:
    """Compare two codes on some targets.

    Returns:
        (targets, 2) whether the plain bootstrap leaves 0 out, and the p of the corrected comparison.
    """
    draws = np.random.default_rng(seed)
    causes = draws.normal(size=(people, CAUSES))
    covariates = draws.normal(size=(people, COVARIATES)) + 0.15 * causes.sum(axis=1)[:, None]
    codes = [
        np.hstack((covariates, causes + 0.7 * draws.normal(size=causes.shape), draws.normal(size=(people, NOISE))))
        for _ in range(2)
    ]
    plan, found = Plan(), []
    for _ in range(targets):
        target = 0.5 * causes @ draws.choice([-1.0, 1.0], CAUSES) + 0.8 * draws.normal(size=people)
        discrete = metric == "auc"
        values = (target > 0).astype(np.float64) if discrete else target
        asked = ProbeTarget(values, discrete, np.arange(people), np.ones(people))
        resamples = resampled_people(asked)
        one, other = (
            scored(asked, cross_validated(columns(each), asked, linear, plan), resamples)[metric] for each in codes
        )
        plain = difference(one, other)
        p = compared(one, other, people, people * (plan.folds - 1) / plan.folds).p
        found.append([float(not plain.low <= 0 <= plain.high), p])
    return np.array(found)


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400, help="a row; a quarter for AUC (default: 400)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "false_verdicts.md")
    args = parser.parse_args()
    lines = [
        "# How often are equally good codes said to differ?",
        "",
        f"`python -m benchmarks.false_verdicts --studies {args.studies}`, {date.today()}, {describe_commit()}.",
        f"Machine: {describe_machine()}.",
        "",
        "Shares of studies; 0.05 is meant. *bootstrap* draws people to score again and holds probes fixed, *corrected* "
        "is `metrics.comparison.compared`, the interval of comparisons of `predict-scores`.",
        "",
        "| score | people | studies | bootstrap | corrected, p < 0.05 | corrected, p < 0.01 |",
        "|---|---|---|---|---|---|",
    ]
    for metric, people, share in ROWS:
        count = round(share * args.studies)
        seeds = track(range(count), f"{metric}, {people} people")
        found = np.concatenate([study(metric, people, seed) for seed in seeds])
        rates = [found[:, 0].mean(), (found[:, 1] < LEVEL).mean(), (found[:, 1] < LEVEL / 5).mean()]
        lines.append(f"| {NAMES[metric]} | {people} | {count} | {' | '.join(f'{rate:.3f}' for rate in rates)} |")
    families = min(FAMILIES, args.studies)
    found = np.array([study("r2", 60, seed, TARGETS) for seed in track(range(families), "families")])
    whole = [(found[:, :, 0] > 0).any(1).mean(), (found[:, :, 1] < LEVEL).any(1).mean()]
    whole += [np.mean([(holm(pd.Series(row)) < LEVEL).any() for row in found[:, :, 1]])]
    words = (f"{rate:.3f} {name}" for rate, name in zip(whole, ("bootstrap", "corrected", "after Holm"), strict=True))
    lines += [
        "",
        f"A false verdict for any of {TARGETS} targets (R², 60 people, {families} studies): {', '.join(words)}.",
    ]
    text = "\n".join(lines) + "\n"
    args.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
