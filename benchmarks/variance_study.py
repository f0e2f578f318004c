"""Does the variance that factors induce decide what VAEs disentangle? From training to findings.

    python -m benchmarks.variance_study [--sweep sweeps/variance_small.yaml] [--results benchmarks/results/variance]

Trains the models of a sweep, measures the variances of the data, codes and decoder of each, relates them to the scores,
compares data sets with their controls, draws the examples of colour and size, and shows the impossibility result on
the best model. Each step is a command of `disentangle-pl`, printed before it runs; the same call goes on after a kill.
"""

import argparse
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.progress import track

from benchmarks.brain_study import call
from benchmarks.variance_controls import controls, words
from disentangle_pl.run_state import FINISHED
from disentangle_pl.verbs_variance import variance

SWEEP = "sweeps/variance_small.yaml"
SCORE = "disentanglement/mig"
EXAMPLES = ("colour_size", "colour_patch", "colour_even", "cosines", "cosines_equal", "turning")
KEPT = ("models/sweep.yaml", "models/trials.jsonl", "models/results.tsv", "impossibility/impossibility.png")


def measure(runs: pd.DataFrame, folder: Path, measures: Path) -> None:
    """Measure the data, codes and decoder of every run that has not been measured, in this process.

    Args:
        runs: Finished ones.
        folder: Of the runs.
        measures: Gets a folder a run, named as it is.
    """
    for name in track(runs["run"].tolist(), "measuring variances"):
        out, partial = measures / name, measures / f".{name}.partial"
        if not out.exists():
            words = ["--checkpoint", str(folder / name / "checkpoints" / "last.ckpt"), "--out", str(partial)]
            print(f"$ disentangle-pl variance {shlex.join(words)}", flush=True)
            variance(words)
            partial.rename(out)


def keep(folder: Path, results: Path) -> None:
    """Copy tables, words and pictures, but no checkpoints."""
    examples = [path.relative_to(folder) for path in (folder / "examples").glob("*/*") if path.suffix != ".yaml"]
    studies = [path.relative_to(folder) for path in (folder / "study").iterdir()]
    tables = [path.relative_to(folder) for path in (folder / "impossibility").glob("*.tsv")]
    for name in (*map(Path, KEPT), *examples, *studies, *tables):
        target = results / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target)


def main(args: Sequence[str] | None = None) -> None:
    """Do what is missing, and say where the results are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", default=SWEEP, help="what to train (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/variance"), help="(default: %(default)s)")
    parser.add_argument("--results", type=Path, help="copy tables, words and pictures there")
    given = parser.parse_args(args)
    folder: Path = given.out
    for name in EXAMPLES:
        more = ("--gaussians=true",) if name == EXAMPLES[0] else ()
        if not (folder / "examples" / name).exists():
            call("variance", "--config", f"configs/data/{name}.yaml", *more, "--out", folder / "examples" / name)
    call("sweep", given.sweep, "--out", folder / "models", "--parallel", 2)
    table = pd.read_csv(folder / "models" / "results.tsv", sep="\t")
    runs = table[table["state"] == FINISHED]
    measure(runs, folder / "models", folder / "measures")
    call("study", folder / "models", "--measures", folder / "measures", "--out", folder / "study")
    compared = controls(pd.read_csv(folder / "study" / "runs.tsv", sep="\t"))
    compared.to_csv(folder / "study" / "controls.tsv", sep="\t", index=False, float_format="%.6g")
    (folder / "study" / "controls.md").write_text(words(compared), encoding="utf-8")
    best = runs.sort_values(SCORE, ascending=False)["run"].iloc[0]
    checkpoint = folder / "models" / str(best) / "checkpoints" / "last.ckpt"
    call("impossibility", checkpoint, "--out", folder / "impossibility")
    if given.results:
        keep(folder, given.results)
    print(f"Findings: {folder / 'study' / 'findings.md'}; pages and pictures: {folder}")


if __name__ == "__main__":
    main()
