"""The pages in a real browser: nothing is fetched, nothing is wider than a phone, tables sort."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from disentangle_pl.reports.blocks import Section, Viewer
from disentangle_pl.reports.report import write_reports
from disentangle_pl.reports.volumes import Shown, viewer
from tests.reports.folders import make_run

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = os.environ.get("DISENTANGLE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"there is no browser: install one of {', '.join(NAMES)}, or set DISENTANGLE_CHROMIUM")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


def _opened(browser: Browser, path: Path, width: int, *, script: bool = True) -> tuple[Page, list[str], list[str]]:
    context = browser.new_context(viewport={"width": width, "height": 800}, java_script_enabled=script)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page, said, asked


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pages")
    runs = [make_run(folder / ("a-run-with-a-very-long-name-of-no-use-to-anybody-at-all-" * 2), mig=0.3)]
    runs += [make_run(folder / "ada", aggregation="AdaGVAE", mig=0.6), make_run(folder / "ada1", seed=1, mig=0.1)]
    volumes = Section("volumes", "Volumes", viewers=[_two_volumes()])
    scrolled = write_reports(runs[1:2], folder / "volumes.html", volumes=[volumes])
    return [write_reports(runs[:1]), write_reports(runs, folder / "all.html"), scrolled]


def _two_volumes() -> Viewer:
    """A volume of 8 x 10 x 6 voxels of 2 mm with one bright voxel, and a difference; x begins at -7 mm."""
    values = np.full((8, 10, 6), 0.5)
    values[0, 0, 0] = values[7, 9, 5] = 0.8  # no corner is background
    values[1, 7, 4] = 1.0
    change = np.zeros(values.shape)
    change[1, 7, 4], change[6, 2, 1] = 0.2, -0.2
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -7, -9, -5
    return viewer({"z0": {"start": Shown(values), "change": Shown(change, signed=True)}}, affine, "One volume.")


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fetch_nothing_say_nothing_and_fit(browser: Browser, pages: list[Path], width: int) -> None:
    for path in pages:
        page, said, asked = _opened(browser, path, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert page.evaluate("getComputedStyle(document.querySelector('nav')).position") == "sticky", "the style counts"
        assert said == []
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]


def test_a_click_sorts_and_without_a_script_all_is_there(browser: Browser, pages: list[Path]) -> None:
    page, _, _ = _opened(browser, pages[1], 1280)
    column = "[...document.querySelectorAll('#runs tbody tr')].map(row => row.cells[6].textContent)"
    before = page.evaluate(column)
    page.locator("#runs th button").nth(6).click()
    assert page.evaluate(column) == ["0.600", "0.300", "0.100"]
    page.locator("#runs th button").nth(6).click()
    assert page.evaluate(column) == ["0.100", "0.300", "0.600"]
    assert page.locator("#runs th").nth(6).get_attribute("aria-sort") == "ascending"
    plain, said, _ = _opened(browser, pages[1], 1280, script=False)
    assert plain.locator("#runs tbody tr").count() == 3 == len(before)
    assert plain.locator("#runs th button").count() == 0
    assert said == []


def test_dark_and_light_have_colours_of_their_own(browser: Browser, pages: list[Path]) -> None:
    page, _, _ = _opened(browser, pages[0], 1280)
    shades = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        shades.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert shades == ["rgb(255, 255, 255)", "rgb(21, 24, 28)"]


PIXEL = """([plane, column, row]) => [...document.querySelectorAll(".plane canvas")[plane].getContext("2d")
.getImageData(column, row, 1, 1).data].slice(0, 3)"""


def _pixels(page: Page, places: list[list[int]]) -> list[list[int]]:
    return [page.evaluate(PIXEL, place) for place in places]


def test_volumes_are_scrolled_by_hand_and_by_keys(browser: Browser, pages: list[Path]) -> None:
    page, said, _ = _opened(browser, pages[2], 390)
    sliders, words = page.locator(".volumes input"), page.locator(".volumes output")
    page.wait_for_function("document.querySelector('.volumes output').value !== ''")
    assert page.evaluate("[...document.querySelectorAll('.plane canvas')].map(c => [c.width, c.height])") == [
        [8, 10],
        [8, 6],
        [10, 6],
    ]
    sides = page.evaluate("[...document.querySelectorAll('.plane')].map(p => p.textContent)")
    assert sides == ["LRAP", "LRSI", "PASI"], "left, right, above, below"
    assert page.locator(".stacks").is_hidden()
    for slider, voxel in enumerate((4, 7, 1)):
        sliders.nth(slider).fill(str(voxel))
    assert words.all_text_contents() == ["z = +3 mm", "y = +5 mm", "x = \N{MINUS SIGN}5 mm"]
    bright = [[0, 1, 2], [1, 1, 1], [2, 7, 1]]  # from the upper left corner: front, top and top are above
    assert _pixels(page, bright) == [[255] * 3] * 3
    sliders.nth(0).press("ArrowLeft")
    assert words.nth(0).text_content() == "z = +1 mm"
    assert _pixels(page, bright[:1]) != [[255] * 3]
    canvas = page.locator(".plane canvas").nth(0)
    canvas.focus()
    canvas.press("ArrowUp")
    assert _pixels(page, bright[:1]) == [[255] * 3]
    page.locator(".volumes select").select_option(label="z0: change")
    page.wait_for_timeout(50)
    (red,) = _pixels(page, bright[:1])
    assert red[0] > red[2] + 60
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": box["width"] * 6.5 / 8, "y": box["height"] * 7.5 / 10})
    assert words.all_text_contents() == ["z = +3 mm", "y = \N{MINUS SIGN}5 mm", "x = +5 mm"], "a click moves the others"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert said == []


def test_volumes_without_a_script_are_their_slices(browser: Browser, pages: list[Path]) -> None:
    plain, said, _ = _opened(browser, pages[2], 390, script=False)
    assert plain.locator(".stacks img").count() == 2
    assert plain.locator(".stacks img").nth(0).is_visible()
    assert plain.evaluate("document.documentElement.scrollWidth") <= 390
    assert said == []
