"""`disentangle-pl sweep`: check, run, show and tabulate a sweep."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from disentangle_pl.errors import InputError
from disentangle_pl.folder_lock import FolderLock
from disentangle_pl.sweeps.board import board, line
from disentangle_pl.sweeps.command import VARIABLE, build_command, own_arguments
from disentangle_pl.sweeps.engine import DISK_FULL, Coordinator
from disentangle_pl.sweeps.journal import FIXED, Journal
from disentangle_pl.sweeps.results import write_plots, write_table
from disentangle_pl.sweeps.search import make_search
from disentangle_pl.sweeps.sweep_file import Sweep, read_sweep

Check = Callable[[list[str]], None]
CHECKED = 20  # combinations, at most


def sweep_here(
    path: Path,
    check: Check,
    *,
    out: Path | None = None,
    count: int | None = None,
    parallel: int = 1,
    retry: bool = False,
    dry_run: bool = False,
) -> int:
    """Run a W&B sweep file on this machine, or go on with it.

    Args:
        path: The sweep file.
        check: Refuses the arguments of a run that the command line would not take.
        out: Folder of the results and of the runs; runs/<name of the file> by default.
        count: Runs in all, those of earlier calls included.
        parallel: Processes at a time.
        retry: Start failed runs again.
        dry_run: Only check the sweep and say what would run.

    Returns:
        The exit code: 0 when the sweep is complete.

    Raises:
        InputError: If the sweep cannot run, or somebody else is running it.
    """
    if parallel < 1 or (count is not None and count < 1):
        raise InputError(f"--parallel {parallel} and --count {count} must be whole numbers above 0")
    sweep = read_sweep(path)
    unset = [name for item in sweep.command for name in VARIABLE.findall(item) if name not in os.environ]
    if unset:
        raise InputError(
            f"the command of {path} needs the environment variable {unset[0]}: export {unset[0]}=... first"
        )
    commands = [build_command(sweep.command, sweep.program, values) for values in _samples(sweep)]
    console = Console()
    folder = (out or Path("runs") / path.stem).absolute()
    journal = folder / "trials.jsonl"
    if dry_run or not journal.is_file():
        _check(commands, check)
    if dry_run:
        size = min((n for n in (make_search(sweep).size, sweep.run_cap, count) if n is not None), default="endless")
        console.print(f"{size} runs, results in {folder}; the first:", soft_wrap=True, highlight=False)
        console.print(" ".join(commands[0]), soft_wrap=True, highlight=False, markup=False)
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder / ".sweep")
    if not lock.acquire():
        raise InputError(f"another process is running the sweep in {folder}, {lock.advice()}, or give --out")
    try:
        source = {key: sweep.source[key] for key in FIXED if key in sweep.source}
        made = Journal(journal, source, re.sub(r"[^0-9A-Za-z_-]+", "-", path.stem).strip("-") or "sweep")
        (folder / "sweep.yaml").write_bytes(path.read_bytes())
        return _run(Coordinator(sweep, made, parallel, count, retry), console, lock)
    finally:
        lock.release()


def _samples(sweep: Sweep) -> Iterator[dict[str, Any]]:
    """Yield combinations in which every key takes its first twenty values, and the last combination."""
    search = make_search(sweep)
    lengths = [len(search.choices(parameter) or "ab") for parameter in sweep.searched]
    for number in (*range(min(max(lengths, default=1), CHECKED)), -1):
        yield search.values(search.sample(number))


def _check(commands: list[list[str]], check: Check) -> None:
    for command in commands:
        arguments = own_arguments(command)
        if arguments is not None:
            try:
                check(arguments)
            except InputError as error:
                raise InputError(f"the sweep would run `{' '.join(command)}`, but {error}") from error


def _run(coordinator: Coordinator, console: Console, lock: FolderLock) -> int:
    """Run all trials under a live table, or with a line for every change where there is no terminal."""
    said: dict[str, str] = {}
    for sentence in coordinator.removed():
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)

    def changed(now: Coordinator) -> None:
        write_table(now)
        for trial in now.trials:
            if not console.is_terminal and said.get(trial.name) != trial.state:
                said[trial.name] = trial.state
                console.print(line(now, trial), soft_wrap=True, highlight=False, markup=False)

    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:

            def tick(now: Coordinator) -> None:
                lock.beat()
                live.update(board(now), refresh=True)

            code = coordinator.run(changed, tick)
            live.update(board(coordinator), refresh=True)
    else:
        code = coordinator.run(changed, lambda now: lock.beat())
    table = write_table(coordinator)
    if code == 0:
        for made in (table, *write_plots(coordinator)):
            console.print(f"written: {made}", soft_wrap=True, highlight=False)
        return code
    why = "a disk is full: make room" if code == DISK_FULL else "stopped"
    console.print(f"{why}; the same command goes on where the sweep is: {coordinator.folder}", soft_wrap=True)
    return code
