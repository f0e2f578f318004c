"""The measures of one signal: what every factor does to it, and where its principal components point."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.anchor_intervals import fixed, interval_of, over_anchors, resampled_counts
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.variance import (
    amount_consistency,
    induced_variance,
    interaction,
    main_effect_products,
    mean_over_anchors,
    mean_over_pairs,
)
from disentangle_pl.metrics.variance_directions import (
    Directions,
    alignment,
    direction_consistency,
    direction_overlaps,
    has_direction,
    principal_directions,
)
from disentangle_pl.studies.variance_components import Components
from disentangle_pl.studies.variance_moments import Moments
from disentangle_pl.studies.variance_signal import Signal, anchors_of, check_finite, draw_anchors, slice_index, varying

FEWEST = 8
Amounts: TypeAlias = tuple[Interval, Interval, Interval, Interval]
Ways: TypeAlias = tuple[Interval, Interval, Interval]


class Plan(NamedTuple):
    """How much is looked at.

    Attributes:
        anchors: Anchors of a factor, and points, where the grid is sampled.
        complete: Grids with at most so many numbers in all their images are not sampled,
        most: but for factors with more anchors than this, all pairs of which are compared.
        memory: MiB for the slices of one factor, or for a block of images that are read one after another.
        resamples: Of bootstraps.
        seed: Of everything that is drawn.
    """

    anchors: int = 256
    complete: int = 2**23
    most: int = 2048
    memory: int = 512
    resamples: int = 1000
    seed: int = 0

    def whole(self, signal: Signal) -> bool:
        """Tell whether all anchors are looked at."""
        return len(signal.space) * signal.width <= self.complete


class FactorVariance(NamedTuple):
    """What one factor does.

    Attributes:
        k: Which factor of the grid.
        anchors: (A,) where its amounts are known, in the order of the grid without it.
        amounts: (A,) V_k(a).
        total: E_a V_k(a).
        main: tr Cov(E[x | v_k]).
        interaction: 1 - main / total.
        amount: Amount consistency.
        direction: Direction consistency, all anchors alike.
        weighted: Direction consistency, anchors weighted by V_k(a).
        first: Share of V_k(a) along the first direction at a, mean weighted by V_k(a).
        along: (B, J) variance along the global components at the B anchors whose directions were looked at.
        moments_known: Whether amounts and the numbers from them are exact.
        directions_known: Whether directions are.
    """

    k: int
    anchors: Tensor
    amounts: Tensor
    total: Interval
    main: Interval
    interaction: Interval
    amount: Interval
    direction: Interval
    weighted: Interval
    first: Interval
    along: Tensor
    moments_known: bool
    directions_known: bool


def measure_factors(
    signal: Signal,
    components: Components,
    moments: dict[int, Moments] | None,
    plan: Plan,
    advance: Callable[[], None] = lambda: None,
) -> list[FactorVariance]:
    """Measure every factor that varies; one that changes nothing has the consistencies 1, as nothing differs.

    Args:
        signal: On the grid.
        components: Its global components.
        moments: Exact variances; None to estimate them from the sampled anchors.
        plan: How much is looked at.
        advance: Called after every factor.

    Raises:
        InputError: If the slices of a factor at a few anchors do not fit into the memory.
    """
    found = []
    for k in varying(signal.space):
        found.append(_measure(signal, k, components, moments[k] if moments else None, plan))
        advance()
    return found


def alignment_of(factors: list[FactorVariance], components: Components, plan: Plan) -> tuple[Interval, Tensor]:
    """Return the alignment of global components with factors, and the variances (J, K) it is made of."""
    table = torch.stack([factor.along.mean(dim=0) for factor in factors], dim=-1)
    value = alignment(table, components.eigenvalues)
    if all(factor.directions_known for factor in factors):
        return fixed(float(value)), table
    columns = []
    for number, factor in enumerate(factors):
        counts = resampled_counts(len(factor.along), plan.resamples, plan.seed + number)
        columns.append(counts @ factor.along / len(factor.along))
    resampled = alignment(torch.stack(columns, dim=-1), components.eigenvalues.expand(plan.resamples, -1))
    return interval_of(value, resampled), table


def drawn_slices(signal: Signal, k: int, plan: Plan) -> tuple[Tensor, Tensor, bool]:
    """Return anchors (A,) of a factor, its slices (A, n, D) there, and whether these are all anchors.

    Raises:
        InputError: If a few slices do not fit into the memory.
    """
    number = anchors_of(signal.space, k)
    whole = plan.whole(signal) and number <= plan.most
    room = plan.memory * 2**20 // (4 * signal.width * signal.space.sizes[k])
    most = number if whole else min(plan.anchors, room)
    if most < min(FEWEST, number):
        raise InputError(
            f"{signal.space.sizes[k]} values of factor {signal.space.names[k]} have {signal.width} numbers each, too "
            f"much for {FEWEST} anchors in {plan.memory} MiB: raise --memory or take smaller images"
        )
    anchors = draw_anchors(signal.space, k, most, torch.Generator().manual_seed(plan.seed + k))
    slices = signal.at(slice_index(signal.space, k, anchors))
    check_finite(slices)
    return anchors, slices.double() if whole else slices.float(), len(anchors) == number


def _measure(signal: Signal, k: int, components: Components, moments: Moments | None, plan: Plan) -> FactorVariance:
    anchors, slices, every = drawn_slices(signal, k, plan)
    amounts = induced_variance(slices).double()
    top = principal_directions(slices)
    along = (slices @ components.vectors.mT.to(slices.dtype)).var(dim=1, correction=0).double()
    sample = _Sample(len(anchors), None if every else anchors_of(signal.space, k), plan.resamples, plan.seed + k)
    ways = _direction_measures(sample, amounts, top)
    if moments is None:
        known = _estimates(sample, amounts, main_effect_products(slices).double())
        return FactorVariance(k, anchors, amounts, *known, *ways, along, every, every)
    everywhere = torch.arange(anchors_of(signal.space, k))
    return FactorVariance(k, everywhere, moments.amounts, *_exact(moments), *ways, along, True, every)


class _Sample(NamedTuple):
    """Anchors of a factor: how many, of how many if they are a sample, and how they are resampled."""

    anchors: int
    population: int | None
    resamples: int
    seed: int

    def estimate(self, statistic: Callable[[Tensor], Tensor]) -> Interval:
        """Return a statistic over the anchors; exact if they are all."""
        sampled = self.population is not None
        return over_anchors(statistic, self.anchors, sampled=sampled, resamples=self.resamples, seed=self.seed)


def _exact(moments: Moments) -> Amounts:
    """Return total, main effect, interaction and amount consistency."""
    total = moments.amounts.mean()
    if not total > 0:
        return fixed(0.0), fixed(0.0), fixed(0.0), fixed(1.0)
    apart = interaction(total, torch.tensor(moments.main))
    steady = amount_consistency(moments.amounts)
    return fixed(float(total)), fixed(moments.main), fixed(float(apart)), fixed(float(steady))


def _estimates(sample: _Sample, amounts: Tensor, products: Tensor) -> Amounts:
    """Return total, main effect, interaction and amount consistency."""
    if not amounts.any():
        return fixed(0.0), fixed(0.0), fixed(0.0), fixed(1.0)

    def total(counts: Tensor) -> Tensor:
        return mean_over_anchors(amounts, counts).clamp(min=torch.finfo(torch.float64).tiny)

    def main(counts: Tensor) -> Tensor:
        return mean_over_pairs(products, counts, population=sample.population).clamp(min=0)

    return (
        sample.estimate(total),
        sample.estimate(main),
        sample.estimate(lambda counts: interaction(total(counts), main(counts))),
        sample.estimate(lambda counts: amount_consistency(amounts, counts)),
    )


def _direction_measures(sample: _Sample, amounts: Tensor, top: Directions) -> Ways:
    """Return direction consistency, the same weighted by variance, and the share of the first direction."""
    if not amounts.any():
        return fixed(1.0), fixed(1.0), fixed(1.0)
    overlaps, first = direction_overlaps(top.vectors).double(), top.variances[:, 0].double()
    alike = has_direction(amounts)
    return (
        sample.estimate(lambda counts: direction_consistency(overlaps, alike, counts, population=sample.population)),
        sample.estimate(lambda counts: direction_consistency(overlaps, amounts, counts, population=sample.population)),
        sample.estimate(lambda counts: mean_over_anchors(first, counts) / mean_over_anchors(amounts, counts)),
    )
