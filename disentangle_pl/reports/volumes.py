"""What a model makes of volumes, to scroll through in a report: its latents, and the visits of a held-out person."""

from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from disentangle_pl.brain.export import Affine, read_volume
from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.sampling import rows_of
from disentangle_pl.callbacks.traversals import traverse
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.reports.blocks import Section, Stack, Viewer
from disentangle_pl.studies.codes import check_fits, posteriors
from disentangle_pl.studies.scan_codes import images_of
from disentangle_pl.studies.scene import scene_of
from disentangle_pl.studies.traverse import SPAN, latent_words
from disentangle_pl.studies.traverse_ends import foreground_box

ACROSS = 8  # slices in a row of a picture
Volume = NDArray[np.floating[Any]]
LATENTS = 4
PLACES, FILES = 2, 12  # of volumes of other verbs that are shown
KEYS = (
    "Scroll with the sliders, or select a plane and use the arrow keys or the wheel; a click on a plane moves the "
    "others there. L and R are the left and right of the person."
)


class Shown(NamedTuple):
    """A volume (X, Y, Z) in RAS order, or the difference of two."""

    values: Volume
    signed: bool = False


def viewer(groups: Mapping[str, Mapping[str, Shown]], affine: Affine, caption: str) -> Viewer:
    """Make volumes of one shape ready for a page, without the background that they share.

    All volumes share one grey scale, and all differences one symmetric scale that ends at the 99.5 % quantile of their
    size.

    Args:
        groups: Volumes by name, by the name of their group.
        affine: (4, 4) from voxels to millimetres, without rotation.
        caption: What they are.
    """
    shown = [each for group in groups.values() for each in group.values()]
    plain = [each.values for each in shown if not each.signed] or [np.zeros(shown[0].values.shape)]
    box = foreground_box(np.mean(plain, axis=0))
    low, high = min(float(each.min()) for each in plain), max(float(each.max()) for each in plain)
    signed = [np.abs(each.values[box]).ravel() for each in shown if each.signed]
    limit = max(float(np.quantile(np.concatenate(signed), 0.995)) if signed else 0.0, 1e-6)
    stacks = []
    for group, volumes in groups.items():
        for name, (values, difference) in volumes.items():
            ends = (-limit, limit) if difference else (low, max(high, low + 1e-6))
            stacks.append(Stack(group, name, _mosaic(values[box], *ends), difference))
    shape = tuple(edge.stop - edge.start for edge in box)
    origin = affine[:3, 3] + np.array([edge.start for edge in box]) * np.diag(affine)[:3]
    scale = f" Differences: blue is darker, red is brighter, up to \N{PLUS-MINUS SIGN}{limit:.2g}." if signed else ""
    return Viewer(caption + scale, shape, ACROSS, tuple(origin.tolist()), float(affine[0, 0]), stacks)


def _mosaic(values: Volume, low: float, high: float) -> str:
    """Lay the axial slices of a volume (X, Y, Z) out in rows, the lowest first, as the source of an image."""
    x, y, z = values.shape
    rows = -(-z // ACROSS)
    grey = (((values - low) / (high - low)).clip(0, 1) * 255).round().astype(np.uint8)
    tiles = np.zeros((rows * ACROSS, y, x), np.uint8)
    tiles[:z] = grey.transpose(2, 1, 0)[:, ::-1]
    sheet = tiles.reshape(rows, ACROSS, y, x).swapaxes(1, 2).reshape(rows * y, ACROSS * x)
    buffer = BytesIO()
    Image.fromarray(sheet).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode()


@torch.no_grad()
def volumes_section(model: VAE, data: ImageData) -> Section:
    """Decode the ends of the strongest latents, and two visits of a held-out person, as volumes to scroll through.

    Args:
        model: The model.
        data: Its scans; they are set up here.

    Raises:
        InputError: If the images are no volumes of scans, have another shape than the model's, or nobody is held out.
    """
    check_fits(model, data)
    if not isinstance(data, LongitudinalData):
        raise InputError(f"{type(data).__name__} has no volumes to scroll through: leave --volumes out")
    data.prepare_data()
    data.setup("validate")
    if not len(data.parts.test):
        raise InputError("no scan is held out to scroll through: leave --volumes out, or split with a part for test")
    scene = scene_of(data)
    assert scene.grid is not None, "brain scans have a grid"
    affine = scene.grid.affine
    q, codes, factors = posteriors(model, data, data.test_dataloader())
    moved = DiagonalGaussian(*(moment.to(model.device) for moment in q))
    found = traverse(model, moved, 3, LATENTS, SPAN)
    words = latent_words(data, "test", codes, factors)
    traversals: dict[str, dict[str, Shown]] = {}
    for latent, steps in zip(found.latents.tolist(), found.images[:, :, 0].float().cpu().numpy(), strict=True):
        low, _, high = steps
        title = ", ".join([f"z{latent}", *words[latent].split("\n")]) if words[latent] else f"z{latent}"
        ends = {f"\N{MINUS SIGN}{SPAN:g} sd": Shown(low), f"+{SPAN:g} sd": Shown(high)}
        traversals[title] = ends | {"change between these": Shown(high - low, signed=True)}
    traversals["typical scan"] = {"decoded": Shown(found.images[0, 1, 0].float().cpu().numpy())}
    swept = f"The {LATENTS} latents of the largest KL, each at both ends while the others stay at a typical scan."
    visits = _two_visits(data.parts.test)
    who = visits["participant_id"].iloc[0]
    viewers = [viewer(traversals, affine, swept), viewer(_person(model, data, visits), affine, f"Scans of {who}.")]
    return Section("volumes", "Volumes", [KEYS], viewers=viewers)


def folder_section(folder: Path, number: int) -> Section | None:
    """Make the volumes of a folder that traverse or counterfactual has written ready to scroll through.

    Of a file with several steps the first, the middle and the last are shown; files of a folder that have another shape
    than its first one are left out.

    Args:
        folder: Its files .nii.gz, and those in folders of it.
        number: Of the section; anchors must differ.

    Returns:
        The section, None if there is no such file.

    Raises:
        InputError: If a file cannot be read.
    """
    places = sorted({path.parent for path in folder.rglob("*.nii.gz")})
    if not places:
        return None
    words = [KEYS]
    if len(places) > PLACES:
        words.append(f"{len(places)} folders of volumes lie in it; the first {PLACES} are shown.")
    viewers = [_viewer_of_files(place) for place in places[:PLACES]]
    return Section(f"volumes-{number}", f"Volumes: {folder.absolute().name}", words, viewers=viewers)


def _viewer_of_files(place: Path) -> Viewer:
    paths = sorted(place.glob("*.nii.gz"))
    first, affine = read_volume(paths[0])
    groups: dict[str, dict[str, Shown]] = {}
    for path in paths[:FILES]:
        values, _ = read_volume(path)
        if values.shape[:3] != first.shape[:3]:
            continue
        name, _, difference = path.name.removesuffix(".nii.gz").partition("difference")
        group = groups.setdefault(name.rstrip("_") or place.name, {})
        if values.ndim == 3:
            group[f"difference{difference}".replace("_", " ") if "difference" in path.name else "volume"] = Shown(
                values, signed="difference" in path.name
            )
        else:
            steps = values.shape[3]
            for step in sorted({0, steps // 2, steps - 1}):
                group[f"step {step + 1} of {steps}"] = Shown(values[..., step])
    more = f" The first {FILES} of {len(paths)} files." if len(paths) > FILES else ""
    return viewer(groups, affine, f"{place.name}.{more}")


def _two_visits(visits: pd.DataFrame) -> pd.DataFrame:
    """Return the first and the last scan of the first participant with two sessions, or of the first at all."""
    sessions = visits.groupby("participant_id", sort=False)["session_id"].nunique()
    repeated = sessions.index[sessions > 1]
    chosen = visits[visits["participant_id"] == (repeated if len(repeated) else sessions.index)[0]]
    ends: pd.DataFrame = chosen.drop_duplicates("session_id").iloc[[0, -1]]
    return ends[~ends.index.duplicated()]


def _person(model: VAE, data: LongitudinalData, visits: pd.DataFrame) -> dict[str, dict[str, Shown]]:
    images = images_of(data, rows_of(visits).numpy(), model.device)
    decoded = model.decode(model.encode(images).mean)
    scans, remade = (each[:, 0].float().cpu().numpy() for each in (images, decoded))
    groups: dict[str, dict[str, Shown]] = {}
    for session, scan, copy in zip(visits["session_id"], scans, remade, strict=True):
        name = "scan" if session == "n/a" else str(session)
        groups[name] = {"scan": Shown(scan), "decoded": Shown(copy)}
        groups[name]["decoded less scan"] = Shown(copy - scan, signed=True)
    if len(scans) > 1:
        change = {"scans": Shown(np.subtract(scans[1], scans[0]), signed=True)}
        groups["change between the visits"] = change | {"decoded": Shown(remade[1] - remade[0], signed=True)}
    return groups
