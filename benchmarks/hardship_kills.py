"""SIGKILL at random moments, the same command again, and the result beside that of an undisturbed call.

Three kinds of moments in turn: after a random share of the time of an undisturbed call; just before a file is opened
for writing, renamed or removed; and up to 3 ms after that, when the file may be open and empty, or half written. Of a
sweep, the coordinator alone, one of its runs, and everything at once are killed in turn, at random times. The killed
processes are forked from a parent that has imported everything; `--real` kills a few that were started from nothing.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.hardship_forks import KILLED, await_end, call, queued, start
from benchmarks.hardship_judge import results
from benchmarks.hardship_material import FOLDERS, MAKERS
from benchmarks.hardship_watch import Watch, compare, tell_sweep, visible
from benchmarks.sweep_kills import KINDS, children
from disentangle_pl.cli import main
from disentangle_pl.errors import ERROR

MOMENTS = ("at a time", "before a write", "within a write")
PATIENCE = 240.0
COUNTS = ("kills", "rounds", "did not go on", "lost", "doubled", "corrupt", "other files", "equal")


class Verb(NamedTuple):
    """A call that is killed.

    Attributes:
        name: The verb.
        made: Its maker, in `hardship_material.MAKERS`.
        args: The call.
        results: Patterns of the files of `out` that must be as of an undisturbed call.
    """

    name: str
    made: str
    args: list[str]
    results: tuple[str, ...]


FIT = ["fit", "--config=in/config.yaml", "--trainer.max_epochs=4", "--runs_dir=out", "--run_id=a"]
GWAS = "gwas --bed in/cohort.bed --phenotypes=in/z.txt --covariates=in/c.txt --permutations=5 --plots=false --block=4"
SIMULATE = ["simulate", "--subjects=4", "--size=24", "--visits", "0", "6", "12", "--snps=30"]
SIMULATE += ["--anatomies=in/heads.npz", "--out=out/s"]
VERBS = (
    Verb("fit", "config", FIT, ("a/metrics.csv", "a/checkpoints/*.ckpt", "a/config.yaml")),
    Verb("prepare", "scans", ["prepare", "in/bids", "--out=out/p", "--size", "8", "8", "8", "--spacing=1.5"],
         ("p/volumes.npy", "p/index.parquet", "p/quality.tsv", "p/prepared.json")),
    Verb("simulate", "heads", SIMULATE,
         ("s/**/*.nii.gz", "s/**/*.tsv", "s/**/*.csv", "s/**/*.bed", "s/**/*.bim", "s/**/*.fam")),
    Verb("gwas", "genome", [*GWAS.split(), "--out=out/g"], ("g/*.parquet", "g/*.tsv")),
    Verb("sweep", "sweep", ["sweep", "in/sweep.yaml", "--out=out/w", "--parallel=2"], ("w/compared.tsv",)),
)  # fmt: skip


def kill_all(folder: Path, kills: int, seed: int, real: int = 0) -> dict[str, Counter[str]]:
    """Kill every verb so many times, and count what became of the results."""
    found = {}
    for verb in VERBS:
        killer = Killer(verb, folder.absolute() / verb.name, random.Random(f"{seed} {verb.name}"))
        found[verb.name] = killer.count(kills)
        print(verb.name, dict(found[verb.name]), flush=True)
    for verb in VERBS[: 2 if real else 0]:
        killer = Killer(verb, folder.absolute() / f"{verb.name}-real", random.Random(f"{seed} {verb.name} real"), True)
        found[f"{verb.name}, real processes"] = killer.count(real)
    return found


def table_of_kills(counted: dict[str, Counter[str]]) -> list[str]:
    """Return the counts as Markdown."""
    if not counted:
        return []
    moments = [*MOMENTS, *KINDS]
    head = ["verb", "SIGKILLs", *moments, *COUNTS[1:]]
    total: Counter[str] = sum(counted.values(), Counter())
    rows = [
        [name, *(str(count[key]) for key in (COUNTS[0], *moments, *COUNTS[1:]))]
        for name, count in [*counted.items(), ("**all**", total)]
    ]
    return ["## Kills", "", *(line for line in (__doc__ or "").splitlines()[2:]), "", *_markdown([head, *rows])]


def _markdown(rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


class Killer:
    """Kills one verb.

    Args:
        verb: The verb.
        folder: Where its boxes lie, emptied first.
        dice: For the moments.
        real: Start processes from nothing instead of forking them.
    """

    def __init__(self, verb: Verb, folder: Path, dice: random.Random, real: bool = False) -> None:
        self.verb, self.folder, self.dice, self.real = verb, folder, dice, real
        shutil.rmtree(folder, ignore_errors=True)
        box = self.box("whole")
        ended = call(lambda: self.work(watch=Watch(box)), box, folder / "whole.log", PATIENCE)
        if ended.code:
            raise RuntimeError(f"{verb.name} fails undisturbed: {ended.said[-800:]}")
        self.seconds = ended.seconds
        self.writes = int((box / "tmp" / "writes").read_text())
        self.whole = self.outcome(box)
        self.files = visible(box / "out")

    def box(self, name: str) -> Path:
        """Make a box with the inputs."""
        box = self.folder / name
        for part in FOLDERS:
            (box / part).mkdir(parents=True)
        MAKERS[self.verb.made](box / "in")
        return box

    def work(self, watch: Watch | None = None) -> None:
        """Call the verb, in the child."""
        if watch:
            sys.addaudithook(watch.hear)
        try:
            main(self.verb.args)
        finally:
            if watch:
                watch.box.joinpath("tmp", "writes").write_text(str(watch.count))

    def outcome(self, box: Path) -> dict[str, str]:
        """Return what must be as of an undisturbed call."""
        if self.verb.name == "sweep":
            tell_sweep(box / "out" / "w")
        return results(box / "out", box, self.verb.results)

    def count(self, kills: int) -> Counter[str]:
        """Kill in rounds of one to three kills, let every round end, and count."""
        found: Counter[str] = Counter()
        while found["kills"] < kills:
            found["rounds"] += 1
            box = self.box(f"round-{found['rounds']}")
            for _ in range(min(self.dice.randint(1, 3), kills - found["kills"])):
                kind = (KINDS if self.verb.name == "sweep" else MOMENTS)[found["kills"] % 3]
                if not self.strike(box, kind):
                    break
                found.update(["kills", kind])
            found.update(self.judge(box))
        return found

    def judge(self, box: Path) -> Counter[str]:
        """Give the same command until the end, and compare."""
        log = self.folder / f"{box.name}.log"
        ended = call(self.work, box, log, PATIENCE)
        if ended.code:
            said = [line for line in ended.said.splitlines() if line.startswith(ERROR)] or ended.said.splitlines()[-1:]
            print(f"{self.verb.name}, {box.name}: {ended.code}, {said}", flush=True)
            return Counter(["did not go on"])
        found = compare(self.outcome(box), self.whole, box / "out")
        more = visible(box / "out") - self.files
        if self.verb.name != "sweep":
            found["other files"] += len(more)
        if found.total() or (more and self.verb.name != "sweep"):
            print(f"{self.verb.name}, {box.name}: {dict(found)} {sorted(more)[:5]}", flush=True)
            return found
        shutil.rmtree(box)
        return Counter(["equal"])

    def strike(self, box: Path, kind: str) -> bool:
        """Start the verb, kill it at a moment, and tell whether it was still at work."""
        log = self.folder / f"{box.name}-killed.log"
        if kind in MOMENTS[1:]:
            watch = Watch(box, self.dice.randint(1, self.writes), self.dice.uniform(0, 0.003) * (kind == MOMENTS[2]))
            pid = start(lambda: self.work(watch), box, log)
            return await_end(pid, PATIENCE)[0] == KILLED
        if self.real:
            return self._strike_real(box, log)
        pid = start(self.work, box, log)
        if await_end(pid, self.dice.uniform(0.02, self.seconds))[0] is not None:
            return False
        return self._kill(pid, kind)

    def _kill(self, pid: int, kind: str) -> bool:
        runs = children(pid) if kind in KINDS else []
        if kind == "run" and runs:
            os.killpg(self.dice.choice(runs), signal.SIGKILL)
            return await_end(pid, PATIENCE)[0] is not None
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for run in runs if kind == "everything" else ():
            with suppress(ProcessLookupError):
                os.killpg(run, signal.SIGKILL)
        return True

    def _strike_real(self, box: Path, log: Path) -> bool:
        env = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(box / "cache")}
        env["PYTHONPATH"] = str(Path(__file__).parents[1])
        command = [sys.executable, "-m", "disentangle_pl", *self.verb.args]
        with log.open("wb") as file:
            process = subprocess.Popen(command, cwd=box, env=env, stdout=file, stderr=file, start_new_session=True)
        began, end = time.monotonic(), self.dice.uniform(5, 14 + self.seconds)
        while process.poll() is None and time.monotonic() - began - queued(process.pid) < end:
            time.sleep(0.02)
        alive = process.poll() is None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return alive
