"""Kill a sweep at random moments, go on with the same command, and compare the result with an undisturbed sweep.

Three kinds of SIGKILL in turn: the coordinator alone (its runs stay behind, alive), one run alone, and everything at
once (as when the machine stops). Afterwards every run of the grid must be in the table once, with the steps, the scores
and the weights of the undisturbed sweep, to the last digit.
"""

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import date
from pathlib import Path

import torch
import yaml

from benchmarks.machine import describe_commit, describe_machine

KINDS = ("coordinator", "run", "everything")
SWEEP = {
    "method": "grid",
    "metric": {"name": "disentanglement/mig", "goal": "maximize"},
    "parameters": {"model.beta": {"values": [0.5, 1.0, 4.0]}, "seed_everything": {"values": [0, 1, 2, 3]}},
    "command": [
        "${env}",
        "${interpreter}",
        "-m",
        "disentangle_pl",
        "fit",
        "--data=SyntheticData",
        "--data.dataset=disentangle_pl.data.sprites.Sprites",
        "--data.dataset.resolution=16",
        "--data.dataset.orientation_values=[0]",
        "--data.dataset.x_values=[0,4,8,12,16,20,24,28]",
        "--data.dataset.y_values=[0,4,8,12,16,20,24,28]",
        "--data.eval_size=600",
        "--data.steps_per_epoch=300",
        "--trainer.max_epochs=8",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--disentanglement.sheet=false",
        "--model=BetaVAE",
        "--model.latent_dim=6",
        "--model.backbone=disentangle_pl.backbones.MLPBackbone",
        "--model.backbone.encoder_widths=[64]",
        "--model.backbone.decoder_widths=[64]",
        "--model.optimizer=torch.optim.Adam",
        "--model.optimizer.lr=1e-3",
        "${args}",
    ],
}


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start, or go on with, the sweep in a folder."""
    command = [sys.executable, "-m", "disentangle_pl", "sweep", str(folder.parent / "kills.yaml")]
    env = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        return subprocess.Popen(
            [*command, f"--out={folder}", "--parallel=2"], env=env, stdout=log, stderr=log, start_new_session=True
        )


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def kill(sweep: subprocess.Popen[bytes], kind: str, dice: random.Random) -> bool:
    """Kill what `kind` names and tell whether there was something to kill."""
    runs = children(sweep.pid)
    if sweep.poll() is not None or (kind != "coordinator" and not runs):
        return False
    with suppress(ProcessLookupError):
        if kind == "run":
            os.kill(dice.choice(runs), signal.SIGKILL)
            return True
        os.kill(sweep.pid, signal.SIGKILL)
        sweep.wait()
        for run in runs if kind == "everything" else ():
            os.killpg(run, signal.SIGKILL)
    return True


def disturb(folder: Path, kills: int, longest: float, dice: random.Random) -> Counter[str]:
    """Run a sweep to its end under up to so many kills."""
    done: Counter[str] = Counter()
    sweep = start(folder)
    while sweep.poll() is None and done.total() < kills:
        kind = KINDS[done.total() % len(KINDS)]
        with suppress(subprocess.TimeoutExpired):
            sweep.wait(dice.uniform(1, longest))
        if kill(sweep, kind, dice):
            done[kind] += 1
            print(f"{folder.name}: kill {done.total()}, {kind}", flush=True)
        if sweep.poll() is not None and sweep.returncode != 0:
            sweep = start(folder)
    if sweep.wait() != 0:
        raise RuntimeError(f"the sweep ended with {sweep.returncode}: see {folder.parent / folder.name}.log")
    return done


def results(folder: Path) -> list[dict[str, str]]:
    """Read the table of a sweep."""
    with (folder / "results.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def compare(folder: Path, reference: Path) -> Counter[str]:
    """Count what a disturbed sweep has lost, doubled or changed against the reference."""
    found: Counter[str] = Counter()
    own, other = ({(row["model.beta"], row["seed_everything"]): row for row in results(f)} for f in (folder, reference))
    rows = results(folder)
    found["runs"] = len(rows)
    found["doubled runs"] = len(rows) - len(own)
    found["lost runs"] = len(other.keys() - own.keys()) + sum(row["state"] != "finished" for row in rows)
    for key, row in own.items():
        mine, theirs = folder / row["run"], reference / other[key]["run"]
        steps, expected = (_steps(place) for place in (mine, theirs))
        found["doubled steps"] += len(steps) - len(set(steps))
        found["lost steps"] += len(set(expected) - set(steps))
        found["other scores"] += row["disentanglement/mig"] != other[key]["disentanglement/mig"]
        found["other weights"] += not _same_weights(mine, theirs)
        found["two processes in one run"] += (mine / "output.log").read_text().count("another process is at work")
    return found


def _steps(run: Path) -> list[str]:
    with (run / "metrics.csv").open(newline="") as file:
        return [row["step"] for row in csv.DictReader(file)]


def _same_weights(*runs: Path) -> bool:
    one, other = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu")["state_dict"]
        for run in runs
    )
    return all(torch.equal(value, other[name]) for name, value in one.items())


def report(kills: Counter[str], rounds: int, found: Counter[str], seconds: float) -> str:
    """Return the counts as Markdown."""
    lines = [
        "# A sweep under SIGKILL",
        "",
        f"`python -m benchmarks.sweep_kills`, {date.today()}, commit {describe_commit()}.",
        f"Machine: {describe_machine()}.",
        f"{rounds} sweeps of 12 runs, two at a time, each killed at random moments and continued by the same command; "
        f"{seconds / 60:.0f} min. Compared with an undisturbed sweep, run by run.",
        "",
        "| SIGKILL to | times |",
        "|---|---|",
        *(f"| {kind} | {kills[kind]} |" for kind in KINDS),
        f"| all | {kills.total()} |",
        "",
        "| afterwards | count |",
        "|---|---|",
        *(f"| {name} | {number} |" for name, number in found.items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Kill sweeps and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=24, help="kills in all (default: %(default)s)")
    parser.add_argument("--longest", type=float, default=40, help="most seconds between kills (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("runs/sweep_kills"), help="emptied first")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "sweep_kills.md")
    args = parser.parse_args()
    folder, dice, began = args.folder.absolute(), random.Random(args.seed), time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "kills.yaml").write_text(yaml.safe_dump(SWEEP))
    reference = folder / "reference"
    disturb(reference, 0, 0, dice)
    kills: Counter[str] = Counter()
    found: Counter[str] = Counter()
    rounds = 0
    while kills.total() < args.kills:
        rounds += 1
        made = folder / f"round-{rounds}"
        kills += disturb(made, args.kills - kills.total(), args.longest, dice)
        found.update(compare(made, reference))
    text = report(kills, rounds, found, time.monotonic() - began)
    args.output.write_text(text)
    print(text)
    print(f"written to {args.output}")
    if any(number for name, number in found.items() if name != "runs"):
        sys.exit(1)


if __name__ == "__main__":
    main()
