"""The command line: Lightning's fit, validate, test and predict, and the verbs of our own."""

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pickle import UnpicklingError

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from disentangle_pl.callbacks.preemption import stop
from disentangle_pl.cluster import TERMINATED, requeue, take_requeue
from disentangle_pl.errors import leave, leave_if_wrong, one_line
from disentangle_pl.fit import run_lightning
from disentangle_pl.memory import keep_freed_memory
from disentangle_pl.notice import NOTICE
from disentangle_pl.runs import check_config, config_files, with_own_config

LIGHTNING = ("fit", "validate", "test", "predict")


def _quiet() -> None:
    # Lightning 2.6.6 under torch 2.13; fixed on Lightning's main branch
    warnings.filterwarnings("ignore", ".*isinstance\\(treespec, LeafSpec\\).*")
    # the loaders draw whole batches by index: worker processes would only copy them
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    # Lightning looks for a stateful loader; here the data module carries the state of the draws
    warnings.filterwarnings("ignore", ".*your dataloader is not resumable.*")
    # scores are computed on one process and sent to all
    warnings.filterwarnings("ignore", ".*It is recommended to use `self.log.*disentanglement/.*sync_dist=True.*")
    # the scores are computed on the first process, and sent to the others before they are logged
    warnings.filterwarnings("ignore", ".*It is recommended to use .*sync_dist=True.*")
    # a wrong use of srun is an error of ours; that Slurm is installed is none
    warnings.filterwarnings("ignore", ".*`srun` command is available on your system but is not used.*")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(lambda record: "litlogger" not in record.msg)
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # for calls in Lightning 2.6.6
    os.environ.setdefault("WANDB_SILENT", "true")
    # Without a bound the client waits for a lost network at the end of a run for ever. A requeued job has 90 s in all.
    os.environ.setdefault("WANDB_FINISH_TIMEOUT", "60")
    os.environ.setdefault("WANDB_FINISH_TIMEOUT_RAISES", "true")


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line.

    A wrong input ends with one sentence and exit code 2, a full disk with 74, a run that was told to stop by SIGTERM
    or SIGUSR1 with 143 (Lightning itself would leave with 0); after SIGUSR1 the Slurm job is requeued.
    DISENTANGLE_PL_TRACEBACK=1 shows the traceback of a wrong input too.

    Args:
        args: Arguments, None for those of the process.
    """
    given = sys.argv[1:] if args is None else args
    sys.argv[1:] = with_own_config(given)  # processes that Lightning starts read it there
    _quiet()
    keep_freed_memory()
    first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    requeues = take_requeue() and first
    try:
        if first:
            NOTICE.leave(stop)
        for path in config_files(given):
            check_config(path)
        if not given or given[0][:1] == "-" or given[0] in LIGHTNING:
            run_lightning()
        else:
            _run_verb(given[0], given[1:])
    except (SIGTERMException, Exception) as error:
        NOTICE.remember()
        if NOTICE.heard and requeues:
            requeue()
        if NOTICE.heard or isinstance(error, SIGTERMException):
            sys.exit(TERMINATED)
        _explain(error)
        raise


def _run_verb(name: str, args: Sequence[str]) -> None:
    verbs = import_module("disentangle_pl.verbs").VERBS  # with the studies, which no training is to wait for
    if name not in verbs:
        leave(f"there is no verb {name!r}: choose one of {', '.join((*LIGHTNING, *verbs))}")
    verbs[name](args)


def _explain(error: BaseException) -> None:
    """Leave with one sentence if it is no bug of ours."""
    leave_if_wrong(error)
    if os.environ.get("DISENTANGLE_PL_TRACEBACK"):
        return
    client = sys.modules.get("wandb.errors")  # loading it takes a second, which only runs that log to W&B spend
    if client and isinstance(error, client.CommError):
        reason = one_line(str(error))
        leave(f"W&B cannot be reached ({reason}): check the network, or record offline by WANDB_MODE=offline")
    if isinstance(error, MisconfigurationException):
        leave(f"the trainer cannot work so ({one_line(str(error))}): change the setting")
    if isinstance(error, UnpicklingError):
        leave("the checkpoint holds more than numbers and settings: --weights_only=false loads it if you trust it")
