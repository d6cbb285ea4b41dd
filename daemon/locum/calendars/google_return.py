"""How the browser's answer comes back from Google: to a port of ours, or pasted by a person.

Either way it counts only if it carries the state of this very sign-in: any page can send a
browser to our port, and anybody can ask a person to paste something.
"""

from __future__ import annotations

import contextlib
import html
import http.server
import queue
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from locum.calendars.google_events import one_line
from locum.calendars.google_token import GoogleAccount
from locum.errors import HumanNeededError


@dataclass(frozen=True)
class Return:
    """What came back from Google: a code, or the reason why there is none."""

    code: str | None
    refusal: str = ""


class _NotOursError(ValueError):
    """An address that doesn't answer our question; the text says why."""


def _read_return(address: str, state: str) -> Return:
    """Read the address that Google sent the browser to.

    Raises:
        _NotOursError: It isn't the answer to this sign-in.
    """
    try:
        query = parse_qs(urlsplit(address.strip()).query, max_num_fields=50)
    except ValueError as error:
        raise _NotOursError("that is no address") from error
    answered = query.get("state", [""])[0]
    if not answered:
        raise _NotOursError("that address has no state and code; copy all of it")
    # What a terminal can't decode comes as lone surrogates, which UTF-8 doesn't know.
    if not secrets.compare_digest(answered.encode("utf-8", "replace"), state.encode()):
        raise _NotOursError("that address belongs to another sign-in")
    if refusal := query.get("error", [""])[0]:
        return Return(code=None, refusal=one_line(refusal, limit=100))
    if code := query.get("code", [""])[0]:
        return Return(code=code)
    raise _NotOursError("that address has no code; copy all of it")


def ask_for_paste(
    prompt: Callable[[str], str],
    tell: Callable[[str], None],
    state: str,
    returns: queue.Queue[Return],
    *,
    done: threading.Event,
) -> None:
    """Ask for the failed page's address, again and again, until it is the right one.

    A `prompt` that waits can't be interrupted: its thread stays behind, and asks no more
    once `done` is set.
    """

    def ask() -> None:
        while not done.is_set():
            try:
                pasted = prompt("Address of the failed page: ")
            except (EOFError, OSError):
                return  # No terminal, or closed: the browser may still come.
            if not pasted.strip():
                # Whatever answers nothing at once must not keep us spinning.
                done.wait(0.2)
                continue
            try:
                returns.put(_read_return(pasted, state))
            except _NotOursError as error:
                tell(f"Not taken: {error}.")
            else:
                return

    threading.Thread(target=ask, name="paste", daemon=True).start()


@contextlib.contextmanager
def loopback_server(state: str, returns: queue.Queue[Return]) -> Iterator[int]:
    """Serve the address to which Google sends the browser; answer its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10  # A connection that says nothing must not stay.

        def do_GET(self) -> None:
            try:
                returns.put(_read_return(self.path, state))
            except _NotOursError as error:
                # Other programs may knock here: that must not end the sign-in.
                self._answer(400, f"Not taken: {error}.")
            else:
                self._answer(200, "locum has its answer. You can close this page.")

        def _answer(self, code: int, text: str) -> None:
            page = f"<!doctype html><title>locum</title><p>{html.escape(text)}".encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(page)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - Its name upstream.
            """Log nothing: the paths hold codes."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def await_code(account: GoogleAccount, returns: queue.Queue[Return], within: timedelta) -> str:
    try:
        answer = returns.get(timeout=within.total_seconds())
    except queue.Empty as error:
        raise HumanNeededError(
            f"account {account.name}: nobody came back from Google within "
            f"{within.total_seconds() / 60:g} min.",
            hint=account.login_hint,
        ) from error
    if answer.code is None:
        raise HumanNeededError(
            f"account {account.name}: Google didn't allow it ({answer.refusal}).",
            hint=f"{account.login_hint} If the OAuth app is in "
            '"Testing", this account must be among its test users.',
        )
    return answer.code
