"""The environment in which a sweep starts a run: its name, its place, and its share of the machine."""

import os
from collections.abc import Sequence
from pathlib import Path

import joblib
import torch

from disentangle_pl.runs import RUN_ID, RUNS_DIR

NOT_INHERITED = (RUN_ID, "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_SERVICE")


def run_environment(name: str, group: str, folder: Path, parallel: int, taken: Sequence[str]) -> dict[str, str]:
    """Make the environment of a run: that of this process, with what is the run's own.

    Args:
        name: The run id.
        group: The name of the sweep, which becomes the W&B group.
        folder: Where run folders are made.
        parallel: How many runs share the machine; each gets its share of the cores unless OMP_NUM_THREADS says
            otherwise, and its share of the GPUs.
        taken: The GPUs of the running runs.
    """
    own = {"WANDB_RUN_ID": name, "WANDB_RUN_GROUP": group, "WANDB_RESUME": "allow", RUNS_DIR: str(folder)}
    if parallel > 1 and torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
        own["CUDA_VISIBLE_DEVICES"] = free_devices(visible.split(","), parallel, taken)
    threads = {"OMP_NUM_THREADS": str(max(1, int(joblib.cpu_count()) // parallel))}
    inherited = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    return threads | inherited | own


def free_devices(devices: Sequence[str], parallel: int, taken: Sequence[str]) -> str:
    """Choose the GPUs of the next run: an equal share of them, those that the fewest running runs have.

    Args:
        devices: All GPUs.
        parallel: How many runs share them.
        taken: What the running runs got.
    """
    share = max(1, len(devices) // parallel)
    groups = [",".join(devices[start : start + share]) for start in range(0, len(devices) - share + 1, share)]
    return min(groups, key=taken.count)
