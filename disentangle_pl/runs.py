"""One run = one id = one folder, kept across agents, requeues, processes and resumes."""

import os
import secrets
from collections.abc import Sequence
from itertools import pairwise
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import yaml

from disentangle_pl.errors import InputError, one_line
from disentangle_pl.flat import flatten
from disentangle_pl.yaml_text import check_yaml, load_yaml

RUN_ID = "DISENTANGLE_PL_RUN_ID"
RUNS_DIR = "DISENTANGLE_PL_RUNS_DIR"
COMPARED = ("model", "data", "seed_everything")  # what may not change when a run goes on


def run_id(stem: str, given: str | None) -> str:
    """Choose the id of this run, the same on every rank and after a requeue.

    In order: the id given, WANDB_RUN_ID, the Slurm job (and array task), torchrun's id, a new random one. It is
    exported, so that the processes that Lightning starts inherit it.

    Args:
        stem: Readable start of a random id.
        given: The user's choice.

    Raises:
        InputError: If the id could leave the folder of the runs.
    """
    env = os.environ
    name = given or env.get("WANDB_RUN_ID") or env.get(RUN_ID) or _slurm_id() or _torchrun_id()
    name = name or f"{stem}-{secrets.token_hex(3)}"
    if not all(letter.isalnum() or letter in "-_." for letter in name) or name.startswith("."):
        raise InputError(f"run id {name!r} may hold letters, digits, '-', '_' and '.' only: choose another --run_id")
    env[RUN_ID] = name
    return name


def runs_dir() -> str:
    """Return where run folders are made unless the command line says so: a sweep on this machine has its own place."""
    return os.environ.get(RUNS_DIR, "runs")


def with_own_config(args: Sequence[str]) -> list[str]:
    """Let `validate`, `test` and `predict` of a named run use the configuration that the run has saved.

    Args:
        args: The command line; flags as `--name=value`.

    Returns:
        The command line, with `--config` added if it names a run that has one and no configuration of its own.
    """
    flags = dict(arg.split("=", 1) for arg in args[1:] if arg.startswith("--") and "=" in arg)
    own = Path(flags.get("--runs_dir", runs_dir())) / flags.get("--run_id", "") / "config.yaml"
    evaluates = bool(args) and args[0] in ("validate", "test", "predict")
    if not evaluates or "--run_id" not in flags or {"--config", "--model"} & flags.keys() or not own.is_file():
        return list(args)
    return [args[0], f"--config={own}", *args[1:]]


def config_files(args: Sequence[str]) -> list[Path]:
    """Return the files that a command line names by --config.

    Args:
        args: The command line.
    """
    named = [arg.partition("=")[2] for arg in args if arg.startswith("--config=")]
    named += [value for flag, value in pairwise(args) if flag == "--config"]
    return [path for path in map(Path, named) if _is_file(path)]


def check_config(path: Path) -> None:
    """Refuse a configuration that the parser would choke on.

    Raises:
        InputError: If it is no YAML, or nested or repeated by aliases without end.
    """
    try:
        check_yaml(path.read_bytes())
    except OSError as error:
        raise InputError(f"the configuration {path} cannot be read ({error.strerror}): check --config") from error
    except yaml.YAMLError as error:
        raise InputError(f"the configuration {path} is no YAML ({one_line(str(error))}): correct it") from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text of settings may stand there too
        return False


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint a run folder goes on from, or None if it has none."""
    found = [*folder.glob("checkpoints/last*.ckpt"), *folder.glob("hpc_ckpt_*.ckpt")]
    return max(found, key=lambda path: path.lstat().st_mtime, default=None)


def refuse_other_config(folder: Path, config: dict[str, Any]) -> None:
    """Refuse to continue a run with another model, data or seed than it was started with.

    Raises:
        InputError: If they differ; it names the first difference.
    """
    saved = folder / "config.yaml"
    if not saved.is_file():
        return
    old = dict(flatten(_read_config(saved)))
    new = dict(flatten(config))
    for key in sorted(old.keys() | new.keys()):
        if key.split(".")[0] in COMPARED and old.get(key) != new.get(key):
            raise InputError(
                f"{folder} was started with {key}={old.get(key)} and cannot go on with {new.get(key)}: give the same "
                "configuration, or another --run_id"
            )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = load_yaml(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        config = None
    if not isinstance(config, dict):
        raise InputError(f"{path} is damaged: remove it to go on with the run all the same, or choose another --run_id")
    return config


def wandb_offline() -> bool:
    """Tell whether W&B must stay offline: nobody asked for a mode, and there is no API key to be found."""
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"] == "offline"
    if os.environ.get("WANDB_API_KEY"):
        return False
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host) is None
    except (OSError, NetrcParseError):
        return True


def is_resumed_sweep_run(args: Sequence[str]) -> bool:
    """Tell whether a sweep's agent resumes a run that has begun: it then passes the run's whole record as arguments.

    Args:
        args: The command line; flags as `--name=value`.
    """
    flags = dict(arg.split("=", 1) for arg in args if arg.startswith("--") and "=" in arg)
    begun = Path(flags.get("--runs_dir", runs_dir())) / os.environ.get("WANDB_RUN_ID", "") / "config.yaml"
    return "--_wandb" in flags or (bool(os.environ.get("WANDB_SWEEP_ID")) and begun.is_file())


def is_known(arg: str, roots: set[str]) -> bool:
    """Tell whether an argument from a run's record is one for the command line: of a known root, and not null."""
    return not arg.startswith("--") or (arg[2:].split("=")[0].split(".")[0] in roots and not arg.endswith("=None"))


def classes_first(args: Sequence[str]) -> list[str]:
    """Order a verb and its flags so that a class precedes its arguments, and a file what changes it."""
    if not all(arg.startswith("--") and "=" in arg for arg in args[1:]):
        return list(args)
    return [args[0], *sorted(args[1:], key=lambda arg: (not arg.startswith("--config="), arg.split("=")[0]))]


def swept_keys() -> set[str]:
    """Return the keys that a W&B sweep owns in this run, dotted; its server refuses other values for them."""
    path = os.environ.get("WANDB_SWEEP_PARAM_PATH", "")
    if not path or not Path(path).is_file():
        return set()
    return set(yaml.safe_load(Path(path).read_text()) or ())


def _slurm_id() -> str | None:
    env = os.environ
    if "SLURM_JOB_ID" not in env or env.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None
    array = [env[key] for key in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID") if key in env]
    return "slurm-" + ("-".join(array) if len(array) == 2 else env["SLURM_JOB_ID"])


def _torchrun_id() -> str | None:
    given = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return None if given == "none" else f"torchrun-{given}"
