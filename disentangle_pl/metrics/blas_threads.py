"""One thread for the linear algebra of small solvers: OpenBLAS spends more time waking threads than they save."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS and LAPACK to one thread in a `with` block, or in a function decorated by `@one_blas_thread()`.

    The limit holds for the whole process, so it goes around a pool of threads, not into them.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # it looks through every loaded library, which takes longer than a small solver
