"""A browser without a window, and a page of the explorer in it."""

from __future__ import annotations

import os
import shutil
from base64 import b64decode
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:  # a browser is not needed to collect tests
    from playwright.sync_api import Browser, Locator, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = os.environ.get("DISENTANGLE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
READY = "alt => (document.querySelector(`img[alt='${alt}']`)?.getAttribute('src') ?? '').startsWith('data:')"
OTHER = "([alt, old]) => document.querySelector(`img[alt='${alt}']`).getAttribute('src') !== old"
SAME = "([alt, old]) => document.querySelector(`img[alt='${alt}']`).getAttribute('src') === old"
WAIT = 60_000  # milliseconds: machines of tests are slow


class Opened:
    """A page of the explorer, and all that was said and asked for by it.

    Args:
        browser: Where to open it.
        url: Of the explorer.
        width: Of the window.
    """

    def __init__(self, browser: Browser, url: str, width: int = 1280) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 800})
        self.page.set_default_timeout(WAIT)
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(url)
        self.page.wait_for_function(READY, arg="start")

    def source(self, alt: str = "decoded") -> str:
        """Return the source of a picture."""
        return self.page.get_attribute(f"img[alt='{alt}']", "src") or ""

    def pixels(self, alt: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """Return the pixels of a picture."""
        return np.asarray(Image.open(BytesIO(b64decode(self.source(alt).partition(",")[2]))))

    def wait(self, function: str, source: str, alt: str = "decoded") -> None:
        """Wait until a picture is another one than a source, or the same."""
        self.page.wait_for_function(function, arg=[alt, source])

    def slider(self, number: int = 0) -> Locator:
        """Return what takes the keys of a slider of a latent."""
        return self.page.locator("[aria-label^='latent z']").nth(number).locator("[tabindex='0']")

    def press(self, key: str, times: int, number: int = 0) -> None:
        """Move a slider by the keyboard."""
        self.slider(number).focus()
        for _ in range(times):
            self.page.keyboard.press(key)
