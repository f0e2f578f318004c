"""How ventricles, cortex, hippocampus and white matter change in volume, each alone.

A velocity field changes the volume of a tissue with fractions p by the integral of p times its divergence. So the
divergence that changes the parts of the brain at wanted rates, and no other part, is a combination of their fractions
that solves a small linear system. What discretisation adds is measured on the warped anatomy and undone.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from disentangle_pl.brain import anatomy as a
from disentangle_pl.brain.anatomy import Anatomy, Array, Matrix
from disentangle_pl.brain.deformation import exponential, flow_of, warp
from disentangle_pl.errors import InputError

CHANGING = (a.VENTRICLES, a.CORTEX, a.HIPPOCAMPUS, a.WHITE)
NEAR_VENTRICLES, NEAR_HIPPOCAMPUS, RIM = 15.0, 8.0, 4.0  # mm over which a neighbourhood fades
RIM_WEIGHT = 0.6  # of fluid by the skull against that in sulci, when cortex or white matter makes room
PROBE = 0.05  # log volume
REACH = np.array([0.8, 0.22, 0.45, 0.16])  # log volumes by which an anatomy looks right when it is changed
KNOTS = (-2.0, -1.0, -0.5, 0.0, 0.75, 1.5, 3.0)  # of `REACH`
SMALLEST = 0.5  # ml: less of a part has no rate of its own


class Calibration(NamedTuple):
    """What is measured once for every anatomy.

    Attributes:
        mixing: (4, 4) weights of the nominal fields, a column for each of `CHANGING`.
        responses: (4, 7) changes of the log volumes at `KNOTS` times `REACH` of each mixed field.
        log_volumes: (5,) log millilitres of `CHANGING` and of all within the skull.
    """

    mixing: tuple[tuple[float, ...], ...]
    responses: tuple[tuple[float, ...], ...]
    log_volumes: tuple[float, ...]


def nominal_fields(anatomy: Anatomy) -> Tensor:
    """Return the velocity fields (4, 3, n, n, n) that roughly change `CHANGING` by 1 log unit each, uncalibrated."""
    parts = {name: part for name, part in _parts(anatomy).items() if part.sum() * _ml(anatomy) > SMALLEST}
    stack = np.stack([part.ravel() for part in parts.values()]).astype(np.float64)
    gram = stack @ stack.T
    gram += 1e-9 * np.trace(gram) * np.eye(len(gram))
    volume = dict(zip(parts, stack.sum(1), strict=True))
    fields = []
    for rate in _rates(volume):
        weights = np.linalg.solve(gram, [rate.get(name, 0.0) for name in parts])
        fields.append(flow_of((weights @ stack).reshape(anatomy.detail.shape)))
    return torch.from_numpy(np.stack(fields))


def calibrate(anatomy: Anatomy) -> Calibration:
    """Measure what the nominal fields do to the volumes, and how to mix them so that each changes one.

    Raises:
        InputError: If one of `CHANGING` is all but absent.
    """
    totals = anatomy.fractions.sum((1, 2, 3), dtype=np.float64) * _ml(anatomy)
    absent = [a.TISSUES[k] for k in CHANGING if totals[k] < SMALLEST]
    if absent:
        raise InputError(f"an anatomy has less than {SMALLEST} ml of {', '.join(absent)}: nothing can be changed there")
    fields, fractions = nominal_fields(anatomy), torch.from_numpy(anatomy.fractions)
    response = np.stack([_slopes(fractions, field) for field in fields], axis=1)
    mixing = torch.from_numpy(np.linalg.inv(response)).float()
    mixed = torch.einsum("jk,jcxyz->kcxyz", mixing, fields)
    table = [
        [_log_ratio(fractions[[k]], x * r * v) for x in KNOTS] for k, r, v in zip(CHANGING, REACH, mixed, strict=True)
    ]
    volumes = np.log([*totals[list(CHANGING)], totals.sum()])
    return Calibration(_rows(mixing.tolist()), _rows(table), tuple(map(float, volumes)))


def amounts(calibration: Calibration, log_volumes: Matrix) -> Matrix:
    """Return how much of every calibrated field (4,) gives the wanted changes of the log volumes (4,), each alone.

    Growth needs more than its size, since tissue that has moved on grows no longer. What cannot be reached ends at the
    last knot.
    """
    rising = np.maximum.accumulate(calibration.responses, axis=1) + 1e-6 * np.arange(len(KNOTS))
    amounts_of_knots = [
        float(PchipInterpolator(response, KNOTS)(np.clip(log_volume, response[0], response[-1])))
        for log_volume, response in zip(log_volumes, rising, strict=True)
    ]
    scaled: Matrix = np.array(amounts_of_knots) * REACH
    return scaled


def calibrated_fields(anatomy: Anatomy, calibration: Calibration) -> Tensor:
    """Return velocity fields (4, 3, n, n, n): a little x of the k-th changes the log volume of `CHANGING[k]` by x."""
    mixing = torch.tensor(calibration.mixing, dtype=torch.float32)
    return torch.einsum("jk,jcxyz->kcxyz", mixing, nominal_fields(anatomy))


def nearness(fraction: Array, spacing: float, length: float) -> Array:
    """Return exp(-distance / length) from where a tissue is, lengths in mm; 0 everywhere if it is nowhere."""
    inside = fraction >= 0.45
    if not inside.any():
        return np.zeros_like(fraction)
    distance = ndimage.distance_transform_edt(~inside) * spacing
    return np.exp(-distance / length).astype(np.float32)


def _slopes(fractions: Tensor, field: Tensor) -> Matrix:
    """Differentiate the log volumes (4,) of `CHANGING` along a field."""
    more, less = (warp(fractions[list(CHANGING)], exponential(-x * field)).sum((1, 2, 3)) for x in (PROBE, -PROBE))
    slopes: Matrix = ((more / less).log() / (2 * PROBE)).double().numpy()
    return slopes


def _log_ratio(fraction: Tensor, velocity: Tensor) -> float:
    """Return the change of the log volume of one tissue (1, n, n, n) along a flow."""
    return float((warp(fraction, exponential(-velocity)).sum() / fraction.sum()).log())


def _rows(table: list[list[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in table)


def _parts(anatomy: Anatomy) -> dict[str, Array]:
    p = anatomy.fractions
    by_ventricles = nearness(p[a.VENTRICLES], anatomy.spacing, NEAR_VENTRICLES)
    by_hippocampus = np.exp(-(np.log(nearness(p[a.HIPPOCAMPUS], anatomy.spacing, NEAR_HIPPOCAMPUS) + 1e-12) ** 2))
    rim = nearness(1 - p.sum(0), anatomy.spacing, RIM)
    return {
        "cortex": p[a.CORTEX],
        "inner white": p[a.WHITE] * by_ventricles,
        "outer white": p[a.WHITE] * (1 - by_ventricles),
        "ventricles": p[a.VENTRICLES] * (1 - by_hippocampus),
        "temporal horns": p[a.VENTRICLES] * by_hippocampus,
        "csf": p[a.CSF] * (1 - by_hippocampus) * (1 - rim),
        "rim": p[a.CSF] * (1 - by_hippocampus) * rim,
        "csf by hippocampus": p[a.CSF] * by_hippocampus,
        "hippocampus": p[a.HIPPOCAMPUS],
        "deep grey": p[a.THALAMUS] + p[a.STRIATUM],
        "cerebellar cortex": p[a.CEREBELLAR_CORTEX],
        "cerebellar white": p[a.CEREBELLAR_WHITE],
        "lesions": p[a.LESIONS],
    }


def _rates(volume: dict[str, float]) -> list[dict[str, float]]:
    """Say for each of `CHANGING` which parts gain how many voxels; every rate sums to 0: the skull is rigid."""

    def shared(total: float, *names: str) -> dict[str, float]:
        sizes = {name: volume[name] for name in names if name in volume}
        return {name: total * size / sum(sizes.values()) for name, size in sizes.items()}

    def around(lost: float) -> dict[str, float]:
        rim, sulci = RIM_WEIGHT * volume.get("rim", 0.0), volume.get("csf", 0.0)
        return {"csf": -lost * sulci / (rim + sulci), "rim": -lost * rim / (rim + sulci)} if rim + sulci else {}

    fluid = sum(volume.get(name, 0.0) for name in ("ventricles", "temporal horns"))
    white = sum(volume.get(name, 0.0) for name in ("inner white", "outer white"))
    by_hippocampus = shared(-volume["hippocampus"], "temporal horns", "csf by hippocampus")
    return [
        {**shared(fluid, "ventricles", "temporal horns"), **shared(-fluid, "inner white")},
        {"cortex": volume["cortex"], **around(volume["cortex"])},
        {"hippocampus": volume["hippocampus"], **by_hippocampus},
        {**shared(white, "inner white", "outer white"), **around(white)},
    ]


def _ml(anatomy: Anatomy) -> float:
    return anatomy.spacing**3 / 1000
