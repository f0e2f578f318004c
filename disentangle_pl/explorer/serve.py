"""The server of the explorer; importing it imports NiceGUI, which no other verb needs."""

import gc
import socket
import webbrowser
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from nicegui import app as pages
from nicegui import ui

from disentangle_pl.explorer.address import OnlyFrom, url_of
from disentangle_pl.explorer.window import Window
from disentangle_pl.studies.explore import Explored

GOODBYE = 2  # seconds for open windows when the server ends


def serve(model: Explored, bound: socket.socket, host: str, out: Path, show: bool) -> None:
    """Serve a page for every window that asks, until Ctrl-C.

    Args:
        model: What is explored.
        bound: The socket to listen at.
        host: Its host, as it was asked for.
        out: Folder of what is saved.
        show: Open a browser.
    """
    url = url_of(bound)

    @ui.page("/", title=f"Explore {model.name}")
    def _window() -> None:
        Window(model, out)

    def _started() -> None:
        print(f"{model.name} can be explored at {url} (Ctrl-C ends it)", flush=True)
        if show:
            webbrowser.open(url)

    pages.on_startup(_started)
    server = FastAPI(openapi_url=None)
    ui.run_with(server, language="en-US", tailwind=False, show_welcome_message=False)
    gc.freeze()  # NiceGUI searches all objects for its server: those of torch take long, and one of them warns
    config = uvicorn.Config(
        OnlyFrom(server, host),
        log_level="warning",
        ws="wsproto",
        lifespan="on",
        timeout_graceful_shutdown=GOODBYE,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[bound])
