"""Figures about how attending goes, and whether the daemon is well; for Prometheus.

Served from the daemon's own loop by the hundred lines below rather than by uvicorn, which
cost 4.4 MB of resident memory in a daemon that aims at 90, or by prometheus-client's
threaded server, which one silent client can hold and which would read the daemon's health
from another thread. Only loopback is ever bound; who needs more has a proxy.

Nothing here identifies a meeting or a person: labels are engines, accounts and outcomes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

import anyio
import structlog

from locum.errors import PermanentError

LATENESS_BUCKETS_S = (0.0, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)

_LOOPBACK = "127.0.0.1"
_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_REQUEST_BYTES = 8192
_REQUEST_S = 5.0
_CONNECTIONS = 16
_TEXT = "text/plain; charset=utf-8"

_log = structlog.get_logger()


class Metrics:
    """The figures of one daemon, in a registry of its own.

    Its methods are named by what happened. Outcomes come from fixed vocabularies, and
    engines and accounts from the config, so the number of series stays bounded.
    """

    def __init__(self) -> None:
        # Here, so that a command that merely imports the controller doesn't pay for it.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        from prometheus_client.process_collector import ProcessCollector

        self._registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        self._joins = Counter(
            "locum_joins_total",
            "Attempts to enter a room, by how they went.",
            ("outcome", "engine"),
            registry=registry,
        )
        self._lateness = Histogram(
            "locum_join_lateness_seconds",
            "How long after the wanted instant we were in.",
            buckets=LATENESS_BUCKETS_S,
            registry=registry,
        )
        self._polls = Counter(
            "locum_calendar_polls_total",
            "Reads of an account's calendars, by how they went.",
            ("account", "outcome"),
            registry=registry,
        )
        self._periods = Gauge(
            "locum_calendar_poll_period_seconds",
            "How often an account's calendars are read, with a meeting near and without.",
            ("account", "pace"),
            registry=registry,
        )
        self._live = Gauge("locum_live_sessions", "Rooms that we are in.", registry=registry)
        self._armed = Gauge(
            "locum_armed_meetings", "Meetings ahead that we mean to attend.", registry=registry
        )
        self._spend = Counter(
            "locum_spend_usd_total",
            "Estimated cost of ended sessions, in US dollars.",
            ("engine",),
            registry=registry,
        )
        self._last_pass = Gauge(
            "locum_last_pass_timestamp_seconds",
            "When the last whole pass of the loop ended.",
            registry=registry,
        )
        self._debriefs = Counter(
            "locum_debriefs_total",
            "Write-ups of ended sessions, by how they went.",
            ("outcome",),
            registry=registry,
        )
        self._reloads = Counter(
            "locum_config_reloads_total",
            "Reads of a changed config, by whether it was taken.",
            ("outcome",),
            registry=registry,
        )

    def join_finished(
        self, *, engine: str, outcome: str, late_by: timedelta | None = None
    ) -> None:
        """Count an attempt to enter; `late_by` where it got in (being early counts as 0)."""
        self._joins.labels(outcome=outcome, engine=engine).inc()
        if late_by is not None:
            self._lateness.observe(max(late_by.total_seconds(), 0.0))

    def calendar_polled(self, *, account: str, outcome: str) -> None:
        self._polls.labels(account=account, outcome=outcome).inc()

    def calendars_paced(self, *, account: str, near: timedelta, idle: timedelta) -> None:
        for pace, period in (("near", near), ("idle", idle)):
            gauge = self._periods.labels(account=account, pace=pace)
            gauge.set(period.total_seconds())

    def sessions_counted(self, live: int) -> None:
        self._live.set(live)

    def meetings_armed(self, count: int) -> None:
        self._armed.set(count)

    def money_spent(self, *, engine: str, usd: float) -> None:
        """Add an ended session's estimated cost.

        Raises:
            ValueError: It is negative or not finite: one such would spoil the sum for good.
        """
        if not math.isfinite(usd) or usd < 0:
            raise ValueError(f"a session can't have cost {usd} US dollars")
        self._spend.labels(engine=engine).inc(usd)

    def pass_finished(self, at: datetime) -> None:
        self._last_pass.set(at.timestamp())

    def debrief_finished(self, *, outcome: str) -> None:
        self._debriefs.labels(outcome=outcome).inc()

    def config_reloaded(self, *, outcome: str) -> None:
        self._reloads.labels(outcome=outcome).inc()

    def exposition(self) -> bytes:
        """Write all figures in Prometheus's text format, version 0.0.4."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)


Health = Callable[[], Mapping[str, object]]
"""Answers facts for `/healthz`. `"ok": False` among them means unwell, and a status 503."""


@asynccontextmanager
async def serve_metrics(metrics: Metrics, *, port: int, health: Health) -> AsyncIterator[int]:
    """Serve `/metrics` and `/healthz` on 127.0.0.1 while the block runs; yields the port.

    Args:
        metrics: What to show.
        port: Where; 0 takes any free port.
        health: Asked anew for each `/healthz`; should it raise, the answer is 503.

    Raises:
        PermanentError: The port can't be had.
    """
    pages = _Pages(metrics, health)
    try:
        server = await asyncio.start_server(
            pages.answer_connection, _LOOPBACK, port, limit=_REQUEST_BYTES
        )
    except OSError as problem:
        raise PermanentError(
            f"metrics can't be served on {_LOOPBACK}:{port} ({problem.strerror}). "
            "Give [metrics] another port, or stop what uses this one."
        ) from problem
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await pages.aclose()


@dataclass(frozen=True)
class _Answer:
    status: HTTPStatus
    body: bytes
    media_type: str = _TEXT

    @classmethod
    def plain(cls, status: HTTPStatus) -> _Answer:
        return cls(status, f"{status.value} {status.phrase}\n".encode())

    def encoded(self, *, with_body: bool) -> bytes:
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n"
            f"Content-Type: {self.media_type}\r\n"
            f"Content-Length: {len(self.body)}\r\n"
            "Cache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode("ascii") + (self.body if with_body else b"")


class _Pages:
    """Answers one request a connection, within seconds and bytes, and closes it."""

    def __init__(self, metrics: Metrics, health: Health) -> None:
        self._metrics = metrics
        self._health = health
        self._connections: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def answer_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= _CONNECTIONS:
            writer.transport.abort()
            return
        self._connections.add(task)
        try:
            with anyio.move_on_after(_REQUEST_S), contextlib.suppress(OSError):
                answer, with_body = await self._answer(reader)
                writer.write(answer.encoded(with_body=with_body))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        finally:
            self._connections.discard(task)
            writer.transport.abort()  # Nothing, if it was closed in order.

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[_Answer, bool]:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return _Answer.plain(HTTPStatus.BAD_REQUEST), True
        first, *headers = head.split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _Answer.plain(HTTPStatus.BAD_REQUEST), True
        method, target, _version = words
        # A page elsewhere can point its own name at 127.0.0.1 and read us through a browser.
        if not _addressed_to_loopback(headers):
            return _Answer.plain(HTTPStatus.MISDIRECTED_REQUEST), True
        page = self._page(target.partition("?")[0])
        if page.status is not HTTPStatus.NOT_FOUND and method not in {"GET", "HEAD"}:
            return _Answer.plain(HTTPStatus.METHOD_NOT_ALLOWED), True
        return page, method != "HEAD"

    def _page(self, path: str) -> _Answer:
        if path == "/metrics":
            media_type = "text/plain; version=0.0.4; charset=utf-8"
            return _Answer(HTTPStatus.OK, self._metrics.exposition(), media_type)
        if path == "/healthz":
            return self._healthz()
        return _Answer.plain(HTTPStatus.NOT_FOUND)

    def _healthz(self) -> _Answer:
        try:
            facts = {"ok": True, **self._health()}
            body = json.dumps(facts, default=str, allow_nan=False)
        except Exception:  # noqa: BLE001 - The outermost frame of a request.
            _log.exception("health_unknown")
            facts, body = {"ok": False}, '{"ok": false}'
        status = HTTPStatus.OK if facts["ok"] else HTTPStatus.SERVICE_UNAVAILABLE
        return _Answer(status, f"{body}\n".encode(), "application/json")


def _addressed_to_loopback(headers: list[str]) -> bool:
    """Say whether every Host header names this machine; none at all is an old client."""
    hosts = [
        value.strip().lower()
        for name, _, value in (header.partition(":") for header in headers)
        if name.strip().lower() == "host"
    ]
    return all(_without_port(host) in _LOCAL_NAMES for host in hosts)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
