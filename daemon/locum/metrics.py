"""Figures about how attending goes, and whether the daemon is well; for Prometheus.

Served from the daemon's own loop rather than by prometheus-client's threaded server, which
one silent client can hold and which would read the daemon's health from another thread.
Only loopback is ever bound; who needs more has a proxy.

Nothing here identifies a meeting or a person: labels are engines, accounts and outcomes.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from http import HTTPStatus

import structlog

from locum.errors import PermanentError
from locum.httpserver import Answer, Request, serve

LATENESS_BUCKETS_S = (0.0, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)

_LOOPBACK = "127.0.0.1"
_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_CONNECTIONS = 16

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
        self._messages = Counter(
            "locum_push_messages_total",
            "Messages of calendars that they changed, by what came of them.",
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

    def push_message_received(self, *, outcome: str) -> None:
        self._messages.labels(outcome=outcome).inc()

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
    served = serve(pages.answer, host=_LOOPBACK, port=port, connections=_CONNECTIONS)
    async with AsyncExitStack() as stack:
        try:
            bound = await stack.enter_async_context(served)
        except OSError as problem:
            raise PermanentError(
                f"metrics can't be served on {_LOOPBACK}:{port} ({problem.strerror}). "
                "Give [metrics] another port, or stop what uses this one."
            ) from problem
        yield bound


class _Pages:
    def __init__(self, metrics: Metrics, health: Health) -> None:
        self._metrics = metrics
        self._health = health

    def answer(self, request: Request) -> Answer:
        # A page elsewhere can point its own name at 127.0.0.1 and read us through a browser.
        if any(_without_port(h.lower()) not in _LOCAL_NAMES for h in request.header("host")):
            return Answer.plain(HTTPStatus.MISDIRECTED_REQUEST)
        page = self._page(request.path)
        if page.status is not HTTPStatus.NOT_FOUND and request.method not in {"GET", "HEAD"}:
            return Answer.plain(HTTPStatus.METHOD_NOT_ALLOWED)
        return page

    def _page(self, path: str) -> Answer:
        if path == "/metrics":
            media_type = "text/plain; version=0.0.4; charset=utf-8"
            return Answer(HTTPStatus.OK, self._metrics.exposition(), media_type)
        if path == "/healthz":
            return self._healthz()
        return Answer.plain(HTTPStatus.NOT_FOUND)

    def _healthz(self) -> Answer:
        try:
            facts = {"ok": True, **self._health()}
            body = json.dumps(facts, default=str, allow_nan=False)
        except Exception:  # noqa: BLE001 - The outermost frame of a request.
            _log.exception("health_unknown")
            facts, body = {"ok": False}, '{"ok": false}'
        status = HTTPStatus.OK if facts["ok"] else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(status, f"{body}\n".encode(), "application/json")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
