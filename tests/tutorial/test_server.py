"""The tutorial's server: it gives its pages, nothing else, and says what to do when it cannot."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from info_nce import cli
from info_nce.errors import SettingError, UserError
from info_nce.tutorial import __main__ as command
from info_nce.tutorial import export, pages, server
from info_nce.tutorial.server import Server, open_server, serve

ROOT = Path(__file__).parents[2]


@pytest.fixture
def running(site: Path) -> Iterator[Server]:
    made = Server("127.0.0.1", 0, pages(site))
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def ask(
    running: Server, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", running.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", "localhost")
    for name, text in (headers or {}).items():
        connection.putheader(name, text)
    connection.endheaders()
    return connection.getresponse()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/en/", "text/html; charset=utf-8"),
        ("/en/?from=here", "text/html; charset=utf-8"),
        ("/app/page.js", "text/javascript; charset=utf-8"),
        ("/app/style.css", "text/css; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
    ],
)
def test_the_pages_are_given(running: Server, path: str, kind: str) -> None:
    answer = ask(running, path)
    assert answer.status == 200
    assert answer.getheader("Content-Type") == kind
    assert "default-src 'self'" in (answer.getheader("Content-Security-Policy") or "")
    assert len(answer.read()) == int(answer.getheader("Content-Length") or 0) > 0
    known = ask(running, path, "HEAD")
    assert (known.status, known.getheader("Content-Length"), known.read()) == (
        200,
        answer.getheader("Content-Length"),
        b"",
    )


def test_a_folder_without_its_slash_leads_to_the_page(running: Server) -> None:
    answer = ask(running, "/en")
    assert (answer.status, answer.getheader("Location")) == (301, "/en/")


@pytest.mark.parametrize(
    "path",
    [
        "/../pages.py",
        "/en/../../../pyproject.toml",
        "/%2e%2e/%2e%2e/server.py",
        "/..%2f..%2fserver.py",
        "/app/..%5c..%5cserver.py",
        "//etc/passwd",
        "/etc/passwd",
        "/app/",
        "/en/index.html/..",
        "/EN/",
        "/\x00",
        "/en/%00",
        "/%ff",
        "http://[",
        "*",
    ],
)
def test_nothing_but_the_pages_is_given(running: Server, path: str) -> None:
    with socket.create_connection(("127.0.0.1", running.server_port), timeout=10) as talk:
        talk.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode("latin-1"))
        answer = b"".join(iter(lambda: talk.recv(65536), b""))
    assert re.match(rb"HTTP/1\.0 4\d\d ", answer), answer[:80]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_other_methods_are_refused(running: Server, method: str) -> None:
    assert ask(running, "/en/", method).status == 501


def test_oversized_requests_are_refused(running: Server) -> None:
    assert ask(running, "/" + "a" * 70_000).status == 414
    assert ask(running, "/en/", headers={"X": "a" * 70_000}).status == 431
    assert ask(running, "/en/", headers={f"X-{i}": "a" for i in range(200)}).status == 431
    assert ask(running, "/en/").status == 200


def test_who_sends_nothing_does_not_keep_others_waiting(running: Server) -> None:
    silent = [socket.create_connection(("127.0.0.1", running.server_port)) for _ in range(20)]
    assert ask(running, "/en/").status == 200
    for each in silent:
        each.close()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, site: Path) -> None:
    """Let the package find the pages that the tests have built."""
    monkeypatch.setattr(server, "pages", lambda: pages(site))
    monkeypatch.setattr("info_nce.tutorial.built.export.__defaults__", (site,))


@pytest.mark.usefixtures("built")
def test_a_busy_port_and_a_foreign_host_say_what_to_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=rf"port {port}.*\n.*\n.*free.*\n.*--port {port + 1}"):
            open_server("127.0.0.1", port)
    with pytest.raises(SettingError, match=r"host of this machine(.|\n)*--host 127\.0\.0\.1"):
        open_server("192.0.2.1", 0)
    with pytest.raises(SettingError, match="host of this machine"):
        open_server("no.such.host.invalid", 0)
    for port in (-1, 65536):
        with pytest.raises(SettingError, match="cannot listen"):
            open_server("127.0.0.1", port)


@pytest.mark.usefixtures("built")
def test_it_says_where_it_is_and_warns_of_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(Server, "serve_forever", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    said: list[str] = []
    serve(port=0, language="id", say=said.append)
    assert re.match(r"The tutorial: http://localhost:\d+/id/ ", said[0])
    assert opened == [said[0].split()[2]]
    assert "Warning" not in "".join(said)
    serve(port=0, host="0.0.0.0", browser=False, say=said.append)  # noqa: S104 (that it warns is the point)
    assert "everybody who can reach 0.0.0.0" in "".join(said)
    assert len(opened) == 1
    with pytest.raises(SettingError, match="en, id, zh"):
        serve(language="fr")


def test_the_pages_become_plain_files_once(site: Path, tmp_path: Path) -> None:
    made = export(tmp_path / "new" / "pages", site)
    assert pages(made).keys() == pages(site).keys()
    with pytest.raises(SettingError, match="new or empty"):
        export(made, site)
    (tmp_path / "empty").mkdir()
    export(tmp_path / "empty", site)
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"got +a file"):
        export(tmp_path / "file", site)
    with pytest.raises(UserError, match="cannot be written"):
        export(tmp_path / "file" / "below", site)
    with pytest.raises(UserError, match="make tutorial"):
        export(tmp_path / "other", tmp_path / "nothing")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "new"]


@pytest.mark.usefixtures("built")
def test_both_commands_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--export", str(tmp_path / "one")]) == 0
    assert cli.main(["tutorial", "--export", str(tmp_path / "two")]) == 0
    assert (tmp_path / "one" / "en" / "index.html").read_bytes() == (
        tmp_path / "two" / "en" / "index.html"
    ).read_bytes()
    assert str(tmp_path / "two") in capsys.readouterr().out
    assert command.main(["--lang", "fr"]) == 2
    assert "en, id, zh" in capsys.readouterr().err
    assert cli.main(["tutorial", "--lang", "fr"]) == 2


def test_the_module_serves_until_it_is_interrupted(site: Path, tmp_path: Path) -> None:
    # With the pages of the tests, whether or not the package's own were built.
    start = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from pathlib import Path;"
        "from info_nce.tutorial import pages, server, __main__ as m;"
        f"server.pages = lambda: pages(Path({str(site)!r})); sys.exit(m.main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", start, "--port", "0", "--no-browser"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as program:
        assert program.stdout is not None
        said = program.stdout.readline()
        found = re.search(r"http://localhost:(\d+)/", said)
        assert found, said
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/en/", timeout=10) as answer:
            assert b"<html lang=" in answer.read()
        time.sleep(0.1)
        program.send_signal(signal.SIGINT)
        assert program.wait(timeout=20) == 0
