"""fit, validate, test and predict by LightningCLI, one folder a run."""

import contextlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import weakref
import zipfile
from argparse import SUPPRESS
from enum import Enum
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import torch
import yaml
from jsonargparse import Namespace
from jsonargparse.typing import register_type
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console

# Imported models and data can be named by the class alone: --model=BetaVAE.
import disentangle_pl.models.annealed_vae
import disentangle_pl.models.beta_tc_vae
import disentangle_pl.models.beta_vae
import disentangle_pl.models.dip_vae
import disentangle_pl.models.factor_vae
import disentangle_pl.models.hfs_vae
import disentangle_pl.models.ordered_vae  # noqa: F401
from disentangle_pl.brain.longitudinal import LongitudinalData  # noqa: F401 - likewise
from disentangle_pl.callbacks.codes import WriteCodes
from disentangle_pl.callbacks.disentanglement import LogDisentanglement
from disentangle_pl.callbacks.layers import LogLayers
from disentangle_pl.callbacks.preemption import Preemption
from disentangle_pl.callbacks.progress import ProgressBar
from disentangle_pl.callbacks.reconstructions import LogReconstructions
from disentangle_pl.callbacks.resume import ExactResume, KeepLast, WholeCheckpoints, finish_wandb
from disentangle_pl.callbacks.run_record import RunRecord
from disentangle_pl.callbacks.sharing import LogSharing
from disentangle_pl.callbacks.sparsity import LogSparsity
from disentangle_pl.callbacks.traversals import LogTraversals
from disentangle_pl.cluster import count_devices, refuse_other_tasks
from disentangle_pl.data.module import ImageData
from disentangle_pl.data.synthetic import SyntheticData  # noqa: F401 - likewise
from disentangle_pl.defaults import DEFAULTS
from disentangle_pl.errors import ERROR, InputError, find_input_error, leave, one_line
from disentangle_pl.flat import flatten
from disentangle_pl.loggers import MetricsCSV, WandbRun, WandbSettings
from disentangle_pl.machine import compile_networks, fast_precision, refuse_precision
from disentangle_pl.models.divergence import LAST
from disentangle_pl.models.vae import AGGREGATION_WITHOUT_PAIRS, VAE
from disentangle_pl.reports.report import write_own_report
from disentangle_pl.run_state import FINISHED, Claim
from disentangle_pl.runs import (
    best_checkpoint,
    classes_first,
    display_name,
    flags_of,
    is_known,
    is_resumed_sweep_run,
    joined,
    newest_checkpoint,
    refuse_other_config,
    run_id,
    runs_dir,
    short_settings,
    swept_values,
    wandb_offline,
)

DESCRIPTION = """Train disentangled variational autoencoders and score them.
Begin with: disentangle-pl fit --config configs/sprites_ada_gvae.yaml
Any setting is a flag, e.g. --model.beta=4; `disentangle-pl fit --model.help=BetaVAE` lists those of a class.
Further verbs, each with a --help of its own: sweep, runs, report, explore, evaluate, traverse, sparsity, compact,
meta-transfer; of variance and what can be known: variance, impossibility, study;
of brain scans: scans, prepare, simulate, latents, counterfactual, predict-scores, gwas."""


PROBLEM = re.compile(r"Problem with given class_path '([^']+)':\s*([^\n]+)")
# What callbacks of Lightning have for defaults, and config.yaml could not hold.
register_type(torch.device)
yaml.SafeDumper.add_multi_representer(Enum, lambda dumper, value: dumper.represent_data(value.value))
MOVED = {"optimizer": "model.optimizer", "lr_scheduler": "model.scheduler"}  # of LightningCLI, and ours instead


class Parser(LightningArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print what is wrong and leave with exit code 2; a parser inside another one raises instead."""
        if not self.exit_on_error:
            super().error(message, ex)
        leave(f"{one_line(message)} (see {self.prog.replace(' [options]', '')} --help)")


class SaveConfig(SaveConfigCallback):
    """Write the configuration to the run folder, and flat to W&B: flag = sweep key = column."""

    def __init__(self, *args: Any, given: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "save_to_log_dir": False, "overwrite": True})
        self.given = given

    @rank_zero_only
    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Save what the user gave, so that the file makes the same run again in a folder of its own."""
        path = Path(trainer.default_root_dir) / "config.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        if stage == "fit":
            path.write_text(self.given)
        settings = dict(flatten(yaml.safe_load(self.given)))
        flat = {key: value for key, value in settings.items() if value is not None}
        named = short_settings(settings) | {"precision": trainer.precision} | flat
        swept = swept_values()
        for logger in trainer.loggers:
            if isinstance(logger, WandbRun):
                logger.describe({key: value for key, value in named.items() if key not in swept})
            elif isinstance(logger, WandbLogger):
                logger.log_hyperparams({key: value for key, value in named.items() if key not in swept})


class CLI(LightningCLI):
    """LightningCLI with run folders, loggers that need no account, and scores at the end of a fit."""

    _claim: Claim | None = None

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Return the verb of this call alone, if it is the first word: the flags of every further one cost time."""
        every = LightningCLI.subcommands()
        return {name: skipped for name, skipped in every.items() if name in sys.argv[1:2]} or every

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what is ours, and let the data tell the model the shape of its images."""
        parser.add_argument("--runs_dir", default=runs_dir(), help="where run folders are made")
        parser.add_argument(
            "--run_id",
            type=str | None,
            default=None,
            help="name of the run folder and of the W&B run; an existing run goes on from its last checkpoint",
        )
        parser.add_argument("--project", default="disentangle_pl", help="W&B project, unless WANDB_PROJECT names one")
        parser.add_class_arguments(WandbSettings, "wandb")
        parser.add_argument(
            "--fast",
            type=bool,
            default=True,
            help="unless trainer.precision is given: bf16-mixed where the hardware is fast at it, or what the variable "
            "DISENTANGLE_PL_PRECISION says, bf16-mixed or 32-true",
        )
        parser.add_argument(
            "--compile",
            type=bool,
            default=False,
            help="torch.compile the encoder and the decoder: slow to start, for long trainings",
        )
        parser.add_argument(
            "--report", type=bool, default=True, help="write report.html into the run folder at the end"
        )
        for old in MOVED:
            # Configurations of runs from before have it as null.
            parser.add_argument(f"--{old}", type=partial(_refuse_moved, old), default=None, help=SUPPRESS)
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(LogDisentanglement, "disentanglement")
        parser.add_lightning_class_args(LogSharing, "sharing")
        parser.add_lightning_class_args(LogSparsity, "sparsity")
        parser.add_lightning_class_args(LogLayers, "layers")
        parser.add_lightning_class_args(LogTraversals, "traversals")
        parser.add_lightning_class_args(LogReconstructions, "reconstructions")
        parser.set_defaults(DEFAULTS)
        parser.link_arguments("data.shape", "model.init_args.shape", apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.init_args.seed", compute_fn=int)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Drop what a sweep's agent adds to the arguments when it resumes a run: the run's whole record."""
        words = sys.argv[1:] if args is None else list(args)
        if words and words[0] in self._subcommand_parsers and is_resumed_sweep_run(words):
            words = joined(words)
            # the record has an `optimizer` too: the short name of the class of model.optimizer
            roots = {action.dest.split(".")[0] for action in self._parser(words[0])._actions} - MOVED.keys()
            valid = classes_first([word for word in words if is_known(word, roots)])
            dropped = [word.split("=")[0] for word in words if word not in valid]
            if args is None:
                sys.argv[1:] = valid  # the processes that Lightning starts read it there
            print(f"resumed by the sweep; left out of its record: {' '.join(dropped) or 'nothing'}", flush=True)
            args, words = None if args is None else valid, valid
        for word in words:
            root = word.split("=")[0].split(".")[0].removeprefix("--")
            if root in MOVED and word.startswith("--") and not word.endswith("=None"):
                raise InputError(_moved(root))
        super().parse_arguments(parser, args)
        seed = self.config.get(str(self.config.get("subcommand")), {}).get("seed_everything")
        if isinstance(seed, bool) or (isinstance(seed, int) and not 0 <= seed < 2**32):
            raise InputError(f"seed_everything is {seed}: give a whole number from 0 to {2**32 - 1}")

    def before_instantiate_classes(self) -> None:
        """Choose the run folder, the loggers, the precision and the checkpoint to go on from."""
        config = self.config[self.subcommand]
        source = config.config[-1] if config.get("config") else None
        name = run_id(Path(str(source)).stem if source else str(self.subcommand), config.run_id)
        folder = lasting = Path(config.runs_dir).absolute() / name
        _refuse_other_places(config, folder)
        if config.trainer.fast_dev_run:
            scratch = tempfile.mkdtemp()
            weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)  # a trial leaves nothing behind
            folder = Path(scratch) / name
        given = config.clone()
        given.run_id = None
        given.ckpt_path = _foreign(config.ckpt_path, folder)
        for old in MOVED:
            given.pop(old, None)
        self.save_config_kwargs["given"] = self._parser(self.subcommand).dump(
            given, skip_none=False, skip_validation=True
        )
        trainer = config.trainer
        if trainer.barebones:
            raise InputError("trainer.barebones leaves no numbers, no checkpoint and no scores: leave it out")
        refuse_other_tasks(count_devices(trainer.devices, trainer.accelerator), trainer.num_nodes)
        trainer.default_root_dir = str(folder)
        config.checkpoint.dirpath = str(folder / "checkpoints")
        if trainer.precision is None:
            trainer.precision = fast_precision(trainer.accelerator) if config.fast else "32-true"
        refuse_precision(str(trainer.precision), trainer.accelerator)
        if self.subcommand == "fit" and trainer.logger is not False:
            present = trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]
            given_loggers = [logger for logger in present if logger not in (None, True)]
            trainer.logger = [*_loggers(folder, name, config, given_loggers), *given_loggers]
        elif trainer.logger in (None, True):
            trainer.logger = False
        additions = [_class(ExactResume), _class(KeepLast)]
        if self.subcommand == "predict":
            additions.append(_class(WriteCodes))
        if trainer.enable_progress_bar is not False:
            additions.append(_class(ProgressBar))
        present = trainer.callbacks or []
        trainer.callbacks = [*(present if isinstance(present, list) else [present]), *additions]
        self._choose_checkpoint(config, folder if self.subcommand == "fit" else lasting)

    def _dump_config(self) -> None:
        # for the checkpoints; Lightning's own checks what was parsed once more, a fifth of the time until training
        if not hasattr(self, "config_dump"):
            text = self.parser.dump(self.config, skip_link_targets=False, skip_none=False, skip_validation=True)
            self.config_dump = yaml.safe_load(text)[self.subcommand]

    def instantiate_classes(self) -> None:
        """Make trainer, model and data.

        Raises:
            InputError: If a class cannot be made, as of a package that is not installed.
        """
        try:
            super().instantiate_classes()
        except ValueError as error:
            problem = None if find_input_error(error) else PROBLEM.search(str(error))
            if problem is None:
                raise
            raise InputError(
                f"{problem[1]} cannot be made ({problem[2].rstrip('.')}): install what it needs, or change the setting"
            ) from error

    def after_instantiate_classes(self) -> None:
        """Let go of the command line in what the model keeps to build from: copies of it cannot take that along."""
        for module in self.model.modules():
            for name, value in vars(module).items():
                setattr(module, name, plain_factory(value))

    def before_fit(self) -> None:
        """Find what is wrong with data and model before a logger or a folder exists."""
        if isinstance(self.model, VAE) and self.model.aggregation is not None and self.datamodule.group == 1:
            raise InputError(AGGREGATION_WITHOUT_PAIRS)
        self.datamodule.setup("fit")
        for batch in islice(self.datamodule.val_dataloader(), 1 if isinstance(self.model, VAE) else 0):
            self.model.likelihood.check(self.datamodule.on_after_batch_transfer(batch, 0).image)
        environment = self.trainer._accelerator_connector.cluster_environment
        if isinstance(environment, SLURMEnvironment):
            environment.auto_requeue = False  # Preemption does
        self.trainer.strategy.checkpoint_io = WholeCheckpoints()
        if self.config.fit.compile:
            compile_networks([self.model.backbone.encoder, self.model.backbone.decoder])
        if self.trainer.is_global_zero and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._claim = Claim(Path(self.trainer.default_root_dir))
            self.trainer.callbacks.append(RunRecord(self._claim))  # type: ignore[attr-defined]
        self.trainer.callbacks.append(Preemption(self._claim))  # type: ignore[attr-defined]

    def before_validate(self) -> None:
        """Let a damaged checkpoint be named."""
        self.trainer.strategy.checkpoint_io = WholeCheckpoints(weights_alone=True)

    before_test = before_predict = before_validate

    def after_fit(self) -> None:
        """Score the final weights in full, draw the final traversals and say where everything lies."""
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        steps = self.trainer.fit_loop.epoch_loop
        steps._batches_that_stepped = max(0, steps._batches_that_stepped - 1)  # these are scores of the last step
        self.trainer.validate(self.model, self.datamodule, verbose=False, weights_only=True)
        self.after_validate()
        if self._claim:
            self._claim.write(FINISHED)
            if self.config.fit.report:
                self._report(self._claim.folder)
            self._claim.release()
            for logger in self.trainer.loggers:
                if isinstance(logger, WandbRun):
                    self._publish(logger, self._claim.folder, steps._batches_that_stepped)
                if isinstance(logger, WandbLogger):
                    finish_wandb(logger)

    def _publish(self, logger: WandbRun, folder: Path, step: int) -> None:
        try:
            logger.log_tables(folder, step)
            if self.config.fit.wandb.log_model:
                logger.log_checkpoints(self._checkpoints(), folder / "config.yaml")
        except Exception as error:  # noqa: BLE001 - a server that is gone must not cost a training
            fault = one_line(str(error)) or type(error).__name__
            print(f"W&B did not take the tables and checkpoints ({fault}): they are in {folder}", flush=True)

    def _checkpoints(self) -> dict[str, Path]:
        callback = self.trainer.checkpoint_callback
        best = Path(callback.best_model_path) if isinstance(callback, ModelCheckpoint) and callback.monitor else Path()
        last = {"last": Path(self.trainer.default_root_dir) / LAST}
        return {"best": best} | last if best.is_file() else last

    def _report(self, folder: Path) -> None:
        try:
            write_own_report(folder)
        except Exception as error:  # noqa: BLE001 - a page must not cost a training
            print(f"no report: {one_line(str(error)) or type(error).__name__}", flush=True)

    def after_validate(self) -> None:
        """Say how well images are reconstructed, and where scores and pictures lie."""
        if self.trainer.is_global_zero:
            numbers = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
            terms = [f"{name} {numbers[name]:.4g}" for name in ("val/nll", "val/kl", "val/mse") if name in numbers]
            Console().print(f"{', '.join(terms)} (nats an image; squared error a pixel)", soft_wrap=True)
            Console().print(f"run folder: {self.trainer.default_root_dir}", soft_wrap=True)

    def after_test(self) -> None:
        """Write the loss and its terms beside the scores of the test set, and say where they lie."""
        if self.trainer.is_global_zero:
            path = Path(self.trainer.default_root_dir) / "test" / "scores.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            written = json.loads(path.read_text()) if path.is_file() else {"scores": {}}
            numbers = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
            losses = {name: value for name, value in numbers.items() if not name.startswith("test/disentanglement/")}
            path.write_text(json.dumps(written | {"losses": losses}, indent=1) + "\n")
            Console().print(f"scores of the test set: {path}", soft_wrap=True)

    def _choose_checkpoint(self, config: Namespace, folder: Path) -> None:
        if config.weights_only is None:
            config.weights_only = True  # code in a checkpoint is not run
        own = newest_checkpoint(folder)
        if config.ckpt_path == "best":
            config.ckpt_path = str(best_checkpoint(folder))
        if self.subcommand == "fit":
            if own:
                refuse_other_config(folder, yaml.safe_load(self.save_config_kwargs["given"]))
            # a checkpoint of another run is where this one begins; a run that has begun goes on from its own
            if config.ckpt_path in (None, "last") or (own and _foreign(config.ckpt_path, folder)):
                config.ckpt_path = str(own) if own else None
        elif config.ckpt_path in (None, "last") or (own and "ckpt_path" not in flags_of(sys.argv[1:])):
            if own is None:
                raise InputError(
                    f"{self.subcommand} needs a trained model: give --ckpt_path=FILE, or --run_id=NAME of a run with "
                    f"checkpoints in {folder.parent}"
                )
            config.ckpt_path = str(own)
        if config.ckpt_path and not Path(config.ckpt_path).is_file():
            raise InputError(f"there is no checkpoint at {config.ckpt_path}: check --ckpt_path")
        if config.ckpt_path and not zipfile.is_zipfile(config.ckpt_path):
            raise InputError(
                f"the checkpoint {config.ckpt_path} is damaged: remove it to go on from an older one, or to start anew"
            )


def plain_factory(value: Any) -> Any:
    """Return what the parser gives for a class to be made later as a partial of that class; anything else as it is."""
    if not isinstance(value, partial) or not value.func.__module__.startswith("jsonargparse"):
        return value
    *_, kind = value.args
    return partial(kind, **{name: plain_factory(setting) for name, setting in value.keywords.items()})


def _refuse_moved(name: str, value: Any) -> None:
    if value is not None:
        raise ValueError(_moved(name))


def _moved(name: str) -> str:
    return (
        f"--{name} would ignore the groups in which a model trains its parameters: give --{MOVED[name]}=CLASS instead, "
        f"and its settings as --{MOVED[name]}.NAME=VALUE"
    )


def _class(kind: type, **init_args: Any) -> Namespace:
    path = f"{kind.__module__}.{kind.__qualname__}"
    return Namespace(class_path=path, init_args=Namespace(**init_args))  # type: ignore[no-untyped-call]


def _foreign(checkpoint: str | None, folder: Path) -> str | None:
    """Return a checkpoint that lies outside a run folder; None for one of its own."""
    own = checkpoint in (None, "last", "best") or folder in Path(str(checkpoint)).absolute().parents
    return None if own else checkpoint


def _refuse_other_places(config: Namespace, folder: Path) -> None:
    """Refuse Lightning's flags for places within a run folder: everything of a run lies in the one folder.

    Raises:
        InputError: If one is given that is not where it lies anyway.
    """
    for flag, given, place in (
        ("trainer.default_root_dir", config.trainer.default_root_dir, folder),
        ("checkpoint.dirpath", config.checkpoint.dirpath, folder / "checkpoints"),
    ):
        if given is not None and Path(given).absolute() != place:
            raise InputError(
                f"--{flag}={given} does not act, because a run keeps all its files in {folder}: choose that folder by "
                "--runs_dir and --run_id instead"
            )


def _is_wandb(logger: Namespace) -> bool:
    module, _, name = str(logger.class_path).rpartition(".")
    return issubclass(getattr(import_module(module), name), WandbLogger)


def _loggers(folder: Path, name: str, config: Namespace, given: list[Namespace]) -> list[Namespace]:
    loggers = [_class(MetricsCSV, save_dir=str(folder))]
    if os.environ.get("WANDB_MODE") == "disabled" or any(map(_is_wandb, given)):
        return loggers
    wandb = config.wandb
    settings = {"entity": wandb.entity, "group": wandb.group, "tags": wandb.tags or None, "job_type": wandb.job_type}
    return [
        *loggers,
        _class(
            WandbRun,
            save_dir=str(folder),
            id=name,
            name=wandb.name or display_name(name),
            project=os.environ.get("WANDB_PROJECT", config.project),
            offline=wandb_offline(),
            resume="allow",
            **{key: value for key, value in settings.items() if value is not None},
        ),
    ]


def run_lightning() -> None:
    """Run fit, validate, test or predict with the arguments of the process."""
    CLI(
        VAE,
        ImageData,
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=0,
        auto_configure_optimizers=False,
        save_config_callback=SaveConfig,
        parser_kwargs={"prog": "disentangle-pl", "description": DESCRIPTION},
        parser_class=Parser,
    )


def check_arguments(args: list[str]) -> None:
    """Parse the arguments of fit, validate, test or predict and do nothing else; leave those of other verbs alone.

    Raises:
        InputError: If the command line would not take them.
    """
    if args[:1] not in (["fit"], ["validate"], ["test"], ["predict"]):
        return
    messages, own = io.StringIO(), sys.argv[1:]
    sys.argv[1:] = [*args, "--print_config"]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(messages):
            run_lightning()
    except SystemExit as end:
        if end.code:
            lines = [line for line in messages.getvalue().splitlines() if line.startswith(ERROR)] or [
                messages.getvalue()
            ]
            raise InputError(lines[-1].removeprefix(ERROR)) from end
    finally:
        sys.argv[1:] = own
