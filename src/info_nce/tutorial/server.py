"""A small web server for the tutorial alone: it knows its files by name, and so cannot be led to any other."""

import errno
import ipaddress
import socket
import sys
import webbrowser
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from info_nce.errors import SettingError
from info_nce.tutorial.built import LANGUAGES, pages

PORT = 8085
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
"""Not the machine's own table, in which scripts may be called something else."""
_HEADERS = {
    # Nothing from elsewhere, and nobody else's frame. Bars carry their lengths as styles, hence the exception.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for files of the site; the base class refuses other methods and oversized requests."""

    server_version = "info-nce"
    sys_version = ""
    timeout = 30  # seconds for a request to arrive: whoever sends nothing does not hold a thread for ever

    def __init__(self, *arguments: object, files: Mapping[str, Path]) -> None:
        self._files = files
        super().__init__(*arguments)  # type: ignore[arg-type]  # what socketserver gives

    def do_GET(self) -> None:
        """Send a file."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Send what is known about a file."""
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        try:
            path = unquote(urlsplit(self.path).path, errors="strict")
        except (UnicodeDecodeError, ValueError):
            return self.send_error(HTTPStatus.BAD_REQUEST)
        if f"{path}/" in self._files:
            self.send_response(HTTPStatus.MOVED_PERMANENTLY)
            self.send_header("Location", f"{path}/")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if path not in self._files:
            return self.send_error(HTTPStatus.NOT_FOUND)
        file = self._files[path]
        content = file.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _TYPES.get(file.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)
        return None

    def end_headers(self) -> None:
        """Add what every answer carries."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal belongs to the reader."""


class Server(ThreadingHTTPServer):
    """A server that threads of slow readers do not keep alive.

    Args:
        host: name or number that it listens on.
        port: 0 takes any that is free.
        files: by the path of their addresses.
    """

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # there, two programs could listen on one port

    def __init__(self, host: str, port: int, files: Mapping[str, Path]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), partial(_Handler, files=files))

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet about readers who close the page while it loads."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as given


def open_server(host: str, port: int) -> Server:
    """Listen.

    Raises:
        SettingError: the port is taken, or not allowed, or the host is none of this machine's.
    """
    try:
        return Server(host, port, pages())
    except (OSError, OverflowError) as error:
        wrong_host = isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL
        other = "0" if port >= 65535 else str(max(port, 1023) + 1)
        raise SettingError(
            f"the tutorial cannot listen on {host}, port {port}.",
            got=getattr(error, "strerror", None) or error,
            expected="a host of this machine" if wrong_host else "a port that is free, of 1024 to 65535; 0 finds one",
            advice="--host 127.0.0.1" if wrong_host else f"--port {other}",
        ) from error


def serve(
    *,
    port: int = PORT,
    host: str = "127.0.0.1",
    language: str = "",
    browser: bool = True,
    say: Callable[[str], object] = print,
) -> None:
    """Show the tutorial until Ctrl-C.

    Args:
        port: to listen on; 0 takes any that is free.
        host: 127.0.0.1 for this machine only; 0.0.0.0 for everybody who can reach it.
        language: "en", "id" or "zh"; the browser's if empty.
        browser: open one.
        say: takes what is to be told.

    Raises:
        SettingError: the port is taken or not allowed, the host is not this machine's, or there is no such language.
        UserError: the pages were not built.
    """
    if language and language not in LANGUAGES:
        raise SettingError(
            "the tutorial is not written in that language.",
            got=language,
            expected=", ".join(LANGUAGES),
            advice="--lang en",
        )
    server = open_server(host, port)
    shown = "localhost" if host in {"127.0.0.1", "0.0.0.0", "::1", "::"} else host  # noqa: S104 (compared, not bound)
    address = f"http://{shown}:{server.server_port}/{f'{language}/' if language else ''}"
    say(f"The tutorial: {address}   (Ctrl-C ends it)")
    if not _only_this_machine(server):
        say(f"Warning: everybody who can reach {host} can read it. It shows nothing but the tutorial.")
    if browser:
        webbrowser.open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("")
    finally:
        server.server_close()


def _only_this_machine(server: Server) -> bool:
    return ipaddress.ip_address(str(server.server_address[0])).is_loopback
