"""The process that sends one message through apprise, and says on stdout how it went.

Started by `targets`, with its order as JSON on stdin. What goes wrong is told without the
address: services put their keys into it, and everything told here ends in a log.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import unquote

from locum.core.notice_texts import own

_MOST_MEMORY = 128 * 1024 * 1024
"""An answer without an end gets no further; apprise itself takes less than half of it."""

_LOOK_S = 0.05
_PR_SET_PDEATHSIG = 1  # prctl(2)

_SHORTEST_SECRET = 4
_PARTS = re.compile(r"[/:@?&=#,;+\s]+")


def main() -> None:
    order = json.load(sys.stdin.buffer)
    signal.setitimer(signal.ITIMER_REAL, float(order["alarm_s"]))
    _die_with(int(order["parent"]))
    with contextlib.suppress(OSError):
        os.nice(5)  # Joins go first.
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # What a library prints must not be taken for our answer.
    os.dup2(nowhere, 1)
    threading.Thread(target=_watch_memory, args=(answers,), daemon=True).start()
    try:
        answer = _answer(order)
    except Exception as error:  # noqa: BLE001 - A plug-in may raise anything; its text may name the address.
        answer = _as_answer("failed", problem=f"apprise failed ({type(error).__name__})")
    _end(answers, answer)


def _end(answers: int, answer: Mapping[str, str]) -> NoReturn:
    os.write(answers, json.dumps(answer).encode())
    # Without waiting for apprise's threads.
    os._exit(0)


def _die_with(parent: int) -> None:
    """End as soon as the daemon does: its next life sends this again, and once is enough."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _watch_memory(answers: int) -> None:
    # Not a resource limit: the system service's filter of system calls allows none to be set.
    page = os.sysconf("SC_PAGE_SIZE")
    with open("/proc/self/statm", "rb", buffering=0) as statistics:  # noqa: PTH123 - Read again and again.
        while True:
            resident = int(statistics.read().split()[1]) * page
            if resident > _MOST_MEMORY:
                _end(answers, _as_answer("failed", problem="the answer has no end"))
            statistics.seek(0)
            time.sleep(_LOOK_S)


def _answer(order: Mapping[str, Any]) -> dict[str, str]:
    import apprise

    url = str(order["url"])
    told = _Told()
    logging.getLogger("apprise").addHandler(told)
    asset = apprise.AppriseAsset(
        app_id="locum",
        app_desc="locum",
        app_url="",
        # Icons are fetched by whoever reads the notice, from where apprise keeps them.
        image_url_mask="",
        image_url_logo="",
        # An answer that sends us elsewhere could send us out of TLS.
        http_redirects=False,
    )
    service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        problem = (
            "apprise can't use this address (unknown, incomplete, or its library is missing)"
        )
        return _as_answer("refused", problem=problem)
    named = own(str(service.service_name), 60)
    unsafe = _unsafe(service, loopback_only=bool(order["loopback_only"]))
    if unsafe:
        return _as_answer("refused", problem=unsafe, service=named)
    if "body" not in order:
        return _as_answer("usable", service=named)
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    sent = sender.notify(
        title=str(order["title"]),
        body=str(order["body"]),
        notify_type=apprise.NotifyType(str(order["severity"])),
        body_format=apprise.NotifyFormat.TEXT,
    )
    if sent:
        return _as_answer("sent", service=named)
    return _as_answer("failed", problem=scrubbed(told.last, url), service=named)


def _unsafe(service: Any, *, loopback_only: bool) -> str | None:
    """Say why this mustn't be used: the words are about who meets whom."""
    host = str(getattr(service, "host", "") or "")
    # Where a service has a secure way and another one, the address says which it takes.
    chosen = bool(service.protocol) and bool(service.secure_protocol)
    if loopback_only and not _is_loopback(host):
        return "it isn't on this machine, and a [stage] must have nothing else"
    if not service.verify_certificate:
        return "it turns the check of certificates off (verify=no)"
    if chosen and not service.secure and not _is_loopback(host):
        secure = service.secure_protocol
        secure = secure if isinstance(secure, str) else next(iter(secure))
        return f"it isn't encrypted; use {secure}:// (without is for this machine only)"
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def scrubbed(text: str, url: str) -> str:
    """Take every part of an address out of a text, as it stands there or decoded."""
    _, _, secret = url.partition("://")
    parts = set(_PARTS.split(secret)) | set(_PARTS.split(unquote(secret)))
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET:
            text = text.replace(part, "[redacted]")
    return own(text, 300) or "it wasn't taken"


def _as_answer(outcome: str, *, problem: str = "", service: str = "") -> dict[str, str]:
    return {"outcome": outcome, "problem": problem, "service": service}


class _Told(logging.Handler):
    """Keeps apprise's last word on what went wrong."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()
