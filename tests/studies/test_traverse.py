import re
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from disentangle_pl.brain.export import Affine, Cut, Grid, cut_at, grid_of, write_volume
from disentangle_pl.brain.template import mni_anatomy
from disentangle_pl.callbacks.traversals import Traversal, traverse
from disentangle_pl.errors import InputError
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.reports.volumes import folder_section
from disentangle_pl.studies.traverse import followers
from disentangle_pl.studies.traverse_ends import DPI, draw_ends, foreground_box
from disentangle_pl.studies.traverse_plot import Sweep, cut_planes, draw_sweeps, write_movie
from tests.command_line import TINY, refused, run
from tests.models.tiny import tiny
from tests.studies.brain_runs import FACTORS, Runs


@lru_cache(maxsize=1)
def head() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The intracranial space of the template at 6 mm, in a cube of 192 mm, and its affine."""
    anatomy = mni_anatomy(32)
    return anatomy.fractions.sum(axis=0).astype(np.float64), anatomy.affine


def test_a_start_is_the_middle_of_every_row_and_latents_come_as_chosen() -> None:
    model, q = tiny(), DiagonalGaussian(torch.randn(40, 3), torch.zeros(40, 3))
    start = torch.tensor([0.3, -0.2, 5.0])
    found = traverse(model, q, columns=5, start=start, chosen=[2, 0])
    assert found.latents.tolist() == [2, 0]
    assert found.values[:, 2].tolist() == pytest.approx([5.0, 0.3])
    middle = model.decode(start[None])[0]
    for row in found.images:
        torch.testing.assert_close(row[2], middle)


def test_planes_show_left_on_the_left_and_top_at_the_top() -> None:
    volume = np.zeros((1, 1, 1, 4, 5, 6), np.float32)
    volume[..., 0, 4, 3] = 1  # left, anterior, middle
    volume[..., 3, 2, 5] = 2  # right, middle, superior
    pictures = cut_planes(volume, (Cut(2, 3, ""), Cut(1, 2, ""), Cut(0, 3, "")))
    assert pictures.shape == (1, 1, 6, 4 + 4 + 5, 1)
    axial, coronal, sagittal = pictures[0, 0, :, :4, 0], pictures[0, 0, :, 4:8, 0], pictures[0, 0, :, 8:, 0]
    assert np.argwhere(axial == 1).tolist() == [[0, 0]], "five voxels high, the sixth row is beneath"
    assert np.argwhere(coronal == 2).tolist() == [[0, 3]]
    assert np.argwhere(sagittal == 2).tolist() == [[0, 2]]
    flat = np.arange(24, dtype=np.float32).reshape(1, 1, 1, 4, 6)
    np.testing.assert_array_equal(cut_planes(flat, ())[0, 0, :, :, 0], flat[0, 0, 0])


def middle(affine: Affine, mean: Affine) -> Affine:
    """Return where the middle of a volume lies."""
    found: Affine = affine[:3, :3] @ ((np.array(mean.shape) - 1) / 2) + affine[:3, 3]
    return found


def test_planes_lie_at_coordinates_of_the_template() -> None:
    mean, affine = head()
    grid = grid_of(np.stack([middle(affine, mean)] * 2), mean, 6.0)
    assert grid.aligned
    np.testing.assert_allclose(grid.affine, affine)
    for axis, millimetres in ((2, 16.0), (1, -20.0)):
        cut = cut_at(grid, mean, axis, millimetres)
        assert abs(affine[axis, axis] * cut.voxel + affine[axis, 3] - millimetres) <= 3
        assert cut.words.startswith(f"{'xyz'[axis]} = ")


def test_scans_elsewhere_are_cut_at_the_same_share_of_the_brain() -> None:
    mean, affine = head()
    away = affine.copy()
    away[:3, 3] += 100
    here, there = middle(affine, mean), middle(away, mean)
    for scans in ([there, there], [here, there]):
        grid = grid_of(np.stack(scans), mean, 6.0)
        assert not grid.aligned
        for axis, millimetres in ((2, 16.0), (1, -20.0)):
            cut, wanted = (
                cut_at(grid, mean, axis, millimetres),
                cut_at(grid_of(here[None], mean, 6.0), mean, axis, millimetres),
            )
            assert abs(cut.voxel - wanted.voxel) <= 1
            assert "of the brain" in cut.words
    np.testing.assert_allclose(grid.affine[:3, 3], -6.0 * 31 / 2), "scans that disagree leave the origin in the middle"
    empty = grid_of(here[None], np.zeros((4, 5, 6)), 6.0)
    assert cut_at(Grid(empty.affine, False), np.zeros((4, 5, 6)), 2, 1000.0).voxel <= 5


def test_volumes_are_written_whole_with_their_place(tmp_path: Path) -> None:
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -9, -8, -7
    values = np.random.default_rng(0).normal(size=(3, 4, 5, 7)).astype(np.float32)
    write_volume(tmp_path / "new" / "z00.nii.gz", values, affine)
    image = nib.load(tmp_path / "new" / "z00.nii.gz")
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), values)
    np.testing.assert_allclose(image.affine, affine)
    assert "".join(nib.aff2axcodes(image.affine)) == "RAS"
    assert image.header.get_xyzt_units()[0] == "mm"


def sweep(title: str, rows: int, strength: float) -> Sweep:
    steps = torch.linspace(-1, 1, 5)[None, :, None, None, None, None]
    images = 0.5 + strength * steps * torch.rand(rows, 1, 1, 6, 7, 8)
    found = Traversal(torch.arange(rows), torch.ones(rows), torch.zeros(rows, 5), images)
    return Sweep(title, found, [f"z{i}  KL 1.00\nventricles +0.50" for i in range(rows)])


def test_two_models_share_one_symmetric_scale() -> None:
    cuts = (Cut(2, 3, "z = +16 mm"), Cut(1, 3, "y = -20 mm"))
    figure = draw_sweeps([sweep("plain", 2, 0.01), sweep("ada", 3, 0.4)], cuts, 2.0)
    titles = [part.axes[0].get_title() for part in figure.subfigs]
    assert titles == ["plain", "ada"]
    limits = {part.axes[1 + 2 * row].images[0].get_clim() for part in figure.subfigs for row in (0, 1)}
    ((low, high),) = limits
    assert low == -high
    assert 0.3 < high <= 0.4, "that of the louder model"
    letters = [text.get_text() for text in figure.subfigs[0].axes[0].texts]
    assert letters == ["L", "R", "A", "P", "L", "R", "S", "I"]
    assert [axis.get_visible() for axis in figure.subfigs[0].axes[4:6]] == [False, False]


def test_the_film_goes_there_and_back(tmp_path: Path) -> None:
    write_movie(tmp_path / "a.gif", sweep("a", 4, 0.4), (Cut(2, 3, ""),))
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 8  # type: ignore[attr-defined]
        frames = []
        for i in range(8):
            film.seek(i)
            frames.append(np.asarray(film.convert("L"), dtype=int))
    assert np.abs(frames[1] - frames[7]).mean() < 1
    assert np.abs(frames[0] - frames[4]).mean() > 5


def test_the_film_has_the_letters_of_its_planes_in_their_colour(tmp_path: Path) -> None:
    write_movie(tmp_path / "a.gif", sweep("a", 4, 0.4), (Cut(2, 3, ""), Cut(1, 3, "")))
    with Image.open(tmp_path / "a.gif") as film:
        pixels = np.asarray(film.convert("RGB"), dtype=int)
    golden = (pixels[..., 0] > 200) & (pixels[..., 2] < 120)
    assert golden.sum() > 4 * 8 * 6, "four panels of eight letters, each of several pixels"


def test_a_picture_for_a_page_has_three_columns_and_letters_that_are_read() -> None:
    cuts = (Cut(2, 3, "z = +16 mm"), Cut(1, 3, "y = -20 mm"))
    figure = draw_ends([sweep("plain", 2, 0.01), sweep("ada", 4, 0.4)], cuts, 2.0)
    assert figure.get_figwidth() * DPI == 1800
    words = [text.get_text() for text in figure.texts]
    assert [words.index(title) < words.index("change") for title in ("plain", "\N{MINUS SIGN}2 sd", "+2 sd")] == [
        True
    ] * 3
    assert words.count("change") == 2
    pairs = figure.axes[:-1]
    assert len(pairs) == 2 * (2 + 4)
    assert {axis.images[0].get_cmap().name for axis in pairs[0::2]} == {"gray"}
    ends = [image.get_extent()[:2] for image in pairs[0].images]
    assert ends[0][1] < ends[1][0], "an image an end: what is drawn smoothly does not run into the gap between them"
    limits = {axis.images[0].get_clim() for axis in pairs[1::2]}
    ((low, high),) = limits
    assert low == -high
    shown = [text for axis in pairs[0::2] for text in axis.texts]
    assert [text.get_text() for text in pairs[0].texts] == list("LRAPLRSI")
    assert min(float(text.get_fontsize()) * DPI / 72 / 2 for text in shown) > 10, (
        "pixels of the picture at half its size"
    )


def test_the_change_is_the_end_less_the_start_and_nothing_around_the_planes() -> None:
    images = torch.zeros(1, 3, 1, 6, 9, 5)
    images[0, 2, 0, 1:5, 1:8, 1:4] = 1
    found = Traversal(torch.arange(1), torch.ones(1), torch.zeros(1, 3), images)
    figure = draw_ends([Sweep("a", found, ["z0"])], (Cut(2, 2, ""), Cut(1, 4, "")), 2.0)
    change = np.asarray(figure.axes[1].images[0].get_array())
    assert change.shape == (9, 12)
    assert change[1:8, 1:5].min() == 1
    assert change.sum() == 7 * 4 + 3 * 4, "white beside the lower plane"


def test_background_is_cut_off_with_a_margin() -> None:
    mean = np.zeros((10, 12, 14))
    mean[3:6, 4:12, 0:2] = 1
    assert foreground_box(mean) == (slice(2, 7), slice(3, 12), slice(0, 3))
    assert foreground_box(np.ones((3, 4, 5))) == (slice(0, 3), slice(0, 4), slice(0, 5))


def test_factors_get_the_latent_that_follows_them_most_and_a_latent_once() -> None:
    factors = np.random.default_rng(0).normal(size=(200, 3))
    codes = np.column_stack([factors[:, 1] + 0.01 * factors[:, 0], -factors[:, 0], 0.2 * factors[:, 0] + factors[:, 2]])
    factors[:, 2] = factors[:, 0] + 0.5 * factors[:, 2]  # z1 follows it too, but is taken
    followed = followers(codes, factors, [0, 2, 1])
    assert [latent for latent, _ in followed] == [1, 2, 0]
    assert followed[0][1] == pytest.approx(-1)
    assert followers(codes, factors, []) == []


def test_the_verb_shows_the_baseline_on_the_left(brain_runs: Runs, tmp_path: Path) -> None:
    flags = [f"--data.truth={brain_runs.truth}", f"--data.factors=[{','.join(FACTORS)}]", "--latents", "3", "1"]
    run(
        "traverse",
        str(brain_runs.shared),
        str(brain_runs.plain),
        *flags,
        f"--out={tmp_path}",
        "--subject=003",
        "--columns=3",
        "--titles",
        "shared",
        "alone",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ends.png",
        "plain",
        "plain.gif",
        "shared",
        "shared.gif",
        "traverse.png",
    ]
    for model in ("plain", "shared"):
        names = sorted(path.name for path in (tmp_path / model).iterdir())
        assert names == ["z01.nii.gz", "z01_difference.nii.gz", "z03.nii.gz", "z03_difference.nii.gz"]
    steps = nib.load(tmp_path / "plain" / "z03.nii.gz")
    change = nib.load(tmp_path / "plain" / "z03_difference.nii.gz")
    assert steps.shape == (8, 8, 8, 3)
    np.testing.assert_allclose(change.get_fdata(), steps.get_fdata()[..., 2] - steps.get_fdata()[..., 0], atol=1e-6)
    np.testing.assert_allclose(np.diag(change.affine), [1.5, 1.5, 1.5, 1])


def test_images_have_pictures_and_no_volumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("fit", *TINY, "--trainer.max_epochs=1", f"--runs_dir={tmp_path / 'runs'}", "--run_id=flat")
    run("traverse", str(tmp_path / "runs" / "flat" / "checkpoints" / "last.ckpt"), f"--out={tmp_path / 'out'}")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["flat.gif", "traverse.png"]
    flat = str(tmp_path / "runs" / "flat")
    assert "no volumes to scroll through" in refused(capsys, "report", flat, "--volumes=true")
    assert "give one of them" in refused(capsys, "report", flat, "--volumes=true", "--images=false")
    assert "takes one run" in refused(capsys, "report", flat, flat, "--volumes=true")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--latents", "4"], "no latent 4: its latents are 0 to 3"),
        (["--latents", "-1"], "no latent -1"),
        (["--subject=nobody"], "no subject nobody: the scans are of 000, 001, 002"),
        (["--follow", "beauty"], "no factor beauty to follow: there are"),
        (["--follow", "beauty", "--latents", "1"], "--latents or --follow"),
        (["--titles", "one", "two"], "there are 2 for 1"),
        (["--columns=4"], "odd number of columns"),
        (["--data.size=[6,6,6]"], "the data have (1, 6, 6, 6)"),
        (["--part=train"], "part"),
    ],
)
def test_wrong_input_is_one_sentence(
    brain_runs: Runs, flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refused(capsys, "traverse", str(brain_runs.plain), f"--out={tmp_path / 'out'}", *flags)
    assert not (tmp_path / "out").exists()


def test_three_models_are_too_many(brain_runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert "one or two checkpoints" in refused(capsys, "traverse", *[str(brain_runs.plain)] * 3)


def test_a_report_scrolls_through_the_volumes_of_a_run(brain_runs: Runs, tmp_path: Path) -> None:
    folder = brain_runs.plain.parents[1]
    run("report", str(folder), "--volumes=true", f"--out={tmp_path / 'page.html'}")
    page = (tmp_path / "page.html").read_text()
    groups = re.findall(r'<img src="data:[^"]+" alt="[^"]*"\s+data-group="([^"]+)"\s+data-name="([^"]+)"', page)
    assert [name for group, name in groups if group.startswith("z")] == [
        "\N{MINUS SIGN}2 sd",
        "+2 sd",
        "change between these",
    ] * 4
    visits = {group.removeprefix("ses-") for group, name in groups if name == "decoded less scan"}
    assert visits == {"M000", "M024"}, "the first and the last visit"
    assert ("change between the visits", "decoded") in groups


def test_volumes_of_other_verbs_are_scrolled_through_too(tmp_path: Path) -> None:
    assert folder_section(tmp_path, 0) is None
    rng = np.random.default_rng(0)
    write_volume(tmp_path / "ada" / "z03.nii.gz", rng.random((4, 5, 6, 7)), np.eye(4))
    write_volume(tmp_path / "ada" / "z03_difference.nii.gz", rng.normal(size=(4, 5, 6)), np.eye(4))
    write_volume(tmp_path / "ada" / "z04.nii.gz", rng.random((4, 5, 7)), np.eye(4))
    write_volume(tmp_path / "sub-1" / "difference.nii.gz", rng.normal(size=(4, 5, 6)), np.eye(4))
    section = folder_section(tmp_path, 0)
    assert section is not None
    traversal, scan = section.viewers
    steps = [("z03", name, False) for name in ("step 1 of 7", "step 4 of 7", "step 7 of 7")]
    assert [(each.group, each.name, each.signed) for each in traversal.stacks] == [*steps, ("z03", "difference", True)]
    assert [(each.group, each.name, each.signed) for each in scan.stacks] == [("sub-1", "difference", True)]
    (tmp_path / "sub-1" / "difference.nii.gz").write_bytes(b"no volume")
    with pytest.raises(InputError, match="cannot be read as volumes"):
        folder_section(tmp_path, 0)
