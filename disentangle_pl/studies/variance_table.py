"""The numbers of a study of variance as tables."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from disentangle_pl.data.factors import FactorSpace
from disentangle_pl.metrics.decoder_directions import DecoderDirections
from disentangle_pl.metrics.intervals import Interval, mean_interval
from disentangle_pl.metrics.variance import gaps, heterogeneity, shares
from disentangle_pl.studies.variance_factors import FactorVariance
from disentangle_pl.studies.variance_model import Encoding
from disentangle_pl.studies.variance_signal import anchor_factors, anchors_of

IMAGES, DECODED, CODES, DECODER = "images", "decoded images", "codes", "decoder"
ALL = "all"


class Line(NamedTuple):
    """A number of the study.

    Attributes:
        signal: What was measured: images, decoded images, codes or the decoder.
        factor: Which factor, or latent; empty for all together.
        measure: Its name.
        value: The number.
        low: Of its 95 % interval.
        high: Likewise.
        anchors: How many anchors or points it comes from, or `all`; it is exact then.
    """

    signal: str
    factor: str
    measure: str
    value: float
    low: float
    high: float
    anchors: str


def factor_lines(signal: str, space: FactorSpace, factors: Sequence[FactorVariance]) -> list[Line]:
    """Return the lines of every factor, and those that compare factors."""
    lines = []
    for factor in factors:
        name, every = space.names[factor.k], anchors_of(space, factor.k)
        exact = ALL if factor.moments_known else f"{len(factor.anchors)} of {every}"
        seen = ALL if factor.directions_known else f"{len(factor.along)} of {every}"
        for measure, value, origin in (
            ("variance", factor.total, exact),
            ("main effect", factor.main, exact),
            ("interaction", factor.interaction, exact),
            ("amount consistency", factor.amount, exact),
            ("direction consistency", factor.direction, seen),
            ("direction consistency, weighted", factor.weighted, seen),
            ("share of the first direction", factor.first, seen),
        ):
            lines.append(Line(signal, name, measure, *value, origin))
    return lines + _comparisons(signal, space, factors)


def _comparisons(signal: str, space: FactorSpace, factors: Sequence[FactorVariance]) -> list[Line]:
    totals = torch.tensor([factor.total.mean for factor in factors], dtype=torch.float64)
    if not (totals > 0).all():
        return []
    exact = ALL if all(factor.moments_known for factor in factors) else "sampled"
    lines = []
    for measure, values in (("share of variance", shares(totals)), ("log gap", gaps(totals))):
        for factor, value in zip(factors, values.tolist(), strict=True):
            lines.append(Line(signal, space.names[factor.k], measure, value, value, value, exact))
    spread = heterogeneity(totals)
    return [*lines, Line(signal, "", "heterogeneity", spread, spread, spread, exact)]


def encoding_lines(space: FactorSpace, encodings: Sequence[Encoding]) -> list[Line]:
    """Return the lines of a representation."""
    lines = []
    for encoding in encodings:
        every = anchors_of(space, encoding.k)
        seen = ALL if encoding.known else f"{encoding.anchors} of {every}"
        name = space.names[encoding.k]
        lines += [
            Line(CODES, name, "axis spread", *encoding.spread, seen),
            Line(CODES, name, "encoding inconsistency", *encoding.inconsistency, seen),
            Line(CODES, name, "switching", *encoding.switching, seen),
        ]
    return lines


def decoder_lines(found: DecoderDirections, latents: Sequence[int]) -> list[Line]:
    """Return the lines of a decoder, whose active latents are given."""
    seen = f"{len(found.orthogonality)} points"
    lines = [
        Line(DECODER, "", "distance to orthogonality", *mean_interval(found.orthogonality.tolist()), seen),
        Line(DECODER, "", "alignment of directions with axes", *mean_interval(found.alignment.tolist()), seen),
    ]
    for latent, consistency, variance in zip(
        latents, found.consistency.tolist(), found.variances.tolist(), strict=True
    ):
        name = f"latent {latent}"
        lines.append(
            Line(DECODER, name, "direction consistency, weighted", consistency, consistency, consistency, seen)
        )
        lines.append(Line(DECODER, name, "squared length of its direction", variance, variance, variance, seen))
    return lines


def profile(space: FactorSpace, factor: FactorVariance, *others: int) -> Tensor:
    """Return the mean variance of a factor at every value of one or two others: (n,) or (n, m); NaN where unseen.

    Args:
        space: The grid.
        factor: Measured.
        others: Numbers of one or two other factors.
    """
    values = anchor_factors(space, factor.k, factor.anchors)[:, list(others)]
    part = FactorSpace([space.names[j] for j in others], [space.sizes[j] for j in others])
    cell = part.to_index(values)
    sums = torch.zeros(len(part), dtype=torch.float64).index_add(0, cell, factor.amounts)
    return (sums / torch.bincount(cell, minlength=len(part))).view(part.sizes)


def profile_table(space: FactorSpace, factors: Sequence[FactorVariance]) -> pd.DataFrame:
    """Return the mean variance of every factor at every value of every other one, which no sample missed."""
    rows = []
    for factor in factors:
        for other in factors:
            if other.k != factor.k:
                means = profile(space, factor, other.k).tolist()
                names = space.names[factor.k], space.names[other.k]
                rows += [(*names, value, mean) for value, mean in enumerate(means) if mean == mean]
    return pd.DataFrame(rows, columns=["factor", "over", "value", "variance"])


def share_frame(space: FactorSpace, encodings: Sequence[Encoding], latents: Sequence[int]) -> pd.DataFrame:
    """Return the share matrix: a line a factor, a column an active latent."""
    table = torch.stack([encoding.share for encoding in encodings]).numpy()
    frame = pd.DataFrame(table, columns=[f"latent_{latent}" for latent in latents])
    frame.insert(0, "factor", [space.names[encoding.k] for encoding in encodings])
    return frame


def means_line(signal: str, measure: str, values: Tensor, seen: str, seed: int = 0) -> Line:
    """Return the mean of one number a point with its interval; exact if `all` were seen, 0 if there is no number."""
    mean = float(values.mean()) if len(values) else 0.0
    exact = seen == ALL or not len(values)
    found = Interval(mean, mean, mean) if exact else mean_interval(values.tolist(), seed=seed)
    return Line(signal, "", measure, *found, seen)
