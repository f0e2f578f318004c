"""The pages in a real browser: nothing is fetched, nothing is wider than a phone, tables sort."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from disentangle_pl.reports.report import write_reports
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
    return [write_reports(runs[:1]), write_reports(runs, folder / "all.html")]


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
