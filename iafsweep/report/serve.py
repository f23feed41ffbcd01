"""Serve a report that stays up to date while it is viewed: a read-only server for this machine alone."""

import hashlib
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from iafsweep.report.findings import read_contents
from iafsweep.report.page import as_json, html_page
from iafsweep.report.write import FEWEST_SECONDS, SHARE_OF_TIME, state_of
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep

_ADDRESS = "127.0.0.1"


class _Kept:
    """The page and its data, renewed on request if a file has changed and some time has passed."""

    def __init__(self, folder: Path, command: Sequence[str], show: Sequence[str]) -> None:
        self._folder, self._command, self._show = SweepFolder(folder), command, show
        self._lock = threading.Lock()
        self._state: object = None
        self._next = 0.0
        self.page = self.data = b""

    def renew(self) -> None:
        """Bring the page and its data up to date, or nearly.

        Raises:
            UserError: the sweep cannot be read.
        """
        with self._lock:
            if time.monotonic() < self._next:
                return
            began = time.process_time()
            sweep = read_sweep(self._folder)
            state = state_of(self._folder), sweep.driver
            if state != self._state:
                contents = read_contents(sweep, self._command, self._show)
                self.page = html_page(contents, live=True).encode("utf-8", errors="replace")
                self.data = as_json(contents).encode("utf-8", errors="replace")
                self._state = state
            self._next = time.monotonic() + max(FEWEST_SECONDS, (time.process_time() - began) / SHARE_OF_TIME)


def _handler(kept: _Kept, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers requests for two token-protected paths that address this machine by IP number or as localhost."""

        server: ThreadingHTTPServer
        server_version, sys_version = "iafsweep", ""

        def do_GET(self) -> None:
            host = self.headers.get("Host", "")
            known = {f"{name}:{self.server.server_port}" for name in (_ADDRESS, "localhost")}
            kinds = {f"/{token}/": "text/html; charset=utf-8", f"/{token}/data": "application/json"}
            kind = next((kind for path, kind in kinds.items() if secrets.compare_digest(path, self.path)), None)
            if host not in known or kind is None:  # another site's name that resolves to this machine is refused
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            try:
                kept.renew()
            except Exception as error:  # noqa: BLE001 - keep the server and the page on the screen
                self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, type(error).__name__)
                return
            self._answer(kept.page if kind.startswith("text") else kept.data, kind)

        def _answer(self, body: bytes, kind: str) -> None:
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            is_known = self.headers.get("If-None-Match") == tag
            self.send_response(HTTPStatus.NOT_MODIFIED if is_known else HTTPStatus.OK)
            for name, value in (("ETag", tag), ("Content-Type", kind), ("Cache-Control", "no-store"),
                                ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
                                ("Cross-Origin-Resource-Policy", "same-origin"),
                                ("Content-Length", str(0 if is_known else len(body)))):  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            if not is_known:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base
            """Say nothing: the terminal is the command's."""

    return Handler


@contextmanager
def served(folder: Path, command: Sequence[str], show: Sequence[str] = ()) -> Iterator[str]:
    """Serve a report that is kept up to date while the block lasts, and yield its address.

    It can be reached from this machine alone, at a new port and with a new token each time; it writes nothing.

    Args:
        folder: the sweep folder.
        command: the words of the command that makes the report.
        show: settings of the test figures to show.

    Raises:
        SweepError, ConfigError, UserError: the sweep cannot be read.
        OSError: no port is available.
    """
    kept, token = _Kept(folder, command, show), secrets.token_urlsafe(16)
    kept.renew()
    with ThreadingHTTPServer((_ADDRESS, 0), _handler(kept, token)) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{_ADDRESS}:{server.server_port}/{token}/"
        finally:
            server.shutdown()
