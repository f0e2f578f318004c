import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.explorer.address import Message, OnlyFrom, Receive, Scope, Send, bound, is_loopback, url_of


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer everything."""
    await send({"type": "answered"})


async def nothing() -> Message:
    """Receive nothing."""
    return {}


def asked(served: str, kind: str, headers: Mapping[str, str]) -> list[Any]:
    """Return what was sent for a request with some headers."""
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message.get("status", message["type"]))

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(OnlyFrom(answer, served)({"type": kind, "headers": raw}, nothing, send))
    return sent


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"host": "127.0.0.1:8080"}, True),
        ({"host": "localhost:8080"}, True),
        ({"Host": "[::1]:8080"}, True),
        ({"host": "evil.example:8080"}, False),
        ({"host": "192.168.0.3:8080"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({"host": "[::1"}, False),
        ({}, False),
        ({"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080"}, True),
        ({"host": "127.0.0.1:8080", "origin": "http://evil.example"}, False),
        ({"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:9"}, False),
        ({"host": "127.0.0.1:8080", "origin": "null"}, False),
    ],
)
def test_only_this_machine_is_answered(headers: dict[str, str], allowed: bool) -> None:
    assert asked("127.0.0.1", "http", headers) == (["answered"] if allowed else [403, "http.response.body"])
    assert asked("127.0.0.1", "websocket", headers) == (["answered"] if allowed else ["websocket.close"])


def test_a_server_for_a_network_knows_addresses_and_its_own_names_alone() -> None:
    for host in ("192.168.0.3:80", "box.lan", socket.gethostname()):
        assert asked("box.lan", "http", {"host": host}) == ["answered"]
    assert asked("box.lan", "http", {"host": "evil.example"})[0] == 403
    assert asked("box.lan", "lifespan", {}) == ["answered"]


def test_loopback_is_this_machine_alone() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.3", "example.org")))


def test_a_port_that_cannot_be_had_is_one_sentence() -> None:
    with bound("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        assert url_of(first) == f"http://127.0.0.1:{port}/"
        with pytest.raises(InputError, match=f"port {port} of 127.0.0.1 is in use: give another --port"):
            bound("127.0.0.1", port)
    for wrong in (-1, 65536):
        with pytest.raises(InputError, match="no port"):
            bound("127.0.0.1", wrong)
    with pytest.raises(InputError, match=r"--host nowhere\.invalid is not known"):
        bound("nowhere.invalid", 0)
