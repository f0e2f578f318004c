"""The results of a sweep: one row a run, and pictures."""

from pathlib import Path

import pandas as pd

from disentangle_pl.run_state import PREEMPTED, STATE
from disentangle_pl.run_state import STOPPED as RUN_STOPPED
from disentangle_pl.studies.run_table import tidy
from disentangle_pl.studies.sweep_plots import plot_sweep
from disentangle_pl.sweeps.board import loss
from disentangle_pl.sweeps.command import build_command, own_arguments
from disentangle_pl.sweeps.engine import Coordinator
from disentangle_pl.sweeps.journal import ENDED, FINISHED, STOPPED

SCORES = ("disentanglement/", "layers/", "sharing/", "sparsity/", "val/", "test/")


def write_table(now: Coordinator) -> Path:
    """Write `results.tsv`: the runs, best first, with what was swept, the metric, and every score.

    `best` is the best value of the metric during training. Runs are ranked by the last value, and only if they have
    finished: the best of many noisy looks flatters.
    """
    path = now.folder / "results.tsv"
    draft = path.with_suffix(".tmp")
    table(now).to_csv(draft, sep="\t", index=False)
    draft.replace(path)
    return path


def write_plots(now: Coordinator) -> list[Path]:
    """Draw parallel coordinates, importance, and the metric against every key; nothing without a metric."""
    metric = now.sweep.metric
    rows = table(now)
    if metric is None or metric.name not in rows:
        return []
    finished = rows[(rows["state"] == FINISHED) & rows[metric.name].notna()]
    keys = [parameter.key for parameter in now.sweep.searched]
    return list(plot_sweep(finished, keys, metric.name, metric.goal, now.folder)) if len(finished) else []


def table(now: Coordinator) -> pd.DataFrame:
    """Return the runs, best first.

    Runs whose folders are gone, as after a move of the journal alone, keep what `results.tsv` says of them.
    """
    found, path = _table(now), now.folder / "results.tsv"
    gone = [trial.name for trial in now.trials if trial.state in ENDED and not now.run_folder(trial).is_dir()]
    if not gone or not path.is_file():
        return found
    known = pd.read_csv(path, sep="\t")
    kept = known[known["run"].isin(gone)].drop(columns=["state", "attempts", "message"], errors="ignore")
    here = [name for name in found if name not in kept or name == "run"]
    moved = found[found["run"].isin(kept["run"])][here].merge(kept, on="run")
    both = pd.concat([found[~found["run"].isin(kept["run"])], moved], ignore_index=True)
    metric = now.sweep.metric
    if metric is None or metric.name not in both:
        return both
    order = (both[metric.name].astype(float) * metric.sign).where(both["state"].isin((FINISHED, STOPPED)))
    return both.loc[order.sort_values(kind="stable").index]


def _table(now: Coordinator) -> pd.DataFrame:
    metric = now.sweep.metric
    rows = []
    for trial in sorted(now.trials, key=lambda trial: loss(now, trial)):
        row = {"run": trial.name, "state": trial.state, **trial.values}
        values = now.history(trial).values()
        if metric and values and trial.state in (FINISHED, STOPPED):
            row |= {metric.name: values[-1], "best": metric.sign * min(metric.sign * value for value in values)}
        rows.append(row | {"step": now.history(trial).step(), "attempts": trial.attempts, "message": trial.message})
    made = pd.DataFrame(rows)
    folders = [now.run_folder(trial) for trial in now.trials if trial.state in (FINISHED, STOPPED)]
    # what another program leaves out of its folders is no damage
    ours = own_arguments(build_command(now.sweep.command, now.sweep.program, {})) is not None
    ended = [folder for folder in folders if folder.is_dir() and (ours or (folder / STATE).exists())]
    if not ended:
        return made
    scores = tidy(ended)
    broken = scores[~scores["state"].isin((FINISHED, PREEMPTED, RUN_STOPPED))].set_index("run")
    for name in made["run"][made["run"].isin(broken.index)]:
        # its process ended well, but its folder says otherwise: a loss that is no number, a damaged file
        columns = ["state", "message", *([metric.name, "best"] if metric and metric.name in made else [])]
        found = [broken.loc[name, "state"], broken.loc[name, "message"], float("nan"), float("nan")]
        made.loc[made["run"] == name, columns] = found[: len(columns)]
    own = [name for name in scores if str(name).startswith(SCORES) and name not in made]
    return made.merge(scores[["run", "seconds", *own]], on="run", how="left")
