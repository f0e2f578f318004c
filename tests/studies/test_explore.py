import json
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.studies import explore, explore_latents
from disentangle_pl.studies.explore import Explored, explored
from disentangle_pl.studies.explore_latents import latents_of, slopes_of
from disentangle_pl.studies.explore_pictures import COLOURS, Plane, diverging, gradient, grey, planes_of, png
from disentangle_pl.studies.explore_save import save
from disentangle_pl.studies.explore_state import begin, limit_of, view
from disentangle_pl.studies.scene import Scene
from tests.brain.scans import bids
from tests.models.tiny import sprites, tiny

FLAT = Plane(-1, "", 1, 0, ())


def opened(patch: pytest.MonkeyPatch, model: VAE, data: ImageData) -> Explored:
    """Open a model that was never written to a file."""
    patch.setattr(explore, "load_model", lambda path: model.eval())
    return explored(Path("runs/mine/checkpoints/last.ckpt"), data)


@pytest.fixture
def flat(monkeypatch: pytest.MonkeyPatch) -> Explored:
    torch.manual_seed(0)
    return opened(monkeypatch, tiny(), sprites(4))


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Explored:
    """Twenty people of three visits whose age, sex and diagnosis are known, and a model of them."""
    people = {f"{i:02d}": 3 for i in range(20)}
    root = bids(tmp_path_factory.mktemp("cohort"), people)
    sexes = "".join(f"sub-{who}\t{'FM'[i % 2]}\n" for i, who in enumerate(people))
    (root / "participants.tsv").write_text("participant_id\tsex\n" + sexes)
    for i, who in enumerate(people):
        lines = [f"ses-{k}\t{60 + i + 2 * k}\t{'CN' if i < 10 else 'AD'}\n" for k in (1, 2, 3)]
        (root / f"sub-{who}" / f"sub-{who}_sessions.tsv").write_text("session_id\tage\tdiagnosis\n" + "".join(lines))
    data = LongitudinalData(str(root), (12, 16, 8), 1.0, 4, cache=str(root / "cache"))
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        return opened(patch, tiny((1, 12, 16, 8)), data)


def test_ranges_are_those_of_the_aggregate_posterior_and_the_largest_kl_comes_first() -> None:
    mean = torch.tensor([[0.0, 3.0, 0.0], [0.0, -1.0, 0.1]])
    logvar = torch.tensor([[0.0, -2.0, 0.0], [0.0, -2.0, 0.0]])
    first, second, third = latents_of(DiagonalGaussian(mean, logvar))
    assert (first.number, first.active) == (1, True)
    spread = 3 * float(np.sqrt(4 + np.exp(-2)))
    assert (first.low, first.high) == pytest.approx((1 - spread, 1 + spread))
    assert (second.number, second.active) == (2, False)
    assert second.kl == pytest.approx(0.0025)
    assert (third.low, third.high, third.kl) == (-3, 3, 0)


def test_a_start_is_the_image_its_codes_and_its_factors(flat: Explored) -> None:
    start = flat.start(5)
    image = flat.data.dataset.images(torch.tensor([5]))  # type: ignore[attr-defined]
    assert torch.equal(start.image, image[0])  # type: ignore[arg-type]
    assert torch.equal(start.codes, flat.model.encode(image).mean[0])
    names = flat.data.factor_names
    assert start.truth == {
        name: str(value)
        for name, value in zip(names, flat.data.dataset.factors.to_factors(torch.tensor(5)).tolist(), strict=True)  # type: ignore[attr-defined]
    }
    assert flat.prior_mean.image is None
    assert not flat.prior_mean.codes.any()
    assert not flat.prior_mean.truth
    assert not flat.people()
    for wrong in (-1, flat.count):
        with pytest.raises(InputError, match="there is no image"):
            flat.start(wrong)


def test_moves_change_what_they_say_and_a_reset_is_exact(flat: Explored) -> None:
    before = begin(flat.start(3))
    first = view(flat, before)
    moved = before.moved(1, 2.5).moved(0, -1.0)
    assert moved.codes.tolist() == [-1.0, 2.5, float(before.codes[2])]
    assert torch.equal(moved.restored(1).codes[1:], before.codes[1:])
    changed = view(flat, moved)
    torch.testing.assert_close(changed.difference, (changed.decoded - first.decoded).mean(0))
    assert changed.difference.any()
    again = view(flat, moved.reset())
    assert torch.equal(again.decoded, first.decoded)
    assert not again.difference.any()
    other = flat.start(9)
    taken = before.swapped(other, [2])
    assert taken.codes.tolist() == [*before.codes[:2].tolist(), float(other.codes[2])]
    with pytest.raises(InputError, match="no latent is chosen"):
        before.swapped(other, [])
    with pytest.raises(InputError, match="there is no latent 3"):
        before.moved(3, 0.0)
    with pytest.raises(InputError, match="give a number"):
        before.moved(0, float("nan"))


def test_every_varying_factor_of_a_grid_is_read_and_what_is_held_out_was_not_fitted(flat: Explored) -> None:
    sizes = dict(zip(flat.data.factor_names, flat.data.dataset.factors.sizes, strict=True))  # type: ignore[attr-defined]
    assert {probe.name: len(probe.choices) for probe in flat.probes} == {n: k for n, k in sizes.items() if k > 1}
    train, test = explore._parts(flat.data, flat.count)
    assert len(set(train) | set(test)) == len(train) + len(test) == flat.count


def test_a_latent_that_does_nothing_and_other_data_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="shape"):
        opened(monkeypatch, tiny((1, 32, 32)), sprites(4))


def test_scans_are_found_by_person_and_visit_and_their_covariates_are_read(brain: Explored) -> None:
    rows = brain.people()["sub-03"]
    assert list(rows.values()) == ["ses-1", "ses-2", "ses-3"]
    start = brain.start(next(iter(rows)))
    assert start.name == "sub-03 ses-1"
    assert start.truth == {"age": "65", "years": "0", "sex": "M", "diagnosis": "CN"}
    assert {probe.name: probe.choices for probe in brain.probes} == {
        "age": (),
        "years": (),
        "sex": ("F", "M"),
        "diagnosis": ("AD", "CN"),
    }


def test_years_move_what_ages_as_the_slopes_say(brain: Explored, monkeypatch: pytest.MonkeyPatch) -> None:
    assert brain.scans is not None
    monkeypatch.setattr(explore_latents, "AGES", 1.1)
    per_year, whose = slopes_of(brain.scans, "cn")
    assert per_year.all()
    assert whose.endswith("diagnosis cn, written CN")
    state = begin(brain.start(0))
    torch.testing.assert_close(state.years(per_year, -2.0).codes, state.codes - 2 * per_year)
    with pytest.raises(InputError, match="no latent changes with age"):
        state.years(torch.zeros(3), 5.0)
    with pytest.raises(InputError, match="nan years"):
        state.years(per_year, float("nan"))


def test_volumes_are_shown_in_three_planes_and_saved_with_their_place(brain: Explored, tmp_path: Path) -> None:
    planes = planes_of(brain.data.shape, brain.scene)
    assert [(plane.axis, plane.name, plane.size) for plane in planes] == [
        (2, "axial", 8),
        (1, "coronal", 16),
        (0, "sagittal", 12),
    ]
    volume = torch.zeros(1, 12, 16, 8)
    volume[0, 2, 15, 7] = 1  # left, anterior, superior
    assert np.argwhere(grey(volume, planes[0], 7)).tolist() == [[0, 2]]
    assert not grey(volume, planes[0], 6).any()
    state = begin(brain.start(4)).moved(0, 3.0)
    files = save(brain, state, {2: 3}, tmp_path / "new" / "folder")
    again = save(brain, state, {}, tmp_path / "new" / "folder")
    assert len({*files, *again}) == 8
    decoded, difference = (nib.load(path) for path in files[2:])
    seen = view(brain, state)
    np.testing.assert_allclose(decoded.get_fdata(), seen.decoded[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(difference.get_fdata(), seen.difference.numpy(), atol=1e-6)
    assert brain.scene.grid is not None
    np.testing.assert_allclose(decoded.affine, brain.scene.grid.affine)
    record = json.loads(files[1].read_text())
    assert record["codes"] == state.codes.tolist()
    assert record["start"] == "sub-01 ses-2"
    assert "nothing here is for clinical use" in record["note"]
    assert files[0].stat().st_size > 5000


def test_a_folder_that_cannot_be_written_is_one_sentence(flat: Explored, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="give another --out"):
        save(flat, begin(flat.start(0)), {}, tmp_path / "file")


def test_pictures_of_any_image_are_pixels() -> None:
    line = torch.linspace(-0.5, 1.5, 5)[None]
    assert grey(line, FLAT).tolist() == [[0, 0, 128, 255, 255]]
    colour = torch.rand(3, 4, 6)
    assert grey(colour, FLAT).shape == (4, 6, 3)
    assert grey(torch.rand(2, 4, 6), FLAT).shape == (4, 6)
    with Image.open(BytesIO(png(grey(colour, FLAT)))) as read:
        np.testing.assert_array_equal(np.asarray(read), grey(colour, FLAT))
    assert planes_of((1, 4, 6), Scene(None, ())) == (FLAT,)
    assert [plane.first for plane in planes_of((1, 4, 6, 8), Scene(None, ()))] == [4, 3, 2]


def test_differences_are_red_for_more_and_white_for_none() -> None:
    less, none, more, beyond = diverging(torch.tensor([[-0.5, 0.0, 0.5, 9.0]]), 0.5, FLAT)[0].tolist()
    assert none == COLOURS[127].tolist()
    assert min(none) > 240
    assert less[2] > less[0]
    assert more[0] > more[2]
    assert beyond == more == COLOURS[-1].tolist()
    assert gradient(3).split(", ")[1] == "#" + bytes(none).hex()


@pytest.mark.parametrize(("size", "limit"), [(0.0, 0.01), (0.011, 0.02), (0.2, 0.2), (0.21, 0.5), (0.7, 1.0), (30, 50)])
def test_scales_end_at_round_numbers(size: float, limit: float) -> None:
    assert limit_of(torch.full((4, 4), -size)) == pytest.approx(limit)
