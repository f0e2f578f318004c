"""What a process does to files, and what becomes of results after a kill."""

import csv
import os
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Watch:
    """Counts what a process does to files of its box, and may end it there.

    Args:
        box: The box.
        last: The write at which to kill, or None to count only.
        delay: Seconds after that.
    """

    def __init__(self, box: Path, last: int | None = None, delay: float = 0.0) -> None:
        self.box, self.last, self.delay, self.count = box, last, delay, 0
        self._place = str(box / "out")

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Take an event of the interpreter."""
        if not (event in ("os.rename", "os.remove", "os.truncate") or (event == "open" and _writes(args))):
            return
        if "out" not in str(args[0]):
            return
        self.count += 1
        if self.count != self.last:
            return
        if self.delay:
            threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def _writes(args: Sequence[Any]) -> bool:
    return len(args) > 2 and isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR))


def compare(mine: dict[str, str], whole: dict[str, str], out: Path) -> Counter[str]:
    """Count results that are lost, more than there were, or others than of an undisturbed call."""
    found: Counter[str] = Counter()
    found["lost"] = len(whole.keys() - mine.keys())
    for name in mine.keys() & whole.keys():
        if mine[name] != whole[name]:
            found["doubled" if _doubled(out / name) else "corrupt"] += 1
    return +found


def _doubled(path: Path) -> bool:
    """Tell whether a text holds a line twice."""
    if path.suffix not in (".csv", ".tsv"):
        return False
    lines = path.read_text(errors="replace").splitlines()
    return len(set(lines)) < len(lines)


def visible(out: Path) -> set[str]:
    """Return the files of a folder."""
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def tell_sweep(folder: Path) -> None:
    """Write the table of a sweep without what names processes and times, with the rows of every run."""
    with (folder / "results.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    told = []
    for row in rows:
        with (folder / row["run"] / "metrics.csv").open() as file:
            told.append("\t".join([row["slope"], row["seed"], row["state"], repr(file.read())]))
    (folder / "compared.tsv").write_text("\n".join(sorted(told)) + "\n")
