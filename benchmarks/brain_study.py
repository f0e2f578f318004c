"""From nothing to what the latents of a brain model mean: every step of the README's brain chapter, in order.

    python -m benchmarks.brain_study [--sweep sweeps/brain_small.yaml] [--results benchmarks/results/brain]

Simulates a cohort, lists, splits and prepares its scans, trains Ada-GVAE and both baselines, and says what their
latents mean, what they change, and how far a scan can be aged. Pairs are of two visits, never of a visit and its rescan
(see `visit_numbers`), which only the reliability of latents is measured on. The picture of the README is of the models
that the numbers are of, or with --fine of two more, trained on voxels of 3 mm instead of 6. Each step is a command of
`disentangle-pl`, printed before it runs; the same call goes on after a kill.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from disentangle_pl.run_state import FINISHED

METHODS = ("brain_beta_vae", "brain_paired_vae", "brain_ada_gvae")
QUICK = "sweeps/brain_quick.yaml"
TITLES = ("VAE on single scans", "Ada-GVAE on pairs of visits")  # of the first and the last method
FOLLOWED = ("ratio_ventricles", "ratio_cortex", "ratio_hippocampus", "gain")
PICKED = ("Dementia", "CN")
YEARS = 5
COLUMNS = ("run", "state", "config", "seed_everything")
KEPT = (
    *("methods/sweep.yaml", "methods/trials.jsonl", "methods/results.tsv", "split.tsv", "latents/findings.md"),
    *("latents/latents.tsv", "latents/correlations.tsv", "latents/models.tsv", "latents/groups.tsv"),
)


def call(verb: str, *args: object, brain: Path | None = None) -> None:
    """Run a verb of `disentangle-pl` with arguments, in a process of its own.

    Raises:
        SystemExit: If the command fails, with its exit code.
    """
    words = [verb, *map(str, args)]
    print(f"$ disentangle-pl {shlex.join(words)}", flush=True)
    env = {**os.environ, "OMP_NUM_THREADS": "1", **({"BRAIN": str(brain)} if brain else {})}
    done = subprocess.run([sys.executable, "-m", "disentangle_pl", *words], env=env)
    if done.returncode:
        sys.exit(done.returncode)


def make_data(folder: Path, subjects: int, anatomies: Path | None) -> None:
    """Simulate a cohort, list and split its people, and prepare its scans, unless they are prepared."""
    heads = ("--anatomies", anatomies) if anatomies else ()
    cohort, table = folder / "cohort", folder / "scans.tsv"
    visits = ("--visits", 0, 12, 24, "--rescans", 0.2)
    call("simulate", "--subjects", subjects, *visits, *heads, "--out", cohort, "--jobs", -1)
    if not table.exists():  # it is written after the split
        shares = ("--fractions", 0.6, 0.1, 0.3)
        call("scans", cohort, "--rescans", "--out", table, "--split", folder / "split.tsv", *shares)
    prepare(folder, "prepared", 32, 6)


def prepare(folder: Path, name: str, size: int, spacing: int) -> None:
    """Prepare the scans to a cube of so many voxels of so many millimetres, unless they are prepared."""
    geometry = ("--size", size, size, size, "--spacing", spacing, "--window", 0, 1000, "--align", 12)
    call("prepare", folder / "scans.tsv", "--out", folder / name, *geometry, "--jobs", -1)


def finished(methods: Path) -> pd.DataFrame:
    """Return the finished runs of a sweep, the baseline first: columns method, seed, name, checkpoint."""
    table = pd.read_csv(methods / "results.tsv", sep="\t", usecols=COLUMNS).rename(columns={"seed_everything": "seed"})
    table["method"] = pd.Categorical(table["config"].map(lambda path: Path(path).stem), METHODS)
    ended = table[table["state"] == FINISHED].sort_values(["method", "seed"], ignore_index=True)
    ended = ended.assign(
        name=[f"{row.method}-seed{row.seed}" for row in ended.itertuples()],
        checkpoint=[str(methods / run / "checkpoints" / "last.ckpt") for run in ended["run"]],
    )
    return ended[["method", "seed", "name", "checkpoint"]]


def first_of(folder: Path, diagnosis: str) -> str:
    """Return the first held-out participant with a diagnosis.

    Raises:
        SystemExit: If there is none.
    """
    scans = pd.read_csv(folder / "scans.tsv", sep="\t")
    split = pd.read_csv(folder / "split.tsv", sep="\t", comment="#")
    unseen = split["participant_id"][split["part"] == "test"]
    fitting = scans[scans["participant_id"].isin(unseen) & (scans["diagnosis"] == diagnosis)]
    if fitting.empty:
        sys.exit(f"nobody held out in {folder} has the diagnosis {diagnosis}: simulate more --subjects")
    return str(fitting["participant_id"].iloc[0])


def _first_runs(runs: pd.DataFrame) -> tuple[str, str]:
    theirs, ours = (str(runs["checkpoint"][runs["method"] == method].iloc[0]) for method in (METHODS[0], METHODS[-1]))
    return theirs, ours


def describe(folder: Path) -> None:
    """Say and show what the latents of the finished runs mean, and what years do to scans of held-out people."""
    runs = finished(folder / "methods")
    call("latents", *runs["checkpoint"], "--apart", "ratio_ventricles", "gain", "--out", folder / "latents")
    theirs, ours = _first_runs(runs)
    call("traverse", theirs, ours, "--out", folder / "traverse")
    shown = ("--follow", *FOLLOWED, "--titles", *TITLES)
    drawn = finished(folder / "fine") if (folder / "fine").is_dir() else runs
    call("traverse", *_first_runs(drawn), *shown, "--out", folder / "figure")
    for name, checkpoint in zip(runs["name"], runs["checkpoint"], strict=True):
        call("counterfactual", checkpoint, "--out", folder / "ageing" / name)
    for diagnosis in PICKED:
        chosen = ("--subject", first_of(folder, diagnosis), "--years", YEARS)
        call("counterfactual", ours, *chosen, "--out", folder / "counterfactual" / diagnosis)


def keep(folder: Path, results: Path) -> None:
    """Copy tables, words and pictures, but no scans and no checkpoints."""
    pictures = [path.relative_to(folder) for path in (folder / "latents").glob("*.png")]
    pictures.append(Path("figure/ends.png"))
    ageing = [path.relative_to(folder) for path in (folder / "ageing").glob("*/*summary.tsv")]
    ageing += [path.relative_to(folder) for path in (folder / "ageing").glob("*/soundness.json")]
    scans = [path.relative_to(folder) for path in (folder / "counterfactual").glob("*/*/*.png")]
    for name in (*map(Path, KEPT), *pictures, *ageing, *scans):
        target = results / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target)


def main(args: Sequence[str] | None = None) -> None:
    """Do what is missing, and say where the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", default=QUICK, help="what to train (default: %(default)s)")
    parser.add_argument(
        "--fine", help="a sweep of models on voxels of 3 mm, to draw the picture with: sweeps/brain_fine.yaml"
    )
    parser.add_argument("--subjects", type=int, default=150, help="people of the cohort (default: %(default)s)")
    parser.add_argument("--anatomies", type=Path, help=".npz of tissue fractions (default: MNI152 template)")
    parser.add_argument("--out", type=Path, default=Path("runs/brain"), help="(default: %(default)s)")
    parser.add_argument("--results", type=Path, help="copy tables, words and pictures there")
    given = parser.parse_args(args)
    given.out.mkdir(parents=True, exist_ok=True)
    make_data(given.out, given.subjects, given.anatomies)
    call("sweep", given.sweep, "--out", given.out / "methods", "--parallel", 2, brain=given.out)
    if given.fine:
        prepare(given.out, "prepared_fine", 64, 3)
        call("sweep", given.fine, "--out", given.out / "fine", "--parallel", 2, brain=given.out)
    describe(given.out)
    if given.results:
        keep(given.out, given.results)
    print(f"What the latents mean: {given.out / 'latents' / 'findings.md'}")
    print(f"Pictures: {given.out / 'latents'}, {given.out / 'figure'}, {given.out / 'counterfactual'}")


if __name__ == "__main__":
    main()
