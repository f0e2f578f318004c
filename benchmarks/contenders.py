"""What the training benchmark compares: the command line in several settings, and bare loops."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

BATCH = 64
POSITIONS = list(range(0, 32, 2))
DATA = [
    "--data=SyntheticData",
    "--data.dataset=disentangle_pl.data.sprites.Sprites",
    "--data.dataset.orientation_values=[0]",
    f"--data.dataset.x_values={POSITIONS}",
    f"--data.dataset.y_values={POSITIONS}",
    f"--data.batch_size={BATCH}",
    "--data.eval_size=64",
    "--disentanglement.sheet=false",
    "--trainer.max_epochs=1",
]
MODEL = ["--model=BetaVAE", "--model.beta=4"]
FUSED = ["--model.optimizer=torch.optim.Adam", "--model.optimizer.lr=1e-4", "--model.optimizer.fused=true"]
TINY = [
    "--model.backbone=disentangle_pl.backbones.MLPBackbone",
    "--model.backbone.encoder_widths=[]",
    "--model.backbone.decoder_widths=[]",
]


class Contender(NamedTuple):
    """What is measured, and against what.

    Attributes:
        kind: `conv` and `tiny` are bare loops, `fit` is the command line.
        flags: Of the command line.
        rival: The contender it is divided by, within a round.
        wanted: The ratio to reach, if one was promised.
        processes: Processes that share the global batch; each has `threads` threads.
        threads: None for those of the benchmark.
        gpu: Runs only where there is one.
    """

    kind: str
    flags: Sequence[str] = ()
    rival: str = ""
    wanted: float | None = None
    processes: int = 1
    threads: int | None = None
    gpu: bool = False

    @property
    def here(self) -> bool:
        """Whether this machine can run it."""
        return torch.cuda.is_available() or not self.gpu


CPU, GPU = ["--trainer.accelerator=cpu"], ["--trainer.accelerator=gpu"]
FIT = [*DATA, *MODEL, *FUSED]
FP32 = [*FIT, *CPU, "--fast=false"]
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp", f"--data.batch_size={BATCH // 2}"]
CONTENDERS: dict[str, Contender] = {
    "bare loop, fp32": Contender("conv"),
    "fit, fp32": Contender("fit", FP32, "bare loop, fp32", 0.95),
    "fit, default recipe": Contender("fit", [*FIT, *CPU], "bare loop, fp32", 2.0),
    "fit, fp32, --compile=true": Contender("fit", [*FP32, "--compile=true"], "fit, fp32"),
    "fit, --trainer.precision=bf16-mixed": Contender(
        "fit", [*FIT, *CPU, "--trainer.precision=bf16-mixed"], "fit, fp32"
    ),
    "fit, fp32, 1 process x 1 thread": Contender("fit", FP32, "fit, fp32", threads=1),
    "fit, fp32, 2 processes x 1 thread": Contender(
        "fit", [*FP32, *TWO], "fit, fp32, 1 process x 1 thread", processes=2, threads=1
    ),
    "bare loop, near-empty net": Contender("tiny"),
    "fit, near-empty net": Contender("fit", [*FP32, *TINY], "bare loop, near-empty net", 0.70),
    "GPU: bare loop, fp32": Contender("conv", gpu=True),
    "GPU: fit, fp32": Contender("fit", [*FIT, *GPU, "--fast=false"], "GPU: bare loop, fp32", gpu=True),
    "GPU: fit, default recipe": Contender("fit", [*FIT, *GPU], "GPU: fit, fp32", gpu=True),
    "GPU: fit, --compile=true": Contender("fit", [*FIT, *GPU, "--compile=true"], "GPU: fit, fp32", gpu=True),
}
