from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Lasso

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import Codes, Values, sampled_rows
from disentangle_pl.metrics.udr import UDR, match, udr_lasso, udr_spearman
from tests.metrics.golden import rotate

# three latents of variance 1 without any correlation
CUBE = np.tile(np.stack(np.meshgrid(*3 * [[-1.0, 1.0]], indexing="ij"), axis=-1).reshape(-1, 3), (10, 1))
RANDOM = np.random.default_rng(0)
CODES = RANDOM.normal(size=(300, 4))
ALIVE = np.ones(4)


def similar(seed: int, width: int) -> Codes:
    random = np.random.default_rng(seed)
    mixed: Codes = CODES[:, :width] @ random.normal(size=(width, width)) + random.normal(size=(300, width))
    return mixed


def reference(codes: Sequence[Codes]) -> tuple[list[float], list[float]]:
    """Follow the formulas pair by pair: (Lasso, Spearman)."""
    scores: tuple[list[float], list[float]] = ([], [])
    scaled = [(code - code.mean(axis=0)) / code.std(axis=0) for code in codes]
    for j in range(len(codes)):
        lasso, spearman = [], []
        for i in range(len(codes)):
            if i != j:
                machine = [Lasso(alpha=0.1).fit(scaled[i], column).coef_ for column in scaled[j].T]
                lasso.append(relative(np.abs(np.array(machine)).T))
                ranks = [[abs(spearmanr(a, b).statistic) for b in codes[j].T] for a in codes[i].T]
                spearman.append(relative(np.array(ranks)))
        scores[0].append(float(np.median(lasso)))
        scores[1].append(float(np.median(spearman)))
    return scores


def relative(strength: Values) -> float:
    down = [max(column) ** 2 / sum(column) if sum(column) else 0.0 for column in strength.T]
    across = [max(row) ** 2 / sum(row) if sum(row) else 0.0 for row in strength]
    return float((np.mean(down) + np.mean(across)) / 2)


def test_equals_the_formulas_pair_by_pair() -> None:
    codes = [similar(0, 4), similar(1, 3), similar(2, 4), similar(3, 4)]
    kl = [np.ones(code.shape[1]) for code in codes]
    lasso, spearman = reference(codes)
    np.testing.assert_allclose(udr_lasso(codes, kl).scores, lasso, atol=1e-3)
    np.testing.assert_allclose(udr_spearman(codes, kl).scores, spearman, atol=1e-9)


@pytest.mark.parametrize("rank", [udr_lasso, udr_spearman])
def test_rows_are_drawn_and_not_the_first_ones(rank: Callable[..., UDR]) -> None:
    codes = np.vstack([np.zeros_like(CODES), CODES])
    models, kl = [codes, -2 * codes], 2 * [ALIVE]
    assert rank(models, kl, rows=len(CODES)).scores.min() > 0.7
    related = [similar(0, 4), similar(1, 4)]
    first, second = (rank(related, kl, rows=50, seed=seed).pairs for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_models_that_agree_up_to_order_sign_and_scale_match() -> None:
    codes = [CUBE, 5 * CUBE[:, [2, 0, 1]] - 3, -CUBE]
    kl = 3 * [np.ones(3)]
    np.testing.assert_allclose(udr_lasso(codes, kl).scores, 0.9, atol=1e-6)
    np.testing.assert_allclose(udr_lasso(codes, kl, penalty=0.3).scores, 0.7, atol=1e-6)
    np.testing.assert_allclose(udr_spearman(codes, kl).scores, 1, atol=1e-9)
    np.testing.assert_allclose(udr_spearman(codes, kl).pairs, 1 - np.eye(3), atol=1e-9)


def test_a_match_has_a_closed_form() -> None:
    strength = np.array([[0.8, 0.2, 0.0], [0.0, 0.4, 0.0]])
    down, across = (0.8 + 0.16 / 0.6 + 0) / 3, (0.64 / 1.0 + 0.4) / 2
    assert match(strength) == pytest.approx((down + across) / 2)
    assert match(np.zeros((0, 3))) == 0


@pytest.mark.parametrize("rank", [udr_lasso, udr_spearman])
def test_the_model_that_is_rotated_ranks_last(rank: Callable[[list[Codes], list[Values]], UDR]) -> None:
    codes = [CODES, -CODES, CODES + 1, rotate(CODES)]
    scores = rank(codes, 4 * [ALIVE]).scores
    assert scores[3] < scores[:3].min() - 0.1


def test_uninformative_latents_are_left_out() -> None:
    dead = np.hstack([CUBE, RANDOM.normal(size=(80, 2))])
    kl = [np.array([1, 1, 1, 0.01, 0.0]), np.ones(3)]
    assert udr_spearman([dead, CUBE], kl).scores == pytest.approx([1, 1])
    assert udr_lasso([dead, CUBE], kl).scores == pytest.approx([0.9, 0.9])


def test_a_model_without_informative_latents_has_zero() -> None:
    kl = [np.ones(3), np.zeros(3), np.ones(3), np.ones(3)]
    for rank in (udr_lasso, udr_spearman):
        result = rank([CUBE, CUBE, CUBE, CUBE], kl)
        assert result.scores[1] == 0
        assert not result.pairs[1].any()
        assert not result.pairs[:, 1].any()
        assert (result.scores[[0, 2, 3]] > 0.8).all()
        assert not rank([CUBE, CUBE], [np.zeros(3), np.zeros(3)]).pairs.any()


def test_constant_and_duplicate_latents_give_numbers() -> None:
    codes = [np.hstack([CUBE, 0 * CUBE[:, :1] + 0.1]), np.hstack([CUBE, CUBE]), 0 * CUBE]
    kl = [np.ones(4), np.ones(6), np.ones(3)]
    for rank in (udr_lasso, udr_spearman):
        result = rank(codes, kl)
        assert np.isfinite(result.pairs).all()
        assert not result.pairs[2].any()
    assert udr_spearman(codes, kl).pairs[0, 1] == pytest.approx((1 + 3 * 0.5 / 4) / 2)


def test_rows_that_are_not_drawn_do_not_matter() -> None:
    codes = [similar(0, 4), similar(1, 4)]
    rows = sampled_rows(300, 50, seed=3)
    cut = [code[rows] for code in codes]
    others = np.setdiff1d(np.arange(300), rows)
    for code in codes:
        code[others] = 9 * code[others] ** 2
    for rank in (udr_lasso, udr_spearman):
        pairs = rank(codes, 2 * [ALIVE], rows=50, seed=3).pairs
        np.testing.assert_array_equal(pairs, rank(cut, 2 * [ALIVE]).pairs)


@pytest.mark.parametrize(
    ("codes", "kl", "message"),
    [
        ([CODES], [ALIVE], "2 models"),
        ([CODES, CODES], [ALIVE], "divergences of 1"),
        ([CODES, CODES[0]], [ALIVE, ALIVE], r"codes \(N, d\)"),
        ([CODES, CODES], [ALIVE, ALIVE[:3]], r"divergences \(d,\)"),
        ([CODES, CODES[:9]], [ALIVE, ALIVE], "same images"),
        ([CODES[:1], CODES[:1]], [ALIVE, ALIVE], "at least 2"),
        ([CODES, CODES * np.nan], [ALIVE, ALIVE], "model 1"),
        ([CODES, CODES], [ALIVE * np.inf, ALIVE], "model 0"),
    ],
)
def test_wrong_input_is_refused(codes: list[Codes], kl: list[Values], message: str) -> None:
    for rank in (udr_lasso, udr_spearman):
        with pytest.raises(InputError, match=message):
            rank(codes, kl)
