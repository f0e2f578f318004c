"""Make the best of the machine before the first tensor exists."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from disentangle_pl.errors import InputError

CPU_INFO = Path("/proc/cpuinfo")
PRECISION = "DISENTANGLE_PL_PRECISION"
MIXED_16 = ("16-mixed", "16")
FAST_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # CPU flags on x86 and Arm


def fast_precision(accelerator: str) -> str:
    """Choose the precision of a training: bf16-mixed where the hardware is fast at it, else 32-true.

    The environment variable DISENTANGLE_PL_PRECISION, `bf16-mixed` or `32-true`, decides it instead if it is set, so
    that runs on different machines can share one.

    Args:
        accelerator: The value of `trainer.accelerator`.

    Raises:
        InputError: If the variable has another value.
    """
    given = os.environ.get(PRECISION)
    if given:
        if given not in ("bf16-mixed", "32-true"):
            raise InputError(f"{PRECISION} is {given!r}: set it to bf16-mixed or 32-true, or unset it")
        return given
    if accelerator not in ("cpu", "auto") or (accelerator == "auto" and torch.cuda.is_available()):
        return "bf16-mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported(False) else "32-true"
    words = set(CPU_INFO.read_text().split()) if CPU_INFO.is_file() else set()
    return "bf16-mixed" if words & FAST_BFLOAT16 else "32-true"


def refuse_precision(precision: str, accelerator: str) -> None:
    """Refuse a precision in which no model here trains.

    Args:
        precision: The value of `trainer.precision`.
        accelerator: The value of `trainer.accelerator`.

    Raises:
        InputError: If the weights would not be in float32, or if it is 16-mixed without a GPU.
    """
    if precision not in (*MIXED_16, "bf16-mixed", "bf16", "32-true", "32"):
        raise InputError(
            f"trainer.precision={precision} would keep the weights themselves in another precision than float32: give "
            "32-true or bf16-mixed, or 16-mixed on a GPU"
        )
    if precision in MIXED_16 and (accelerator == "cpu" or not torch.accelerator.is_available()):
        raise InputError(f"trainer.precision={precision} needs a GPU: give bf16-mixed or 32-true")


def compile_networks(networks: Iterable[nn.Module], backend: str | Callable[..., Any] = "inductor") -> None:
    """Compile networks in place by torch.compile; the names of their weights stay.

    The first batch of every shape and mode then takes longer, by a minute or so on a CPU.

    Args:
        networks: What is called once a batch.
        backend: A backend of torch.compile.

    Raises:
        InputError: If the machine has no C++ compiler, which the code for the CPU is made by.
    """
    if backend == "inductor" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        raise InputError(
            "--compile=true needs a C++ compiler and finds no g++ or clang++: install one, or leave it out"
        )
    for network in networks:
        # network.compile() leaves a plain nn.Sequential as it is (torch 2.13), without a word
        network.forward = torch.compile(network.forward, backend=backend)
