"""Write a simulated longitudinal brain cohort: scans, tables and genotypes."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from joblib import Parallel, delayed
from rich.progress import track

from disentangle_pl.brain.alignment import one_torch_thread
from disentangle_pl.brain.atrophy import Calibration
from disentangle_pl.brain.cohort_settings import Settings
from disentangle_pl.brain.cohort_tables import describe, write_tables, write_variants
from disentangle_pl.brain.genes import calls, plan_variants
from disentangle_pl.brain.phantom import Cohort, by_base, calibrate_base
from disentangle_pl.brain.scan_files import is_written, scan_path, write_bytes, write_scan
from disentangle_pl.errors import InputError
from disentangle_pl.genetics.plink import Row, write_plink

RECIPE = 1
"""Counts changes of the simulation that alter its scans, so that no cohort is continued by another recipe."""
SHAPES = ((4, 4), (4, 7), (5,))  # of the parts of a calibration
SETTINGS, CALIBRATIONS = "simulation.json", ".calibration.json"


def simulate(settings: Settings, out: Path, jobs: int = 1) -> int:
    """Write a cohort, or what is missing of it.

    Scans that are there are kept, so the same call goes on after a kill, and one with more subjects adds to them.

    Args:
        settings: What the cohort is made from.
        out: Its folder, new, empty, or of the same cohort.
        jobs: Processes; -1 for one a core.

    Returns:
        The number of scans that were made.

    Raises:
        InputError: If `out` holds anything else, another process writes it, or the anatomies cannot be used.
    """
    if jobs == 0 or jobs < -1:
        raise InputError(f"jobs is {jobs}: give the number of processes, or -1 for one a core")
    count = settings.count_anatomies()
    with _alone(out):
        _claim(settings, out)
        cohort = Cohort(settings, _calibrations(settings, count, out, jobs))
        made = _make_scans(cohort, out, jobs)
        describe(out)
        write_tables(out, cohort, _people(cohort, "Writing tables"))
        _write_genotypes(cohort, out)
    return made


def make_person(cohort: Cohort, index: int, out: Path) -> int:
    """Make those scans of one person that are not there yet, and count them."""
    person = cohort.person(index)
    missing = [(shot, path) for shot in cohort.shots(person) if not is_written(path := scan_path(out, shot, cohort))]
    if missing:
        with one_torch_thread():
            head = cohort.head(person)
            for shot, path in missing:
                write_scan(path, cohort.take(shot, head))
    return len(missing)


def _make_scans(cohort: Cohort, out: Path, jobs: int) -> int:
    order = by_base(cohort, track(range(cohort.settings.subjects), "Drawing people", transient=True))
    work = Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(make_person)(cohort, index, out) for index in order
    )
    return sum(track(work, "Simulating people", total=len(order)))


def _calibrations(settings: Settings, count: int, out: Path, jobs: int) -> tuple[Calibration, ...]:
    """Calibrate every anatomy, or read what an earlier call has found, to the last digit."""
    known = out / CALIBRATIONS
    if known.is_file():
        return _read_calibrations(known, count)
    work = Parallel(n_jobs=jobs, return_as="generator")(delayed(_calibrate)(settings, base) for base in range(count))
    found = tuple(track(work, "Calibrating anatomies", total=count, transient=True))
    write_bytes(known, json.dumps(found).encode())
    return found


def _read_calibrations(path: Path, count: int) -> tuple[Calibration, ...]:
    try:
        found = tuple(
            Calibration(tuple(map(tuple, mixing)), tuple(map(tuple, responses)), tuple(volumes))
            for mixing, responses, volumes in json.loads(path.read_text())
        )
        shapes = {tuple(np.shape(part) for part in each) for each in found}
        sound = len(found) == count and shapes == {SHAPES} and all(np.isfinite(each[2]).all() for each in found)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}): delete it, and it is made again") from error
    if not sound:
        raise InputError(f"{path} does not hold {count} calibrations: delete it, and it is made again")
    return found


def _calibrate(settings: Settings, base: int) -> Calibration:
    with one_torch_thread():
        return calibrate_base(settings, base)


def _write_genotypes(cohort: Cohort, out: Path) -> None:
    seed, people = cohort.settings.seed, cohort.settings.subjects
    variants = plan_variants(seed, cohort.settings.snps)
    who = [(person.label, person.male) for person in _people(cohort, "Writing genotypes")]
    rows = [Row(v.name, v.chromosome, v.position, v.allele_1, v.allele_2) for v in variants]
    names, male = zip(*who, strict=True)
    write_plink(out / "genotypes" / "cohort", names, male, rows, (calls(seed, v, people) for v in variants))
    write_variants(out, variants)


def _people(cohort: Cohort, doing: str) -> Iterator[Any]:
    for index in track(range(cohort.settings.subjects), doing, transient=True):
        yield cohort.person(index)


def _claim(settings: Settings, out: Path) -> None:
    """Refuse a folder of something else, and write down what this one is."""
    anatomies = str(settings.anatomies.absolute()) if settings.anatomies else None
    ours = {**dataclasses.asdict(settings), "anatomies": anatomies, "visits": list(settings.visits)}
    ours |= {"sha256_of_anatomies": settings.fingerprint(), "recipe": RECIPE}
    if (out / SETTINGS).is_file():
        _compare(_read(out / SETTINGS), ours, out)
    elif any(path.name[:1] != "." for path in out.iterdir()):
        raise InputError(f"{out} holds other files: give --out a new folder, or one of a simulated cohort")
    write_bytes(out / SETTINGS, (json.dumps(ours, indent=1) + "\n").encode())


def _read(path: Path) -> dict[str, Any]:
    try:
        theirs: dict[str, Any] = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give --out another folder") from error
    return theirs


def _compare(theirs: dict[str, Any], ours: dict[str, Any], out: Path) -> None:
    free = ("subjects", "anatomies")  # more people may come; a file may move
    other = [name for name in ours if name not in free and theirs.get(name) != ours[name]]
    if other:
        said = ", ".join(f"{name} {theirs.get(name)}, not {ours[name]}" for name in other)
        raise InputError(f"{out} holds a cohort with {said}: give --out another folder, or the same settings")
    if int(theirs.get("subjects", 0)) > ours["subjects"]:
        raise InputError(
            f"{out} holds a cohort of {theirs['subjects']} subjects: give at least as many, or another --out"
        )


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".lock", timeout=0):
            yield
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{out} is no folder that can be written to ({error.strerror}): give another --out") from error
    except Timeout as error:
        raise InputError(f"another process writes {out}: wait for it, or give another --out") from error
