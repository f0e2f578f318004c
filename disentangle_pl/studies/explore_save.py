"""What an exploration found, as files."""

import json
import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from disentangle_pl.brain.export import write_volume
from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.errors import InputError
from disentangle_pl.studies.counterfactual import WARNING
from disentangle_pl.studies.explore import Explored
from disentangle_pl.studies.explore_pictures import DIVERGING, diverging, grey, planes_of
from disentangle_pl.studies.explore_state import State, View, view


def save(model: Explored, state: State, at: Mapping[int, int], out: Path) -> list[Path]:
    """Write the picture, the codes and, of volumes, NIfTI files of the decoded image and the difference.

    Args:
        model: What is explored.
        state: Where the exploration stands.
        at: The plane shown of every axis of volumes.
        out: Folder; made if need be. No file in it is overwritten.

    Returns:
        The files, the picture first.

    Raises:
        InputError: If they cannot be written.
    """
    seen = view(model, state)
    try:
        out.mkdir(parents=True, exist_ok=True)
        stem = _free(out, f"{model.name}_{re.sub(r'[^A-Za-z0-9-]+', '-', state.start.name)}")
        files = [stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".json")]
        _draw(model, state, seen, at).savefig(files[0], dpi=130)
        files[1].write_text(json.dumps(_record(model, state, seen), indent=1, allow_nan=False) + "\n")
        if len(model.data.shape) == 4:
            affine = model.scene.grid.affine if model.scene.grid else np.eye(4)
            for name, volume in {"decoded": seen.decoded.mean(0), "difference": seen.difference}.items():
                files.append(stem.with_name(f"{stem.name}_{name}.nii.gz"))
                write_volume(files[-1], volume.numpy(), affine)
    except OSError as error:
        raise InputError(f"{out} cannot be written to ({error.strerror or error}): give another --out") from error
    return files


def _free(out: Path, name: str) -> Path:
    stems = (f"{name}-{number:03d}" for number in count(1))
    return out / next(stem for stem in stems if not (out / f"{stem}.png").exists())


def _record(model: Explored, state: State, seen: View) -> dict[str, object]:
    record: dict[str, object] = {
        "model": model.name,
        "start": state.start.name,
        "codes": state.codes.tolist(),
        "codes_at_start": state.start.codes.tolist(),
        "true_factors": state.start.truth,
        "read_from_codes": {
            probe.name: {"now": seen.says[probe.name], "held_out": probe.trust()} for probe in model.probes
        },
        "difference_scale": seen.limit,
    }
    return record | ({"note": WARNING} if isinstance(model.data, LongitudinalData) else {})


def _draw(model: Explored, state: State, seen: View, at: Mapping[int, int]) -> Figure:
    """Draw a row a plane: the image, what the model makes of the codes, and the difference."""
    planes = planes_of(model.data.shape, model.scene)
    figure = Figure(figsize=(7.6, 0.5 + 2.3 * len(planes)), layout="constrained")
    panels = figure.subplots(len(planes), 3, squeeze=False)
    pictures: dict[str, Tensor | None] = {"start": state.start.image, "decoded": seen.decoded}
    for row, plane in zip(panels, planes, strict=True):
        cut = at.get(plane.axis, plane.first)
        for axis, (name, image) in zip(row, pictures.items(), strict=False):
            if image is not None:
                axis.imshow(grey(image, plane, cut), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_title(f"{name} {plane.name}".strip(), fontsize=8)
        row[2].imshow(diverging(seen.difference, seen.limit, plane, cut), interpolation="nearest")
        row[2].set_title(f"difference {plane.name}".strip(), fontsize=8)
    for axis in panels.flat:
        axis.set_axis_off()
    scale = ScalarMappable(Normalize(-seen.limit, seen.limit), DIVERGING)
    figure.colorbar(scale, ax=panels[:, 2].tolist(), label="decoded less decoded at the start")
    figure.suptitle(f"{model.name}, from {state.start.name}", fontsize=9)
    return figure
