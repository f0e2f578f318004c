"""Scores of every layer at the end of a run, their picture, and where there is nothing to score."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from disentangle_pl.backbones import ConvBackbone
from disentangle_pl.callbacks.layers import LogLayers, layers_of
from disentangle_pl.callbacks.layers_plot import draw_layers
from disentangle_pl.data.factors import Batch
from disentangle_pl.data.synthetic import SyntheticData
from disentangle_pl.errors import InputError
from disentangle_pl.masks.random_mask import RandomMask
from disentangle_pl.metrics.layerwise import Axes, LayerScores, layer_scores
from disentangle_pl.models.beta_vae import BetaVAE
from tests.models.tiny import sprites, tiny, trainer

HIDDEN = [*(f"encoder_{layer}" for layer in (0, 2, 5)), "latents", *(f"decoder_{layer}" for layer in (0, 2, 5))]


def logged_by(folder: Path, model: BetaVAE, callback: LogLayers) -> dict[str, float]:
    """Validate a model and return what is logged of its layers."""
    (logged,) = trainer(folder, callbacks=[callback]).validate(model, sprites(8), verbose=False)
    return {name.removeprefix("layers/"): value for name, value in logged.items() if name.startswith("layers/")}


def test_the_end_logs_and_draws_every_layer_on_the_first_images(tmp_path: Path) -> None:
    model, data = tiny(mask=partial(RandomMask, density=0.5)).eval(), sprites(8)
    logged = logged_by(tmp_path, model, LogLayers(enabled=True, rows=20))
    assert set(logged) == {
        f"{score}_{layer}{end}"
        for score in ("dci_disentanglement", "infom")
        for layer in HIDDEN  # the image has one channel, and one channel no axes to choose from
        for end in ("", "_floor", "_rotated")
    }
    assert all(0 <= value <= 1 for value in logged.values())
    (picture,) = (tmp_path / "layers").glob("*.png")
    assert picture.stat().st_size > 10_000
    data.setup("validate")
    batches = [data.on_after_batch_transfer(batch, 0) for batch in data.val_dataloader()]
    images = torch.cat([batch.image for batch in batches])[:20]
    factors = torch.cat([batch.factors for batch in batches])[:20].numpy()
    with torch.no_grad():
        units = layers_of(model, images, model.encode(images).mean)["encoder_2"].numpy()
    scores = layer_scores(units, factors[:, factors.min(0) < factors.max(0)]).scores
    for name, axes in scores.items():
        numbers = [logged[f"{name}_encoder_2{end}"] for end in ("", "_floor", "_rotated")]
        assert numbers == pytest.approx(list(axes), abs=1e-6)


def test_the_latents_stand_between_encoder_and_decoder() -> None:
    model = tiny()
    images = torch.rand(4, 1, 16, 16)
    with torch.no_grad():
        means = model.encode(images).mean
        units = layers_of(model, images, means)
        last = model.backbone.decoder(means)
    assert list(units) == [*HIDDEN, "decoder_7"]
    assert torch.equal(units["latents"], means)
    torch.testing.assert_close(units["decoder_7"], last.mean((2, 3)))
    assert units["decoder_2"].shape == (4, 8)


def test_training_and_a_callback_that_is_not_enabled_log_nothing(tmp_path: Path) -> None:
    run = trainer(tmp_path, callbacks=[LogLayers(enabled=True)])
    run.fit(tiny(), sprites(8))
    assert not [name for name in run.callback_metrics if name.startswith("layers")]
    assert logged_by(tmp_path, tiny(), LogLayers()) == {}
    assert not (tmp_path / "layers").exists()


class Covariates(LightningDataModule):
    """Images with factors that are quantities, or with one factor."""

    def __init__(self, factors: Tensor) -> None:
        super().__init__()
        self.factors = factors

    def val_dataloader(self) -> DataLoader[Batch]:
        return DataLoader([Batch(torch.rand(8, 1, 16, 16), self.factors)], batch_size=None)  # type: ignore[arg-type]


class Nuisance(SyntheticData):
    """Scores one factor only."""

    @property
    def nuisance(self) -> tuple[str, ...]:
        return self.factor_names[1:]


def test_factors_that_are_not_scored_are_left_out(tmp_path: Path) -> None:
    data = Nuisance(sprites(8).dataset, eval_size=32)
    (logged,) = trainer(tmp_path, callbacks=[LogLayers(enabled=True)]).validate(tiny(), data, verbose=False)
    assert not [name for name in logged if name.startswith("layers")]


@pytest.mark.parametrize("factors", [torch.rand(8, 2), torch.arange(8)[:, None], torch.zeros(8, 2).long()])
def test_data_without_two_factors_are_left_alone(tmp_path: Path, factors: Tensor) -> None:
    run = trainer(tmp_path, callbacks=[LogLayers(enabled=True)])
    (logged,) = run.validate(tiny(), Covariates(factors), verbose=False)
    assert not [name for name in logged if name.startswith("layers")]
    assert not (tmp_path / "layers").exists()


class Wrapped(ConvBackbone):
    """Hides its encoder."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int) -> None:
        super().__init__(shape, latent_dim, (4,), 8)
        self.encoder = nn.ModuleList([self.encoder])

    def moments(self, image: Tensor) -> Tensor:
        raise NotImplementedError


def test_what_cannot_be_looked_into_is_refused_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a ModuleList is no nn\.Sequential"):
        trainer(tmp_path, callbacks=[LogLayers(enabled=True)]).fit(tiny(backbone=Wrapped), sprites(8))
    with pytest.raises(InputError, match=r"layers\.rows=1"):
        LogLayers(rows=1)


def test_the_picture_leaves_a_gap_where_there_are_no_scores() -> None:
    axes = {name: Axes(0.5, 0.1, 0.3) for name in ("dci_disentanglement", "infom")}
    hidden = LayerScores(4, 8, axes)
    found = {"encoder_0": hidden, "latents": LayerScores(1, 3, {}), "decoder_0": hidden}
    figure = draw_layers(found)
    assert len(figure.axes) == 2
    for panel in figure.axes:
        values, rotated, floor, _ = (np.asarray(line.get_ydata(), float) for line in panel.lines)
        np.testing.assert_array_equal(values, [0.5, np.nan, 0.5])
        np.testing.assert_array_equal(rotated, [0.3, np.nan, 0.3])
        np.testing.assert_array_equal(floor, [0.1, np.nan, 0.1])
    labels = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert labels == ["encoder.0\n4 of 8", "latents\n1 of 3", "decoder.0\n4 of 8"]
