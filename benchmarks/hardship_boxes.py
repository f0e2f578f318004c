"""Every case in a box of its own: a copy of whole inputs, one of them damaged, one call, and what became of it all."""

import random
import shutil
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from benchmarks.hardship_damage import ANY, REFUSE, Damage
from benchmarks.hardship_forks import Ended, call
from benchmarks.hardship_ground import Ground
from benchmarks.hardship_grounds import GROUNDS
from benchmarks.hardship_judge import (
    FINITE,
    NOTED,
    REFUSED,
    SAME,
    WRONG,
    Judged,
    changes,
    contents,
    noted,
    odd_numbers,
    results,
    state,
    words,
)
from benchmarks.hardship_material import FOLDERS, MAKERS
from benchmarks.hardship_special import SPECIAL
from disentangle_pl.cli import main

LIMIT = 60.0
OWN = ("out", "tmp", "cache")
"""What a call may write to."""


class Case(NamedTuple):
    """One damage of one file of one call.

    Attributes:
        number: By which it can be tried again.
        ground: The call.
        damage: What happens before.
    """

    number: int
    ground: Ground
    damage: Damage


class Whole(NamedTuple):
    """What comes of a call without damage: results, and how many odd numbers by file."""

    results: dict[str, str]
    odd: dict[str, int]


def cases(seed: int, most: int, grounds: Sequence[Ground] = GROUNDS) -> Iterator[Case]:
    """Yield the cases: of every file so many that can happen to any file, and all that can happen to this kind."""
    for place, ground in enumerate(grounds):
        special = SPECIAL.get(ground.kind, [])
        own = {id(damage) for damage in special}
        every = list(enumerate(ground.damages(seed)))
        common = [number for number, damage in every if id(damage) not in own]
        kept = set(random.Random(f"{seed} {place}").sample(common, min(most, len(common))))
        for number, damage in every:
            if number in kept or (id(damage) in own and not ground.common_only):
                yield Case(1000 * (place + 1) + number, ground, damage)


class Boxes:
    """Makes boxes and tries cases in them.

    Args:
        folder: Where boxes and logs lie; the box of a case that is well goes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._whole = cache(self._tried_whole)
        self._template = cache(self._made_template)

    def attempt(self, case: Case) -> tuple[Judged, float]:
        """Try a case, and tell what became of it and how many seconds it took."""
        whole = self._whole(case.ground)
        box = self._box(case.ground, str(case.number))
        case.damage.change(box / case.ground.target)
        if case.damage.powerless:
            _open_all(box, box / case.ground.target)
        before, target = state(box, OWN), contents(box / case.ground.target)
        ended = self.run(case.ground.args, box, case.damage.powerless)
        found = judge(case, ended, box, whole)
        damaged, outside = changes(before, state(box, OWN))
        inside = case.ground.target not in before
        if inside and found.outcome == REFUSED and contents(box / case.ground.target) != target:
            damaged = (*damaged, case.ground.target)
        found = found._replace(damaged=damaged, outside=outside)
        if found.outcome == REFUSED and found.good and _left(box / "out") and case.ground.target.startswith("in/"):
            found = self._go_on(case, box, whole, found)
        if found.good:
            shutil.rmtree(box)
        return found, ended.seconds

    def run(self, args: list[str], box: Path, powerless: bool = False) -> Ended:
        """Call the command line in a box."""
        log = box.parent / f"{box.name}.log"
        log.unlink(missing_ok=True)
        return call(lambda: main(args), box, log, LIMIT, powerless)

    def _go_on(self, case: Case, box: Path, whole: Whole, found: Judged) -> Judged:
        """Give the whole file back and the same command again: what the refused call left must not pass for results."""
        source = self._template(case.ground.made, _key(case.ground)) / case.ground.target
        place = box / case.ground.target
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink(missing_ok=True)
        shutil.copy2(source, place)
        outcome, why = words(self.run(case.ground.args, box))
        if outcome == "accepted" and case.ground.results:
            same = results(box / "out", box, case.ground.results) == whole.results
            return found if same else Judged(WRONG, "what a refused call left changes the result of the next one")
        return found if outcome in ("accepted", REFUSED) else Judged(outcome, f"with the whole file, afterwards: {why}")

    def _tried_whole(self, ground: Ground) -> Whole:
        box = self._box(ground, f"whole-{GROUNDS.index(ground) + 1}" if ground in GROUNDS else "whole")
        ended = self.run(ground.args, box)
        if ended.code:
            raise RuntimeError(f"{' '.join(ground.args)} fails without damage: {ended.said[-800:]}")
        found = Whole(results(box / "out", box, ground.results), odd_numbers(box / "out"))
        if ground.results and not found.results:
            raise RuntimeError(f"{' '.join(ground.args)} makes no {ground.results}")
        shutil.rmtree(box)
        return found

    def _box(self, ground: Ground, name: str) -> Path:
        box = self.folder / name
        shutil.rmtree(box, ignore_errors=True)
        shutil.copytree(self._template(ground.made, _key(ground)), box, symlinks=True)
        return box

    def _made_template(self, made: str, first: tuple[tuple[str, ...], ...]) -> Path:
        names = [*sorted(MAKERS), *map(str, first)]
        place = self.folder / "templates" / f"{made}-{abs(hash((made, first)))}".replace(" ", "_")
        shutil.rmtree(place, ignore_errors=True)
        for name in FOLDERS:
            (place / name).mkdir(parents=True)
        MAKERS[made](place / "in")
        for args in first:
            ended = self.run(list(args), place)
            if ended.code:
                raise RuntimeError(f"{' '.join(args)} fails ({names}): {ended.said[-800:]}")
        return place


def judge(case: Case, ended: Ended, box: Path, whole: Whole) -> Judged:
    """Judge how a call ended, and its results if it ended well."""
    outcome, why = words(ended)
    if outcome != "accepted":
        return Judged(outcome, why)
    out = box / "out"
    if case.ground.results and results(out, box, case.ground.results) == whole.results:
        return Judged(SAME, "")
    odd = [path for path, count in odd_numbers(out).items() if count > whole.odd.get(path, 0)]
    if odd:
        return Judged(WRONG, f"NaN or infinite numbers in {odd[0]}")
    if case.damage.allowed == ANY:
        return Judged(FINITE, "")
    if noted(out, case.ground.note):
        return Judged(NOTED, "")
    same = "" if case.damage.allowed == REFUSE else " with another result"
    return Judged(WRONG, f"accepted{same}")


def _key(ground: Ground) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(args) for args in ground.first)


def _left(out: Path) -> list[Path]:
    return [path for path in out.rglob("*") if path.is_file() and path.name[0] != "."]


def _open_all(box: Path, closed: Path) -> None:
    for path in (box, *box.rglob("*")):
        if path != closed and not path.is_symlink():
            path.chmod(0o777 if path.is_dir() else 0o666)
