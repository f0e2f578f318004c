"""The gallery: small pictures, and pages that name all of them."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import gallery_pictures
from benchmarks.gallery import BEGIN, END, METHODS, RECIPES, Item, brain, fragment, page, renewed
from benchmarks.gallery_pictures import LARGEST, shrink, shrink_film
from tests.command_line import ROOT

GALLERY = ROOT / "docs" / "gallery"


def _noise(*shape: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8))


def test_pictures_of_the_page_exist_and_are_small() -> None:
    named = re.findall(r"!\[[^]]+\]\(gallery/([^)]+)\)", (ROOT / "docs" / "gallery.md").read_text())
    assert len(named) >= 5
    assert {path.name for path in GALLERY.iterdir()} == set(named)
    assert all((GALLERY / name).stat().st_size < LARGEST for name in named)
    part = (ROOT / "README.md").read_text().split(BEGIN)[1].split(END)[0]
    assert part.count("docs/gallery/") == 4
    assert all((ROOT / name).is_file() for name in re.findall(r"\]\(([^)]+)\)", part))


def test_recipes_are_there() -> None:
    assert all((ROOT / "configs" / f"{recipe}.yaml").is_file() for recipe in RECIPES)


def test_a_picture_becomes_small_and_keeps_its_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = _noise(700, 1000, 3)
    large.paste((128, 128, 128), (0, 0, 1000, 650))
    large.paste((255, 204, 51), (0, 0, 20, 20))
    large.save(tmp_path / "large.png")
    shrink(tmp_path / "large.png", tmp_path / "small.png")
    with Image.open(tmp_path / "small.png") as small:
        assert small.size == (1000, 700)
        found = np.array(small.convert("RGB").getpixel((10, 10)), dtype=int)
    assert np.abs(found - (255, 204, 51)).max() < 50, "a letter of an orientation"
    _noise(100, 200, 3).save(tmp_path / "large.png")
    monkeypatch.setattr(gallery_pictures, "LARGEST", 1000)
    with pytest.raises(ValueError, match="make it smaller"):
        shrink(tmp_path / "large.png", tmp_path / "small.png")


def test_a_film_keeps_its_frames(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (200, 100), (shade, 0, 0)) for shade in (0, 80, 160)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=250, loop=0)
    shrink_film(tmp_path / "a.gif", tmp_path / "b.gif", width=100)
    with Image.open(tmp_path / "b.gif") as film:
        assert (film.n_frames, film.size) == (3, (100, 50))  # type: ignore[attr-defined]


def test_brain_pictures_come_from_the_committed_study(tmp_path: Path) -> None:
    items = brain(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {item.file for item in items}
    assert len(METHODS) == 2


def test_pages_name_every_picture() -> None:
    items = [Item(f"{i}.png", f"title {i}", f"text {i}", f"command {i}") for i in range(5)]
    text = page(items, "here")
    assert all(f"(gallery/{item.file})" in text and item.text in text and item.command in text for item in items)
    part = fragment(items)
    assert part.count("docs/gallery/") == 4
    assert renewed(f"before\n{BEGIN}\nold\n{END}\nafter\n", part) == f"before\n{part}after\n"
