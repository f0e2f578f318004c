"""What the machine is asked for."""

from pathlib import Path

import pytest
import torch

from disentangle_pl import machine


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
    assert machine.fast_precision("cpu") == precision


@pytest.mark.parametrize(("supported", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bfloat16_on_a_gpu(supported: bool, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda emulated: supported)
    assert machine.fast_precision("auto") == precision
    assert machine.fast_precision("gpu") == precision


def test_freed_memory_can_be_kept() -> None:
    machine.keep_freed_memory()
    assert torch.ones(10).sum() == 10
