import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.sharing import sharing

# latent 0 serves factor 1, latent 1 factor 0, latent 2 none
INFORMATION = np.array([[0.0, 2.0], [1.0, 0.1], [0.0, 0.0]])
CHANGED = np.array([[True, False], [False, True], [True, False], [False, True]])


def test_precision_and_recall_by_hand() -> None:
    called = np.array([[False, True, True], [True, True, False], [False, False, True], [False, False, False]])
    # called: (0,1) right, (1,0) right, (1,1) wrong; missed: (2,1), (3,0)
    result = sharing(~called, CHANGED, INFORMATION)
    assert result == pytest.approx((2 / 3, 2 / 4, 4 / 8))


def test_the_true_mask_is_perfect_and_a_random_one_has_the_precision_of_chance() -> None:
    random = np.random.default_rng(0)
    changed = random.random((20_000, 2)) < 0.3
    shared = np.stack([~changed[:, 1], ~changed[:, 0], random.random(20_000) < 0.5], axis=1)
    assert sharing(shared, changed, INFORMATION)[:2] == (1, 1)
    result = sharing(random.random((20_000, 3)) < 0.5, changed, INFORMATION)
    assert result.precision == pytest.approx(result.changed, abs=0.02)
    assert result.recall == pytest.approx(0.5, abs=0.02)


def test_a_mask_that_shares_everything_is_defined() -> None:
    assert sharing(np.ones((4, 3), bool), CHANGED, INFORMATION) == (0, 0, 0.5)
    assert sharing(np.ones((4, 3), bool), CHANGED & False, INFORMATION) == (0, 0, 0)


def test_latents_that_know_nothing_and_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="no latent knows"):
        sharing(np.ones((4, 3), bool), CHANGED, INFORMATION * 0)
    with pytest.raises(InputError, match=r"\(N, d\)"):
        sharing(np.ones((3, 3), bool), CHANGED, INFORMATION)
