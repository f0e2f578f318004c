import pytest
import torch
from torch import Tensor

from disentangle_pl.data.factors import FactorSpace
from disentangle_pl.data.pairs import (
    DlibPairs,
    Groups,
    GroupSampler,
    KnownGroups,
    PairSampler,
    UniformDistinctPairs,
    UniformPairs,
)
from disentangle_pl.errors import InputError

SPACE = FactorSpace(("shape", "scale", "fixed", "x", "y"), (3, 6, 1, 2, 8))
VARYING = [0, 1, 3, 4]
KINDS = [UniformPairs, UniformDistinctPairs, DlibPairs]
N = 20_000
every_kind = pytest.mark.parametrize("kind", KINDS)


def draw(sampler: GroupSampler, space: FactorSpace = SPACE) -> Groups:
    return sampler.sample(space, N, torch.Generator().manual_seed(0))


def assert_frequencies(counts: Tensor, probabilities: list[float]) -> None:
    """Check every count against its binomial distribution, within 5 standard deviations."""
    p = torch.tensor(probabilities, dtype=torch.float64)
    n = counts.sum()
    assert len(counts) == len(p)
    assert ((counts - n * p).abs() <= 5 * (n * p * (1 - p)).sqrt()).all(), counts / n


@pytest.mark.parametrize("k", [1, 2, 3])
def test_distinct_pairs_differ_in_exactly_k_factors(k: int) -> None:
    factors, changed = draw(UniformDistinctPairs(k))
    differ = factors[:, 0] != factors[:, 1]
    assert torch.equal(differ, changed)
    assert (differ.sum(1) == k).all()


@every_kind
@pytest.mark.parametrize("k", [None, 1, 3])
def test_only_factors_marked_as_changed_may_differ(kind: type[PairSampler], k: int | None) -> None:
    factors, changed = draw(kind(k))
    assert factors.shape == (N, 2, 5)
    assert changed.shape == (N, 5)
    assert torch.equal(factors[:, 0].masked_fill(changed, 0), factors[:, 1].masked_fill(changed, 0))


@every_kind
@pytest.mark.parametrize("k", [None, 1, 3])
def test_a_factor_with_one_value_never_changes(kind: type[PairSampler], k: int | None) -> None:
    factors, changed = draw(kind(k))
    assert not changed[:, 2].any()
    assert not factors[:, :, 2].any()
    assert changed.any(1).all()
    assert (changed.sum(1) < len(VARYING)).all()


@every_kind
def test_values_stay_on_the_grid_and_the_first_image_is_uniform(kind: type[PairSampler]) -> None:
    factors = draw(kind()).factors
    assert factors.min() == 0
    assert factors.amax((0, 1)).tolist() == [size - 1 for size in SPACE.sizes]
    assert_frequencies(SPACE.to_index(factors[:, 0]).bincount(minlength=len(SPACE)), [1 / len(SPACE)] * len(SPACE))


@pytest.mark.parametrize("kind", [UniformPairs, UniformDistinctPairs])
def test_an_open_k_is_uniform_from_one_to_all_but_one(kind: type[PairSampler]) -> None:
    counts = draw(kind()).changed.sum(1)
    assert_frequencies(counts.bincount(), [0, 1 / 3, 1 / 3, 1 / 3])


@pytest.mark.parametrize("kind", [UniformPairs, DlibPairs])
def test_new_values_are_uniform_and_may_be_the_old_ones(kind: type[PairSampler]) -> None:
    factors, changed = draw(kind())
    for column in VARYING:
        size = SPACE.sizes[column]
        old, new = factors[changed[:, column], :, column].unbind(1)
        assert_frequencies((old * size + new).bincount(minlength=size**2), [1 / size**2] * size**2)


def test_distinct_new_values_are_uniform_over_the_others() -> None:
    factors, changed = draw(UniformDistinctPairs())
    for column in VARYING:
        size = SPACE.sizes[column]
        old, new = factors[changed[:, column], :, column].unbind(1)
        expected = [0.0] + [1 / (size - 1)] * (size - 1)
        assert_frequencies(((new - old) % size).bincount(minlength=size), expected)


@every_kind
def test_every_varying_factor_changes_equally_often(kind: type[PairSampler]) -> None:
    changed = draw(kind(1)).changed
    assert_frequencies(changed.sum(0), [0.25, 0.25, 0, 0.25, 0.25])


@pytest.mark.parametrize("total", [3, 4, 5, 7])
def test_dlib_changes_one_factor_half_of_the_time_and_uniformly_many_otherwise(total: int) -> None:
    space = FactorSpace([str(i) for i in range(total)], [4] * total)
    counts = draw(DlibPairs(), space).changed.sum(1)
    rest = 0.5 / (total - 1)
    assert_frequencies(counts.bincount(), [0, 0.5 + rest] + [rest] * (total - 2))
    spread = counts.double().std().item() / N**0.5
    assert counts.double().mean().item() == pytest.approx(0.5 + total / 4, abs=5 * spread)


def test_dlib_with_a_given_k_changes_one_or_k() -> None:
    assert_frequencies(draw(DlibPairs(3)).changed.sum(1).bincount(), [0, 0.5, 0, 0.5])


@every_kind
def test_pairs_repeat_with_the_generator(kind: type[PairSampler]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(draw(kind()), draw(kind()), strict=True))


@every_kind
@pytest.mark.parametrize("k", [-1])
def test_pairs_that_never_differ_are_refused(kind: type[PairSampler], k: int) -> None:
    with pytest.raises(InputError, match=f"k={k} factors cannot change"):
        kind(k)


@every_kind
@pytest.mark.parametrize(("sizes", "k"), [((3, 1, 6), 2), ((3, 1, 6), 3), ((3, 1, 1), None), ((3, 1, 1), 1)])
def test_grids_that_are_too_small_are_refused(kind: type[PairSampler], sizes: tuple[int, ...], k: int | None) -> None:
    varying = sum(size > 1 for size in sizes)
    with pytest.raises(InputError, match=f"has {varying}: lower k or widen the grid"):
        kind(k).sample(FactorSpace("abc", sizes), 1, torch.Generator())


@every_kind
def test_pairs_are_groups_of_two(kind: type[PairSampler]) -> None:
    assert kind().size == kind(2).size == 2


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_images_of_a_known_group_share_their_content_and_nothing_else(size: int) -> None:
    factors, changed = draw(KnownGroups(["x", "shape"], size))
    assert factors.shape == (N, size, 5)
    assert changed.shape == (N, 5)
    assert (changed == torch.tensor([False, True, False, False, True])).all()
    assert torch.equal(factors[:, :, [0, 3]], factors[:, :1, [0, 3]].expand(N, size, 2))
    assert factors.dtype == torch.int64
    assert not factors[..., 2].any()
    for image in range(size):  # each by itself is uniform on the grid
        index = SPACE.to_index(factors[:, image])
        assert_frequencies(index.bincount(minlength=len(SPACE)), [1 / len(SPACE)] * len(SPACE))
    for one, other in ((0, 1), (size - 2, size - 1)):
        for column in (1, 4):
            n = SPACE.sizes[column]
            together = factors[:, one, column] * n + factors[:, other, column]
            assert_frequencies(together.bincount(minlength=n**2), [1 / n**2] * n**2)


def test_content_and_style_of_a_known_group_are_independent() -> None:
    factors = draw(KnownGroups(["shape", "fixed"])).factors
    together = factors[:, 0, 0] * 8 + factors[:, 1, 4]
    assert_frequencies(together.bincount(minlength=24), [1 / 24] * 24)


def test_known_groups_repeat_with_the_generator() -> None:
    sampler = KnownGroups(["shape"], 3)
    assert all(torch.equal(a, b) for a, b in zip(draw(sampler), draw(sampler), strict=True))


@pytest.mark.parametrize("size", [1, 0, -3])
def test_groups_of_less_than_two_are_refused(size: int) -> None:
    with pytest.raises(InputError, match=f"at least 2 images, got size={size}; for single images set data.pairs=null"):
        KnownGroups(["shape"], size)


def test_known_groups_without_content_or_without_style_are_refused() -> None:
    with pytest.raises(InputError, match="need the names of the factors they share"):
        KnownGroups([])
    with pytest.raises(InputError, match=r"content names \['colour', 'hue'\], but the factors are \['shape', 'scale'"):
        draw(KnownGroups(["hue", "shape", "colour"]))
    with pytest.raises(InputError, match=r"leaves no factor of FactorSpace\(.*\) to vary within a group"):
        draw(KnownGroups(["y", "x", "scale", "shape"]))  # the fifth has a single value


TOYS = FactorSpace(("toy", "shape", "scale", "x", "fixed"), (10, 5, 6, 4, 1), nuisance=["toy"])


@every_kind
@pytest.mark.parametrize("k", [1, 2])
def test_a_nuisance_is_drawn_anew_for_every_image_and_never_among_the_k(kind: type[PairSampler], k: int) -> None:
    factors, changed = draw(kind(k), TOYS)
    first, second = factors.unbind(1)
    assert changed[:, 0].all()
    assert not changed[:, 4].any()
    assert_frequencies((first[:, 0] != second[:, 0]).long().bincount(), [0.1, 0.9])
    assert_frequencies((10 * first[:, 0] + second[:, 0]).bincount(minlength=100), [0.01] * 100)
    scored = changed[:, 1:4].sum(1)
    counts = [0.0, 0.5, 0.5] if kind is DlibPairs and k == 2 else [float(number == k) for number in range(3)]
    assert_frequencies(scored.bincount(minlength=3), counts)
    assert torch.equal(first[:, 1:].masked_fill(changed[:, 1:], 0), second[:, 1:].masked_fill(changed[:, 1:], 0))


def test_a_nuisance_is_no_factor_that_could_change_or_be_shared() -> None:
    pair = FactorSpace(("toy", "x", "y"), (10, 3, 3), nuisance=["toy"])
    with pytest.raises(InputError, match="has 2: lower k"):
        UniformPairs(2).sample(pair, 1, torch.Generator())
    with pytest.raises(InputError, match="has 1: lower k"):
        UniformPairs().sample(FactorSpace(("toy", "x"), (10, 3), nuisance=["toy"]), 1, torch.Generator())
    factors, changed = draw(KnownGroups(["shape"], 3), TOYS)
    assert changed.all(0).tolist() == [True, False, True, True, False]
    assert_frequencies((factors[:, 0, 0] != factors[:, 2, 0]).long().bincount(), [0.1, 0.9])
    same_toy, _ = draw(KnownGroups(["shape", "toy"], 3), TOYS)
    assert torch.equal(same_toy[:, 0, 0], same_toy[:, 2, 0])
