"""The arithmetic of the benchmarks; what they measure is not tested."""

import pytest
import torch
from torch import nn

from benchmarks.compare import table, with_interval
from benchmarks.sparsity_report import Saving, saving_table, step_table
from benchmarks.sparsity_setups import KINDS, SETUPS, Setup, cut_channels, train_step
from disentangle_pl.backbones import ConvBackbone
from disentangle_pl.compaction import living
from disentangle_pl.connectivity import layers
from disentangle_pl.studies.compact import Cost


def test_interval_is_that_of_student() -> None:
    assert with_interval([1.0, 2.0, 3.0], 3) == "2.000 ± 2.484"  # t(0.975, 2) * sd / sqrt(3) = 4.302653 / sqrt(3)
    assert with_interval([5.0], 2) == "5.00", "one seed has no interval"


def test_differences_are_paired_by_seed() -> None:
    def scores(value: float) -> dict[str, dict[str, float]]:
        return {"mig": {"value": value, "floor": 0.0, "ceiling": 0.9}}

    text = table({"a": [scores(0.5), scores(0.7)], "b": [scores(0.1), scores(0.3)]}, [0, 1])
    (row,) = [line for line in text.splitlines() if line.startswith("| mig")]
    assert "**0.400 ± 0.000** [0.400, 0.400]" in row
    assert row.endswith("| 0.000 | 0.900 |")


def test_what_masks_cost_is_taken_within_the_round() -> None:
    rates = {"dense": [100.0, 200.0, 100.0], **{kind: [96.0, 180.0, 80.0] for kind in KINDS}}
    setups = {setup.name: setup for setup in SETUPS}
    lines = step_table(setups["2-D"], rates)
    (row,) = [line for line in lines if line.startswith("| gumbel")]
    assert row == "| gumbel | 96.0 [80.0, 180.0] | 10.0% [4.0%, 20.0%] | at most 10% | yes |"
    assert "| no |" in step_table(setups["3-D"], rates)[-1]


def test_savings_are_multiples_of_the_compact_network() -> None:
    rounds = [{"dense": Cost(100, 60, 4e-3), "compact": Cost(50, 20, time)} for time in (1e-3, 2e-3, 4e-3)]
    row = saving_table([Saving("2-D", "whole channels", 0.5, rounds)])[-1]
    assert row == "| 2-D | whole channels | 50.0% | 50 | 20 | 2.0 | 2.00 | 3.00 | 2.00 [1.00, 4.00] |"


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 8, 8, 8)])
def test_channels_that_are_cut_are_dead_and_no_others(shape: tuple[int, ...]) -> None:
    network = ConvBackbone(shape, 3, channels=(8, 16), hidden=24)
    for part, expected in ((network.encoder, [4, 8, 12]), (network.decoder, [12, 8, 4])):
        assert isinstance(part, nn.Sequential)
        cut_channels(part, 0.5, torch.Generator().manual_seed(0))
        assert [int(alive.sum()) for alive in living(part)] == expected
        inner = layers(part)[1:-1]
        assert sum(layer.kept for layer in inner) == sum(layer.total for layer in inner) / 4


def acting(layer: nn.Module) -> torch.Tensor:
    """Return the masked weight of a layer."""
    assert isinstance(layer.weight, torch.Tensor)
    return layer.weight.detach().clone()


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_trains_the_weights_under_every_kind_of_mask(kind: str) -> None:
    def backbone(shape: tuple[int, ...], latents: int) -> ConvBackbone:
        return ConvBackbone(shape, latents, channels=(4, 8), hidden=8)

    setup = Setup("tiny", (1, 8, 8), 4, 2, backbone, 1)
    model = setup.model(KINDS[kind])
    model.eval()  # gates without noise
    before = [acting(masked.layer) for masked in model.masks]
    train_step(model, model.configure_optimizers(), setup.images(), 0)
    assert all(not torch.equal(old, acting(masked.layer)) for old, masked in zip(before, model.masks, strict=True))
