from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import torch

from tests.command_line import ROOT, TINY, refused, run
from tests.explorer.browser import BROWSER, OTHER, SAME, Opened
from tests.warm_python import warm_python

pytestmark = pytest.mark.skipif(
    BROWSER is None,
    reason="needs a browser: apt-get install chromium, or name the file of one in DISENTANGLE_CHROMIUM",
)

if TYPE_CHECKING:  # as in the module of the browser
    from playwright.sync_api import Browser

BEGINS = "can be explored at "


class Server(NamedTuple):
    """An explorer at work.

    Attributes:
        url: Where.
        folder: Its working directory, empty at first.
        checkpoint: What is explored.
        process: Of the operating system.
        log: All it has said.
    """

    url: str
    folder: Path
    checkpoint: Path
    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Explore a model that has hardly been trained, at a free port."""
    folder = tmp_path_factory.mktemp("explored")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        patch.setattr(sys, "argv", ["disentangle-pl"])
        run("fit", *TINY, f"--runs_dir={folder}", "--run_id=mine", "--trainer.max_epochs=1")
    checkpoint = folder / "mine" / "checkpoints" / "last.ckpt"
    stronger(checkpoint)
    empty = folder / "empty"
    empty.mkdir()
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    command = [warm_python(), "-m", "disentangle_pl", "explore", str(checkpoint), "--port=0"]
    log = folder / "log.txt"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, cwd=empty, env={**env, "PYTHONPATH": str(ROOT)}, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        yield Server(_url(process, log), empty, checkpoint, process, log)
    finally:
        process.kill()
        process.wait()


def stronger(checkpoint: Path) -> None:
    """Let the decoder of a model that has hardly been trained answer to its latents."""
    saved = torch.load(checkpoint, weights_only=True)
    for name, weight in saved["state_dict"].items():
        if "decoder" in name:
            weight.mul_(6)
    torch.save(saved, checkpoint)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install .[dev]")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the explorer says where it is."""
    while BEGINS not in log.read_text():
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(log.read_text())
    return log.read_text().partition(BEGINS)[2].split()[0]


def test_a_slider_changes_the_picture_and_a_reset_brings_it_back(server: Server, browser: Browser) -> None:
    opened = Opened(browser, server.url)
    first, flat = opened.source(), opened.pixels("difference")
    assert len({tuple(colour) for colour in flat.reshape(-1, 3).tolist()}) == 1, "at the start nothing differs"
    opened.press("ArrowLeft", 30)
    opened.wait(OTHER, first)
    opened.page.wait_for_timeout(500)
    assert len({tuple(colour) for colour in opened.pixels("difference").reshape(-1, 3).tolist()}) > 1
    assert (opened.pixels("decoded") != opened.pixels("start")).any()
    opened.page.get_by_role("button", name="Reset all").click()
    opened.wait(SAME, first)
    opened.press("Control+ArrowLeft", 4, number=1)
    opened.wait(OTHER, first)
    opened.page.locator("button[aria-label^='reset z']").nth(1).click()
    opened.wait(SAME, first)
    assert opened.said == []
    assert {urlsplit(url).hostname for url in opened.asked if not url.startswith("data:")} == {"127.0.0.1"}
    opened.page.close()


def test_another_start_another_class_and_latents_of_another_image(server: Server, browser: Browser) -> None:
    opened = Opened(browser, server.url)
    first, decoded = opened.source("start"), opened.source()
    opened.page.get_by_label("image, 0 to").first.fill("7")
    opened.page.get_by_role("button", name="Start here").click()
    opened.wait(OTHER, first, "start")
    opened.page.get_by_text("Started from image 7.").wait_for()
    opened.wait(OTHER, decoded)
    decoded = opened.source()
    opened.page.get_by_role("button", name="Swap").click()
    opened.page.get_by_text("no latent is chosen").wait_for()
    opened.page.get_by_label("class").click()
    opened.page.get_by_role("option", name="2").click()
    opened.page.get_by_role("button", name="Set", exact=True).click()
    opened.wait(OTHER, decoded)
    opened.page.get_by_role("button", name="Save").click()
    opened.page.get_by_text("saved explore/").wait_for()
    assert [path.name for path in server.folder.iterdir()] == ["explore"], "nothing is written elsewhere"
    assert sorted(path.name for path in (server.folder / "explore").iterdir()) == [
        "mine_image-7-001.json",
        "mine_image-7-001.png",
    ]
    opened.page.get_by_role("button", name="Prior mean").click()
    opened.page.get_by_text("Started from the mean of the prior.").wait_for()
    assert opened.said == []
    opened.page.close()


def test_windows_do_not_know_of_each_other_and_may_close_at_any_time(server: Server, browser: Browser) -> None:
    one, other = Opened(browser, server.url), Opened(browser, server.url, width=390)
    assert other.page.evaluate("document.documentElement.scrollWidth") == 390, "a phone never scrolls sideways"
    first = one.source()
    assert other.source() == first
    one.press("Control+ArrowRight", 5)
    one.wait(OTHER, first)
    assert other.source() == first
    box = one.slider(1).bounding_box()
    assert box is not None
    one.page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
    one.page.mouse.down()
    for step in range(20):
        one.page.mouse.move(box["x"] + 5 + 10 * step, box["y"] + box["height"] / 2)
    one.page.close()
    other.press("Control+ArrowRight", 5)
    other.wait(OTHER, first)
    other.page.wait_for_timeout(4000)  # until the server forgets the closed window
    again = Opened(browser, server.url)
    assert again.source() == first
    assert other.said == again.said == []
    for opened in (other, again):
        opened.page.close()


def test_a_port_in_use_is_refused_and_so_are_names_of_others(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    port = str(urlsplit(server.url).port)
    said = refused(capsys, "explore", str(server.checkpoint), "--port", port)
    assert f"port {port} of 127.0.0.1 is in use: give another --port" in said
    with pytest.raises(HTTPError) as answer:
        urlopen(Request(server.url, headers={"Host": "evil.example"}))
    with answer.value:
        assert answer.value.code == 403


def test_ctrl_c_ends_it_and_nothing_went_wrong(server: Server) -> None:
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=60) == 0
    said = server.log.read_text()
    assert "Traceback" not in said
    assert "Warning" not in said
    assert said.strip().endswith("ended")
