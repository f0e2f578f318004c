"""The numbers and the picture of a sparse network, in training and by hand."""

from functools import partial
from pathlib import Path
from typing import cast

import pytest
import torch
from lightning.pytorch import Callback
from matplotlib.figure import Figure
from torch import nn

from disentangle_pl.callbacks.connectivity_plot import draw_connectivity
from disentangle_pl.callbacks.resume import KeepLast
from disentangle_pl.callbacks.sparsity import (
    LogSparsity,
    gate_values,
    graphs_of,
    kernel_sizes,
    refuse_cut_network,
    sparsity,
)
from disentangle_pl.errors import InputError
from disentangle_pl.masks.gates import HardConcreteMask
from disentangle_pl.masks.l1 import GroupLassoMask, L1Mask, ProximalL1Mask
from disentangle_pl.masks.random_mask import RandomMask
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.models.divergence import LAST
from tests.models.tiny import sprites, tiny, trainer


def test_a_dense_network_has_full_numbers() -> None:
    values = sparsity(graphs_of(tiny()))
    assert values["density"] == values["density_encoder"] == values["density_decoder"] == values["fan_out"] == 1
    assert values["path_overlap"] == 1
    assert values["dead_channels"] == 0
    assert values["latents_connected"] == 3
    assert {name for name in values if name.startswith("density_encoder_")} == {
        f"density_encoder_{layer}" for layer in (0, 2, 5, 7)
    }


def test_a_random_mask_has_its_density_and_less_overlap() -> None:
    values = sparsity(graphs_of(tiny(mask=partial(RandomMask, density=0.2))))
    assert values["density"] == pytest.approx(0.2, abs=0.01)
    assert 0 < values["path_overlap"] < 1
    assert 0 < values["fan_out"] < 1


def cut(model: BetaVAE, layer: int) -> BetaVAE:
    """Cut all pairs of a masked layer."""
    mask = model.masks[layer].mask
    assert isinstance(mask, L1Mask)
    with torch.no_grad():
        mask.mask.zero_()
    return model


@pytest.mark.parametrize(("layer", "part"), [(1, "encoder"), (3, "encoder"), (4, "decoder"), (7, "decoder")])
def test_a_network_that_nothing_passes_is_refused(layer: int, part: str) -> None:
    model = tiny(mask=L1Mask)
    refuse_cut_network(graphs_of(model))
    with pytest.raises(InputError, match=rf"everything is pruned.*{part}.*strength"):
        refuse_cut_network(graphs_of(cut(model, layer)))


def test_means_count_and_variances_do_not() -> None:
    model = tiny(mask=L1Mask)
    mask = model.masks[3].mask
    assert isinstance(mask, L1Mask)
    with torch.no_grad():
        mask.mask[:3] = 0
    with pytest.raises(InputError, match="encoder"):
        refuse_cut_network(graphs_of(model))


def test_training_logs_the_numbers_and_the_end_draws_them(tmp_path: Path) -> None:
    model = tiny(mask=partial(ProximalL1Mask, strength=30.0))
    run = trainer(tmp_path, callbacks=[LogSparsity()])
    run.fit(model, sprites(8))
    logged = float(run.callback_metrics["sparsity/density"])
    assert logged == pytest.approx(sparsity(graphs_of(model))["density"])
    assert 0 < logged < 1
    run.validate(model, sprites(8), verbose=False)
    (picture,) = (tmp_path / "sparsity").glob("*.png")
    assert picture.stat().st_size > 10_000


def test_a_network_that_mixes_channels_has_densities_and_one_warning(tmp_path: Path) -> None:
    model = tiny(mask=partial(RandomMask, density=0.5))
    cast(nn.Sequential, model.backbone.encoder).insert(1, nn.GroupNorm(2, 4))
    run = trainer(tmp_path, callbacks=[LogSparsity()], max_epochs=2)
    with pytest.warns(UserWarning, match="Only sparsity/density .* step 1 is a GroupNorm") as told:
        run.fit(model, sprites(8))
    assert sum("GroupNorm" in str(one.message) for one in told) == 1
    assert run.callback_metrics["sparsity/density"] == pytest.approx(0.5, abs=0.02)
    assert "sparsity/dead_channels" not in run.callback_metrics


def test_a_run_that_prunes_everything_stops(tmp_path: Path) -> None:
    model = tiny(mask=partial(GroupLassoMask, strength=1e6))
    with pytest.raises(InputError, match="everything is pruned"):
        trainer(tmp_path, callbacks=[LogSparsity()]).fit(model, sprites(8))


def test_the_checkpoint_from_before_the_end_is_named_and_stays(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = tiny(mask=partial(GroupLassoMask, strength=1e6, warm_up=10**6))
    callbacks: list[Callback] = [LogSparsity(), KeepLast()]
    for epochs in (1, 2):
        run = trainer(tmp_path, callbacks=callbacks, max_epochs=epochs)
        if epochs == 1:
            run.fit(model, sprites(8))
            continue
        for mask, _ in model.masks:
            mask.strength, mask.warm_up = 1e6, 0
        with pytest.raises(InputError, match=r"the last good checkpoint is .*last\.ckpt"):
            run.fit(model, sprites(8))
    state = torch.load(tmp_path / LAST, weights_only=False)
    assert state["epoch"] == 0
    other = tiny(mask=GroupLassoMask)
    other.load_state_dict(state["state_dict"])
    refuse_cut_network(graphs_of(other))


def test_a_dense_model_logs_nothing(tmp_path: Path) -> None:
    run = trainer(tmp_path, callbacks=[LogSparsity()])
    run.fit(tiny(), sprites(8))
    assert not [name for name in run.callback_metrics if name.startswith("sparsity")]


def test_sizes_are_norms_after_masking() -> None:
    model = cut(tiny(mask=L1Mask), 1)
    sizes = kernel_sizes(model)
    assert int((sizes == 0).sum()) == 4 * 8
    assert len(sizes) == sum(layer.total for part in graphs_of(model) for layer in part)


def test_gates_of_all_masks_are_read_out_and_drawn() -> None:
    model = tiny(mask=HardConcreteMask)
    with torch.no_grad():
        for number, (mask, _) in enumerate(model.masks):
            assert isinstance(mask, HardConcreteMask)
            mask.log_odds.fill_(-9.0 if number else 9.0)
    gates = gate_values(model)
    assert gates is not None
    graphs = graphs_of(model)
    shut = sum(layer.total for part in graphs for layer in part) - graphs.encoder[0].total
    assert int((gates == 0).sum()) == shut
    assert int((gates == 1).sum()) == graphs.encoder[0].total == len(gates) - shut
    figure = draw_connectivity(graphs.encoder, graphs.decoder, kernel_sizes(model), gates)
    assert len(figure.axes) == 4 + 4 + 3 + 3
    assert figure.axes[-1].get_title() == f"{shut / len(gates):.1%} are exactly 0, {4 / len(gates):.1%} exactly 1"
    assert gate_values(tiny(mask=GroupLassoMask)) is None


@pytest.mark.parametrize("nothing", [False, True])
def test_the_picture_has_a_panel_for_every_layer(nothing: bool) -> None:
    graphs = graphs_of(tiny(mask=partial(RandomMask, density=0.2)))
    sizes = torch.zeros(9) if nothing else torch.tensor([0.0, 0.5, 2.0])
    figure = draw_connectivity(graphs.encoder, graphs.decoder, sizes)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 4 + 4 + 3 + 2
    assert ("100.0%" if nothing else "33.3%") in figure.axes[-1].get_title()


def test_gates_that_differ_by_a_rounding_are_drawn() -> None:
    graphs, gates = graphs_of(tiny()), torch.tensor([0.9]).repeat(5)
    gates[0] = torch.nextafter(gates[0], torch.tensor(1.0))
    assert isinstance(draw_connectivity(graphs.encoder, graphs.decoder, gates, gates), Figure)
