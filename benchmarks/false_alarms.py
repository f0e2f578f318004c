"""How often do corrected scores find an informative latent where there is none? By simulation, beside the 5-sd rule.

    python -m benchmarks.false_alarms [--tables 400]

Codes know nothing of the factors, or nothing but whose row it is. A table counts as a false alarm when a latent is
called informative. Two rules are judged on the same tables: the maximum over 199 permutations of rows, or of groups
where rows come in groups, and, as the rival, five standard deviations above the mean of 20 permutations of rows.
"""

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
from rich.progress import track

from benchmarks.machine import describe_commit, describe_machine
from benchmarks.training import show
from disentangle_pl.metrics.information import discretise, mutual_information, permuted_information
from disentangle_pl.metrics.null import corrected_information
from disentangle_pl.metrics.score import Codes, GroundTruth, Labels

LATENTS = 10
Draw = Callable[[np.random.Generator], tuple[Codes, GroundTruth]]


def classes(shares: list[float], rows: int, random: np.random.Generator) -> Labels:
    """Draw three factors (rows, 3) of classes with these shares."""
    return random.choice(len(shares), size=(rows, 3), p=shares)


def even(random: np.random.Generator) -> tuple[Codes, GroundTruth]:
    """Three factors of six classes, 1,000 rows of normal codes."""
    return random.normal(size=(1000, LATENTS)), _truth(classes([1 / 6] * 6, 1000, random))


def rare(random: np.random.Generator) -> tuple[Codes, GroundTruth]:
    """Three factors of two classes, one of which has two rows in a thousand."""
    labels = random.permuted(np.repeat(np.arange(1000)[:, None] < 2, 3, axis=1), axis=0)
    return random.normal(size=(1000, LATENTS)), _truth(labels.astype(np.int64))


def heavy(random: np.random.Generator) -> tuple[Codes, GroundTruth]:
    """Codes of Student's t with two degrees of freedom."""
    return random.standard_t(2, size=(1000, LATENTS)), _truth(classes([1 / 6] * 6, 1000, random))


def people(random: np.random.Generator) -> tuple[Codes, GroundTruth]:
    """60 people with 4 visits: codes know who somebody is, factors are three unrelated quantities of people."""
    who = np.repeat(np.arange(60), 4)
    codes = random.normal(size=(60, LATENTS))[who] + random.normal(0, 0.1, (240, LATENTS))
    factors = random.normal(size=(60, 3))[who] + random.normal(0, 0.05, (240, 3))
    return codes, GroundTruth(factors, np.zeros(3, dtype=np.bool_), who)


def small(random: np.random.Generator) -> tuple[Codes, GroundTruth]:
    """100 rows of quantities."""
    return random.normal(size=(100, LATENTS)), GroundTruth(random.normal(size=(100, 3)), np.zeros(3, dtype=np.bool_))


CASES: dict[str, Draw] = {
    "six even classes, 1,000 rows": even,
    "a class of share .002, 1,000 rows": rare,
    "codes with heavy tails, 1,000 rows": heavy,
    "quantities, 100 rows": small,
    "60 people with 4 visits": people,
}


def five_deviations(codes: Codes, truth: GroundTruth, seed: int) -> bool:
    """Tell whether a latent is five standard deviations above the mean of 20 permutations of rows."""
    binned, labels, random = discretise(codes), truth.labels(), np.random.default_rng(seed)
    for column in labels.T:
        chance = permuted_information(binned, column, [random.permutation(len(column)) for _ in range(20)])
        excess = mutual_information(binned, column[:, None])[:, 0] - chance.mean(axis=0)
        if (excess > 5 * chance.std(axis=0, ddof=1) + 1e-9).any():
            return True
    return False


def measure(draw: Draw, tables: int, words: str) -> tuple[float, float]:
    """Return the share of tables with an informative latent by the maximum rule, and by five standard deviations."""
    alarms = np.zeros(2)
    for seed in track(range(tables), words):
        codes, truth = draw(np.random.default_rng(seed))
        alarms[0] += corrected_information(codes, truth).any()
        alarms[1] += five_deviations(codes, truth, seed)
    shares = alarms / tables
    return float(shares[0]), float(shares[1])


def report(tables: int) -> str:
    """Return the table as Markdown."""
    lines = [
        "# False alarms of corrected scores",
        "",
        f"`python -m benchmarks.false_alarms --tables {tables}`, {date.today()}, {describe_commit()}. Machine: "
        f"{describe_machine()}.",
        "",
        f"Share of {tables} tables of {LATENTS} latents and 3 factors that are unrelated, in which a latent is called "
        "informative; 1 in 200 for each factor, .015 a table, is what the rule of the maximum allows. In brackets the "
        "95 % interval of Wilson.",
        "",
        "| table | maximum of 199 permutations | 5 sd above 20 permutations |",
        "|---|---|---|",
    ]
    for words, draw in CASES.items():
        shares = measure(draw, tables, words)
        lines.append(f"| {words} | " + " | ".join(_with_interval(share, tables) for share in shares) + " |")
    return "\n".join(lines) + "\n"


def _with_interval(share: float, count: int) -> str:
    z = 1.959964
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return f"{share:.3f} [{max(centre - half, 0):.3f}, {centre + half:.3f}]"


def _truth(labels: Labels) -> GroundTruth:
    return GroundTruth(labels.astype(np.float64), np.ones(labels.shape[1], dtype=np.bool_))


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=400, help="simulated tables a case")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/false_alarms.md"))
    args = parser.parse_args()
    text = report(args.tables)
    args.output.write_text(text)
    show(text)


if __name__ == "__main__":
    main()
