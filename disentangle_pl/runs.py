"""One run = one id = one folder, kept across agents, requeues, processes and resumes."""

import os
import secrets
from collections.abc import Mapping, Sequence
from itertools import pairwise
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
import yaml

from disentangle_pl.errors import InputError, one_line
from disentangle_pl.flat import ROOTS, flatten, short_name
from disentangle_pl.studies.labels import short_value
from disentangle_pl.yaml_text import check_yaml, load_yaml

RUN_ID = "DISENTANGLE_PL_RUN_ID"
RUNS_DIR = "DISENTANGLE_PL_RUNS_DIR"
LONGEST = 120  # characters of a name
COMPARED = (  # what may not change when a run goes on
    *("model", "data", "seed_everything", "fast", "trainer.precision", "trainer.accumulate_grad_batches"),
    *("trainer.devices", "trainer.num_nodes", "trainer.limit_train_batches", "trainer.overfit_batches"),
    *("trainer.gradient_clip_val", "trainer.gradient_clip_algorithm", "optimizer", "lr_scheduler"),
)


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


def joined(args: Sequence[str]) -> list[str]:
    """Return a command line with every `--name value` written as `--name=value`.

    Args:
        args: The command line.
    """
    words: list[str] = []
    for arg in args:
        if words and words[-1].startswith("--") and "=" not in words[-1] and not arg.startswith("--"):
            words[-1] += f"={arg}"
        else:
            words.append(arg)
    return words


def flags_of(args: Sequence[str]) -> dict[str, str]:
    """Return the flags of a command line and their values, given as `--name=value` or `--name value`.

    Args:
        args: The command line.
    """
    return dict(arg[2:].split("=", 1) for arg in joined(args) if arg.startswith("--") and "=" in arg)


def with_own_config(args: Sequence[str]) -> list[str]:
    """Let `validate`, `test` and `predict` of a named run use the configuration that the run has saved.

    Args:
        args: The command line.

    Returns:
        The command line, with `--config` added if it names a run that has one and no configuration of its own.
    """
    flags = flags_of(args)
    own = Path(flags.get("runs_dir", runs_dir())) / flags.get("run_id", "") / "config.yaml"
    evaluates = bool(args) and args[0] in ("validate", "test", "predict")
    if not evaluates or "run_id" not in flags or {"config", "model"} & flags.keys() or not own.is_file():
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
    checkpoints = [*folder.glob("checkpoints/last*.ckpt"), *folder.glob("hpc_ckpt_*.ckpt")]
    return max(checkpoints, key=lambda path: path.lstat().st_mtime, default=None)


def best_checkpoint(folder: Path) -> Path:
    """Return the best checkpoint of a run folder, by the metric that the run watched.

    Raises:
        InputError: If the run has kept none.
    """
    last = newest_checkpoint(folder)
    states = torch.load(last, map_location="cpu", weights_only=True).get("callbacks", {}) if last else {}
    named = [str(state["best_model_path"]) for state in states.values() if state.get("monitor")]
    # the folder may have been moved since
    checkpoints = [folder / "checkpoints" / Path(path).name for path in named if path]
    best = next((path for path in checkpoints if path.is_file()), None)
    if best is None:
        raise InputError(
            f"{folder} has no best checkpoint: train with --checkpoint.monitor=val/nll --checkpoint.save_top_k=1, or "
            "give --ckpt_path=last"
        )
    return best


def refuse_other_config(folder: Path, config: dict[str, Any]) -> None:
    """Refuse to continue a run with another model, data, seed or batch than it was started with.

    How long it is trained, and what is logged, may change.

    Raises:
        InputError: If they differ; it names the first difference.
    """
    saved = folder / "config.yaml"
    if not saved.is_file():
        return
    old = dict(flatten(_read_config(saved)))
    new = dict(flatten(config))
    for key in sorted(old.keys() | new.keys()):
        if any(key == name or key.startswith(f"{name}.") for name in COMPARED) and old.get(key) != new.get(key):
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
        args: The command line.
    """
    flags = flags_of(args)
    begun = Path(flags.get("runs_dir", runs_dir())) / os.environ.get("WANDB_RUN_ID", "") / "config.yaml"
    return "_wandb" in flags or (bool(os.environ.get("WANDB_SWEEP_ID")) and begun.is_file())


def is_known(arg: str, roots: set[str]) -> bool:
    """Tell whether an argument from a run's record is one for the command line: of a known root, and not null."""
    return not arg.startswith("--") or (arg[2:].split("=")[0].split(".")[0] in roots and not arg.endswith("=None"))


def classes_first(args: Sequence[str]) -> list[str]:
    """Order a verb and its flags so that a class precedes its arguments, and a file what changes it."""
    if not all(arg.startswith("--") and "=" in arg for arg in args[1:]):
        return list(args)
    return [args[0], *sorted(args[1:], key=lambda arg: (not arg.startswith("--config="), arg.split("=")[0]))]


def swept_values() -> dict[str, Any]:
    """Return the dotted keys that a W&B sweep owns in this run, and their values; its server refuses other ones."""
    path = os.environ.get("WANDB_SWEEP_PARAM_PATH", "")
    if not path or not Path(path).is_file():
        return {}
    loaded = yaml.safe_load(Path(path).read_text()) or {}
    return {key: entry["value"] if isinstance(entry, dict) else entry for key, entry in loaded.items()}


def short_settings(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of model, data and trainer, and the seed, by names without dots.

    Args:
        flat: Values by flat dotted names. Lists are left out, and so is what the trainer does not have; classes lose
            their modules; what model and data do not have reads `none`, so that runs without a mask can be found.
    """
    settings: dict[str, Any] = {}
    for root in ("seed_everything", *ROOTS):
        for key, value in flat.items():
            inner = key.startswith(f"{root}.") and not (root == "trainer" and value is None)
            if (inner or key == root == "seed_everything") and not isinstance(value, list):
                plain = short_value(value, LONGEST) if isinstance(value, str) else "none" if value is None else value
                settings.setdefault(short_name(key), plain)
    return settings


def display_name(run: str) -> str:
    """Return the name that W&B shows: WANDB_NAME, the values of an agent's sweep, or else the run id.

    Args:
        run: The run id.
    """
    swept = [(key, value) for key, value in swept_values().items() if not key.startswith(("_", "wandb_"))]
    words = [f"{short_name(key)}={short_value(value)}" for key, value in swept]
    return os.environ.get("WANDB_NAME") or " ".join(words)[:LONGEST] or run


def _slurm_id() -> str | None:
    env = os.environ
    if "SLURM_JOB_ID" not in env or env.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None
    array = [env[key] for key in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID") if key in env]
    return "slurm-" + ("-".join(array) if len(array) == 2 else env["SLURM_JOB_ID"])


def _torchrun_id() -> str | None:
    given = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return None if given == "none" else f"torchrun-{given}"
