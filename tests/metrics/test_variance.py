"""Measures of variance and direction against closed forms."""

import math

import pytest
import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.anchor_intervals import over_anchors, resampled_counts
from disentangle_pl.metrics.decoder_directions import decoder_directions
from disentangle_pl.metrics.encoding_shares import encoding_shares, share_matrix
from disentangle_pl.metrics.variance import (
    amount_consistency,
    gaps,
    heterogeneity,
    induced_variance,
    interaction,
    main_effect_products,
    mean_over_anchors,
    mean_over_pairs,
    shares,
)
from disentangle_pl.metrics.variance_directions import (
    alignment,
    direction_consistency,
    direction_overlaps,
    has_direction,
    local_alignment,
    principal_directions,
)

D = 12


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(seed: int = 5) -> Tensor:
    turned: Tensor = torch.linalg.qr(random(D, D, seed=seed)).Q
    return turned


def additive(anchors: int = 7, values: int = 5) -> Tensor:
    """Return slices (A, n, D) in which the factor adds the same vectors at every anchor."""
    return random(anchors, 1, D) + random(1, values, D, seed=1)


def consistency(slices: Tensor, rank: int = 1) -> float:
    amounts = induced_variance(slices)
    overlaps = direction_overlaps(principal_directions(slices, rank).vectors)
    return float(direction_consistency(overlaps, has_direction(amounts)))


def main_effect(slices: Tensor) -> Tensor:
    return mean_over_pairs(main_effect_products(slices))


def test_variance_is_the_trace_of_the_covariance() -> None:
    slices = random(3, 6, D)
    expected = [float(torch.cov(some.T, correction=0).trace()) for some in slices]
    assert induced_variance(slices).tolist() == pytest.approx(expected)


def test_main_effect_is_the_variance_of_mean_images() -> None:
    slices = random(4, 6, D)
    expected = slices.mean(0).var(0, correction=0).sum()
    assert float(main_effect(slices)) == pytest.approx(float(expected))


def test_an_additive_factor_is_the_same_everywhere() -> None:
    slices = additive()
    amounts = induced_variance(slices)
    assert float(interaction(amounts.mean(), main_effect(slices))) == pytest.approx(0, abs=1e-12)
    assert float(amount_consistency(amounts)) == pytest.approx(1)
    assert consistency(slices) == pytest.approx(1)
    assert consistency(slices, 3) == pytest.approx(1)


def test_an_effect_of_mean_zero_is_all_interaction() -> None:
    slices = torch.stack([random(5, D), -random(5, D)])
    assert float(interaction(induced_variance(slices).mean(), main_effect(slices))) == pytest.approx(1)
    assert consistency(slices) == pytest.approx(1)


@pytest.mark.parametrize("rank", [1, 2])
def test_rotated_images_and_permuted_anchors_change_nothing(rank: int) -> None:
    slices = random(6, 5, D)
    for other in (slices @ rotation(), slices.flip(0), slices + 3):
        assert sorted(induced_variance(other).tolist()) == pytest.approx(sorted(induced_variance(slices).tolist()))
        assert float(main_effect(other)) == pytest.approx(float(main_effect(slices)))
        assert consistency(other, rank) == pytest.approx(consistency(slices, rank))


def test_amount_and_direction_are_told_apart() -> None:
    line = random(1, 5, 1) * random(1, 1, D, seed=2)
    louder = line * torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)
    assert consistency(louder) == pytest.approx(1)
    assert float(amount_consistency(induced_variance(louder))) == pytest.approx((14 / 3) ** 2 / ((1 + 16 + 81) / 3))
    turned = torch.cat([line, line @ rotation()])
    cosine = float(torch.nn.functional.cosine_similarity(random(1, D, seed=2), random(1, D, seed=2) @ rotation()))
    assert float(amount_consistency(induced_variance(turned))) == pytest.approx(1)
    assert consistency(turned) == pytest.approx((1 + cosine**2) / 2)


def test_principal_directions_are_eigenvectors() -> None:
    slices = random(4, 6, D)
    found = principal_directions(slices, 3)
    for some, vectors, variances in zip(slices, found.vectors, found.variances, strict=True):
        values, expected = torch.linalg.eigh(torch.cov(some.T, correction=0))
        assert variances.tolist() == pytest.approx(values[-3:].flip(0).tolist())
        assert (vectors @ expected[:, -3:].flip(1)).abs().diagonal().tolist() == pytest.approx([1] * 3)
    still = principal_directions(torch.ones(2, 4, D, dtype=torch.float64), 2)
    assert not still.vectors.any()
    assert not still.variances.any()


def test_anchors_without_variance_have_no_direction() -> None:
    slices = torch.cat([additive(3), torch.zeros(2, 5, D, dtype=torch.float64)])
    assert has_direction(induced_variance(slices)).tolist() == [1, 1, 1, 0, 0]
    assert consistency(slices) == pytest.approx(1)


def test_weights_favour_anchors_with_more_variance() -> None:
    overlaps = torch.eye(2, dtype=torch.float64)
    weights = torch.tensor([3.0, 1.0], dtype=torch.float64)
    assert float(direction_consistency(overlaps, weights)) == pytest.approx(10 / 16)


def test_pairs_of_a_sample_are_those_of_the_population_on_average() -> None:
    products = random(40, 40)
    products = products @ products.T
    draws = torch.Generator().manual_seed(0)
    samples = [torch.randperm(40, generator=draws)[:6] for _ in range(4000)]
    found = torch.stack([mean_over_pairs(products[some][:, some], population=40) for some in samples])
    naive = torch.stack([mean_over_pairs(products[some][:, some]) for some in samples])
    exact = float(mean_over_pairs(products))
    error = float(found.std()) / len(samples) ** 0.5
    assert float(found.mean()) == pytest.approx(exact, abs=3 * error)
    assert float(naive.mean()) > exact + 10 * error


def test_a_sample_of_all_is_exact() -> None:
    products, weights = random(9, 9), random(9).abs()
    whole = float(mean_over_pairs(products, weights=weights))
    assert float(mean_over_pairs(products, weights=weights, population=9)) == pytest.approx(whole)
    counts = torch.tensor([[4.0] + [0.0] * 8, [1.0] * 9], dtype=torch.float64)
    alone, all_of_them = mean_over_pairs(products, counts, weights=weights, population=9).tolist()
    assert math.isfinite(alone)
    assert all_of_them == pytest.approx(whole)


def test_counts_repeat_anchors() -> None:
    values, products = random(3).abs(), random(3, 3)
    counts = torch.tensor([[2.0, 0.0, 1.0]], dtype=torch.float64)
    again = torch.tensor([0, 0, 2])
    assert float(mean_over_anchors(values, counts)) == pytest.approx(float(values[again].mean()))
    assert float(mean_over_pairs(products, counts)) == pytest.approx(float(products[again][:, again].mean()))
    assert float(amount_consistency(values, counts)) == pytest.approx(float(amount_consistency(values[again])))


def test_intervals_are_those_of_resampled_anchors() -> None:
    values = random(200)
    found = over_anchors(lambda counts: mean_over_anchors(values, counts), 200, sampled=True)
    assert found.mean == pytest.approx(float(values.mean()))
    half = 1.96 * float(values.std()) / 200**0.5
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)
    exact = over_anchors(lambda counts: mean_over_anchors(values, counts), 200, sampled=False)
    assert exact.low == exact.mean == exact.high
    assert resampled_counts(7, 5, 0).sum(1).tolist() == [7] * 5


def test_gaps_shares_and_heterogeneity() -> None:
    totals = torch.tensor([1.0, math.e, math.e**3])
    assert gaps(totals).tolist() == pytest.approx([1, 1, 2], rel=1e-6)
    assert heterogeneity(totals) == pytest.approx(math.sqrt(14) / 3, rel=1e-6)
    assert heterogeneity(torch.ones(4)) == 0
    assert shares(torch.tensor([1.0, 3.0])).tolist() == [0.25, 0.75]


def test_variances_that_cannot_be_compared_are_refused() -> None:
    for bad in (torch.tensor([1.0]), torch.tensor([1.0, 0.0])):
        with pytest.raises(InputError, match="two factors at least"):
            gaps(bad)
    for bad in (torch.zeros(3), torch.tensor([1.0, math.nan]), torch.tensor([1.0, -1.0])):
        with pytest.raises(InputError, match="not all 0"):
            amount_consistency(bad)


def test_alignment_of_axes_and_of_their_diagonals() -> None:
    eigenvalues = torch.tensor([3.0, 1.0])
    assert float(alignment(torch.diag(eigenvalues), eigenvalues)) == 1
    assert float(alignment(torch.ones(2, 2), eigenvalues)) == pytest.approx(0, abs=1e-6)
    half = torch.tensor([[3.0, 0.0], [0.5, 0.5]])
    assert float(alignment(half, eigenvalues)) == pytest.approx(0.75)
    assert float(alignment(torch.tensor([[3.0, 0.0], [0.0, 0.0]]), eigenvalues)) == pytest.approx(0.75)
    assert float(alignment(torch.ones(2, 1), eigenvalues)) == 1


def test_local_directions_of_orthogonal_steps_are_factors() -> None:
    lengths = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    steps = (rotation()[:3] * lengths[:, None]).expand(4, 3, D)
    owners = torch.arange(3)
    found = local_alignment(steps, owners, rotation()[:3])
    assert found.alignment.tolist() == pytest.approx([1] * 4)
    assert found.discrepancy.tolist() == pytest.approx([0] * 4, abs=1e-9)
    elsewhere = local_alignment(steps, owners, rotation()[3:])
    assert elsewhere.discrepancy.tolist() == pytest.approx([1] * 4)
    half = local_alignment(steps, owners, torch.stack([rotation()[0], *rotation()[5:7]]))
    assert half.discrepancy.tolist() == pytest.approx([2 / 3] * 4)


def test_steps_along_one_line_in_part_turn_local_directions() -> None:
    shared = torch.zeros(1, 2, 3, dtype=torch.float64)
    shared[0, 0], shared[0, 1] = torch.tensor([1.0, 0, 0.7]), torch.tensor([0, 1.0, 0.7])
    found = local_alignment(shared, torch.arange(2), torch.eye(3, dtype=torch.float64))
    assert float(found.alignment) == pytest.approx(0, abs=1e-9)


def test_places_where_nothing_moves_are_marked() -> None:
    steps = torch.zeros(2, 2, 3, dtype=torch.float64)
    steps[1, 0, 0] = 1.0
    found = local_alignment(steps, torch.arange(2), torch.eye(3, dtype=torch.float64))
    assert found.moving.tolist() == [False, True]
    assert found.alignment.tolist() == [0, 1]
    assert found.discrepancy.tolist() == [0, 0]


def coded(mixing: list[Tensor], latents: int = 10) -> Tensor:
    """Return the variances (A, d) of latents that follow a factor by one of several directions in turn."""
    rows = torch.zeros(400, latents, dtype=torch.float64)
    for anchor in range(400):
        rows[anchor] = mixing[anchor % len(mixing)] ** 2
    return rows


def unit(*numbers: int, latents: int = 10) -> Tensor:
    direction = torch.zeros(latents, dtype=torch.float64)
    direction[list(numbers)] = len(numbers) ** -0.5
    return direction


@pytest.mark.parametrize(
    ("mixing", "expected"),
    [
        ([unit(0)], (0, 0, 0)),
        ([unit(0, 1)], (0.303, 0, 0)),
        ([unit(0), unit(1)], (0.004, 0.300, 0.49)),
    ],
    ids=["aligned", "mixed", "switching"],
)
def test_misaligned_axes_and_inconsistent_encodings_are_told_apart(
    mixing: list[Tensor], expected: tuple[float, ...]
) -> None:
    share = share_matrix(coded(mixing), torch.ones(10))
    found = encoding_shares(share)
    assert [float(value) for value in found] == pytest.approx(expected, abs=0.011)
    total = torch.special.entr(share.mean(0)).sum() / math.log(10)
    assert float(found.spread + found.inconsistency) == pytest.approx(float(total))


def test_shares_are_of_standardised_codes() -> None:
    share = share_matrix(torch.tensor([[4.0, 1.0]]), torch.tensor([4.0, 1.0]))
    assert share.tolist() == [[0.5, 0.5]]
    for bad in (torch.tensor([1.0, 0.0]), torch.tensor([1.0, math.nan])):
        with pytest.raises(InputError, match="passive"):
            share_matrix(torch.ones(1, 2), bad)


def test_a_factor_that_no_latent_follows_is_spread_over_all() -> None:
    nothing = encoding_shares(share_matrix(torch.zeros(5, 3), torch.ones(3)))
    assert [float(value) for value in nothing] == [1, 0, 0]
    some = torch.cat([torch.zeros(5, 3), torch.tensor([[1.0, 0, 0]])])
    assert [float(value) for value in encoding_shares(share_matrix(some, torch.ones(3)))] == [0, 0, 0]
    one = encoding_shares(share_matrix(torch.ones(5, 1), torch.ones(1)))
    assert [float(value) for value in one] == [0, 0, 0]


def test_a_linear_decoder_with_orthogonal_columns_is_aligned_and_consistent() -> None:
    columns = rotation()[:, :3] * torch.tensor([3.0, 2.0, 1.0])
    found = decoder_directions(columns.expand(5, D, 3))
    assert found.orthogonality.tolist() == pytest.approx([0] * 5, abs=1e-6)
    assert found.alignment.tolist() == pytest.approx([1] * 5)
    assert found.consistency.tolist() == pytest.approx([1] * 3)
    assert found.variances.tolist() == pytest.approx([9, 4, 1])


def test_a_rotated_latent_space_and_turning_columns_are_seen() -> None:
    columns = rotation()[:, :2] * torch.tensor([3.0, 1.0])
    cos = math.sqrt(0.5)
    turned = decoder_directions((columns @ torch.tensor([[cos, -cos], [cos, cos]]).double()).expand(4, D, 2))
    assert turned.alignment.tolist() == pytest.approx([0] * 4, abs=1e-9)
    assert turned.orthogonality.min() > 1
    assert turned.consistency.tolist() == pytest.approx([1] * 2)
    swapping = decoder_directions(torch.stack([columns, columns.flip(1)] * 3))
    # latent 0 goes along one line with length 3 and along another with length 1: (81 + 1) / 100
    assert swapping.consistency.tolist() == pytest.approx([0.82] * 2)
    still = decoder_directions(torch.zeros(2, D, 2))
    assert still.consistency.tolist() == [1, 1]
    assert torch.isfinite(still.alignment).all()


def test_jacobians_that_say_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="two codes"):
        decoder_directions(torch.ones(1, D, 2))
    with pytest.raises(InputError, match="NaN"):
        decoder_directions(torch.full((2, D, 2), math.nan))
