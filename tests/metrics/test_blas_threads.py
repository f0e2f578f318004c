from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from threadpoolctl import threadpool_info, threadpool_limits

from disentangle_pl.metrics.beta_vae_score import beta_vae_score
from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.explicitness import explicitness
from disentangle_pl.metrics.infomec import infomec
from disentangle_pl.metrics.score import Codes, Labels
from tests.metrics.golden import draw


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_the_limit_holds_in_the_block_and_ends_with_it() -> None:
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == before


@pytest.mark.parametrize("score", [explicitness, infomec, beta_vae_score])
def test_small_solvers_have_one_thread(
    score: Callable[[Codes, Labels], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    lbfgs = scipy.optimize.minimize

    def watched(*given: Any, **options: Any) -> object:
        seen.update(blas_threads())
        return lbfgs(*given, **options)

    for place in ("disentangle_pl.metrics.logistic.minimize", "scipy.optimize.minimize"):
        monkeypatch.setattr(place, watched, raising=False)
    factors = draw((2, 3), 200)
    with threadpool_limits(2, "blas"):
        score(perfect_codes(factors, 3).astype(np.float32), factors)
    assert seen == {1}
