"""The memory of a sweep: one line a change, on disk before anything else happens."""

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disentangle_pl.errors import InputError
from disentangle_pl.sweeps.parameters import read_parameter
from disentangle_pl.sweeps.search import Point

QUEUED, RUNNING, FINISHED, STOPPED, FAILED, CRASHED = "queued", "running", "finished", "stopped", "failed", "crashed"
ENDED = (FINISHED, STOPPED, FAILED, CRASHED)
# what may not change while a sweep goes on, but for the values of a grid
FIXED = ("method", "metric", "parameters", "command", "program")


@dataclass
class Trial:
    """One run of a sweep.

    Attributes:
        name: Its run id.
        point: Where it is in the search space.
        values: Its parameters.
        state: `queued`, `running`, `finished`, `stopped` (by early termination), `failed` (by itself) or `crashed` (by
            signals, too often).
        attempts: How often its process was started.
        pid: Its last process.
        message: Why it ended as it did.
    """

    name: str
    point: Point
    values: dict[str, Any]
    state: str = QUEUED
    attempts: int = 0
    pid: int | None = None
    message: str = ""


@dataclass
class Journal:
    """The journal of one sweep folder, append-only.

    Args:
        path: The file.
        source: The sweep file's contents.
        name: Readable start of the run ids.

    Raises:
        InputError: If the folder holds another sweep, or no readable journal.
    """

    path: Path
    source: dict[str, Any]
    name: str
    trials: list[Trial] = field(default_factory=list)
    token: str = ""

    def __post_init__(self) -> None:
        lines = self._whole_lines()
        if not lines:
            self.token = secrets.token_hex(3)
            self._append({"sweep": self.source, "token": self.token})
            return
        try:
            head, *changes = [json.loads(line) for line in lines]
            self.token = head["token"]
            started = head["sweep"]
            for change in changes:
                if "sweep" in change:
                    started = change["sweep"]
                else:
                    self._apply(change)
            self._refuse_other_sweep(started)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.path} is damaged ({error}): restore it, or give another --out") from error

    def add(self, point: Point, values: dict[str, Any]) -> Trial:
        """Write down a new run before it starts, under an id that no other sweep has."""
        name = f"{self.name}-{self.token}-{len(self.trials):03d}"
        self._append({"name": name, "point": point, "values": values})
        self.trials.append(Trial(name, point, values))
        return self.trials[-1]

    def note(self, trial: Trial, **changes: Any) -> None:
        """Write down what has changed of a run."""
        self._append({"name": trial.name, **changes})
        vars(trial).update(changes)

    def _apply(self, change: dict[str, Any]) -> None:
        if "point" in change:
            self.trials.append(Trial(**change))
            return
        (trial,) = [trial for trial in self.trials if trial.name == change["name"]]
        vars(trial).update(change)

    def _append(self, record: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _whole_lines(self) -> list[str]:
        """Read the journal, and cut off a last line that a kill has left unfinished."""
        if not self.path.is_file():
            return []
        text = self.path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        return whole.decode(errors="replace").splitlines()

    def _refuse_other_sweep(self, started: dict[str, Any]) -> None:
        now = json.loads(json.dumps(self.source))
        changed = [key for key in FIXED if started.get(key) != now.get(key)]
        grid = now["method"] == "grid"
        if changed == ["parameters"] and grid and _is_extension(started["parameters"], now["parameters"]):
            self._append({"sweep": now})
        elif changed:
            raise InputError(
                f"{self.path.parent} was started with another sweep (its {changed[0]} differ): give another --out, or "
                "restore the sweep file; only a grid may get other values, of the same keys"
            )


def _is_extension(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Tell whether two grids have the same keys, and values of each in common."""
    if old.keys() != new.keys():
        return False
    grids = ([read_parameter(key, spec[key]).grid or () for key in old] for spec in (old, new))
    return all(any(value in after for value in before) for before, after in zip(*grids, strict=True))
