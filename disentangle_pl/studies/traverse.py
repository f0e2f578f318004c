"""`disentangle-pl traverse`: what every latent changes, as pictures, as a film and as volumes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

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
from disentangle_pl.metrics.correlation import correlations
from disentangle_pl.metrics.score import Codes, Factors, ground_truth
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.studies.codes import check_fits, posteriors
from disentangle_pl.studies.evaluate import run_names
from disentangle_pl.studies.exposure import cautions_of, exposure_to, print_cautions
from disentangle_pl.studies.held_out import Part
from disentangle_pl.studies.labels import short_factor
from disentangle_pl.studies.latent_table import NATS, strongest
from disentangle_pl.studies.scene import scene_of
from disentangle_pl.studies.traverse_ends import DPI, draw_ends
from disentangle_pl.studies.traverse_plot import Sweep, draw_sweeps, write_movie

ROWS = 10
BRIEF = 4  # of the picture for a page
SPAN = 2.0


class Shown(NamedTuple):
    """Which latents, or those that follow which factors, in how many steps."""

    latents: Sequence[int]
    follow: Sequence[str]
    columns: int


def report_traverse(
    checkpoints: Sequence[Path],
    data: ImageData,
    out: Path,
    *,
    part: Part = "test",
    subject: str | None = None,
    latents: Sequence[int] = (),
    follow: Sequence[str] = (),
    titles: Sequence[str] = (),
    columns: int = 7,
) -> None:
    """Write `traverse.png`, `<model>.gif` and, of volumes, `ends.png`, `<model>/z<i>.nii.gz` and its difference.

    `ends.png` is small enough for a page: the first four latents, their ends and what changes between these.

    The latents move through two standard deviations of the aggregate posterior of the held-out images, either way, from
    a typical one of them, or from a subject's own codes. Volumes are cut where ventricles and hippocampus are seen.

    Args:
        checkpoints: One model, or two to see side by side; one without aggregation, the baseline, is on the left.
        data: What to encode.
        out: Folder to write to.
        part: The images that define the aggregate posterior: test, or val.
        subject: Participant whose mean codes are the middle, None for a typical image.
        latents: Which to show, in this order; none for the ten of the largest KL that are not passive.
        follow: Factors, instead of latents: each model shows the latent that is most correlated with each of them, a
            latent once.
        titles: One a checkpoint; none for the name of the run and its method.
        columns: Steps, odd.

    Raises:
        InputError: If a checkpoint cannot be read or does not fit the data, a latent, a factor or a subject is not
            there, titles are not as many as checkpoints, or the number of columns is no odd number above 1.
    """
    if len(checkpoints) > 2 or columns < 3 or columns % 2 == 0:
        raise InputError(
            f"traverse takes one or two checkpoints and an odd number of columns from 3, got {len(checkpoints)} and "
            f"{columns}"
        )
    models = {name: load_model(path) for name, path in zip(run_names(checkpoints), checkpoints, strict=True)}
    if titles and len(titles) != len(checkpoints):
        raise InputError(f"give each checkpoint one of the --titles: there are {len(titles)} for {len(checkpoints)}")
    _check_factors(follow, latents, data)
    if not isinstance(data, LongitudinalData) and subject is not None:
        raise InputError(f"subject {subject} is asked for, but {type(data).__name__} has no subjects: leave it out")
    for name, model in models.items():
        check_fits(model, data)
        _check_latents(latents, model, name)
    data.prepare_data()
    data.setup("validate")
    if part == "test" and not isinstance(data, LongitudinalData):
        part = "val"  # what is drawn from a grid is never seen twice
    if isinstance(data, LongitudinalData):
        print_cautions(cautions_of(exposure_to(model.provenance, data, name) for name, model in models.items()))
    scene, start = scene_of(data), None if subject is None else _subject(data, subject)  # type: ignore[arg-type]
    ordered = dict(sorted(models.items(), key=lambda model: model[1].aggregation is not None))
    named = dict(zip(models, titles or [_method(name, model) for name, model in models.items()], strict=True))
    shown = Shown(latents, follow, columns)
    sweeps = {name: _sweep(model, named[name], data, part, start, shown) for name, model in ordered.items()}
    out.mkdir(parents=True, exist_ok=True)
    draw_sweeps(list(sweeps.values()), scene.cuts, SPAN).savefig(out / "traverse.png", dpi=130)
    if scene.cuts:
        brief = [_first_rows(sweep) for sweep in sweeps.values()]
        draw_ends(brief, scene.cuts, SPAN).savefig(out / "ends.png", dpi=DPI)
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


def _check_factors(follow: Sequence[str], latents: Sequence[int], data: ImageData) -> None:
    if follow and latents:
        raise InputError("give --latents or --follow: both say which latents are shown")
    wrong = [name for name in follow if name not in data.factor_names]
    if wrong:
        raise InputError(f"there is no factor {wrong[0]} to follow: there are {', '.join(data.factor_names) or 'none'}")


def _method(name: str, model: VAE) -> str:
    parts = [type(model).__name__, *([type(model.aggregation).__name__] if model.aggregation is not None else [])]
    return f"{name}: {', '.join(parts)}"


def _first_rows(sweep: Sweep) -> Sweep:
    latents, kl, values, images = (part[:BRIEF] for part in sweep.traversal)
    return Sweep(sweep.title, Traversal(latents, kl, values, images), sweep.words[:BRIEF])


@torch.no_grad()
def _sweep(model: VAE, title: str, data: ImageData, part: Part, subject: pd.DataFrame | None, shown: Shown) -> Sweep:
    model = model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    loader = data.val_dataloader() if part == "val" else data.test_dataloader()
    q, codes, factors = posteriors(model, data, loader, f"encoding {title}")
    q = DiagonalGaussian(*(moment.to(model.device) for moment in q))
    kl = q.kl().mean(0)
    spoken = int((kl > NATS).sum())
    start = None if subject is None else _codes_of(model, data, subject).mean(0)
    followed = followers(codes, factors, [data.factor_names.index(name) for name in shown.follow])
    latents = [latent for latent, _ in followed] or list(shown.latents)
    found = traverse(model, q, shown.columns, max(min(ROWS, spoken), 1), SPAN, start, latents)
    if followed:
        words = [
            f"{short_factor(name).removeprefix('ratio ')}\nz{latent}  r {r:+.2f}".replace("-", "\N{MINUS SIGN}")
            for name, (latent, r) in zip(shown.follow, followed, strict=True)
        ]
    else:
        meant = latent_words(data, part, codes, factors)
        rows = zip(found.latents.tolist(), found.kl.tolist(), strict=True)
        words = [f"z{latent}  KL {nats:.2f}\n{meant[latent]}".strip() for latent, nats in rows]
    middle = "" if subject is None else f", {subject['participant_id'].iloc[0]}"
    return Sweep(f"{title}{middle}", found, words)


def followers(codes: Codes, factors: Factors, chosen: Sequence[int]) -> list[tuple[int, float]]:
    """Return for each chosen factor the latent that is most correlated with it and is not taken yet, and r."""
    if not chosen:
        return []
    found = correlations(codes, factors)[:, list(chosen)]
    free, followers = np.ones(len(found), dtype=bool), []
    for r in found.T[: len(found)]:
        latent = int(np.argmax(np.where(free, np.abs(np.nan_to_num(r)), -1.0)))
        free[latent] = False
        followers.append((latent, float(r[latent])))
    return followers


def _codes_of(model: VAE, data: ImageData, visits: pd.DataFrame) -> Tensor:
    images = data.on_after_batch_transfer((rows_of(visits).to(model.device),), 0).image
    return model.encode(images).mean


def latent_words(data: ImageData, part: Part, codes: Codes, factors: Factors) -> list[str]:
    """Return what the latents follow on a part of the data: nothing where no factor is known or varies."""
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
