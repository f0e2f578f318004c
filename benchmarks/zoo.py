"""Every variant at an equal budget on a small grid of sprites, several seeds each.

    python -m benchmarks.zoo [--seeds 0 1 2] [--variants vae ada_gvae ...]

Finished runs in `runs/zoo` are kept, killed ones go on, so the command can be repeated until it is through.
"""

import argparse
import statistics
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from benchmarks.compare import Scores, train_flags, with_interval
from benchmarks.machine import describe_commit, describe_machine
from benchmarks.training import show

ROOT = Path(__file__).parents[1]
POSITIONS = list(range(0, 32, 2))
COLUMNS = ["--model.supervision.columns=[0,1,2,3]"]
CONTENT = ["--data.pairs.content=[shape,scale]", "--model.aggregation.content=5"]
STEPS = 1500
SHARED = [
    "--data.dataset.resolution=32",
    "--data.dataset.supersample=4",
    "--data.dataset.orientation_values=[0]",
    f"--data.dataset.x_values={POSITIONS}",
    f"--data.dataset.y_values={POSITIONS}",
    "--data.batch_size=32",
    "--data.eval_size=6000",
    f"--data.steps_per_epoch={STEPS}",
    "--trainer.max_epochs=1",
    "--model.latent_dim=10",
    "--model.optimizer.lr=1e-3",
]
# Strengths are the defaults of the papers, and beta = 1 with weak supervision: none was tuned.
VARIANTS: dict[str, tuple[str, list[str]]] = {
    "vae": ("uniform_distinct", []),
    "beta_vae": ("uniform_distinct", []),
    "annealed_vae": ("uniform_distinct", ["--model.annealing_steps=750"]),
    "factor_vae": ("uniform_distinct", ["--model.width=200"]),
    "beta_tc_vae": ("uniform_distinct", []),
    "dip_vae_1": ("uniform_distinct", []),
    "dip_vae_2": ("uniform_distinct", []),
    "gvae": ("known_groups", CONTENT),
    "ml_vae": ("known_groups", CONTENT),
    "known_gvae": ("uniform_distinct", []),
    "known_ml_vae": ("uniform_distinct", []),
    "ada_gvae": ("uniform_distinct", []),
    "ada_ml_vae": ("uniform_distinct", []),
    "labelled_vae": ("uniform_distinct", [*COLUMNS, "--model.supervision.sizes=[3,6,16,16]"]),
    "match_vae": ("uniform_distinct", COLUMNS),
    "rank_vae": ("uniform_distinct", ["--model.supervision.columns=[1,2,3]"]),  # shapes have no order
}
SHOWN = {
    "mig": "MIG",
    "dci_disentanglement": "DCI-D",
    "modularity_corrected": "modularity, corrected",
    "sap": "SAP",
    "infom": "InfoM",
    "mcc": "MCC",
    "factor_vae_score": "FactorVAE score",
    "active_units": "active units",
}


def train(variant: str, seed: int, runs: Path, flags: Sequence[str]) -> Scores:
    """Train a variant with a seed unless that is done, and return its score sheet."""
    pairs, own = VARIANTS[variant]
    fragments = ["data/sprites.yaml", f"pairs/{pairs}.yaml", f"model/{variant}.yaml"]
    configs = [f"--config={ROOT / 'configs' / fragment}" for fragment in fragments]
    return train_flags(f"{variant}-seed{seed}", seed, runs, [*configs, *SHARED, *own, *flags])


def table(results: dict[str, list[Scores]], seeds: Sequence[int]) -> str:
    """Return the scores of all variants as Markdown."""
    runs = [run for group in results.values() for run in group]
    lines = [
        "# All variants at an equal budget",
        "",
        f"`python -m benchmarks.zoo`, {date.today()}, commit {describe_commit()}, seeds {', '.join(map(str, seeds))}.",
        f"Machine: {describe_machine()}.",
        f"Sprites of 32 x 32 pixels, 3 shapes x 6 scales x 16 x 16 positions; {STEPS} steps of 32 pairs, Adam 1e-3, 10 "
        "latents, the network of Locatello et al. 2019. All see pairs that differ in one factor; models without weak "
        "supervision take them as single images, GVAE and ML-VAE take groups of equal shape and scale. Strengths are "
        "the defaults of the papers (beta-VAE 4, FactorVAE 35, beta-TCVAE 6, DIP 10, capacity 25 nats after 750 steps; "
        "beta = 1 with supervision, whose strength is 10): none was tuned, and all were meant for images of four times "
        "as many pixels. So the table shows what each variant does out of the box, not which is best. Known masks, "
        "labels, matches and ranks use the true factors.",
        "Mean ± half a 95 % interval over seeds, on 6,000 images (4,000 to fit probes, 2,000 to test).",
        "",
        "| variant | " + " | ".join(SHOWN.values()) + " |",
        "|---|" + "---|" * len(SHOWN),
    ]
    for variant, group in results.items():
        cells = [with_interval([run[score]["value"] for run in group], 2) for score in SHOWN]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    for end, words in (("floor", "noise"), ("rotated", "perfect code, rotated"), ("ceiling", "perfect code")):
        ends = [statistics.fmean(run[score][end] for run in runs) for score in SHOWN]
        lines.append(f"| *{words}* | {' | '.join(f'{value:.2f}' for value in ends)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, collect, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds (default: 0 1 2)")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME")
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs" / "zoo")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "zoo.md")
    args, flags = parser.parse_known_args()
    results: dict[str, list[Scores]] = {variant: [] for variant in args.variants}
    for seed in args.seeds:
        for variant in args.variants:
            results[variant].append(train(variant, seed, args.runs_dir.absolute(), flags))
    text = table(results, args.seeds)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text)
    show(text)
    print(f"written to {args.output}")


if __name__ == "__main__":
    main()
