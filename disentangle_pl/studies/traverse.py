"""`disentangle-pl traverse`: what every latent changes, as pictures, as a film and as volumes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from torch import Tensor

from disentangle_pl.brain.export import Grid, write_volume
from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.sampling import rows_of
from disentangle_pl.callbacks.traversals import Traversal, traverse
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import Codes, Factors, ground_truth
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.studies.codes import check_fits, posteriors
from disentangle_pl.studies.evaluate import run_names
from disentangle_pl.studies.held_out import Part
from disentangle_pl.studies.latent_table import NATS, strongest
from disentangle_pl.studies.scene import scene_of
from disentangle_pl.studies.traverse_plot import Sweep, draw_sweeps, write_movie

ROWS = 10
SPAN = 2.0


def report_traverse(
    checkpoints: Sequence[Path],
    data: ImageData,
    out: Path,
    *,
    part: Part = "test",
    subject: str | None = None,
    latents: Sequence[int] = (),
    columns: int = 7,
) -> None:
    """Write `traverse.png`, `<model>.gif` and, of volumes, `<model>/z<i>.nii.gz` and `<model>/z<i>_difference.nii.gz`.

    The latents move through two standard deviations of the aggregate posterior of the held-out images, either way, from
    a typical one of them, or from a subject's own codes. Volumes are cut where ventricles and hippocampus are seen.

    Args:
        checkpoints: One model, or two to see side by side; one without aggregation, the baseline, is on the left.
        data: What to encode.
        out: Folder to write to.
        part: The images that define the aggregate posterior: test, or val.
        subject: Participant whose mean codes are the middle, None for a typical image.
        latents: Which to show, in this order; none for the ten of the largest KL that are not passive.
        columns: Steps, odd.

    Raises:
        InputError: If a checkpoint cannot be read or does not fit the data, a latent or subject is not there, or the
            number of columns is no odd number above 1.
    """
    if len(checkpoints) > 2 or columns < 3 or columns % 2 == 0:
        raise InputError(
            f"traverse takes one or two checkpoints and an odd number of columns from 3, got {len(checkpoints)} and "
            f"{columns}"
        )
    models = {name: load_model(path) for name, path in zip(run_names(checkpoints), checkpoints, strict=True)}
    if not isinstance(data, LongitudinalData) and subject is not None:
        raise InputError(f"subject {subject} is asked for, but {type(data).__name__} has no subjects: leave it out")
    for name, model in models.items():
        check_fits(model, data)
        _check_latents(latents, model, name)
    data.prepare_data()
    data.setup("validate")
    if part == "test" and not isinstance(data, LongitudinalData):
        part = "val"  # what is drawn from a grid is never seen twice
    scene, start = scene_of(data), None if subject is None else _subject(data, subject)  # type: ignore[arg-type]
    ordered = dict(sorted(models.items(), key=lambda model: model[1].aggregation is not None))
    sweeps = {name: _sweep(model, name, data, part, start, latents, columns) for name, model in ordered.items()}
    out.mkdir(parents=True, exist_ok=True)
    draw_sweeps(list(sweeps.values()), scene.cuts, SPAN).savefig(out / "traverse.png", dpi=130)
    for name, sweep in sweeps.items():
        write_movie(out / f"{name}.gif", sweep, scene.cuts)
        if scene.grid:
            _write_volumes(out / name, sweep.traversal, scene.grid)
    Console().print(f"pictures{' and volumes' if scene.grid else ''} are in {out}", soft_wrap=True)


def _check_latents(latents: Sequence[int], model: VAE, name: str) -> None:
    size = model.backbone.latent_dim
    wrong = [latent for latent in latents if not 0 <= latent < size]
    if wrong:
        raise InputError(f"{name} has no latent {wrong[0]}: its latents are 0 to {size - 1}")


def _subject(data: LongitudinalData, subject: str) -> pd.DataFrame:
    people = data.visits["participant_id"].str.removeprefix("sub-")
    visits = data.visits[people == subject.removeprefix("sub-")]
    if visits.empty:
        raise InputError(f"there is no subject {subject}: the scans are of {', '.join(people.unique()[:3])}, ...")
    return visits


@torch.no_grad()
def _sweep(
    model: VAE,
    name: str,
    data: ImageData,
    part: Part,
    subject: pd.DataFrame | None,
    latents: Sequence[int],
    columns: int,
) -> Sweep:
    model = model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    loader = data.val_dataloader() if part == "val" else data.test_dataloader()
    q, codes, factors = posteriors(model, data, loader, f"encoding {name}")
    q = DiagonalGaussian(*(moment.to(model.device) for moment in q))
    kl = q.kl().mean(0)
    spoken = int((kl > NATS).sum())
    start = None if subject is None else _codes_of(model, data, subject).mean(0)
    found = traverse(model, q, columns, max(min(ROWS, spoken), 1), SPAN, start, list(latents))
    words = _words(data, part, codes, factors)
    middle = "" if subject is None else f", {subject['participant_id'].iloc[0]}"
    rows = zip(found.latents.tolist(), found.kl.tolist(), strict=True)
    return Sweep(
        f"{name}{middle}", found, [f"z{latent}  KL {nats:.2f}\n{words[latent]}".strip() for latent, nats in rows]
    )


def _codes_of(model: VAE, data: ImageData, visits: pd.DataFrame) -> Tensor:
    images = data.on_after_batch_transfer((rows_of(visits).to(model.device),), 0).image
    return model.encode(images).mean


def _words(data: ImageData, part: Part, codes: Codes, factors: Factors) -> list[str]:
    """Return what the latents follow: lines of nothing where no factor is known or varies."""
    truth = ground_truth(factors)
    chosen = truth.varying & ~np.isin(data.factor_names, data.nuisance)
    if not chosen.any():
        return [""] * codes.shape[1]
    people = np.arange(len(codes))
    if isinstance(data, LongitudinalData):
        people = getattr(data.parts, part)["participant_id"].factorize()[0].astype(np.int64)
    return strongest(codes, truth.columns(chosen), np.array(data.factor_names)[chosen].tolist(), people)


def _write_volumes(folder: Path, traversal: Traversal, grid: Grid) -> None:
    images = traversal.images[:, :, 0].float().cpu().numpy()
    for latent, steps in zip(traversal.latents.tolist(), images, strict=True):
        write_volume(folder / f"z{latent:02d}.nii.gz", np.moveaxis(steps, 0, -1), grid.affine)
        write_volume(folder / f"z{latent:02d}_difference.nii.gz", steps[-1] - steps[0], grid.affine)
