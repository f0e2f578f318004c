"""What a scheduler has given this process, and asking it for another turn."""

import os
import signal
import subprocess
import sys
from importlib import import_module

from disentangle_pl.errors import InputError

REQUEUE = "DISENTANGLE_PL_REQUEUE"
TERMINATED = 128 + signal.SIGTERM
"""Exit code of a process that was told to stop."""
INTERACTIVE = ("bash", "interactive")  # Lightning takes jobs of these names for a shell of the user's


def take_requeue() -> bool:
    """Tell whether this process may requeue its Slurm job, and take the right from those that it starts.

    So a sweep decides for its runs. DISENTANGLE_PL_REQUEUE=0 in the environment withholds the right from the start.
    """
    allowed = os.environ.get(REQUEUE) != "0"
    os.environ[REQUEUE] = "0"
    return allowed and "SLURM_JOB_ID" in os.environ and os.environ.get("SLURM_JOB_NAME") not in INTERACTIVE


def requeue() -> None:
    """Ask Slurm to run this job again under the same id, and say what came of it."""
    env = os.environ
    task = [env[key] for key in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID") if key in env]
    job = "_".join(task) if len(task) == 2 else env["SLURM_JOB_ID"]
    try:
        answer = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(
            f"job {job} could not be requeued ({error}): submit it again, the run goes on", file=sys.stderr, flush=True
        )
        return
    if answer.returncode:
        reason = " ".join(answer.stderr.split())
        print(f"job {job} could not be requeued ({reason}): submit it with --requeue", file=sys.stderr, flush=True)
    else:
        print(f"job {job} is requeued, the run goes on when it starts again", flush=True)


def count_devices(devices: object, accelerator: str) -> int:
    """Count the processes a node that `trainer.devices` asks for.

    Args:
        devices: A number, a list of indices, either as text, or `auto` and -1 for all there are.
        accelerator: The value of `trainer.accelerator`.
    """
    if isinstance(devices, list):
        return len(devices)
    text = str(devices)
    if text.isdecimal():
        return int(text)
    if "," in text:
        return len([index for index in text.split(",") if index.strip()])
    return 1 if accelerator == "cpu" else max(1, import_module("torch").cuda.device_count())


def refuse_other_tasks(devices: int, nodes: int) -> None:
    """Refuse to train with another number of processes than srun or torchrun have started: they would wait for ever.

    Args:
        devices: Processes a node, as in `trainer.devices`.
        nodes: As in `trainer.num_nodes`.

    Raises:
        InputError: If the numbers differ; it says which flag to change.
    """
    env, processes = os.environ, devices * nodes
    if env.get("TORCHELASTIC_RUN_ID"):
        _refuse_other_number("torchrun has", int(env.get("WORLD_SIZE", processes)), processes, "--nproc-per-node")
    elif "SLURM_NTASKS" in env and env.get("SLURM_JOB_NAME") not in INTERACTIVE:
        # A batch script has the tasks of its job but runs once: processes come from srun.
        started = int(env["SLURM_NTASKS"]) if "SLURM_STEP_ID" in env else 1
        if started == 1 < processes:
            raise InputError(
                f"this job step has 1 task but --trainer.devices={devices} x --trainer.num_nodes={nodes} are "
                f"{processes}: start the command with srun and give the job --ntasks-per-node={devices}"
            )
        _refuse_other_number("Slurm has", started, processes, "--ntasks-per-node")
        if processes > 1 and "SLURM_NTASKS_PER_NODE" not in env:
            raise InputError(
                f"Slurm was asked for {processes} tasks by --ntasks alone: give the job --ntasks-per-node={devices}"
            )


def _refuse_other_number(who: str, started: int, processes: int, flag: str) -> None:
    if started != processes:
        raise InputError(
            f"{who} started {started} processes but --trainer.devices x --trainer.num_nodes are {processes}: change "
            f"--trainer.devices to the processes a node, or {flag} of the launcher"
        )
