"""How well sites are told from scans and codes before and after harmonisation, and what it costs the anatomy.

    python -m benchmarks.harmonisation FOLDER [--people 160]

A simulated cohort of eight sites at 32 x 32 x 32 voxels, two visits a person, as it is, and with a gain and a contrast
of its own for every site. Half of the people are for training; everything is measured on the others, on 16 principal
components that every fold fits anew: the site AUC, and R2 of the logarithm of the ventricles' share of the head.
"""

import argparse
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.machine import describe_commit, describe_machine
from disentangle_pl.brain.cohort_settings import Settings
from disentangle_pl.brain.intensity import (
    Histogram,
    Intensity,
    Percentiles,
    WhiteStripe,
    ZScore,
    landmarks_of,
    learnt_landmarks,
)
from disentangle_pl.brain.truth import scan_factors
from disentangle_pl.brain.visits import read_visits
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.metrics.combat import fit_combat, harmonised
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.prediction import Plan, ProbeTarget, cross_validated, linear
from disentangle_pl.metrics.prediction_folds import Rows, person_weights
from disentangle_pl.metrics.prediction_inputs import Inputs, columns, principal_components, remembered
from disentangle_pl.metrics.prediction_scores import resampled_people, scored
from disentangle_pl.metrics.score import Values
from disentangle_pl.metrics.site_auc import site_auc
from disentangle_pl.studies.clinical_pictures import inner_products
from disentangle_pl.studies.harmonisation import Batches, Harmonisation, batches_of, without_sites
from disentangle_pl.studies.simulate import simulate

SIZE, SPACING, COMPONENTS = 32, 6.0, 16
COMBAT = ("percentiles", "histogram")  # maps that ComBat is measured after
GAIN, CONTRAST = 0.4, 0.2  # standard deviations over sites, of logarithms
PLAN = Plan(folds=5, inner=2, repeats=1)
SHIFTS, CONTROLS = (0.0, 1.0, 2.0), (4, 20, 100)
RESULT = Path(__file__).parent / "results" / "harmonisation.md"


class Cohort(NamedTuple):
    """Scans of a cohort, with the log share of the ventricles (N,), and rows of training and of other people."""

    name: str
    visits: pd.DataFrame
    ventricles: Values
    batches: Batches
    train: Rows
    held_out: Rows


def cohorts(folder: Path, people: int) -> Iterator[Cohort]:
    """Simulate the cohort, and write it again as sites with machines of their own would have it."""
    root = folder / "cohort"
    simulate(Settings(people, size=SIZE, visits=(0, 12)), root)
    visits = read_visits(root)
    truth = scan_factors(visits, root / "truth.tsv")
    ventricles = np.log((truth["ml_ventricles"] / truth["ml_icv"]).to_numpy(np.float64))
    number = visits["participant_id"].factorize()[0]
    train, held_out = (np.flatnonzero((number % 2 == 1) == other) for other in (False, True))
    batches = batches_of(Harmonisation("site"), visits, train)
    yield Cohort("as simulated", visits, ventricles, batches, train, held_out)
    rng, names = np.random.default_rng(0), sorted(visits["site"].unique())
    machine = {name: rng.normal(size=2) * (GAIN, CONTRAST) for name in names}
    paths = []
    for row, (path, site) in enumerate(zip(visits["path"], visits["site"], strict=True)):
        image, (gain, contrast) = nib.load(path), machine[site]
        values = np.exp(gain) * np.clip(image.get_fdata(), 0, None) ** np.exp(contrast)
        paths.append(str(folder / "machines" / f"{row}.nii"))
        Path(paths[-1]).parent.mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(values.astype(np.float32), image.affine), paths[-1])
    strong = f"gain and contrast of sites, sd {GAIN} and {CONTRAST} in logs"
    yield Cohort(strong, visits.assign(path=paths), ventricles, batches, train, held_out)


def maps(cohort: Cohort) -> dict[str, Intensity]:
    """Return the maps of intensity; the standard histogram is that of training people."""
    plain = Preparation((SIZE,) * 3, SPACING)
    first = cohort.visits.loc[cohort.train].drop_duplicates("participant_id")["path"]
    standard = learnt_landmarks([landmarks_of(plain.unscaled(Path(path))) for path in first])
    return {
        "percentiles": Percentiles(),
        "z-score": ZScore(),
        "WhiteStripe": WhiteStripe(),
        "histogram": Histogram(standard),
    }


def components(products: NDArray[np.float32], rows: Rows) -> Inputs:
    """Make principal components of some rows of images, of which (N, N) inner products are given."""
    return remembered(principal_components(products[np.ix_(rows, rows)], COMPONENTS))


def measured(inputs: Inputs, cohort: Cohort) -> str:
    """Return the site AUC and R2 of the ventricles of held-out people as cells of a table."""
    rows = cohort.held_out
    people = cohort.batches.people[rows]
    auc = site_auc(inputs, cohort.batches.sites[rows], people, PLAN).auc
    target = ProbeTarget(cohort.ventricles[rows], False, people, person_weights(people))
    predicted = cross_validated(inputs, target, linear, PLAN)
    r2 = scored(target, predicted, resampled_people(target))["r2"].interval()
    return f"{cell(auc)} | {cell(r2)}"


def cell(found: Interval) -> str:
    """Write a number and its interval."""
    return f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]"


def lines_of(cohort: Cohort) -> Iterator[str]:
    """Measure a cohort under every map, and with ComBat of voxels and of codes under two."""
    rows = cohort.held_out
    for name, intensity in maps(cohort).items():
        preparation = Preparation((SIZE,) * 3, SPACING, intensity)
        scans = [preparation(Path(path)) for path in track(cohort.visits["path"], name, transient=True)]
        voxels = np.stack(scans).reshape(len(scans), -1).astype(np.float32)
        products = inner_products(voxels)
        yield f"| {name} | {measured(components(products, rows), cohort)} |"
        if name not in COMBAT:
            continue
        begun = time.process_time()
        done, _ = without_sites(voxels, cohort.batches, rows)
        seconds = time.process_time() - begun
        inputs = components(inner_products(np.asarray(done, dtype=np.float32)), rows)
        yield f"| {name}, ComBat of {voxels.shape[1]} voxels ({seconds:.0f} s) | {measured(inputs, cohort)} |"
        codes = principal_components(products, COMPONENTS)(cohort.train)
        yield f"| {name}, {COMPONENTS} components of training people | {measured(columns(codes[rows]), cohort)} |"
        clean, _ = without_sites(codes, cohort.batches, rows)
        yield f"| {name}, the same after ComBat | {measured(columns(np.asarray(clean)[rows]), cohort)} |"


def controls_needed(shift: float, controls: int, seed: int = 0) -> tuple[float, float]:
    """Return the site AUC of held-out people before and after ComBat that was fitted to so many controls a site.

    Args:
        shift: Standard deviation of shifts over 8 sites, in units of that of people; 16 independent features.
        controls: People a site to fit to, two visits each.
        seed: Of all random numbers.
    """
    rng, sites, features, held_out = np.random.default_rng(seed), 8, 16, 25
    people = sites * (controls + held_out)
    who = np.repeat(np.arange(people), 2)
    site, age = who % sites, rng.uniform(-10, 10, people)[who, None]
    values = rng.normal(size=(people, features))[who] + 0.4 * rng.normal(size=(len(who), features)) + 0.05 * age
    values += shift * rng.normal(size=(sites, features))[site]
    names, train = np.array([f"s{number}" for number in range(sites)], dtype=object)[site], who < sites * controls
    combat = fit_combat(values[train], names[train], age[train], who[train])
    after = harmonised(combat, values, names, age, who)
    before, done = (
        site_auc(columns(np.asarray(each)[~train]), names[~train], who[~train], PLAN).auc.mean
        for each in (values, after)
    )
    return before, done


def controls_lines() -> Iterator[str]:
    """Write what few controls do as a table."""
    yield "## Controls a site\n\nSite AUC of held-out people before and after ComBat, by the shift of sites.\n"
    yield f"| controls | {' | '.join(f'shift {shift:g}' for shift in SHIFTS)} |"
    yield "|---" * (len(SHIFTS) + 1) + "|"
    for controls in CONTROLS:
        cells = ["{:.2f}, {:.2f}".format(*controls_needed(shift, controls)) for shift in SHIFTS]
        yield f"| {controls} | {' | '.join(cells)} |"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=160)
    given = parser.parse_args()
    text = [
        "# Sites before and after harmonisation\n",
        f"`python -m benchmarks.harmonisation`, {date.today()}, {describe_commit()}. Machine: {describe_machine()}.\n",
        " ".join((__doc__ or "").split("\n\n")[2].split()) + "\n",
    ]
    for cohort in cohorts(given.folder, given.people):
        counts = [cohort.visits["participant_id"].iloc[rows].nunique() for rows in (cohort.train, cohort.held_out)]
        text.append(
            f"## {cohort.name}\n\n{counts[0]} people to fit to, {counts[1]} measured. {cohort.batches.remarks[0]}.\n"
        )
        text += ["| | site AUC (chance 0.5) | R2 of ventricles |", "|---|---|---|", *lines_of(cohort), ""]
        print("\n".join(text), flush=True)
    text += [*controls_lines(), ""]
    RESULT.write_text("\n".join(text))


if __name__ == "__main__":
    main()
