"""The command line of studies of tables, which need no model: it starts without torch, whose import takes seconds."""

import sys
from typing import NoReturn

from disentangle_pl.cluster import TERMINATED, requeue, take_requeue
from disentangle_pl.errors import leave_if_wrong
from disentangle_pl.memory import keep_freed_memory
from disentangle_pl.notice import NOTICE
from disentangle_pl.verbs_genome import gwas


class StopException(Exception):
    """Raised when the notice comes that this process must soon stop; what is written is safe."""


def stop() -> NoReturn:
    """End the work in hand.

    Raises:
        StopException: Always.
    """
    raise StopException


def main() -> None:
    """Run `gwas` with the arguments of this process; ends as `disentangle_pl.cli.main` does."""
    keep_freed_memory()
    requeues = take_requeue()
    try:
        NOTICE.leave(stop)
        gwas(sys.argv[2:])
    except Exception as error:
        NOTICE.remember()
        if NOTICE.heard:
            if requeues:
                requeue()
            sys.exit(TERMINATED)
        leave_if_wrong(error)
        raise
