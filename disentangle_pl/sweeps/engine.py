"""Run a W&B sweep file on this machine: no account, no network, nothing lost and nothing run twice."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from disentangle_pl.errors import InputError
from disentangle_pl.run_state import FINISHED as RUN_FINISHED
from disentangle_pl.run_state import read_state
from disentangle_pl.sweeps.command import build_command
from disentangle_pl.sweeps.environment import run_environment
from disentangle_pl.sweeps.history import History, read_message
from disentangle_pl.sweeps.hyperband import losers
from disentangle_pl.sweeps.journal import CRASHED, ENDED, FAILED, FINISHED, QUEUED, RUNNING, STOPPED, Journal, Trial
from disentangle_pl.sweeps.processes import PATIENCE, Process, end_leftover
from disentangle_pl.sweeps.search import Seen, make_search
from disentangle_pl.sweeps.sweep_file import Sweep

ATTEMPTS = 3  # of a run whose process is killed by a signal
FLAPPING = 3  # failures in a row, with no success before them, after which the sweep itself must be wrong
DISK_FULL = 74
TOLD_TO_STOP = (128 + signal.SIGTERM, 128 + signal.SIGINT)
GONE = "its values are no longer in the sweep file"
TICK = 0.25  # seconds between two looks at the processes
LOOK = 2.0  # seconds between two looks at the metrics of running runs

Watch = Callable[["Coordinator"], None]


class Coordinator:
    """Runs the trials of a sweep in processes of their own, and writes down every change before the next.

    Args:
        sweep: The sweep.
        journal: Its memory; the runs lie beside it.
        parallel: Processes at a time.
        count: Runs in all, those of earlier calls included; None for all there are.
        retry: Start runs again that have failed or crashed.

    Raises:
        InputError: If the sweep has no end.
    """

    def __init__(self, sweep: Sweep, journal: Journal, parallel: int, count: int | None, retry: bool) -> None:
        self.sweep, self.journal, self.parallel = sweep, journal, parallel
        self.search = make_search(sweep)
        gone = len(self._gone())
        size = None if self.search.size is None else self.search.size + gone
        limits = [limit for limit in (count, sweep.run_cap, size) if limit is not None]
        if not limits:
            raise InputError(f"a sweep by {sweep.method} has no end: give --count N, or run_cap in the sweep file")
        self.limit = min(limits)
        self.folder = journal.path.parent
        self.live: dict[str, Process] = {}
        self.started = time.monotonic()
        self._histories: dict[str, History] = {}
        self._doomed: dict[str, int] = {}
        self._signal: int | None = None
        self._looked = 0.0
        self._take_up(retry)
        self._done_before = sum(trial.state in ENDED for trial in self.trials)

    @property
    def trials(self) -> list[Trial]:
        """All runs so far."""
        return self.journal.trials

    def history(self, trial: Trial) -> History:
        """Return what a run has logged of the metric."""
        name = self.sweep.metric.name if self.sweep.metric else ""
        return self._histories.setdefault(trial.name, History(self.run_folder(trial) / "metrics.csv", name))

    def run_folder(self, trial: Trial) -> Path:
        """Return the folder of a run."""
        return self.folder / trial.name

    def seconds_left(self) -> float:
        """Estimate from the runs that ended in this call how long the rest takes, or NaN before the first."""
        done = sum(trial.state in ENDED for trial in self.trials)
        if done == self._done_before:
            return float("nan")
        return (time.monotonic() - self.started) / (done - self._done_before) * (self.limit - done)

    def run(self, changed: Watch, tick: Watch) -> int:
        """Run all trials; on SIGTERM, SIGUSR1 or Ctrl-C let the running ones write a checkpoint, and leave.

        Args:
            changed: Called when a run has started or ended.
            tick: Called a few times a second.

        Returns:
            0 when the sweep is complete, otherwise the exit code that says why it is not.

        Raises:
            InputError: If the first runs all fail.
        """
        before = {what: signal.signal(what, self._told) for what in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
        try:
            while self._signal is None:
                self._collect(changed)
                self._start(changed)
                if not self.live:
                    return 0
                self._terminate_early()
                tick(self)
                time.sleep(TICK)
            return 128 + self._signal
        except DiskFull:
            return DISK_FULL
        finally:
            self._leave()
            for what, handler in before.items():
                signal.signal(what, handler)

    def _take_up(self, retry: bool) -> None:
        """End what a killed coordinator has left running, and put it back into the queue unless it had finished."""
        for trial in self.trials:
            if trial.state == RUNNING:
                end_leftover(self.run_folder(trial), trial.pid)
                state = FINISHED if self._finished(trial) else QUEUED
                self.journal.note(trial, state=state, attempts=max(0, trial.attempts - 1))
            elif retry and trial.state in (FAILED, CRASHED):
                self.journal.note(trial, state=QUEUED, attempts=0, message="")
        gone = self._gone()
        for trial in self.trials:
            if trial in gone and trial.state == QUEUED:
                self.journal.note(trial, state=STOPPED, message=GONE)
            elif trial not in gone and trial.message == GONE:
                self.journal.note(trial, state=QUEUED, message="")

    def _gone(self) -> list[Trial]:
        return [trial for trial in self.trials if self.search.locate(trial.point, trial.values) is None]

    def removed(self) -> list[str]:
        """Say which values of a grid the sweep file has no longer, though runs have them."""
        grids = {parameter.key: parameter.grid or () for parameter in self.sweep.parameters}
        runs: dict[str, int] = {}
        for trial in self._gone():
            for key, value in trial.values.items():
                if value not in grids.get(key, ()):
                    runs[f"{key}={value}"] = runs.get(f"{key}={value}", 0) + 1
        words = "is no longer in the sweep: runs that had it stay as they are"
        return [f"{name} {words} ({number})" for name, number in runs.items()]

    def _finished(self, trial: Trial) -> bool:
        return read_state(self.run_folder(trial)).name == RUN_FINISHED

    def _told(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            for process in self.live.values():
                process.kill()
        self._signal = number

    def _next(self) -> Trial | None:
        queued = [trial for trial in self.trials if trial.state == QUEUED]
        if queued:
            return queued[0]
        if len(self.trials) >= self.limit or self._target_reached():
            return None
        gone = self._gone()
        point = self.search.propose([self._seen(trial) for trial in self.trials if trial not in gone])
        return None if point is None else self.journal.add(point, self.search.values(point))

    def _seen(self, trial: Trial) -> Seen:
        running = trial.state not in ENDED
        sign = self.sweep.metric.sign if self.sweep.metric else 1
        values = self.history(trial).values() if not running and trial.state in (FINISHED, STOPPED) else []
        point = self.search.locate(trial.point, trial.values) or {}
        return Seen(point, min((sign * value for value in values), default=None), running)

    def _target_reached(self) -> bool:
        metric = self.sweep.metric
        if metric is None or metric.target is None:
            return False
        losses = [metric.sign * value for trial in self.trials for value in self.history(trial).values()]
        return min(losses, default=float("inf")) <= metric.sign * metric.target

    def _start(self, changed: Watch) -> None:
        while len(self.live) < self.parallel:
            trial = self._next()
            if trial is None:
                return
            command = build_command(self.sweep.command, self.sweep.program, trial.values)
            folder = self.run_folder(trial)
            taken = [process.device for process in self.live.values()]
            env = run_environment(trial.name, self.sweep.name, self.folder, self.parallel, taken)
            end_leftover(folder, trial.pid)
            if self._finished(trial):  # by a process that a kill kept from being written down
                self.journal.note(trial, state=FINISHED)
                continue
            try:
                process = Process(command, folder, env)
            except OSError as error:
                raise InputError(f"{command[0]} cannot be started ({error}): correct `command` of the sweep") from error
            self.live[trial.name] = process
            self.journal.note(trial, state=RUNNING, pid=process.pid, attempts=trial.attempts + 1)
            changed(self)

    def _collect(self, changed: Watch) -> None:
        for trial in [trial for trial in self.trials if trial.name in self.live]:
            code = self.live[trial.name].poll()
            if code is not None:
                del self.live[trial.name]
                self.journal.note(trial, **self._outcome(trial, code))
                changed(self)
                if code == DISK_FULL:
                    raise DiskFull
                self._refuse_to_flap()

    def _outcome(self, trial: Trial, code: int) -> dict[str, Any]:
        if trial.name in self._doomed:
            return {"state": STOPPED, "message": f"not among the best at band {self._doomed[trial.name]}"}
        if code == 0:
            return {"state": FINISHED, "message": self._complaint(trial)}
        message = read_message(self.run_folder(trial), code)
        if code == DISK_FULL or (self._signal is not None and code in TOLD_TO_STOP):
            return {"state": QUEUED, "message": message, "attempts": trial.attempts - 1}
        if code < 0 or code in TOLD_TO_STOP:
            return {"state": QUEUED if trial.attempts < ATTEMPTS else CRASHED, "message": message}
        return {"state": FAILED, "message": message}

    def _complaint(self, trial: Trial) -> str:
        metric = self.sweep.metric
        history = self.history(trial)
        if metric is None or history.values():
            return ""
        return f"{metric.name} was never logged; there is {', '.join(history.columns()) or 'nothing'}"

    def _refuse_to_flap(self) -> None:
        ended = [trial for trial in self.trials if trial.state in ENDED]
        if len(ended) >= FLAPPING and all(trial.state in (FAILED, CRASHED) for trial in ended):
            raise InputError(
                f"the first {len(ended)} runs of the sweep failed, the last with: {ended[-1].message}; correct it and "
                f"give the same command with --retry=true (logs: {self.folder}/*/output.log)"
            )
        mute = [trial for trial in ended if trial.message and trial.state == FINISHED]
        if self.sweep.method == "bayes" and mute and not any(self.history(trial).values() for trial in ended):
            raise InputError(f"the sweep cannot search: {mute[0].message}; correct `metric` in the sweep file")

    def _terminate_early(self) -> None:
        rule, metric = self.sweep.early_terminate, self.sweep.metric
        if rule is None or metric is None or time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        histories = {trial.name: self.history(trial).values() for trial in self.trials}
        running = [name for name in self.live if name not in self._doomed]
        for name, band in losers(histories, running, rule, metric.sign).items():
            self._doomed[name] = band
            self.live[name].stop()

    def _leave(self) -> None:
        """Let the running runs write a checkpoint; they go on when the sweep does."""
        for process in self.live.values():
            process.stop()
        deadline = time.monotonic() + PATIENCE
        for process in self.live.values():
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(TICK)
            process.kill()
        for trial in [trial for trial in self.trials if trial.name in self.live]:
            self.journal.note(trial, state=QUEUED, attempts=trial.attempts - 1)
        self.live.clear()


class DiskFull(Exception):
    """A run found no room to write."""
