"""Do intervals cover, and do tests raise no more false alarms than they say? By simulation.

    python -m benchmarks.intervals [--repeats 2000]

What is true is known here: means of runs, latents that do not age, scores of probes.
"""

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
from rich.progress import track
from scipy import stats

from benchmarks.machine import describe_commit, describe_machine
from disentangle_pl.metrics.ageing import mixed_slopes
from disentangle_pl.metrics.intervals import bootstrap_interval, mean_interval
from disentangle_pl.metrics.prediction import Plan, ProbeTarget, cross_validated, linear
from disentangle_pl.metrics.prediction_inputs import columns
from disentangle_pl.metrics.prediction_scores import refitted_intervals, resampled_people, scored
from disentangle_pl.metrics.score import Values

RUNS = (2, 3, 5, 10, 20, 50)
KINDS: dict[str, Callable[[np.random.Generator, int], Values]] = {
    "normal": lambda draws, n: draws.normal(size=n),
    "skewed (exponential)": lambda draws, n: draws.exponential(size=n) - 1,
}
PEOPLE, SCANS, LATENTS = (4, 6, 10, 20, 40), 3, 50
RATIOS = (1, 10)  # variance between people over that within
SCORED = {("r2", 40): 200, ("r2", 100): 200, ("r2", 400): 100, ("auc", 40): 100, ("auc", 100): 100}
INPUTS, HELPFUL = 8, 4


def of_means(repeats: int) -> list[str]:
    """Measure how often intervals of a mean hold it, which is 0."""
    lines = [
        "## 95 % intervals of a mean: how often they hold it",
        "",
        f"{repeats:,} samples a row. *ours* is `mean_interval`: t below 20 values, the bootstrap from 20 on.",
        "",
        "| values | number | percentile bootstrap | Student's t | ours |",
        "|---|---|---|---|---|",
    ]
    for kind, draw in KINDS.items():
        for n in track(RUNS, f"means, {kind}"):
            draws = np.random.default_rng(n)
            held = np.zeros(3)
            for _ in range(repeats):
                values = draw(draws, n)
                half = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5
                ends = (bootstrap_interval(values)[1:], (values.mean() - half, values.mean() + half))
                held += [low <= 0 <= high for low, high in (*ends, mean_interval(values)[1:])]
            lines.append(f"| {kind} | {n} | {' | '.join(f'{share:.3f}' for share in held / repeats)} |")
    return lines


def of_slopes(repeats: int) -> list[str]:
    """Measure how often latents that do not age are said to, by `mixed_slopes` at p < .05 and by its band."""
    cohorts = -(-repeats // LATENTS)
    lines = [
        "## Slopes of a random-intercept model: false alarms at 5 %",
        "",
        f"{cohorts * LATENTS:,} latents a row that do not age; everybody is scanned one to {SCANS} times a year apart, "
        "first at 55 to 85 years. *z* takes the standard errors of `mixed_slopes` for exact, *ours* is its p, *band* "
        "how often 0 lies outside the draws behind the band of counterfactual scans.",
        "",
        "| variance between / within people | people | z | people - 2 | ours | band |",
        "|---|---|---|---|---|---|",
    ]
    for ratio in RATIOS:
        for people in track(PEOPLE, f"slopes, ratio {ratio}"):
            alarms = np.mean([_slope_alarms(people, ratio, seed) for seed in range(cohorts)], axis=0)
            lines.append(f"| {ratio} | {people} | {' | '.join(f'{share:.3f}' for share in alarms)} |")
    return lines


def _slope_alarms(people: int, ratio: float, seed: int) -> list[float]:
    draws = np.random.default_rng(seed)
    scans = draws.integers(1, SCANS + 1, people)
    scans[0] = SCANS
    person = np.repeat(np.arange(people), scans)
    age = draws.uniform(55, 85, people)[person] + np.concatenate([np.arange(n) for n in scans])
    codes = draws.normal(0, ratio**0.5, (people, LATENTS))[person] + draws.normal(size=(len(age), LATENTS))
    slopes = mixed_slopes(codes, age, person, resamples=500)
    ratios = np.abs(slopes.per_year) / slopes.standard_errors
    low, high = slopes.band()
    alarms = (2 * stats.norm.sf(ratios) < 0.05, 2 * stats.t.sf(ratios, people - 2) < 0.05, slopes.p < 0.05)
    return [float(np.mean(alarm)) for alarm in (*alarms, (low > 0) | (high < 0))]


def of_scores(repeats: int) -> list[str]:
    """Measure how often intervals of cross-validated scores hold the mean score of such probes."""
    lines = [
        "## 95 % intervals of cross-validated scores of linear probes: how often they hold the mean score",
        "",
        f"The mean score is that of probes of so many people, over all samples of a row. {HELPFUL} of {INPUTS} inputs "
        "help; five folds, twice. *people* is the interval of `predict-scores`: other people to be scored by the same "
        "probes. It does not hold what other people to train on would do. *refitted* is `refitted_intervals`, which "
        "does.",
        "",
        "| score | people | samples | mean score | people | refitted |",
        "|---|---|---|---|---|---|",
    ]
    for (metric, people), most in SCORED.items():
        samples = min(most, repeats)
        results = np.array(
            [_score(metric, people, seed) for seed in track(range(samples), f"scores, {metric}, {people} people")]
        )
        mean = results[:, 0].mean()
        held = [((results[:, i] <= mean) & (mean <= results[:, i + 1])).mean() for i in (1, 3)]
        name = {"r2": "R²", "auc": "AUC"}[metric]
        lines.append(f"| {name} | {people} | {samples} | {mean:.2f} | {held[0]:.2f} | {held[1]:.2f} |")
    return lines


def _score(metric: str, people: int, seed: int) -> list[float]:
    """Return a score, and the ends of both intervals."""
    draws, discrete = np.random.default_rng(seed), metric == "auc"
    inputs = draws.normal(size=(people, INPUTS))
    signal = 0.4 * inputs[:, :HELPFUL].sum(axis=1)
    noise = draws.logistic(scale=2 / 3, size=people) if discrete else draws.normal(size=people)
    target = (signal + noise > 0).astype(float) if discrete else signal + noise
    targets = ProbeTarget(target, discrete, np.arange(people), np.ones(people))
    plan = Plan(repeats=2)
    score = scored(targets, cross_validated(columns(inputs), targets, linear, plan), resampled_people(targets))[metric]
    refitted = refitted_intervals(columns(inputs), targets, linear, plan)[metric]
    return [*score.interval(), *refitted[1:]]


SECTIONS: tuple[Callable[[int], list[str]], ...] = (of_means, of_slopes, of_scores)


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000, help="samples a row, at most (default: 2000)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "intervals.md")
    args = parser.parse_args()
    lines = [
        "# Do intervals cover?",
        "",
        f"`python -m benchmarks.intervals --repeats {args.repeats}`, {date.today()}, {describe_commit()}.",
        f"Machine: {describe_machine()}.",
    ]
    for section in SECTIONS:
        lines += ["", *section(args.repeats)]
    text = "\n".join(lines) + "\n"
    args.output.write_text(text, encoding="utf-8")
    print(text)
    print(f"written to {args.output}")


if __name__ == "__main__":
    main()
