"""The webhook against a receiver that checks signatures, and the same checked by others' code."""

from __future__ import annotations

import base64
import ipaddress
import json
import secrets
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import trustme

from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Health
from locum.rehearsal.faults import Fault
from locum.rehearsal.hooks import HookReceiver, hook_app
from locum.rehearsal.serving import served
from locum.sinks import SecretPlace, Webhook
from locum.sinks.webhook import is_public
from tests.sinks_rig import HOSTILE_TITLES, summary

pytestmark = pytest.mark.anyio

SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
SHORT = timedelta(seconds=0.6)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def receiver() -> HookReceiver:
    return HookReceiver(SECRET)


@pytest.fixture
def url(receiver: HookReceiver) -> Iterator[str]:
    with served(hook_app(receiver)) as server:
        yield f"{server.base_url}/hook"


def secret_in(folder: Path, text: str = SECRET) -> SecretPlace:
    path = folder / "secret"
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return SecretPlace(
        "the webhook's secret", "secret_file of sink webhook", "webhook_secret", path, {}
    )


def webhook(url: str, folder: Path, **options: Any) -> Webhook:
    return Webhook("webhook", url, secret_in(folder), **options)


# ── what is posted ───────────────────────────────────────────────────────────────────────


async def test_the_twin_is_posted_and_others_believe_its_signature(
    receiver: HookReceiver, url: str, tmp_path: Path
) -> None:
    """Standard Webhooks' own library takes it, and not with one byte changed."""
    location = await webhook(url, tmp_path).file(summary())
    [posted] = receiver.posted

    assert json.loads(posted.body)["title"] == "Weekly sync"
    assert posted.headers["content-type"] == "application/json"
    assert location.endswith(posted.headers["webhook-id"])
    judge = standardwebhooks.Webhook(SECRET)
    headers = dict(posted.headers)
    assert judge.verify(posted.body, headers)["title"] == "Weekly sync"
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        judge.verify(posted.body.replace(b"Weekly", b"weekly"), headers)


async def test_an_edition_has_one_id(receiver: HookReceiver, url: str, tmp_path: Path) -> None:
    """Posted twice the receiver sees that it has it; a later edition is another."""
    sink = webhook(url, tmp_path)
    for edition in (1, 1, 2):
        await sink.file(summary(edition=edition))

    assert [each.is_repeated for each in receiver.posted] == [False, True, False]
    assert sink.can_revise


async def test_another_secret_is_refused_and_for_a_person(
    receiver: HookReceiver, url: str, tmp_path: Path
) -> None:
    """The receiver keeps nothing; the message names the setting."""
    other = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    sink = Webhook("webhook", url, secret_in(tmp_path, other))
    with pytest.raises(HumanNeededError, match="401") as caught:
        await sink.file(summary())

    assert receiver.posted == ()
    assert receiver.refused == ["forged"]
    assert "secret_file of sink webhook" in caught.value.hint
    assert other not in str(caught.value)


@pytest.mark.parametrize("title", HOSTILE_TITLES, ids=range(len(HOSTILE_TITLES)))
async def test_no_title_changes_headers_or_address(
    receiver: HookReceiver, url: str, tmp_path: Path, title: str
) -> None:
    """It stands in the JSON, and nowhere else."""
    await webhook(url, tmp_path).file(summary(title=title))
    [posted] = receiver.posted

    assert posted.path == "/hook"
    assert json.loads(posted.body)["title"] == title
    assert "evil.test" not in str(posted.headers)


@pytest.mark.parametrize("text", ["", "whsec_c2hvcnQ=", "whsec_not base64!", "x" * 5000])
async def test_what_is_no_secret_is_told_without_being_shown(
    url: str, tmp_path: Path, text: str
) -> None:
    """Nothing is posted with a key that anybody could guess."""
    sink = Webhook("webhook", url, secret_in(tmp_path, text))
    with pytest.raises(HumanNeededError) as caught:
        await sink.file(summary())
    [finding] = await sink.check()

    assert not text or text not in str(caught.value)
    assert finding.health is Health.BROKEN


# ── answers ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, PermanentError),
        (307, PermanentError),
        (400, PermanentError),
        (403, HumanNeededError),
        (404, PermanentError),
        (408, TransientError),
        (410, PermanentError),
        (413, PermanentError),
        (429, TransientError),
        (500, TransientError),
        (503, TransientError),
    ],
)
async def test_a_refusal_is_for_now_for_good_or_for_a_person(
    receiver: HookReceiver, url: str, tmp_path: Path, status: int, error: type[LocumError]
) -> None:
    """By its status alone; a redirect is followed nowhere."""
    receiver.faults.add(Fault(status=status, headers={"location": f"{url}/elsewhere"}))
    with pytest.raises(error, match=str(status)) as caught:
        await webhook(url, tmp_path).file(summary())

    assert type(caught.value) is error
    assert len(receiver.log.requests) == 1
    assert "/hook" not in str(caught.value)


async def test_a_receiver_says_when_to_come_again(
    receiver: HookReceiver, url: str, tmp_path: Path
) -> None:
    """Retry-After is heard, within an hour."""
    for text, seconds in (("90", 90), ("999999", 3600), ("soon", 30)):
        receiver.faults.add(Fault(status=503, headers={"retry-after": text}))
        with pytest.raises(TransientError) as caught:
            await webhook(url, tmp_path).file(summary())
        assert caught.value.retry_after == timedelta(seconds=seconds)


async def test_a_lost_answer_is_posted_again_under_the_same_id(
    receiver: HookReceiver, url: str, tmp_path: Path
) -> None:
    """It had arrived; the receiver can tell."""
    receiver.faults.add(Fault(after=True))
    sink = webhook(url, tmp_path)
    with pytest.raises(TransientError, match="the answer was lost"):
        await sink.file(summary())
    await sink.file(summary())

    assert [each.is_repeated for each in receiver.posted] == [False, True]


@pytest.mark.parametrize("fault", [Fault(delay_s=30), Fault(drop=True)], ids=["slow", "cut"])
async def test_no_answer_is_for_now(
    receiver: HookReceiver, url: str, tmp_path: Path, fault: Fault
) -> None:
    """Within the deadline, whatever the server does."""
    receiver.faults.add(fault)
    with pytest.raises(TransientError):
        await webhook(url, tmp_path, limit=SHORT).file(summary())


async def test_an_endless_or_dripping_body_is_not_read(
    receiver: HookReceiver, url: str, tmp_path: Path
) -> None:
    """The status is all that counts."""
    receiver.faults.add(Fault(endless=True))
    receiver.faults.add(Fault(status=200, body="x" * 1000, drip_s=5))
    for _ in range(2):
        await webhook(url, tmp_path, limit=timedelta(seconds=20)).file(summary())


# ── where it goes ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:a00:1::", False),
    ],
)
def test_what_is_on_the_open_internet(address: str, *, expected: bool) -> None:
    """Private networks, the cloud's own addresses, and either wrapped in IPv6."""
    assert is_public(ipaddress.ip_address(address)) is expected


async def test_a_name_that_leads_inside_is_refused_unless_allowed(
    receiver: HookReceiver, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name can be anybody's: it is where it leads that counts, and that is what is called."""
    port = int(url.split(":")[2].split("/", maxsplit=1)[0])

    async def found(*_: Any, **__: Any) -> list[Any]:
        return [(2, 1, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr("locum.sinks.webhook.anyio.getaddrinfo", found)
    inside = f"http://hooks.example.com:{port}/hook"
    with pytest.raises(HumanNeededError, match=r"127\.0\.0\.1, in a private network"):
        await webhook(inside, tmp_path).file(summary())
    assert receiver.log.count == 0
    await webhook(inside, tmp_path, allow_private=True).file(summary())
    assert receiver.posted[0].headers["host"] == f"hooks.example.com:{port}"


async def test_an_unknown_host_is_for_now(tmp_path: Path) -> None:
    """It may be the resolver."""
    sink = webhook("https://nobody.invalid/hook", tmp_path)
    with pytest.raises(TransientError, match="isn't found"):
        await sink.file(summary())
    [finding] = await sink.check()
    assert finding.health is Health.WARNING


async def test_tls_is_verified_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good certificate of another name is as bad as none; a good one is taken."""
    authority = trustme.CA()
    with _TlsServer(authority, "localhost") as (good, taken):
        with pytest.raises(HumanNeededError, match="CERTIFICATE_VERIFY_FAILED"):
            await webhook(good, tmp_path).file(summary())
        path = tmp_path / "authority.pem"
        authority.cert_pem.write_to_path(str(path))
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        other = good.replace("localhost", "127.0.0.1")
        with pytest.raises(HumanNeededError, match="isn't trusted here"):
            await webhook(other, tmp_path).file(summary())
        [broken] = await webhook(other, tmp_path).check()
        [fine] = await webhook(good, tmp_path).check()
        assert taken == []
        await webhook(good, tmp_path).file(summary())

    assert (broken.health, fine.health) == (Health.BROKEN, Health.OK)
    assert len(taken) == 1


class _TlsServer:
    """A receiver with a certificate for one name; answers its address, and what it took."""

    def __init__(self, authority: trustme.CA, name: str) -> None:
        taken: list[bytes] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                taken.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """Refused handshakes are what is tried here."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        # Handshakes in the connections' own threads: one that hangs must not hold the rest.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._found = f"https://localhost:{self._server.server_port}/hook", taken

    def __enter__(self) -> tuple[str, list[bytes]]:
        self._thread.start()
        return self._found

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
