import math
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.optim import Adam

from disentangle_pl.backbones import MLPBackbone
from disentangle_pl.data.pairs import UniformPairs
from disentangle_pl.data.sprites import Sprites
from disentangle_pl.data.synthetic import SyntheticData
from disentangle_pl.errors import InputError
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.supervision import MatchPairs, RankPairs, RestrictedLabels, Supervision
from tests.models.tiny import tiny, trainer

NAN = float("nan")
KINDS: list[type[Supervision]] = [RestrictedLabels, MatchPairs, RankPairs]
every_kind = pytest.mark.parametrize("kind", KINDS)


def means(values: object) -> DiagonalGaussian:
    """Posteriors of variance 1 with these means (B, G, d)."""
    mean = torch.tensor(values, dtype=torch.float32)
    return DiagonalGaussian(mean, torch.zeros_like(mean))


def draw(*shape: int) -> DiagonalGaussian:
    return DiagonalGaussian(*torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)))


GRID = torch.tensor(list(product(range(3), range(5), range(2)))).unsqueeze(1)


def test_perfect_codes_are_the_standardised_factors_of_the_whole_grid() -> None:
    values = GRID.float()
    standard = (values - values.mean(0)) / values.std(0, correction=0)
    labels = RestrictedLabels(columns=(2, 0), sizes=(2, 3))
    # latent 0 stands for factor 2, latent 1 for factor 0, latent 2 for none
    mean = torch.stack((standard[..., 2], standard[..., 0], torch.full((30, 1), 7.0)), 2)
    q = DiagonalGaussian(mean, torch.randn(30, 1, 3))
    torch.testing.assert_close(labels(q, GRID), torch.zeros(()), rtol=0, atol=1e-10)
    q.mean[:15, :, 0] += 0.5
    q.mean[:, :, 1] -= 2.0
    torch.testing.assert_close(labels(q, GRID), torch.tensor(0.5 * 0.25 + 4.0))


def test_labels_that_are_missing_count_nothing() -> None:
    labels = RestrictedLabels(columns=(0, 1), sizes=(3, 3))
    spread = math.sqrt(2 / 3)
    q = means([[[1.0, 1.0]], [[1.0, 5.0]]])
    found = labels(q, torch.tensor([[[1.0, 2.0]], [[0.0, NAN]]]))
    errors = [1.0, (1 - 1 / spread) ** 2, (1 + 1 / spread) ** 2, 0]
    torch.testing.assert_close(found, torch.tensor(sum(errors) / 2))


def test_matching_posteriors_cost_nothing() -> None:
    one = draw(6, 1, 3)
    pair = DiagonalGaussian(*(moment.expand(6, 2, 3) for moment in one))
    assert MatchPairs(columns=(0, 1, 2))(pair, torch.zeros(6, 2, 3)) == 0


def test_a_match_costs_the_symmetric_divergence_of_its_latent() -> None:
    q = draw(4, 2, 3)
    factors = torch.tensor(
        [
            [[1, 0, 5], [1, 0, 4]],  # the factors 0 and 1 match
            [[1, 0, 5], [0, 0, 5]],  # 1 and 2
            [[1, 0, 5], [0, 1, 4]],  # none
            [[2, 2, 2], [2, 2, 2]],  # all
        ]
    )
    first, second = (Normal(q.mean[:, i], (0.5 * q.logvar[:, i]).exp()) for i in (0, 1))
    divergence = 0.5 * (kl_divergence(first, second) + kl_divergence(second, first))
    # latent 0 stands for factor 2, latent 1 for factor 0
    expected = divergence[1, 0] + divergence[0, 1] + divergence[3, 0] + divergence[3, 1]
    match = MatchPairs(columns=(2, 0), margin=0.0)
    torch.testing.assert_close(match(q, factors), expected / 4)
    swapped = DiagonalGaussian(*(moment.flip(1) for moment in q))
    torch.testing.assert_close(match(swapped, factors.flip(1)), expected / 4)
    torch.testing.assert_close(match(q, factors.float()), expected / 4)


def test_a_latent_lacks_what_the_distance_of_differing_images_is_short_of_the_margin() -> None:
    q = means([[[0.0], [1.0]], [[0.0], [-5.0]], [[2.0], [2.5]], [[0.0], [0.0]]])
    factors = torch.tensor([[[0], [1]], [[1], [0]], [[1], [1]], [[NAN], [0.0]]])
    # 1 standard deviation apart of 3; far enough; 1/2 apart though they match; not known
    torch.testing.assert_close(MatchPairs(margin=3.0)(q, factors), torch.tensor((2.0 + 0.0 + 0.125) / 4))


def test_an_empty_latent_costs_most_where_its_factor_differs() -> None:
    q = torch.zeros(8, 2, 1)
    differs = torch.tensor([[[0], [1]]]).expand(8, 2, 1)
    penalty = MatchPairs(margin=3.0)(DiagonalGaussian(q, torch.zeros_like(q)), differs)
    assert penalty.item() == pytest.approx(4.5, rel=1e-3)
    nudged = means([[[0.0], [0.01]]]).mean.requires_grad_()
    MatchPairs(margin=3.0)(DiagonalGaussian(nudged, torch.zeros(1, 2, 1)), differs[:1]).backward()
    assert nudged.grad is not None
    assert nudged.grad.flatten().tolist() == pytest.approx([2.99, -2.99], rel=1e-3)  # no saddle at the empty latent
    with pytest.raises(InputError, match="margin of a match supervision must not be negative"):
        MatchPairs(margin=-1.0)


def test_matched_latents_tell_their_factors_after_training(tmp_path: Path) -> None:
    torch.manual_seed(0)
    grid = Sprites(16, [0, 1], [0, 5], [0], [0, 31], [0, 31])
    data = SyntheticData(grid, UniformPairs(), 32, steps_per_epoch=400, eval_size=16)
    model = tiny(
        latent_dim=4,
        backbone=partial(MLPBackbone, encoder_widths=[32], decoder_widths=[32]),
        supervision=MatchPairs(10.0, (0, 1)),
        optimizer=partial(Adam, lr=3e-3),
        beta=1.0,
    )
    trainer(tmp_path, limit_val_batches=0).fit(model, data)
    index = torch.arange(len(grid))
    q, factors = model.encode(grid.images(index)), grid.factors.to_factors(index)
    assert (q.kl().mean(0)[:2] > 0.5).all()
    for latent in (0, 1):
        codes, value = q.mean[:, latent], factors[:, latent]
        low, high = sorted((codes[value == 0], codes[value == 1]), key=lambda part: part.mean().item())
        assert low.max() < high.min()


def test_what_is_missing_matches_nothing() -> None:
    q = draw(2, 2, 1)
    assert MatchPairs()(q, torch.tensor([[[NAN], [NAN]], [[NAN], [0.0]]])) == 0


def test_a_rank_costs_the_cross_entropy_of_the_order_of_the_means() -> None:
    q = means([[[1.0, 0.0], [3.0, 0.5]], [[2.0, 0.0], [-1.0, 0.0]], [[0.0, 1.0], [0.0, 9.0]]])
    ages = torch.tensor([[[0.0, 61.5], [0.0, 60.0]], [[0.0, 70.0], [0.0, 70.5]], [[0.0, 50.0], [0.0, 50.0]]])
    # latent 0 stands for age: 1 - 3 = -2 where the first is older, 2 + 1 = 3 where the second is, and a tie
    expected = (math.log1p(math.exp(2)) + math.log1p(math.exp(3)) + 0) / 3
    torch.testing.assert_close(RankPairs(columns=(1,))(q, ages), torch.tensor(expected))


def test_ranks_know_no_first_and_second() -> None:
    q, factors = draw(20, 2, 3), torch.randint(3, (20, 2, 3), generator=torch.Generator().manual_seed(1))
    rank = RankPairs(columns=(0, 2))
    backwards = DiagonalGaussian(*(moment.flip(1) for moment in q))
    torch.testing.assert_close(rank(q, factors), rank(backwards, factors.flip(1)))
    assert rank(q, factors) != rank(q, factors.flip(1))
    assert rank(q, factors[:, :1].expand(20, 2, 3)) == 0
    sharp = DiagonalGaussian(100 * factors.float()[..., [0, 2]], q.logvar[..., :2])
    assert rank(sharp, factors) < 1e-6
    assert rank(sharp, -factors) > 10


def test_ranks_of_what_is_missing_are_unknown() -> None:
    q = means([[[5.0], [0.0]], [[0.0], [1.0]], [[2.0], [1.0]]])
    ages = torch.tensor([[[NAN], [60.0]], [[NAN], [NAN]], [[61.0], [60.0]]])
    torch.testing.assert_close(RankPairs()(q, ages), torch.tensor(math.log1p(math.exp(-1)) / 3))


@every_kind
@pytest.mark.parametrize("missing", [[True, True, True, True], [False, True, False, True]])
def test_gradients_stay_finite_where_factors_are_missing(kind: type[Supervision], missing: list[bool]) -> None:
    values = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]).unsqueeze(2)
    factors = torch.where(torch.tensor(missing).view(4, 1, 1), NAN, values)
    mean, logvar = (moment.requires_grad_() for moment in draw(4, 2, 2))
    penalty = kind()(DiagonalGaussian(mean, logvar), factors)
    penalty.backward()
    assert mean.grad is not None
    gradients = torch.stack([leaf.grad for leaf in (mean, logvar) if leaf.grad is not None])
    assert gradients.isfinite().all()
    assert bool(penalty) == bool(gradients.any()) == (not all(missing))
    assert not gradients[:, missing].any()
    assert not gradients[..., 1].any()  # no factor stands behind latent 1


@every_kind
def test_extreme_posteriors_stay_finite(kind: type[Supervision]) -> None:
    mean = torch.tensor([[[1e4], [-1e4]], [[0.0], [1e4]]]).requires_grad_()
    logvar = torch.tensor([[[-20.0], [10.0]], [[10.0], [-20.0]]]).requires_grad_()
    penalty = kind()(DiagonalGaussian(mean, logvar), torch.tensor([[[1], [1]], [[0], [1]]]))
    penalty.backward()
    assert penalty.isfinite()
    assert mean.grad is not None
    assert mean.grad.isfinite().all()
    assert logvar.grad is None or logvar.grad.isfinite().all()


@every_kind
def test_impossible_settings_are_refused(kind: type[Supervision]) -> None:
    with pytest.raises(InputError, match="strength of a supervision must not be negative, got -1"):
        kind(strength=-1.0)
    for columns in ((), (-1,), (0, 0)):
        with pytest.raises(InputError, match="needs the positions of its factors, at least one"):
            kind(columns=columns)


@pytest.mark.parametrize("sizes", [(), (3,), (3, 1), (3, 3, 3)])
def test_labels_need_one_size_a_column(sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="one size >= 2 a column"):
        RestrictedLabels(columns=(0, 1), sizes=sizes)


@pytest.mark.parametrize(
    "supervision",
    [RestrictedLabels(columns=(0, 3), sizes=(2, 2)), MatchPairs(columns=(0, 3)), RankPairs(columns=(0, 3))],
)
def test_columns_beyond_the_factors_or_the_latents_are_refused(supervision: Supervision) -> None:
    factors = torch.zeros(4, 2, 4)
    with pytest.raises(InputError, match=r"names factors \[0, 3\], but the data have 3 and the model 2 latents"):
        supervision(draw(4, 2, 2), factors[..., :3])
    with pytest.raises(InputError, match=r"have 4 and the model 1 latents: shorten model\.supervision\.columns"):
        supervision(draw(4, 2, 1), factors)
    assert supervision(draw(4, 2, 2), factors).isfinite()


@pytest.mark.parametrize("kind", [MatchPairs, RankPairs])
@pytest.mark.parametrize("size", [1, 3])
def test_only_pairs_match_or_rank(kind: type[Supervision], size: int) -> None:
    with pytest.raises(InputError, match=f"compare the images of a pair, got groups of {size}"):
        kind()(draw(4, size, 2), torch.zeros(4, size, 1))


def test_labels_serve_single_images_and_groups_alike() -> None:
    q, factors = draw(6, 1, 2), torch.randint(3, (6, 1, 2), generator=torch.Generator().manual_seed(0))
    labels = RestrictedLabels(columns=(0, 1), sizes=(3, 3))
    grouped = DiagonalGaussian(*(moment.view(2, 3, 2) for moment in q))
    torch.testing.assert_close(labels(grouped, factors.view(2, 3, 2)), labels(q, factors))


def test_a_supervision_has_nothing_to_save() -> None:
    assert RestrictedLabels().state_dict() == {}
