"""Mail to a real server: to whom, how it is written, and what becomes of every failure."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from email import policy
from pathlib import Path
from typing import Any

import pytest
import trustme

from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Health
from locum.rehearsal.mail import MailFault, MailServerStage, mail_served
from locum.sinks import Encryption, Mailbox, MailServer, SecretPlace
from tests.sinks_rig import HOSTILE_TITLES, summary

pytestmark = pytest.mark.anyio

OWNER = "ada@example.com"
PASSWORD = "correct horse"
LIMIT = timedelta(seconds=20)
SHORT = timedelta(seconds=0.6)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


def password_in(folder: Path, text: str = PASSWORD) -> SecretPlace:
    path = folder / "password"
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return SecretPlace("the password", "password_file of sink email", "smtp_password", path, {})


def mailbox(port: int, **changes: Any) -> Mailbox:
    """Answer a sink without encryption or login, unless told."""
    server: dict[str, Any] = {"host": "127.0.0.1", "encryption": Encryption.NONE} | {
        key: changes.pop(key) for key in list(changes) if key in MailServer.__annotations__
    }
    options: dict[str, Any] = {
        "sender": OWNER,
        "recipients": (OWNER,),
        "limit": LIMIT,
    } | changes
    return Mailbox("email", MailServer(port=port, **server), **options)


# ── what arrives ─────────────────────────────────────────────────────────────────────────


async def test_the_owner_alone_gets_text_html_and_the_twin() -> None:
    """One recipient, three shapes of the same, and where it went is its Message-ID."""
    stage = MailServerStage()
    with mail_served(stage) as port:
        location = await mailbox(port).file(summary())
    [mail] = stage.delivered
    message = mail.message

    assert (mail.sender, mail.recipients) == (OWNER, (OWNER,))
    assert message["To"] == OWNER
    assert message["Subject"] == "Summary: Weekly sync, 2026-11-23"
    assert location == f"mid:{message['Message-ID'].strip('<>')}"
    text = message.get_body(("plain",))
    page = message.get_body(("html",))
    assert text is not None
    assert page is not None
    assert "# Weekly sync" in text.get_content()
    assert "<h1>Weekly sync</h1>" in page.get_content()
    assert not text.get_content().startswith("---")
    [twin] = message.iter_attachments()
    assert twin.get_filename() == "2026-11-23-weekly-sync.json"
    assert json.loads(twin.get_content())["title"] == "Weekly sync"


async def test_an_edition_has_one_id_and_a_later_one_answers_the_first() -> None:
    """Filed twice it is the same mail; an update says so, and stands in the same thread."""
    stage = MailServerStage()
    with mail_served(stage) as port:
        sink = mailbox(port)
        for edition in (1, 1, 2):
            await sink.file(summary(edition=edition))
    first, again, later = (each.message for each in stage.delivered)

    assert not sink.can_revise
    assert first["Message-ID"] == again["Message-ID"] != later["Message-ID"]
    assert first["In-Reply-To"] is None
    assert later["In-Reply-To"] == later["References"] == first["Message-ID"]
    assert later["Subject"] == "Summary: Update: Weekly sync, 2026-11-23"


@pytest.mark.parametrize("title", HOSTILE_TITLES, ids=range(len(HOSTILE_TITLES)))
async def test_no_title_makes_a_header_a_recipient_or_markup(title: str) -> None:
    """Whatever it is called: the config's recipient, the same headers, and no tag of theirs."""
    stage = MailServerStage()
    with mail_served(stage) as port:
        await mailbox(port).file(summary(title=title, invited=(title, "thief@evil.test")))
    [mail] = stage.delivered
    message = mail.message
    page = message.get_body(("html",))

    assert mail.recipients == (OWNER,)
    assert set(message.keys()) == {
        "Subject",
        "From",
        "To",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    }
    assert page is not None
    assert "<img" not in page.get_content()
    assert "<script" not in page.get_content()
    [twin] = message.iter_attachments()
    name = twin.get_filename() or ""
    assert "/" not in name
    assert name.endswith(".json")
    assert max(map(len, mail.content.splitlines())) < 998


async def test_recipients_of_the_config_get_it_and_a_refused_one_is_told() -> None:
    """The others have it: it isn't sent again for the one that the server doesn't know."""
    stage = MailServerStage(
        faults=[MailFault("RCPT", "550 5.1.1 who", address="b@example.com")]
    )
    with mail_served(stage) as port:
        sink = mailbox(port, recipients=("a@example.com", "b@example.com"))
        location = await sink.file(summary())

    assert [each.recipients for each in stage.delivered] == [("a@example.com",)]
    assert location.endswith("(the server refused 1 of the recipients)")


async def test_a_huge_twin_is_left_out_and_that_is_said() -> None:
    """A server would refuse the mail; the text says what is missing."""
    stage = MailServerStage()
    with mail_served(stage) as port:
        sink = mailbox(port)
        await sink.file(summary(unknown=("x" * 9_000_000,), title="Long"))
    message = stage.delivered[0].message
    text = message.get_body(("plain",))

    assert list(message.iter_attachments()) == []
    assert text is not None
    assert "is too large to be attached" in text.get_content()


# ── encryption and login ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encryption", [Encryption.STARTTLS, Encryption.TLS])
async def test_mail_is_encrypted_and_handed_in_as_somebody(
    certificate: ssl.SSLContext, trusted: None, tmp_path: Path, encryption: Encryption
) -> None:
    """By either way; the password is read anew each time."""
    stage = MailServerStage(users={"ada": PASSWORD})
    starttls = encryption is Encryption.STARTTLS
    with mail_served(stage, certificate=certificate, starttls=starttls) as port:
        sink = mailbox(
            port, encryption=encryption, username="ada", password=password_in(tmp_path)
        )
        await sink.file(summary())
        findings = await sink.check()

    assert [each.encrypted for each in stage.delivered] == [True]
    assert stage.logins == 2
    assert [each.health for each in findings] == [Health.OK]


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    certificate: ssl.SSLContext, tmp_path: Path
) -> None:
    """Nothing is told to such a server, and the next step is said."""
    stage = MailServerStage(users={"ada": PASSWORD})
    with mail_served(stage, certificate=certificate) as port:
        sink = mailbox(
            port,
            encryption=Encryption.STARTTLS,
            username="ada",
            password=password_in(tmp_path),
        )
        with pytest.raises(HumanNeededError, match="isn't trusted"):
            await sink.file(summary())
        [finding] = await sink.check()

    assert (stage.delivered, stage.logins) == ((), 0)
    assert finding.health is Health.BROKEN
    assert "SSL_CERT_FILE" in finding.next_step


async def test_a_server_without_starttls_gets_nothing() -> None:
    """Never in plain text because somebody on the way took the offer out."""
    stage = MailServerStage()
    with mail_served(stage) as port:
        sink = mailbox(port, encryption=Encryption.STARTTLS)
        with pytest.raises(HumanNeededError, match="doesn't offer STARTTLS"):
            await sink.file(summary())

    assert stage.delivered == ()


async def test_a_wrong_password_is_for_a_person(tmp_path: Path) -> None:
    """The message names the file's setting, and not the password."""
    stage = MailServerStage(users={"ada": PASSWORD})
    with mail_served(stage) as port:
        sink = mailbox(port, username="ada", password=password_in(tmp_path, "wrong horse"))
        with pytest.raises(HumanNeededError, match="535") as caught:
            await sink.file(summary())

    assert "password" in caught.value.hint
    assert "wrong horse" not in str(caught.value)


async def test_a_missing_password_says_where_it_belongs(tmp_path: Path) -> None:
    """Before anything is sent; a systemd credential does as well."""
    place = SecretPlace("the password", "password_file", "smtp_password", None, {})
    with pytest.raises(HumanNeededError, match="Nothing says where the password is") as caught:
        await mailbox(9, username="ada", password=place).file(summary())
    assert "smtp_password" in caught.value.hint
    (tmp_path / "smtp_password").write_text("x y\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    place = SecretPlace("the password", "password_file", "smtp_password", None, environ)
    assert place.read().reveal() == "x y"


# ── failures ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (MailFault("MAIL", "451 4.3.0 later"), TransientError),
        (MailFault("MAIL", "550 5.7.1 not you"), PermanentError),
        (MailFault("RCPT", "450 4.2.1 greylisted"), TransientError),
        (MailFault("RCPT", "550 5.1.1 unknown"), PermanentError),
        (MailFault("DATA", "452 4.3.1 the disk is full"), TransientError),
        (MailFault("DATA", "554 5.6.0 spam"), PermanentError),
        (MailFault("EHLO", drop=True), TransientError),
        (MailFault("DATA", drop=True), TransientError),
        (MailFault("MAIL", "421 4.3.2 closing", drop=True), TransientError),
    ],
    ids=lambda value: f"{value.command}-{value.reply}" if isinstance(value, MailFault) else "",
)
async def test_a_refusal_is_for_now_or_for_good(
    fault: MailFault, error: type[LocumError]
) -> None:
    """As RFC 5321 tells them apart; nothing is kept, and the next try is a good one."""
    stage = MailServerStage(faults=[fault])
    with mail_served(stage) as port:
        sink = mailbox(port)
        with pytest.raises(error) as caught:
            await sink.file(summary())
        assert type(caught.value) is error
        assert stage.delivered == ()
        await sink.file(summary())

    assert len(stage.delivered) == 1


async def test_an_answer_lost_after_the_mail_was_taken_leaves_twins_of_one_id() -> None:
    """Nobody can know; the second is recognisable as the first."""
    stage = MailServerStage(faults=[MailFault("DATA", after=True, drop=True)])
    with mail_served(stage) as port:
        sink = mailbox(port)
        with pytest.raises(TransientError):
            await sink.file(summary())
        await sink.file(summary())
    first, second = (each.message["Message-ID"] for each in stage.delivered)

    assert first == second


async def test_a_slow_server_is_left_at_the_deadline() -> None:
    """The deadline is for all of it; nothing waits for the server's pleasure."""
    stage = MailServerStage(faults=[MailFault("RCPT", "250 OK", delay_s=30)])
    late = pytest.raises(TransientError, match=r"not done within 0\.6 s")
    with mail_served(stage) as port, late:
        await mailbox(port, limit=SHORT).file(summary())

    assert stage.delivered == ()


async def test_a_server_that_drips_its_greeting_is_left_at_the_deadline() -> None:
    """Each byte comes in time, and the whole never does."""
    with _dripping() as port, pytest.raises(TransientError, match="not done within"):
        await mailbox(port, limit=SHORT).file(summary())


async def test_nobody_there_is_for_now() -> None:
    """The port is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TransientError, match=f"127.0.0.1:{port}"):
            await mailbox(port).file(summary())
        [finding] = await mailbox(port).check()

    assert finding.health is Health.WARNING


@contextlib.contextmanager
def _dripping() -> Iterator[int]:
    """Serve a greeting without an end, a byte at a time."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                while not ended.wait(0.05):
                    connection.sendall(b"2")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join(5)


def test_headers_are_folded_by_the_book() -> None:
    """A long title in another script becomes encoded words, and comes out the same."""
    title = "Планирование бюджета и найма " * 4
    sink = mailbox(9)
    written = sink.written(summary(title=title))
    lines = written.as_bytes(policy=policy.SMTP).split(b"\r\n\r\n")[0].split(b"\r\n")

    assert all(len(line) <= 78 and line.isascii() for line in lines)
    assert "Планирование" in str(written["Subject"])
