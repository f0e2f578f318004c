"""What the machine is asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from disentangle_pl import machine
from disentangle_pl.errors import InputError
from disentangle_pl.masks.random_mask import RandomMask
from disentangle_pl.memory import available_memory, keep_freed_memory
from disentangle_pl.models.beta_vae import BetaVAE
from tests.models.tiny import tiny


@pytest.mark.parametrize(
    ("flags", "precision"),
    [("avx2 avx512f", "32-true"), ("avx2 avx512_bf16", "bf16-mixed"), ("amx_bf16 avx2", "bf16-mixed")],
)
def test_bfloat16_only_where_the_processor_is_fast_at_it(
    flags: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"flags : {flags}\n")
    monkeypatch.setattr(machine, "CPU_INFO", info)
    monkeypatch.delenv(machine.PRECISION, raising=False)
    assert machine.fast_precision("cpu") == precision


@pytest.mark.parametrize(("supported", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bfloat16_on_a_gpu(supported: bool, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda emulated: supported)
    monkeypatch.delenv(machine.PRECISION, raising=False)
    assert machine.fast_precision("auto") == precision
    assert machine.fast_precision("gpu") == precision


def test_freed_memory_can_be_kept() -> None:
    keep_freed_memory()
    assert torch.ones(10).sum() == 10
    assert 0 < available_memory() < 2**50


def seeded(masked: bool) -> BetaVAE:
    torch.manual_seed(0)
    return tiny(mask=RandomMask if masked else None)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # the compiler looks at it
@pytest.mark.parametrize("masked", [False, True])
def test_compiled_networks_compute_and_save_the_same(masked: bool) -> None:
    plain, model = seeded(masked), seeded(masked)
    images, noise = torch.rand(4, 1, 16, 16), torch.randn(4, 3)
    seen = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        seen.append(graph)
        return graph.forward

    machine.compile_networks([model.backbone.encoder, model.backbone.decoder], backend)
    assert list(model.state_dict()) == list(plain.state_dict())
    losses = []
    for one in (plain, model):
        loss = one.terms(images, noise)["loss"]
        torch.autograd.backward(loss)
        losses.append(loss)
    torch.testing.assert_close(losses[0], losses[1])
    for weight, other in zip(plain.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, other.grad)
    assert len(seen) == 2  # one whole graph each
    assert all(len(list(graph.graph.nodes)) > 10 for graph in seen)


def test_compilation_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="needs a C\\+\\+ compiler"):
        machine.compile_networks([])
