"""The command line: Lightning's fit, validate, test and predict, and the verbs of our own."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Sequence

from lightning.pytorch.utilities.exceptions import SIGTERMException

from disentangle_pl.errors import find_input_error, leave
from disentangle_pl.fit import run_lightning
from disentangle_pl.machine import keep_freed_memory
from disentangle_pl.runs import with_own_config
from disentangle_pl.verbs import VERBS

TERMINATED = 128 + signal.SIGTERM


def _quiet() -> None:
    # Lightning 2.6.6 under torch 2.13; fixed on Lightning's main branch
    warnings.filterwarnings("ignore", ".*isinstance\\(treespec, LeafSpec\\).*")
    # the loaders draw whole batches by index: worker processes would only copy them
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    # Lightning looks for a stateful loader; here the data module carries the state of the draws
    warnings.filterwarnings("ignore", ".*your dataloader is not resumable.*")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(lambda record: "litlogger" not in record.msg)
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # for calls in Lightning 2.6.6
    os.environ.setdefault("WANDB_SILENT", "true")


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line.

    A wrong input ends with one sentence and exit code 2, a terminated run with 143 (Lightning itself would leave with
    0). DISENTANGLE_PL_TRACEBACK=1 shows the traceback of a wrong input too.

    Args:
        args: Arguments, None for those of the process.
    """
    given = sys.argv[1:] if args is None else args
    # A requeued sweep run gets W&B's own record as an argument. Processes that Lightning starts read the rest here.
    sys.argv[1:] = with_own_config([argument for argument in given if not argument.startswith("--_wandb=")])
    _quiet()
    keep_freed_memory()
    try:
        if given and given[0] in VERBS:
            VERBS[given[0]](given[1:])
        else:
            run_lightning()
    except SIGTERMException:
        sys.exit(TERMINATED)
    except Exception as error:
        wrong = find_input_error(error)
        if wrong is None or os.environ.get("DISENTANGLE_PL_TRACEBACK"):
            raise
        leave(str(wrong))
