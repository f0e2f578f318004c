"""What users do to software, counted: damaged inputs of every kind, and kills at random moments.

Inputs: of every kind of file that a verb reads, one is damaged in a box of its own, and the verb is called. Well is: it
is refused with exit code 2 and one sentence; or the result is what it would have been; or the damage cannot be seen
(another pixel) and the numbers of the result are finite. Calls are children forked from a parent that has imported
everything. Kills: see `hardship_kills`.
"""

import argparse
import csv
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

import torch

from benchmarks.hardship_boxes import LIMIT, Boxes, Case, cases
from benchmarks.hardship_judge import CODE, FINITE, HANG, NOTED, REFUSED, SAME, TRACEBACK, WORDS, WRONG, Judged
from benchmarks.hardship_kills import kill_all, table_of_kills
from benchmarks.hardship_material import shrink_grids
from benchmarks.hardship_settings import MLP, SPRITES
from benchmarks.machine import describe_commit, describe_machine
from disentangle_pl.fit import check_arguments

HEADER = ["case", "input", "verb", "damage", "outcome", "good", "why", "damaged", "outside", "seconds"]
Line = dict[str, str]
RESULTS = Path(__file__).parent / "results"


def try_all(boxes: Boxes, chosen: Sequence[Case], path: Path, go_on: bool = False) -> list[Line]:
    """Try cases and write a line for each; go on, if wanted, after those of an earlier call that were well."""
    done = {int(row["case"]): row for row in read(path) if row["good"] == "yes"} if go_on and path.exists() else {}
    found = []
    for place, case in enumerate(chosen):
        row = done.get(case.number)
        if row is None:
            row = done[case.number] = line(case, *boxes.attempt(case))
            write(path, done.values())
            if row["good"] != "yes" or place % 25 == 0:
                print(f"{place + 1}/{len(chosen)}", *row.values(), sep=" | ", flush=True)
        found.append(row)
    write(path, found)
    return found


def read(path: Path) -> list[Line]:
    """Read the table of cases."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def write(path: Path, rows: Iterable[Line]) -> None:
    """Write the table of cases."""
    draft = path.with_suffix(".tmp")
    with draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, HEADER, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draft.replace(path)


def warm_up() -> None:
    """Let the parser read the signatures of all classes once, for the children too."""
    check_arguments(["fit", "--data=SyntheticData", f"--data.dataset={json.dumps(SPRITES)}", *MLP])
    check_arguments(["fit", "--data=LongitudinalData", "--data.root=.", *MLP])


def line(case: Case, judged: Judged, seconds: float) -> Line:
    """Return what is written of a case."""
    cells = [
        str(case.number),
        case.ground.kind,
        case.ground.verb,
        case.damage.name,
        judged.outcome,
        "yes" if judged.good else "NO",
        judged.why[:300],
        " ".join(judged.damaged)[:200],
        " ".join(judged.outside)[:200],
        f"{seconds:.2f}",
    ]
    plain = ["".join(letter if letter.isprintable() else " " for letter in cell) for cell in cells]
    return dict(zip(HEADER, plain, strict=True))


def table(found: Sequence[Line]) -> Iterator[str]:
    """Yield a table: a row a kind of input and verb, a column an outcome."""
    columns = [REFUSED, SAME, NOTED, FINITE, TRACEBACK, HANG, CODE, WORDS, WRONG]
    yield "| input | verb | tried | " + " | ".join(columns) + " | inputs damaged | written outside |"
    yield "|---|---|" + "---|" * (len(columns) + 3)
    groups: dict[tuple[str, str], list[Line]] = {}
    for row in found:
        groups.setdefault((row["input"], row["verb"]), []).append(row)
    for (kind, verb), group in groups.items():
        yield _row(kind, verb, group, columns)
    yield _row("**all**", "", found, columns)


def _row(kind: str, verb: str, group: Sequence[Line], columns: Sequence[str]) -> str:
    count = Counter(row["outcome"] for row in group)
    touched = [sum(bool(row[what]) for row in group) for what in ("damaged", "outside")]
    return "| " + " | ".join([kind, verb, *map(str, [len(group), *(count[name] for name in columns), *touched])]) + " |"


def report(found: Sequence[Line], kills: list[str], seed: int, seconds: float) -> str:
    """Return the counts as Markdown."""
    bad = [row for row in found if row["good"] != "yes"]
    lines = [
        "# Hardship",
        "",
        f"`python -m benchmarks.hardship --seed {seed}`, {date.today()}, commit {describe_commit()}, "
        f"{seconds / 60:.0f} min.",
        f"Machine: {describe_machine()}.",
        "",
        "## Damaged inputs",
        "",
        f"{len(found)} calls, each with one file damaged; a call may take {LIMIT:.0f} s and 6 GiB. *Refused*: exit "
        "code 2 and one sentence, nothing else said. *Same result*: of the whole file, to the last bit. *Left out and "
        "said*: the rest is done, and a table names what was left out. *Finite*: damage that no reader sees (another "
        "pixel, another number), or settings that are odd but no error; no number of the results is NaN or infinite. "
        "Files are small: dSprites of 48 images, 3D Shapes of 96, in the published form. Where a "
        "call was refused and left files, the whole file was given back and the command again: its result had to be as "
        "if nothing had been. Every case is in `hardship.tsv`.",
        "",
        *table(found),
        "",
        f"{len(bad)} were not as they ought to be{':' if bad else '.'}",
        "",
        *("- {case}, {input}, {verb}, {damage}: {outcome}; {why}".format(**row) for row in bad),
        "",
        *kills,
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Try and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of damages and moments (default: %(default)s)")
    parser.add_argument("--most", type=int, default=10, help="common damages of a file (default: %(default)s)")
    parser.add_argument("--only", type=int, default=None, help="try this case alone, and show what it says")
    parser.add_argument("--match", default="", help="only kinds of input with this in their names")
    parser.add_argument("--go_on", action="store_true", help="leave out cases that were well in the table of before")
    parser.add_argument("--kills", type=int, default=12, help="kills of every verb (default: %(default)s)")
    parser.add_argument("--real", type=int, default=2, help="of processes started from nothing, of fit and prepare")
    parser.add_argument("--folder", type=Path, default=Path("runs/hardship"), help="where boxes lie")
    parser.add_argument("--output", type=Path, default=RESULTS / "hardship.md")
    args = parser.parse_args()
    began = time.monotonic()
    torch.set_num_threads(1)
    shrink_grids()
    warm_up()
    boxes = Boxes(args.folder / "boxes")
    if args.only is not None:
        (case,) = [case for case in cases(args.seed, 10**6) if case.number == args.only]
        print(*line(case, *boxes.attempt(case)).items(), sep="\n")
        print((boxes.folder / f"{case.number}.log").read_text())
        return
    chosen = [case for case in cases(args.seed, args.most) if args.match in case.ground.kind]
    found = try_all(boxes, chosen, args.output.with_suffix(".tsv"), args.go_on)
    counted = kill_all(args.folder / "kills", args.kills, args.seed, args.real) if args.kills else {}
    text = report(found, table_of_kills(counted), args.seed, time.monotonic() - began)
    args.output.write_text(text)
    print(text)
    if any(row["good"] != "yes" for row in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
