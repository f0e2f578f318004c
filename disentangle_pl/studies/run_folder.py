"""One run folder read as one row of a table, in whatever condition it is found."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from disentangle_pl.run_state import FINISHED, RUNNING, STATE, UNKNOWN, State, read_state
from disentangle_pl.studies.run_files import (
    LOSSES,
    Broken,
    check_weights,
    is_score,
    read_config,
    read_numbers,
    read_sheet,
)

CORRUPT, DIVERGED = "corrupt", "diverged"
T = TypeVar("T")


class Row(NamedTuple):
    """One run.

    Attributes:
        run: Its name.
        folder: Where it lies; empty if the run is known from an export only.
        state: A state of `run_state.State` or of W&B, or `corrupt` or `diverged`.
        message: Why.
        seconds: Wall-clock seconds, or NaN.
        steps: Training steps, or NaN.
        config: The configuration under flat dotted names.
        scores: Last values by metric; one that is NaN or infinite is left out.
    """

    run: str
    folder: str
    state: str
    message: str
    seconds: float
    steps: float
    config: dict[str, Any]
    scores: dict[str, float]


def read_run(folder: Path, best: Mapping[str, bool]) -> Row:
    """Read a run folder; what is broken in it is said in the row and stops nothing.

    A run without a state that has its final scores counts as finished: it is older than the states. One that ended, but
    whose last loss is not finite, has diverged.

    Args:
        folder: The run folder.
        best: Metrics whose best value is wanted beside the last one, as `best/<metric>`: is more better?
    """
    why: list[str] = []
    state = _tried(why, lambda: _state(folder), State(UNKNOWN))
    ended = state.name in (FINISHED, UNKNOWN)
    config: dict[str, Any] = _tried(why, lambda: read_config(folder / "config.yaml", ended), {})
    sheet: dict[str, float] = _tried(why, lambda: read_sheet(folder), {})
    nothing: tuple[dict[str, float], float] = ({}, math.nan)
    numbers, steps = _tried(why, lambda: read_numbers(folder / "metrics.csv", ended, best), nothing)
    _tried(why, lambda: check_weights(folder / "checkpoints" / "last.ckpt"), None)
    name, message = _judged(state, why, numbers, bool(sheet))
    scores = {metric: value for metric, value in (sheet | numbers).items() if is_score(metric) and math.isfinite(value)}
    return Row(folder.absolute().name, str(folder), name, message, state.seconds, steps, config, scores)


def diverged(numbers: Mapping[str, float]) -> str:
    """Say which of the last losses of a run is not finite; empty if all are."""
    lost = [name for name in LOSSES if not math.isfinite(numbers.get(name, 0.0))]
    return f"the last {lost[0]} is {numbers[lost[0]]}" if lost else ""


def _judged(state: State, why: list[str], numbers: dict[str, float], scored: bool) -> tuple[str, str]:
    message = " ".join("; ".join([state.message, *why] if state.message else why).split())
    if why:
        return (RUNNING if state.name == RUNNING else CORRUPT), message
    lost = diverged(numbers)
    if state.name in (FINISHED, UNKNOWN) and lost:
        return DIVERGED, lost
    if state.name == UNKNOWN and scored:
        return FINISHED, "has no state, but final scores"
    return state.name, message


def _tried(why: list[str], read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except Broken as broken:
        why.append(str(broken))
        return otherwise


def _state(folder: Path) -> State:
    try:
        state = read_state(folder)
    except (OSError, TypeError, ValueError) as error:
        raise Broken(f"{STATE} cannot be read ({error})") from error
    if state.name == UNKNOWN and (folder / STATE).exists():
        raise Broken(f"{STATE} cannot be read")
    return state
