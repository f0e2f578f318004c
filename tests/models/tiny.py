"""Models and data that train in milliseconds."""

from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from torch.optim import SGD

from disentangle_pl.backbones import ConvBackbone
from disentangle_pl.data.pairs import GroupSampler
from disentangle_pl.data.sprites import Sprites
from disentangle_pl.data.synthetic import SyntheticData
from disentangle_pl.models.beta_vae import BetaVAE

BACKBONE = partial(ConvBackbone, channels=(4, 8), hidden=16)
SETTINGS: dict[str, Any] = {"latent_dim": 3, "backbone": BACKBONE, "optimizer": partial(SGD, lr=1e-3)}


def tiny(shape: tuple[int, ...] = (1, 16, 16), **arguments: Any) -> BetaVAE:
    """Make a beta-VAE with 3 latents."""
    return BetaVAE(shape, **(SETTINGS | arguments))


def sprites(batch_size: int, pairs: GroupSampler | None = None, steps: int = 3) -> SyntheticData:
    """Give 48 sprites of 16 x 16 pixels."""
    grid = Sprites(16, None, [0, 5], [0, 7], [0, 31], [0, 31])
    return SyntheticData(grid, pairs, batch_size, steps_per_epoch=steps, eval_size=32, eval_batch_size=16)


def trainer(folder: Path, **arguments: Any) -> Trainer:
    """Train one epoch on the CPU and write nothing of its own accord."""
    quiet: dict[str, Any] = {
        "default_root_dir": folder,
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(**(quiet | arguments))
