"""How sparse a masked network has become: densities, dead channels, the paths of the latents, and their picture."""

from pathlib import Path
from typing import NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from disentangle_pl.callbacks.connectivity_plot import draw_connectivity
from disentangle_pl.callbacks.pictures import publish
from disentangle_pl.connectivity import Layer, dead_channels, fan_out, layers, overlap, reached
from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import density, effective_density, kernel_norms
from disentangle_pl.models.divergence import LAST
from disentangle_pl.models.vae import VAE


class Graphs(NamedTuple):
    """The channel graphs of a variational autoencoder."""

    encoder: list[Layer]
    decoder: list[Layer]


def graphs_of(model: VAE) -> Graphs:
    """Return the channel graphs of the encoder and the decoder of a model."""
    return Graphs(layers(model.backbone.encoder), layers(model.backbone.decoder))


def sparsity(graphs: Graphs) -> dict[str, float]:
    """Sum the sparsity of a network up.

    Returns:
        `density` of all channel pairs, `density_encoder`, `density_decoder`, `density_<part>_<layer>`, `dead_channels`,
        `fan_out` (mean share of the hidden decoder channels that a latent reaches), `path_overlap` (mean Jaccard
        index of these channels over pairs of latents) and `latents_connected` (latents that reach the image).
    """
    parts = {"encoder": graphs.encoder, "decoder": graphs.decoder}
    values = {"density": _share([*graphs.encoder, *graphs.decoder])}
    for part, chain in parts.items():
        values[f"density_{part}"] = _share(chain)
        values |= {f"density_{part}_{layer.name}": layer.kept / layer.total for layer in chain}
    values["dead_channels"] = float(sum(sum(dead_channels(chain)) for chain in parts.values()))
    values["fan_out"] = float(fan_out(graphs.decoder).mean())
    values["path_overlap"] = overlap(graphs.decoder)
    values["latents_connected"] = float(_ends(graphs.decoder).any(0).sum())
    return values


def refuse_cut_network(graphs: Graphs, checkpoint: Path | None = None) -> None:
    """Refuse to go on with a network through which nothing can pass.

    Args:
        graphs: Of the network.
        checkpoint: The last checkpoint, written before.

    Raises:
        InputError: If no image channel reaches a posterior mean, or no latent reaches the image.
    """
    means = _ends(graphs.encoder)
    for part, ends in (("encoder", means[: len(means) // 2]), ("decoder", _ends(graphs.decoder))):
        if not ends.any():
            raise InputError(
                f"everything is pruned: no path is left through the {part}; lower model.mask.strength, raise its "
                f"density, or give it a longer warm_up"
                f"{f'; the last good checkpoint is {checkpoint}' if checkpoint else ''}"
            )


class LogSparsity(Callback):
    """Log `sparsity/*` of a masked model at every validation, and draw its channel graph at the end.

    Does nothing for a model without masks, and logs only densities where a step of the network may mix channels. A
    network that is cut in two ends the run; its last checkpoint stays.

    Args:
        draw: Draw the picture.
    """

    def __init__(self, draw: bool = True) -> None:
        self.draw = draw
        self._warned = False

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the numbers."""
        if trainer.sanity_checking or not isinstance(pl_module, VAE) or not pl_module.masks:
            return
        try:
            graphs = graphs_of(pl_module)
        except InputError as reason:
            self._log_densities(pl_module, reason)
            return
        values = sparsity(graphs) | {"effective_density": effective_density(pl_module.backbone)}
        pl_module.log_dict({f"sparsity/{name}": value for name, value in values.items()}, sync_dist=False)
        if trainer.state.fn == TrainerFn.FITTING:
            last = Path(trainer.default_root_dir) / LAST
            refuse_cut_network(graphs, last if last.is_file() else None)
        elif self.draw and trainer.is_global_zero:
            sizes, gates = kernel_sizes(pl_module), gate_values(pl_module)
            publish(draw_connectivity(graphs.encoder, graphs.decoder, sizes, gates), trainer, "sparsity")

    def _log_densities(self, model: VAE, reason: InputError) -> None:
        """Log what needs no graph of channels, and say once why there is none."""
        if not self._warned:
            rank_zero_warn(f"Only sparsity/density and sparsity/effective_density are logged: {reason}")
            self._warned = True
        kept, total = density(model.backbone)
        values = {"density": kept / total, "effective_density": effective_density(model.backbone)}
        model.log_dict({f"sparsity/{name}": value for name, value in values.items()}, sync_dist=False)


def kernel_sizes(model: VAE) -> Tensor:
    """Return the norms of all kernels of the masked layers, after masking, (pairs,) on the CPU; cut pairs have 0."""
    norms = [kernel_norms(layer.weight.detach()).flatten() for _, layer in model.masks]  # type: ignore[operator]
    return torch.cat(norms).float().cpu()


def gate_values(model: VAE) -> Tensor | None:
    """Return the entries of all masks M as they are in evaluation, (pairs,) on the CPU; None if there are no masks."""
    gates = [gate.flatten() for gate in (mask.gates() for mask, _ in model.masks) if gate is not None]
    return torch.cat(gates).float().cpu() if gates else None


def _share(layers: list[Layer]) -> float:
    return sum(layer.kept for layer in layers) / sum(layer.total for layer in layers)


def _ends(layers: list[Layer]) -> Tensor:
    *_, last = reached(layers)
    return last
