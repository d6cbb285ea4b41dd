"""The figures and the health page, asked over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from locum.errors import PermanentError
from locum.metrics import Metrics, serve_metrics
from tests.ports import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def well() -> Mapping[str, object]:
    return {"last_pass_s": 1.5}


@asynccontextmanager
async def pages(
    metrics: Metrics | None = None, health: object = well, port: int = 0
) -> AsyncIterator[httpx.AsyncClient]:
    assert callable(health)
    async with (
        serve_metrics(metrics or Metrics(), port=port, health=health) as bound,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{bound}", trust_env=False) as client,
    ):
        yield client


def port_of(client: httpx.AsyncClient) -> int:
    assert client.base_url.port is not None
    return client.base_url.port


async def raw(port: int, request: bytes) -> bytes:
    """Send bytes as they are and read all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 60)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def figures(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Scrape once, and read the answer as Prometheus does."""
    async with pages(metrics) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_what_happened_is_what_is_shown() -> None:
    """Each method moves its figure, with its labels, by the right amount."""
    metrics = Metrics()
    metrics.join_finished(engine="pikastream", outcome="joined", late_by=timedelta(seconds=3))
    metrics.join_finished(engine="pikastream", outcome="joined", late_by=timedelta(seconds=-20))
    metrics.join_finished(engine="pikastream", outcome="transient_error")
    metrics.calendar_polled(account="work", outcome="ok")
    metrics.sessions_counted(2)
    metrics.meetings_armed(7)
    metrics.money_spent(engine="pikastream", usd=1.25)
    metrics.money_spent(engine="pikastream", usd=0.5)
    metrics.pass_finished(datetime(2026, 11, 22, 13, tzinfo=timezone.utc))
    metrics.debrief_finished(outcome="filed")
    metrics.config_reloaded(outcome="refused")
    metrics.push_message_received(outcome="changed")
    shown = await figures(metrics)
    joined = (("engine", "pikastream"), ("outcome", "joined"))
    failed = (("engine", "pikastream"), ("outcome", "transient_error"))
    assert shown["locum_joins_total", joined] == 2
    assert shown["locum_joins_total", failed] == 1
    assert shown["locum_join_lateness_seconds_bucket", (("le", "0.0"),)] == 1
    assert shown["locum_join_lateness_seconds_bucket", (("le", "2.0"),)] == 1
    assert shown["locum_join_lateness_seconds_bucket", (("le", "5.0"),)] == 2
    assert shown["locum_join_lateness_seconds_sum", ()] == 3
    assert shown["locum_calendar_polls_total", (("account", "work"), ("outcome", "ok"))] == 1
    assert shown["locum_push_messages_total", (("outcome", "changed"),)] == 1
    assert shown["locum_live_sessions", ()] == 2
    assert shown["locum_armed_meetings", ()] == 7
    assert shown["locum_spend_usd_total", (("engine", "pikastream"),)] == 1.75
    assert shown["locum_last_pass_timestamp_seconds", ()] == 1795352400
    assert shown["locum_debriefs_total", (("outcome", "filed"),)] == 1
    assert shown["locum_config_reloads_total", (("outcome", "refused"),)] == 1
    assert shown["process_resident_memory_bytes", ()] > 1_000_000


async def test_two_daemons_in_one_process_share_nothing() -> None:
    """Registries are their own: tests and stages don't add up."""
    one, other = Metrics(), Metrics()
    one.sessions_counted(1)
    assert (await figures(other))["locum_live_sessions", ()] == 0


@pytest.mark.parametrize("usd", [-0.01, float("nan"), float("inf")])
async def test_an_impossible_cost_is_refused(usd: float) -> None:
    """A cost that would spoil the sum for good is an error, and the sum stays."""
    metrics = Metrics()
    metrics.money_spent(engine="e", usd=1)
    with pytest.raises(ValueError, match="can't have cost"):
        metrics.money_spent(engine="e", usd=usd)
    assert (await figures(metrics))["locum_spend_usd_total", (("engine", "e"),)] == 1


async def test_health_is_200_or_503() -> None:
    """Facts are JSON; `ok` False among them is a 503."""
    async with pages() as client:
        fine = await client.get("/healthz")
    async with pages(health=lambda: {"ok": False, "why": "no pass for 300 s"}) as client:
        unwell = await client.get("/healthz")
    assert (fine.status_code, fine.json()) == (200, {"ok": True, "last_pass_s": 1.5})
    assert (unwell.status_code, unwell.json()) == (
        503,
        {"ok": False, "why": "no pass for 300 s"},
    )
    assert fine.headers["content-type"] == "application/json"


def broken() -> Mapping[str, object]:
    raise RuntimeError("the ledger is gone, dk_secretkey")


@pytest.mark.parametrize("health", [broken, lambda: {"x": float("nan")}])
async def test_health_that_fails_is_unhealthy(health: object) -> None:
    """If asking fails, the answer is 503 and gives nothing away."""
    async with pages(health=health) as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"ok": False})


async def test_anything_else_is_not_found() -> None:
    """There are two pages and two methods."""
    async with pages() as client:
        paths = [
            "/",
            "/metrics/",
            "/metrics/../healthz",
            "//metrics",
            "/%6detrics",
            "/x?/metrics",
        ]
        statuses = [
            (await raw(port_of(client), f"GET {path} HTTP/1.1\r\n\r\n".encode()))[:12]
            for path in paths
        ]
        posted = await client.post("/metrics")
        posted_elsewhere = await client.delete("/x")
        queried = await client.get("/healthz?x=1")
        head = await client.head("/metrics")
    assert statuses == [b"HTTP/1.1 404"] * len(paths)
    assert posted.status_code == 405
    assert posted_elsewhere.status_code == 404
    assert queried.status_code == 200
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil"]
)
async def test_a_rebound_name_is_refused(host: str) -> None:
    """A browser led to 127.0.0.1 under another name reads nothing."""
    async with pages() as client:
        answer = await client.get("/metrics", headers={"Host": host})
    assert answer.status_code == 421
    assert "locum_" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9100", "127.0.0.1", "[::1]:80"])
async def test_loopbacks_names_are_served(host: str) -> None:
    """Tunnels and scrapers use the machine's own names."""
    async with pages() as client:
        assert (await client.get("/metrics", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET  /metrics HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_turned_away(request_bytes: bytes) -> None:
    """Malformed and oversized requests get 400 or a closed connection; the next is served."""
    async with pages() as client:
        assert (await raw(port_of(client), request_bytes))[:12] in {b"HTTP/1.1 400", b""}
        assert (await client.get("/healthz")).status_code == 200


async def test_silent_clients_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that say nothing hold no place for long, and don't pile up."""
    monkeypatch.setattr("locum.httpserver._REQUEST_S", 1.5)
    async with pages() as client:
        silent = [
            await asyncio.open_connection("127.0.0.1", port_of(client)) for _ in range(40)
        ]
        ends = [await asyncio.wait_for(reader.read(), 60) for reader, _ in silent[:16]]
        assert ends == [b""] * 16
        assert (await client.get("/healthz")).status_code == 200
        for _, writer in silent:
            writer.close()


async def test_only_loopback_is_bound() -> None:
    """No other address of the machine answers."""
    async with pages() as client:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", port_of(client))


async def test_a_taken_port_is_named() -> None:
    """The error says which port, and what to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PermanentError, match=rf"127\.0\.0\.1:{port} .*\[metrics\]"):
            async with serve_metrics(Metrics(), port=port, health=well):
                pass


async def test_stopping_frees_the_port_even_with_clients_waiting() -> None:
    """Leaving the block ends open connections, and the port can be used at once."""
    port = free_port()
    async with pages(port=port) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await client.get("/healthz")
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
    async with serve_metrics(Metrics(), port=port, health=well) as again:
        assert again == port


def test_importing_it_is_light() -> None:
    """Neither prometheus-client nor a web framework is loaded before it is needed."""
    program = (
        "import sys, json, locum.metrics;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert loaded.isdisjoint({"prometheus_client", "starlette", "uvicorn", "httpx"})
