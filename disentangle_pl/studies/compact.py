"""`disentangle-pl compact`: a smaller checkpoint that computes what the sparse one computes."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from disentangle_pl.backbones import Backbone
from disentangle_pl.compaction import fold_masks, living, narrow
from disentangle_pl.connectivity import layers
from disentangle_pl.console import print_table, wide_console
from disentangle_pl.errors import InputError
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.models.vae import PROVENANCE, VAE
from disentangle_pl.studies.onnx_export import export_onnx, missing_packages

TOLERANCE = 1e-5
CARRIED = ("epoch", "global_step", "pytorch-lightning_version", "hparams_name", "hyper_parameters", PROVENANCE)


class Cost(NamedTuple):
    """What a network costs.

    Attributes:
        parameters: Weights and biases.
        flops: Floating-point operations to encode and decode one image.
        seconds: Median seconds to encode and decode a batch.
    """

    parameters: int
    flops: int
    seconds: float


def narrow_model(model: VAE) -> dict[str, Any]:
    """Take masks, and channels that cannot act, from a model in place, and return the settings of its backbone.

    Args:
        model: Any variant. (A copy would not do: torch's parametrized copies share the class that is changed.)

    Raises:
        InputError: If its network is not a chain of layers whose widths can be chosen.
    """
    backbone = model.backbone
    fold_masks(backbone)
    parts, widths = {}, {}
    for name, part in (("encoder", backbone.encoder), ("decoder", backbone.decoder)):
        if not isinstance(part, nn.Sequential):
            raise InputError(f"the {name} of a {type(backbone).__name__} is no chain of layers: it cannot shrink")
        kept = living(part)
        parts[name], widths[name] = narrow(part, kept), [int(alive.sum()) for alive in kept]
    settings = backbone.settings(widths["encoder"], widths["decoder"])
    model.backbone = cast(Callable[..., Backbone], type(backbone))(backbone.shape, backbone.latent_dim, **settings)
    state = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
    model.backbone.load_state_dict(state)
    model.masks = []
    model.eval()
    return settings


def largest_difference(one: VAE, other: VAE, images: Tensor, latents: Tensor) -> float:
    """Return the largest absolute difference of posteriors of images (B, C, *S) and of decoded latents (B, d)."""
    with torch.no_grad():
        pairs = [
            *zip(one.encode(images), other.encode(images), strict=True),
            (one.decode(latents), other.decode(latents)),
        ]
    return max(float((mine - theirs).abs().max()) for mine, theirs in pairs)


def costs(models: dict[str, VAE], images: Tensor, repeats: int) -> dict[str, Cost]:
    """Measure models in turns, so that a drifting machine hits all alike.

    Args:
        models: By name.
        images: (B, C, *S), a batch.
        repeats: Turns.
    """
    seconds: dict[str, list[float]] = {name: [] for name in models}
    with torch.no_grad():
        for turn in range(repeats + 2):
            for name, model in models.items():
                began = time.perf_counter()
                model.decode(model.encode(images).mean)
                if turn >= 2:  # the first turns choose kernels
                    seconds[name].append(time.perf_counter() - began)
    return {
        name: Cost(sum(p.numel() for p in model.backbone.parameters()), _flops(model), statistics.median(seconds[name]))
        for name, model in models.items()
    }


def compact(
    checkpoint: Path, out: Path, *, batch_size: int = 64, repeats: int = 20, seed: int = 0, onnx: bool = True
) -> dict[str, Any]:
    """Write a checkpoint without masks and dead channels, prove that it computes the same, and report what it saves.

    Args:
        checkpoint: Of a masked model.
        out: The new checkpoint.
        batch_size: Images of a timed batch.
        repeats: Timed batches; medians are reported.
        seed: Of the images and latents that are compared.
        onnx: Write encoder and decoder as ONNX too, if the extra `onnx` is installed, and prove them equal.

    Returns:
        The report, which is also printed and written beside the checkpoint as JSON.

    Raises:
        InputError: If the checkpoint cannot be read, or its network cannot shrink or has no translation to ONNX.
    """
    model, small, dense = (load_model(checkpoint) for _ in range(3))
    settings = narrow_model(small)
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(batch_size, *model.backbone.shape, generator=generator)
    latents = torch.randn(batch_size, model.backbone.latent_dim, generator=generator)
    difference = largest_difference(model, small, images, latents)
    if difference > TOLERANCE:
        raise RuntimeError(f"the compact network differs by {difference}: this is a fault of ours")
    _write(checkpoint, out, small, settings)
    loaded = load_model(out)
    difference = max(difference, largest_difference(model, loaded, images, latents))
    fold_masks(dense.backbone)
    measured = costs({"dense": dense, "compact": loaded}, images, repeats)
    parts = (model.backbone.encoder, model.backbone.decoder)
    found = [layer for part in parts for layer in layers(part)]
    report = {
        "checkpoint": str(checkpoint),
        "density": sum(layer.kept for layer in found) / sum(layer.total for layer in found),
        "largest_difference": difference,
        "batch_size": batch_size,
        "backbone": settings,
        **{name: cost._asdict() for name, cost in measured.items()},
        "onnx": _onnx(loaded, out, images, latents) if onnx else None,
    }
    out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    _show(report, measured, out)
    return report


def _write(checkpoint: Path, out: Path, small: VAE, settings: dict[str, Any]) -> None:
    whole = torch.load(checkpoint, map_location="cpu", weights_only=True)
    kept = {key: whole[key] for key in CARRIED if key in whole}
    kind = type(small.backbone)
    backbone = {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": settings}
    kept["hyper_parameters"] = {**whole["hyper_parameters"], "mask": None, "backbone": backbone}
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f"{out.name}.tmp")
    torch.save({**kept, "state_dict": small.state_dict()}, draft)
    draft.replace(out)


def _onnx(model: VAE, out: Path, images: Tensor, latents: Tensor) -> dict[str, Any]:
    """Write the ONNX files if the packages are there, and return what the report says of them."""
    missing = missing_packages()
    if missing:
        return {"missing": missing}
    made = export_onnx(model, out, images, latents)
    return {**made._asdict(), "encoder": str(made.encoder), "decoder": str(made.decoder), "missing": []}


def _flops(model: VAE) -> int:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model.decode(model.encode(torch.zeros(1, *model.backbone.shape)).mean)
    return int(counter.get_total_flops())


def _show(report: dict[str, Any], measured: dict[str, Cost], out: Path) -> None:
    table = Table("", "parameters", "FLOPs an image", f"ms a batch of {report['batch_size']}")
    for name, cost in measured.items():
        table.add_row(name, f"{cost.parameters:,}", f"{cost.flops:,}", f"{cost.seconds * 1e3:.2f}")
    dense, small = measured["dense"], measured["compact"]
    ratios = [before / after for before, after in zip(dense, small, strict=True)]
    table.add_row("dense / compact", *(f"{ratio:.2f}" for ratio in ratios))
    console = wide_console()
    print_table(table)
    said = f"{report['density']:.1%} of the pairs connect; largest difference {report['largest_difference']:.1e}"
    for line in (f"{said}; written: {out}", *_said_of_onnx(report["onnx"])):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _said_of_onnx(made: dict[str, Any] | None) -> list[str]:
    if made is None:
        return []
    if made["missing"]:
        missing = ", ".join(made["missing"])
        return [f"no ONNX files, for want of {missing}: pip install 'disentangle_pl[onnx]' adds what they need"]
    said = f"ONNX in onnxruntime: largest difference {made['largest_difference']:.1e}"
    return [f"{said}; written: {made['encoder']} and {made['decoder']}"]
