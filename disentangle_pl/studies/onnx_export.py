"""A model as two ONNX files, encoder and decoder, that another runtime has run before they get their names."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from disentangle_pl.errors import InputError
from disentangle_pl.models.vae import VAE

NEEDED = ("onnx", "onnxruntime", "onnxscript")
TOLERANCE = 1e-5
CHATTY = ("torch.onnx", "onnxscript", "onnx_ir")
ERRORS_ONLY = 3  # of onnxruntime's severities


class OnnxPair(NamedTuple):
    """A model in ONNX, for batches of any size.

    Attributes:
        encoder: File that maps `image` (B, C, *S) to `mean` and `logvar` (B, d) of the posterior.
        decoder: File that maps `z` (B, d) to `image` (B, C, *S), the mean of the likelihood.
        largest_difference: Largest absolute difference of an output from the model's.
    """

    encoder: Path
    decoder: Path
    largest_difference: float


class _Encoder(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.encode(image))


class _Decoder(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> tuple[Tensor, ...]:
        return (self.model.decode(z),)


def missing_packages() -> list[str]:
    """Return which of the packages of the extra `onnx` are not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def export_onnx(model: VAE, stem: Path, images: Tensor, latents: Tensor) -> OnnxPair:
    """Write `<stem>.encoder.onnx` and `<stem>.decoder.onnx` and prove with onnxruntime that they equal the model.

    Args:
        model: On the CPU, in evaluation mode, without masks that draw.
        stem: Where the files go; a suffix of it is replaced.
        images: (B, C, *S) to compare the encoders on, as a batch and one by itself.
        latents: (B, d) to compare the decoders on.

    Raises:
        InputError: If torch's exporter has no translation for a layer of the network.
    """
    encoder, decoder = (stem.with_suffix(f".{part}.onnx") for part in ("encoder", "decoder"))
    differences = [
        _export(_Encoder(model).eval(), encoder, images, "image", ("mean", "logvar")),
        _export(_Decoder(model).eval(), decoder, latents, "z", ("image",)),
    ]
    return OnnxPair(encoder, decoder, max(differences))


def _export(network: nn.Module, path: Path, x: Tensor, name: str, outputs: Sequence[str]) -> float:
    """Write a network as ONNX and return its largest difference from what onnxruntime makes of the file."""
    draft = path.with_name(f"{path.name}.tmp")
    batch = x if len(x) > 1 else torch.cat([x, x])  # a batch of one would be taken for a constant
    try:
        with _quiet():
            program = torch.onnx.export(
                network,
                (batch,),
                input_names=[name],
                output_names=list(outputs),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise InputError(
            f"torch cannot write {path.name} ({type(error.__cause__ or error).__name__}): the network has a layer "
            "without a translation to ONNX; give --onnx=false"
        ) from error
    assert program is not None  # as it is without `dynamo`
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces with the folders of this machine
    program.save(draft)
    difference = max(_difference(network, draft, part) for part in (batch, batch[:1]))
    draft.replace(path)
    return difference


def _difference(network: nn.Module, file: Path, x: Tensor) -> float:
    """Return the largest absolute difference of the outputs of a network and of its ONNX file."""
    with torch.no_grad():
        expected = network(x)
    runtime = import_module("onnxruntime")
    runtime.set_default_logger_severity(ERRORS_ONLY)
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    largest = 0.0
    for mine, theirs in zip(expected, found, strict=True):
        difference = float((mine - torch.from_numpy(theirs)).abs().max())
        # float32 has 7 digits: an output of 100 cannot be right to 1e-5
        if not difference <= TOLERANCE * max(1.0, float(mine.abs().max())):
            raise RuntimeError(f"{file.name} differs from the model by {difference}: this is a fault of ours")
        largest = max(largest, difference)
    return largest


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's remarks about itself from the terminal."""
    loggers = [logging.getLogger(name) for name in CHATTY]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
