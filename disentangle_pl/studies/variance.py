"""The study of local and global directions of variance in a data set and in a model of it.

The questions are those of Rakowski and Lippert, Disentanglement and Local Directions of Variance (ECML PKDD 2021); the
measures are our own (`disentangle_pl.metrics.variance` and its neighbours).
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import pandas as pd
import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import Progress

from disentangle_pl.data.factors import FactorDataset
from disentangle_pl.errors import InputError
from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.variance_components import Components, global_components, step_alignment
from disentangle_pl.studies.variance_factors import FactorVariance, Plan, alignment_of, measure_factors
from disentangle_pl.studies.variance_model import Codes, decoded_signal, encode_grid, measure_decoder, measure_encoding
from disentangle_pl.studies.variance_moments import exact_moments, pass_count
from disentangle_pl.studies.variance_plot import draw_bars, draw_directions, draw_heat, draw_shares
from disentangle_pl.studies.variance_signal import Signal, image_signal, remembered, varying
from disentangle_pl.studies.variance_table import (
    ALL,
    DECODED,
    IMAGES,
    Line,
    decoder_lines,
    encoding_lines,
    factor_lines,
    means_line,
    profile_table,
    share_frame,
)

EXACT = 4 * 10**9  # numbers in all images: up to here, a few passes take minutes
NEIGHBOURHOODS = 1024


class Study(NamedTuple):
    """All results.

    Attributes:
        lines: The numbers.
        tables: Further tables by name.
        pictures: By name.
        remarks: What was left out and why.
    """

    lines: list[Line]
    tables: dict[str, pd.DataFrame]
    pictures: dict[str, Figure]
    remarks: list[str]


def study_variance(dataset: FactorDataset, model: VAE | None, plan: Plan, exact: bool | None) -> Study:
    """Measure a data set, and a model of it if there is one.

    Args:
        dataset: The images.
        model: In evaluation mode, of the same shape.
        plan: How much is looked at where the grid is sampled.
        exact: Read every image for the variances; None does so unless there are more than 4e9 numbers.

    Raises:
        InputError: If fewer than two factors vary, one changes no image, or images are too large for the memory.
    """
    signal = remembered(image_signal(dataset))
    reads = len(signal.space) * signal.width <= EXACT if exact is None else exact
    passes = pass_count(signal, plan.memory) if reads else 0
    size = len(signal.space)
    components = global_components(signal, whole=plan.whole(signal), seed=plan.seed)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        images = bar.add_task("images", total=passes * size, visible=reads)
        slices = bar.add_task("slices of factors", total=len(varying(signal.space)))
        moments = exact_moments(signal, memory=plan.memory, advance=partial(bar.advance, images)) if reads else None
        factors = measure_factors(signal, components, moments, plan, partial(bar.advance, slices))
    _refuse_still(signal, factors)
    lines = factor_lines(IMAGES, signal.space, factors)
    lines += _aligned(IMAGES, signal, factors, components, plan)
    moved = [factor.k for factor in factors]
    pictures = {
        "variance": draw_bars(signal.space, factors),
        "heat": draw_heat(signal.space, factors),
        "directions": draw_directions(signal, components, moved, plan.seed),
    }
    study = Study(lines, {"profiles": profile_table(signal.space, factors)}, pictures, _remarks(signal, components))
    return study if model is None else _with_model(study, dataset, model, plan)


def with_codes(study: Study, codes: Codes, plan: Plan) -> Study:
    """Add how codes encode the factors of their grid, if any latent is active."""
    latents = codes.active.nonzero().flatten().tolist()
    if not latents:
        return study._replace(remarks=[*study.remarks, "No latent is active: the codes were not measured."])
    space, encodings = codes.signal.space, measure_encoding(codes, plan)
    table = torch.stack([encoding.share for encoding in encodings])
    names = [space.names[encoding.k] for encoding in encodings]
    return study._replace(
        lines=[*study.lines, *encoding_lines(space, encodings)],
        tables=study.tables | {"shares": share_frame(space, encodings, latents)},
        pictures=study.pictures | {"shares": draw_shares(names, latents, table)},
    )


def _with_model(study: Study, dataset: FactorDataset, model: VAE, plan: Plan) -> Study:
    codes = encode_grid(model, dataset, plan.seed)
    study, space = with_codes(study, codes, plan), dataset.factors
    if not codes.active.any():
        return study
    latents = codes.active.nonzero().flatten().tolist()
    decoded = decoded_signal(model, codes, math.prod(dataset.shape))
    components = global_components(decoded, whole=plan.whole(decoded), points=1024, seed=plan.seed)
    factors = measure_factors(decoded, components, None, plan)
    lines = [
        *study.lines,
        *factor_lines(DECODED, space, factors),
        *_aligned(DECODED, decoded, factors, components, plan),
        *decoder_lines(measure_decoder(model, codes, plan.seed), latents),
    ]
    return study._replace(lines=lines)


def _aligned(
    signal: str, what: Signal, factors: Sequence[FactorVariance], components: Components, plan: Plan
) -> list[Line]:
    size = len(what.space)
    most = NEIGHBOURHOODS if plan.whole(what) else plan.anchors
    draws = torch.Generator().manual_seed(plan.seed)
    points = torch.arange(size) if size <= most else torch.randint(size, (most,), generator=draws)
    value, _ = alignment_of(list(factors), components, plan)
    local = step_alignment(what, components, points)
    seen_locally = ALL if len(points) == size else f"{len(points)} of {size}"
    seen = ALL if all(factor.directions_known for factor in factors) and not components.sampled else "sampled"
    return [
        Line(signal, "", "global alignment", *value, seen),
        means_line(signal, "local alignment", local.alignment[local.moving], seen_locally, plan.seed),
        means_line(signal, "local/global discrepancy", local.discrepancy[local.moving], seen_locally, plan.seed),
    ]


def _refuse_still(signal: Signal, factors: Sequence[FactorVariance]) -> None:
    still = [signal.space.names[factor.k] for factor in factors if not factor.total.mean > 0]
    if still:
        raise InputError(f"factor {still[0]} changes no image: leave it out of the data set, or give data that show it")


def _remarks(signal: Signal, components: Components) -> list[str]:
    moved = varying(signal.space)
    alone = [name for k, name in enumerate(signal.space.names) if k not in moved]
    remarks = [f"{name} has one value only and was left out." for name in alone]
    if components.explained < 1 - 1e-6:
        remarks.append(
            f"The {len(components.eigenvalues)} global components that were compared with factors hold "
            f"{components.explained:.0%} of the variance."
        )
    if components.sampled:
        remarks.append(f"Global components come from {components.sampled} images drawn at random.")
    return remarks
