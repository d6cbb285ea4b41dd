"""Mails a summary: text, the same as HTML, and the JSON twin attached.

Who gets it stands in the config, and nothing that was said in a meeting changes that. A mail
can't be taken back: a later edition comes as an answer to the first. Each edition has a
Message-ID of its own that is always the same, so that one mailed twice (its acknowledgement
was lost) is known for what it is.
"""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

import anyio

from locum.core.filing import edition_key
from locum.core.notice_texts import own
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Finding, Health, Summary
from locum.rendering import Renderer, as_json
from locum.sinks.markdown import slug
from locum.sinks.secret_files import SecretPlace
from locum.sinks.texts import as_html, as_text, heading
from locum.sinks.tls import tls_context

if TYPE_CHECKING:
    import aiosmtplib

_T = TypeVar("_T")

_LIMIT = timedelta(seconds=60)
_GOODBYE_S = 3.0
_MOST_ATTACHED = 8 * 1024 * 1024
"""Bytes of the twin: beyond that, servers begin to refuse the mail."""

_TRY_LATER = timedelta(minutes=1)


class Encryption(Enum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"  #: On this machine itself.


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed in. `password` is None where no login is wanted."""

    host: str
    port: int
    encryption: Encryption = Encryption.STARTTLS
    username: str = ""
    password: SecretPlace | None = None


def _host_time() -> datetime:
    return datetime.now(timezone.utc)


class Mailbox:
    """Mails to `recipients`, from `sender`; both are plain addresses."""

    def __init__(
        self,
        name: str,
        server: MailServer,
        *,
        sender: str,
        recipients: tuple[str, ...],
        renderer: Renderer | None = None,
        limit: timedelta = _LIMIT,
        now: Callable[[], datetime] = _host_time,
    ) -> None:
        self._name = name
        self._server = server
        self._sender = sender
        self._recipients = recipients
        self._renderer = renderer or Renderer()
        self._limit = limit
        self._now = now

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_revise(self) -> bool:
        return False

    async def file(self, summary: Summary) -> str:
        message = self.written(summary)
        content = message.as_bytes(policy=SMTP_POLICY)
        refused, _ = await _served(
            self._told,
            self._server,
            self._limit,
            lambda client: client.sendmail(self._sender, self._recipients, content),
        )
        # Those who were taken have it: to send it again for the others would be twice.
        left_out = f" (the server refused {len(refused)} of the recipients)" if refused else ""
        # RFC 2392: how a mail is referred to, whatever folder it is in.
        return f"mid:{str(message['Message-ID']).strip('<>')}{left_out}"

    async def check(self) -> tuple[Finding, ...]:
        """Try to log in, sending nothing. Raises nothing."""
        subject = f"sink {self._name}"
        found = []
        place = self._server.password
        if place is not None and (problem := place.problem()):
            found.append(Finding(subject, Health.WARNING, problem, "chmod 600 it."))
        try:
            await _served(self._told, self._server, self._limit, lambda client: client.noop())
        except HumanNeededError as error:
            return (*found, Finding(subject, Health.BROKEN, error.args[0], error.hint))
        except TransientError as error:
            step = "Try again in a minute."
            return (*found, Finding(subject, Health.WARNING, str(error), step))
        except LocumError as error:
            step = f"Correct [[sinks]] {self._name}."
            return (*found, Finding(subject, Health.BROKEN, str(error), step))
        told = f"{self._server.host} takes mail for {len(self._recipients)} recipient(s)"
        return (*found, Finding(subject, Health.OK, told))

    @property
    def _told(self) -> str:
        return f"mail {self._name} by {self._server.host}:{self._server.port}"

    # ── the mail ─────────────────────────────────────────────────────────────────────────

    def written(self, summary: Summary) -> EmailMessage:
        """Write the mail. The same edition has the same Message-ID whenever it is written."""
        message = EmailMessage(policy=SMTP_POLICY)
        # On one line, without what isn't printable: no title makes a header of its own.
        message["Subject"] = own(f"Summary: {heading(summary)}", 200)
        message["From"] = Address(addr_spec=self._sender)
        message["To"] = [Address(addr_spec=each) for each in self._recipients]
        message["Date"] = format_datetime(self._now())
        message["Message-ID"] = self._message_id(summary, summary.edition)
        if summary.edition > 1:
            first = self._message_id(summary, 1)
            message["In-Reply-To"] = message["References"] = first
        # RFC 3834: nobody's holiday notice should answer it.
        message["Auto-Submitted"] = "auto-generated"
        twin = (json.dumps(as_json(summary), indent=2) + "\n").encode()
        markdown = self._renderer.markdown(summary)
        text = as_text(markdown)
        if len(twin) > _MOST_ATTACHED:
            text += f"\nThe JSON twin ({len(twin):,} bytes) is too large to be attached.\n"
        message.set_content(text, cte="quoted-printable")
        page = as_html(markdown, title=heading(summary))
        message.add_alternative(page, subtype="html", cte="quoted-printable")
        if len(twin) <= _MOST_ATTACHED:
            name = f"{summary.start.astimezone():%Y-%m-%d}-{slug(summary.title)}.json"
            message.add_attachment(twin, "application", "json", filename=name)
        return message

    def _message_id(self, summary: Summary, edition: int) -> str:
        name = edition_key(summary.session, summary.key, edition)
        return f"<{name}.locum@{self._sender.rpartition('@')[2]}>"


# ── the server ───────────────────────────────────────────────────────────────────────────


async def _served(
    told: str,
    server: MailServer,
    limit: timedelta,
    work: Callable[[aiosmtplib.SMTP], Awaitable[_T]],
) -> _T:
    """Do `work` with a server that we are logged in to; what goes wrong becomes ours.

    All of it has one deadline, but for the goodbye: what was taken stays taken.
    """
    import aiosmtplib

    password = None if server.password is None else server.password.read().reveal()
    seconds = limit.total_seconds()
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username or None,
        password=password,
        timeout=seconds,
        use_tls=server.encryption is Encryption.TLS,
        start_tls=server.encryption is Encryption.STARTTLS,
        tls_context=None if server.encryption is Encryption.NONE else tls_context(),
    )
    try:
        with anyio.fail_after(seconds):
            await client.connect()
            result = await work(client)
        with anyio.move_on_after(_GOODBYE_S), contextlib.suppress(*_failures()):
            await client.quit()
    except TimeoutError as error:
        raise TransientError(f"{told}: not done within {seconds:g} s") from error
    except _failures() as error:
        raise _translated(error, told, server) from error
    finally:
        client.close()
    return result


def _failures() -> tuple[type[Exception], ...]:
    import aiosmtplib

    return aiosmtplib.SMTPException, OSError, EOFError, ValueError


def _translated(error: Exception, told: str, server: MailServer) -> LocumError:
    """Say what a failure means to us."""
    import aiosmtplib

    if _is_untrusted(error):
        return HumanNeededError(
            f"{told}: its certificate isn't trusted.",
            hint="Name the host as its certificate does, have it renewed, or name a private "
            "authority's file in SSL_CERT_FILE.",
        )
    # Some of these are of no class of their own.
    if isinstance(error, aiosmtplib.SMTPException) and "not supported" in str(error):
        lacking = "STARTTLS" if "TLS" in str(error) else "logging in"
        return HumanNeededError(
            f"{told}: the server doesn't offer {lacking}.",
            hint='Another port, or `encryption = "tls"`, may be right for it.',
        )
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        refused = error.recipients
        worst = max((each.code for each in refused), default=550)
        first = own(refused[0].message, 200) if refused else ""
        return _refused(worst, f"{told}: the recipients are refused ({worst} {first})")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _answered(error, told, server)
    words = own(str(error), 200) or type(error).__name__
    if isinstance(error, ValueError):
        return PermanentError(f"{told}: {words}")
    return TransientError(f"{told}: {words}")


def _answered(
    error: aiosmtplib.SMTPResponseException, told: str, server: MailServer
) -> LocumError:
    said = own(error.message, 200)
    if server.password is not None:
        with contextlib.suppress(HumanNeededError):
            said = server.password.read().scrub(said)
    refusal = f"{told}: refused ({error.code} {said})"
    # RFC 4954, section 6: 535 and 534 are about the login, 530 wants one.
    if error.code in {530, 534, 535}:
        return HumanNeededError(
            f"{refusal}.", hint="Correct the sink's username or its password's file."
        )
    return _refused(error.code, refusal)


def _refused(code: int, told: str) -> LocumError:
    """RFC 5321, section 4.2.1: 4xx is for now, 5xx for good."""
    if code >= 500:
        return PermanentError(told)
    return TransientError(told, retry_after=_TRY_LATER)


def _is_untrusted(error: BaseException | None) -> bool:
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
