"""What brain scans cost: training-ready volumes per second against torchio, alignment, simulation, preparation, memory.

    python -m benchmarks.brain [--rounds 5] [--people 60]
    python -m benchmarks.brain --alignment [--people 10] [--anatomies heads.npz]

Scans are simulated at 96 x 96 x 96 voxels, so nothing is downloaded. All loaders read the same files, in one process
and thread, taking turns; every measure of memory is a process of its own (Linux only).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice, repeat
from pathlib import Path

import numpy as np
import torch
import torchio as tio
from scipy.spatial.transform import Rotation
from torch.optim import Adam

from benchmarks.brain_report import Aligned, Loaded, Measured, alignments, report
from benchmarks.training import show
from disentangle_pl.backbones import ConvBackbone
from disentangle_pl.brain.alignment import Engine, GaussNewton, fit_of, one_torch_thread, stripped, target
from disentangle_pl.brain.atrophy import Calibration
from disentangle_pl.brain.cohort_settings import Settings
from disentangle_pl.brain.itk_registration import SimpleItk
from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.nifti import Matrix, Scan, read_scan
from disentangle_pl.brain.phantom import Cohort, calibrate_base
from disentangle_pl.brain.scan_files import scan_path, write_scan
from disentangle_pl.brain.visits import read_visits
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.likelihoods import Gaussian
from disentangle_pl.memory import keep_freed_memory
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.studies.prepare import report_prepared
from disentangle_pl.studies.simulate import simulate

SIDE, SPACING, BATCH = 96, 2.0, 8
PREPARATION = Preparation((SIDE, SIDE, SIDE), SPACING)
STEP = 64
HEADS = 20
RESULT = "RESULT "


def torchio_batches(files: list[Path]) -> Iterator[torch.Tensor]:
    """Yield batches as torchio's users load them, with the same preparation, endlessly."""
    ready = tio.Compose(
        [
            tio.ToCanonical(),
            tio.Resample(SPACING),
            tio.CropOrPad(SIDE),
            tio.RescaleIntensity((0, 1), percentiles=(0.5, 99.5)),
        ]
    )
    scans = tio.SubjectsDataset([tio.Subject(scan=tio.ScalarImage(path)) for path in files], transform=ready)
    loader = tio.SubjectsLoader(scans, batch_size=BATCH, shuffle=True)
    return (batch["scan"][tio.DATA] for batch in chain.from_iterable(repeat(loader)))


def our_batches(folder: Path, resident_mib: int) -> Iterator[torch.Tensor]:
    """Yield batches as `disentangle-pl fit` loads them, endlessly."""
    data = LongitudinalData(str(folder), batch_size=BATCH, pairs=False, resident_mib=resident_mib)
    data.setup("fit")
    for batch in chain.from_iterable(repeat(data.train_dataloader())):
        yield data.on_after_batch_transfer(batch, 0).image


def time_loaders(cohort: Path, prepared: Path, rounds: int) -> list[Loaded]:
    """Return volumes per second of every loader and round."""
    files = [Path(path) for path in read_visits(cohort)["path"]]
    loaders: dict[str, tuple[Iterator[torch.Tensor], int]] = {
        "torchio SubjectsLoader": (torchio_batches(files), 3),
        "prepared folder, from the file": (our_batches(prepared, 0), 60),
        "prepared folder, kept in memory": (our_batches(prepared, 4096), 60),
    }
    rates: dict[str, list[float]] = {name: [] for name in loaders}
    for turn in range(rounds + 1):
        for name, (batches, number) in loaders.items():
            began = time.perf_counter()
            for image in islice(batches, number):
                assert image.shape[1:] == (1, SIDE, SIDE, SIDE)
                assert image.dtype == torch.float32
            if turn:
                rates[name].append(number * BATCH / (time.perf_counter() - began))
        print(f"loaders: round {turn} of {rounds}", flush=True)
    return [Loaded(name, rate) for name, rate in rates.items()]


def displacement(rng: np.random.Generator) -> Matrix:
    """Draw a linear map of RAS mm as heads differ by before alignment: turns, sizes along the axes, shifts."""
    moved = np.eye(4)
    moved[:3, :3] = Rotation.from_rotvec(rng.normal(0, 8, 3), degrees=True).as_matrix() @ np.diag(
        np.exp(rng.normal(0, 0.08, 3))
    )
    moved[:3, 3] = rng.normal(0, 15, 3)
    return moved


def heads(people: int, anatomies: Path | None) -> list[Scan]:
    """Simulate one scan a person at 3 mm."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Settings(subjects=people, size=STEP, visits=(0,), anatomies=anatomies), Path(folder) / "cohort")
        return [read_scan(Path(path)) for path in read_visits(Path(folder) / "cohort")["path"]]


def time_alignment(scans: list[Scan]) -> list[Aligned]:
    """Return CPU seconds, overlap and similarity of both engines for every scan, in turn, on one thread."""
    engines: dict[str, Engine] = {"SimpleITK": SimpleItk(), "Gauss-Newton (ours)": GaussNewton()}
    rng, measured = np.random.default_rng(0), {name: Aligned(name, [], [], []) for name in engines}
    with one_torch_thread():
        target()
        SimpleItk()(stripped(scans[0]))  # reads its template
        for scan in scans:
            moved = scan._replace(affine=displacement(rng) @ scan.affine)
            for name, engine in engines.items():
                began = time.process_time()
                brain = stripped(moved)
                whole = engine(brain)
                measured[name].seconds.append(time.process_time() - began)
                fit = fit_of(brain, whole)
                measured[name].overlaps.append(fit.overlap)
                measured[name].similarities.append(fit.similarity)
    return list(measured.values())


def time_simulation(size: int, rounds: int, out: Path) -> Measured:
    """Return seconds a volume on one core, from nothing to the written file; without the calibration of the anatomy."""
    settings = Settings(subjects=rounds + 1, size=size)
    calibrations: tuple[Calibration, ...] = (calibrate_base(settings, 0),)
    cohort, seconds = Cohort(settings, calibrations), []
    for index in range(rounds + 1):
        person = cohort.person(index)
        began, shots = time.perf_counter(), cohort.shots(person)
        head = cohort.head(person)
        for shot in shots:
            write_scan(scan_path(out, shot, cohort), cohort.take(shot, head))
        if index:
            seconds.append((time.perf_counter() - began) / len(shots))
    return Measured(f"simulate, {size} x {size} x {size}", seconds)


def time_preparation(cohort: Path, rounds: int, out: Path) -> list[Measured]:
    """Return seconds a scan with one process and with one a core."""
    number, cores = len(read_visits(cohort)), os.cpu_count() or 1
    seconds_of_jobs: dict[int, list[float]] = {1: [], cores: []}
    for turn in range(rounds):
        for jobs, seconds in seconds_of_jobs.items():
            folder = out / f"{turn}-{jobs}"
            began = time.perf_counter()
            report_prepared(cohort, folder, PREPARATION, jobs)
            seconds.append((time.perf_counter() - began) / number)
            shutil.rmtree(folder)
    return [
        Measured(f"prepare, {jobs} process{'es' * (jobs > 1)}", seconds) for jobs, seconds in seconds_of_jobs.items()
    ]


def peak_of_simulation(people: int) -> None:
    """Simulate in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Settings(subjects=people, size=32, visits=(0, 12)), Path(folder) / "cohort")


def peak_of_preparation(people: int) -> None:
    """Simulate small scans in another process, and prepare them to larger volumes in this one."""
    with tempfile.TemporaryDirectory() as folder:
        cohort = Path(folder) / "cohort"
        flags = ["--subjects", str(people), "--size", "32", "--visits", "0", "12", "--out", str(cohort)]
        subprocess.run([sys.executable, "-m", "disentangle_pl", "simulate", *flags], check=True, capture_output=True)
        report_prepared(cohort, Path(folder) / "prepared", Preparation((64, 64, 64), 3.0))


def peak_of_training(batch: int) -> None:
    """Make two steps of the network of `configs/brain_ada_gvae.yaml` on volumes of 64 x 64 x 64 voxels."""
    keep_freed_memory()
    torch.manual_seed(0)
    backbone = partial(ConvBackbone, channels=(8, 16, 32), hidden=256)
    model = BetaVAE((1, STEP, STEP, STEP), 16, backbone, likelihood=Gaussian(0.1), optimizer=partial(Adam, lr=1e-3))
    optimizer, images = model.configure_optimizers(), torch.rand(batch, 1, STEP, STEP, STEP)
    for _ in range(2):
        optimizer.zero_grad()
        torch.autograd.backward(model.terms(images)["loss"])
        optimizer.step()


CHILDREN: dict[str, Callable[[int], None]] = {
    "simulate": peak_of_simulation,
    "prepare": peak_of_preparation,
    "train": peak_of_training,
}


def high_water() -> float:
    """Return the peak memory of this process in MiB; `ru_maxrss` would begin at that of the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def peak(child: str, size: int) -> float:
    """Return the peak memory of a child process in MiB."""
    print(f"memory: {child} {size}", flush=True)
    called = [sys.executable, "-m", "benchmarks.brain", "--child", child, "--people", str(size)]
    done = subprocess.run(called, check=True, capture_output=True, text=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith(RESULT))
    return float(line.removeprefix(RESULT))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: %(default)s)")
    parser.add_argument("--people", type=int, default=60, help="of the cohort that is read (default: %(default)s)")
    parser.add_argument("--alignment", action="store_true", help="measure the alignment alone, and write nothing")
    parser.add_argument("--anatomies", type=Path, help=".npz of tissue fractions for the scans that are aligned")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "brain_cost.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.child:
        CHILDREN[args.child](args.people)
        print(f"{RESULT}{high_water()}")
        return
    aligned = time_alignment(heads(min(args.people, HEADS), args.anatomies))
    if args.alignment:
        print("\n".join(alignments(aligned)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        cohort, prepared = Path(scratch) / "cohort", Path(scratch) / "prepared"
        simulate(Settings(subjects=args.people, size=SIDE, visits=(0, 12, 24)), cohort, -1)
        report_prepared(cohort, prepared, PREPARATION, -1)
        loaded = time_loaders(cohort, prepared, args.rounds)
        costs = [time_simulation(size, args.rounds, Path(scratch) / str(size)) for size in (STEP, SIDE)]
        costs += time_preparation(cohort, args.rounds, Path(scratch) / "again")
    memory = {(child, size): peak(child, size) for child in ("simulate", "prepare") for size in (20, 80)}
    memory |= {("train", batch): peak("train", batch) for batch in (1, 8, 16)}
    text = report(loaded, aligned, costs, memory, args.rounds)
    args.output.write_text(text)
    for section in text.split("\n## ")[1:]:
        show(section)
    print(f"written to {args.output}")


if __name__ == "__main__":
    main()
