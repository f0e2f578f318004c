"""Where the page is served, and from where it may be asked for."""

import errno
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any, final
from urllib.parse import urlsplit

from disentangle_pl.errors import InputError

LOOPBACK = "127.0.0.1"
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine and nothing else."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def bound(host: str, port: int) -> socket.socket:
    """Bind a socket; port 0 takes any that is free.

    Raises:
        InputError: If the host is unknown, or the port is in use, not allowed or no port.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port} is no port: give one from 1 to 65535, or 0 for any that is free")
    try:
        kind, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InputError(
            f"--host {host} is not known ({error.strerror}): leave it out to serve this machine"
        ) from error
    found = socket.socket(kind, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(where)
    except OSError as error:
        found.close()
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        raise InputError(
            f"port {port} of {host} {reason}: give another --port, or --port 0 for any free one"
        ) from error
    return found


def url_of(bound_to: socket.socket) -> str:
    """Write the address of a bound socket for a browser."""
    host, port = bound_to.getsockname()[:2]
    if ip_address(host).is_unspecified:
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


@final
class OnlyFrom:
    """Answers only requests that name this machine, and that no page of another site has made.

    A foreign name that resolves to this machine (DNS rebinding) is in the header Host, and the site of a page that
    opens a socket to it in Origin. An address in numbers is nobody's name, so it is allowed where others may connect.

    Args:
        app: What answers.
        host: The host that is served.
    """

    def __init__(self, app: Application, host: str) -> None:
        self.app = app
        self.names = {"localhost", host.lower(), *(() if is_loopback(host) else (socket.gethostname().lower(),))}
        self.any_address = not is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with status 403."""
        if scope["type"] not in ("http", "websocket") or self.allows(scope["headers"]):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"this page is for its own machine\n"})

    def allows(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Tell whether Host, and Origin where there is one, are this machine and the same."""
        found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
        host, origin = found.get("host", ""), found.get("origin")
        if not self._knows(_name("//" + host)):
            return False
        return origin is None or urlsplit(origin).netloc.lower() == host.lower()

    def _knows(self, name: str) -> bool:
        if _is_address(name):
            return self.any_address or ip_address(name).is_loopback
        return name in self.names


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
