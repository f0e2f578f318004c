"""Which scores see a rotation? Every score of noise, rotated and perfect codes, for the factors of three data sets.

    python -m benchmarks.calibration [--rotations 3]

The factors alone are drawn, no image is needed: 10,000 rows to fit probes, 5,000 to test them, 10 latents.
"""

import argparse
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_commit, describe_machine
from benchmarks.training import show
from disentangle_pl.callbacks.score_table import bar
from disentangle_pl.metrics.chance import noise_codes, perfect_codes, rotated_codes
from disentangle_pl.metrics.score import Codes, Labels
from disentangle_pl.metrics.sheet import ALL, OTHER_SCALES, score_codes

SIZES = {"dSprites": (3, 6, 40, 32, 32), "Shapes3D": (10, 10, 10, 8, 4, 15), "SmallNORB": (5, 9, 18, 6)}
ROWS, LATENTS = 15_000, 10

Values = Mapping[str, float]


def score(codes: Codes, factors: Labels, words: str) -> Values:
    """Return every score of codes (N, d)."""
    return score_codes(codes, factors, bar(list(ALL.items()), words)).values


def measure(name: str, rotations: int) -> tuple[Values, list[Values], Values]:
    """Return the scores of noise, of perfect codes under each rotation, and of perfect codes."""
    factors = np.random.default_rng(0).integers(0, SIZES[name], (ROWS, len(SIZES[name])))
    noise = score(noise_codes(ROWS, LATENTS), factors, f"{name}: noise")
    turned = [
        score(rotated_codes(factors, LATENTS, seed=i), factors, f"{name}: rotation {i}") for i in range(rotations)
    ]
    return noise, turned, score(perfect_codes(factors, LATENTS), factors, f"{name}: perfect")


def row(name: str, noise: Values, turned: list[Values], perfect: Values) -> str:
    """Return one line: noise, rotations, perfect, and how much of the scale between them a rotation costs."""
    rotated = [values[name] for values in turned]
    cells = [f"{noise[name]:.3f}", f"{np.mean(rotated):.3f} [{min(rotated):.3f}, {max(rotated):.3f}]"]
    scale = perfect[name] - noise[name]
    lost = f"{(perfect[name] - np.mean(rotated)) / scale:.0%}" if scale > 0.05 else "no scale"
    return f"| {name} | {' | '.join(cells)} | {perfect[name]:.3f} | {'-' if name.endswith(OTHER_SCALES) else lost} |"


def report(results: Mapping[str, tuple[Values, list[Values], Values]]) -> str:
    """Return the tables as Markdown."""
    lines = [
        "# What the scores see",
        "",
        f"`python -m benchmarks.calibration`, {date.today()}, {describe_commit()}. Machine: {describe_machine()}.",
        "",
        "Perfect codes hold each factor in a latent of its own, in order; the other latents are collapsed (sd .01). "
        "Rotated codes are the same under a random rotation of the latents in use: nothing is lost, nothing is "
        "disentangled. Noise knows nothing. 10,000 rows to fit, 5,000 to test. *Lost* is the share of the scale from "
        "noise to perfect that a rotation costs on average: a score that loses little does not see rotations, and must "
        "not be quoted alone; *no scale*: noise scores as well as a perfect code.",
    ]
    for name, (noise, turned, perfect) in results.items():
        lines += ["", f"## {name}: factors of {', '.join(map(str, SIZES[name]))} values", ""]
        lines += ["| score | noise | rotated: mean [range] | perfect | lost |", "|---|---|---|---|---|"]
        lines += [row(score, noise, turned, perfect) for score in perfect]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rotations", type=int, default=3, help="random rotations (default: 3)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs" / "calibration.md")
    args = parser.parse_args()
    text = report({name: measure(name, args.rotations) for name in SIZES})
    args.output.write_text(text)
    show(text)
    print(f"written to {args.output}")


if __name__ == "__main__":
    main()
