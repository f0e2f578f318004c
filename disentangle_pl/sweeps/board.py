"""What a running sweep shows: one row a run, and where the whole stands."""

import math
import time
from collections import Counter

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from disentangle_pl.studies.labels import short_value
from disentangle_pl.sweeps.engine import Coordinator
from disentangle_pl.sweeps.journal import ENDED, RUNNING, Trial

ROWS = 24
STYLES = {"running": "cyan", "finished": "green", "stopped": "yellow", "failed": "red", "crashed": "red"}


def board(now: Coordinator) -> RenderableType:
    """Draw the running runs and the best of the others, under a line that sums the sweep up."""
    keys = [parameter.key for parameter in now.sweep.searched]
    metric = now.sweep.metric
    table = Table(expand=False)
    for header, narrowest in (("run", 3), ("state", 8), *((key.split(".")[-1], 6) for key in keys), ("step", 6)):
        table.add_column(header, no_wrap=True, overflow="ellipsis", min_width=narrowest)
    table.add_column(metric.name.split("/")[-1] if metric else "", no_wrap=True, min_width=8)
    running = [trial for trial in now.trials if trial.state == RUNNING]
    others = sorted((trial for trial in now.trials if trial.state in ENDED), key=lambda trial: loss(now, trial))
    shown = [*running, *others][:ROWS]
    for trial in shown:
        state = Text(trial.state, style=STYLES.get(trial.state, ""))
        swept = (short_value(trial.values[key]) for key in keys)
        step, value = str(now.history(trial).step() or ""), latest(now, trial)
        table.add_row(trial.name.rsplit("-", 1)[-1], state, *swept, step, "" if math.isnan(value) else f"{value:.4g}")
    left_out = len(running) + len(others) - len(shown)
    rest = [Text(f"and {left_out} more", style="dim")] if left_out else []
    return Group(
        table, *rest, Text(summary(now)), Text(f"{now.folder}/{now.journal.name}-{now.journal.token}-…", style="dim")
    )


def summary(now: Coordinator) -> str:
    """Sum the sweep up: how many runs of which state, the best, and how long it may still take."""
    counts = Counter(trial.state for trial in now.trials)
    done = sum(counts[state] for state in ENDED)
    parts = [f"{done}/{now.limit} runs", *(f"{number} {state}" for state, number in counts.items())]
    best = min((trial for trial in now.trials), key=lambda trial: loss(now, trial), default=None)
    if best is not None and math.isfinite(loss(now, best)) and now.sweep.metric:
        parts.append(f"best {now.sweep.metric.name} {latest(now, best):.4g} (run {best.name.rsplit('-', 1)[-1]})")
    seconds = now.seconds_left()
    if math.isfinite(seconds):
        parts.append(
            f"about {time.strftime('%H:%M:%S', time.gmtime(seconds))} left" if seconds < 86_400 else "days left"
        )
    return " · ".join(parts)


def line(now: Coordinator, trial: Trial) -> str:
    """Say in one line how a run stands."""
    swept = " ".join(f"{key}={short_value(trial.values[key])}" for key in (p.key for p in now.sweep.searched))
    value = latest(now, trial)
    scored = now.sweep.metric and math.isfinite(value) and trial.state in ENDED
    score = f" {now.sweep.metric.name}={value:.4g}" if now.sweep.metric and scored else ""
    return f"{trial.name} {trial.state} {swept}{score}{': ' if trial.message else ''}{trial.message}"


def latest(now: Coordinator, trial: Trial) -> float:
    """Return the last value of the metric of a run, or NaN."""
    values = now.history(trial).values()
    return values[-1] if values else math.nan


def loss(now: Coordinator, trial: Trial) -> float:
    """Return what the best runs have least of: infinite unless the run has finished with a value."""
    value = latest(now, trial)
    if trial.state != "finished" or math.isnan(value) or now.sweep.metric is None:
        return math.inf
    return now.sweep.metric.sign * value
