"""Does weak supervision help? Ada-GVAE on pairs against the VAE on the same images and steps, several seeds each.

    python -m benchmarks.compare [--seeds 0 1 2]

Finished runs in `runs/compare` are kept, killed ones go on, so the command can be repeated until it is through.
"""

import argparse
import csv
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from benchmarks.machine import describe_commit, describe_machine
from benchmarks.training import show
from disentangle_pl.metrics.intervals import mean_interval

ROOT = Path(__file__).parents[1]
METHODS = {"Ada-GVAE (pairs)": "sprites_ada_gvae", "VAE, beta = 1 (the same images)": "sprites_beta_vae"}
Scores = dict[str, dict[str, float]]


def train(recipe: str, seed: int, runs: Path, flags: Sequence[str]) -> Scores:
    """Train a recipe with a seed unless that is done, and return its score sheet."""
    config = ROOT / "configs" / f"{recipe}.yaml"
    return train_flags(f"{recipe}-seed{seed}", seed, runs, [f"--config={config}", *flags])


def train_flags(name: str, seed: int, runs: Path, flags: Sequence[str]) -> Scores:
    """Train with these flags in the run folder of this name unless that is done, and return the score sheet."""
    sheet = runs / name / "scores.tsv"
    if not sheet.exists():
        print(f"training {name}", flush=True)
        own = [f"--seed_everything={seed}", f"--runs_dir={runs}", f"--run_id={name}"]
        subprocess.run([sys.executable, "-m", "disentangle_pl", "fit", *flags, *own], check=True)
    with sheet.open(newline="") as file:
        return {
            row["name"]: {key: float(value) for key, value in row.items() if key != "name"}
            for row in csv.DictReader(file, delimiter="\t")
        }


def with_interval(values: Sequence[float], digits: int) -> str:
    """Write the mean and half its 95 % interval; the mean alone of a single value, which has none."""
    mean, low, high = mean_interval(values)
    return f"{mean:.{digits}f}" + (f" ± {(high - low) / 2:.{digits}f}" if len(values) > 1 else "")


def table(results: dict[str, list[Scores]], seeds: Sequence[int]) -> str:
    """Return the comparison of two methods as Markdown: means, 95 % intervals over seeds, floors and ceilings."""
    lines = [
        "# Weak supervision against none",
        "",
        f"`make compare`, {date.today()}, commit {describe_commit()}, seeds {', '.join(map(str, seeds))}.",
        f"Machine: {describe_machine()}.",
        "Recipes: `configs/sprites_ada_gvae.yaml` and `configs/sprites_beta_vae.yaml`, which differ in the aggregation "
        "alone: same images in the same order, same network, same steps. Mean and 95 % interval over seeds; single "
        "seeds in brackets. Difference: first minus second, paired by seed, because a seed fixes weights and images. "
        "Floor: codes of noise. Ceiling: a perfect code. Both train with "
        "beta = 1, so the baseline is the plain VAE; its beta and learning rate were not tuned. The recipe was chosen "
        "on single runs of Ada-GVAE, seed 0, by MIG on this evaluation sample: 15,000 images, a third of them to test "
        "probes.",
        "",
        "| score | " + " | ".join(results) + " | difference | chance floor | ceiling |",
        "|---|" + "---|" * (len(results) + 3),
    ]
    runs = [run for group in results.values() for run in group]
    for score in runs[0]:
        columns = [[run[score]["value"] for run in group] for group in results.values()]
        columns.append([first - second for first, second in zip(*columns, strict=True)])
        cells = []
        for values in columns:
            cells.append(f"**{with_interval(values, 3)}** [{', '.join(f'{value:.3f}' for value in values)}]")
        ends = [statistics.fmean(run[score][end] for run in runs) for end in ("floor", "ceiling")]
        lines.append(f"| {score} | {' | '.join(cells)} | {ends[0]:.3f} | {ends[1]:.3f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds (default: 0 1 2)")
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs" / "compare")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "compare.md")
    args, flags = parser.parse_known_args()
    results: dict[str, list[Scores]] = {method: [] for method in METHODS}
    for seed in args.seeds:
        for method, recipe in METHODS.items():
            results[method].append(train(recipe, seed, args.runs_dir.absolute(), flags))
    text = table(results, args.seeds)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text)
    show(text.replace("**", ""))
    print(f"written to {args.output}")


if __name__ == "__main__":
    main()
