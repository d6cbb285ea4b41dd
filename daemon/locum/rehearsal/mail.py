"""A mail server on the stage: it takes mail in, keeps it, and fails as it is told.

It is aiosmtpd, which is no dependency of locum's: import this module where that is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True)
class Delivered:
    """One mail as it was handed in: `sender` and `recipients` are the envelope's."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    encrypted: bool
    user: str = ""

    @property
    def message(self) -> EmailMessage:
        read = message_from_bytes(self.content, policy=policy.default)
        if not isinstance(read, EmailMessage):
            raise TypeError("the policy makes none of these")
        return read


@dataclass
class MailFault:
    """What goes wrong at one command (EHLO, AUTH, MAIL, RCPT or DATA), so many times.

    The server waits `delay_s`; then it drops the connection, or says `reply`. At DATA, with
    `after`, it has taken the mail in by then.
    """

    command: str
    reply: str = ""
    drop: bool = False
    after: bool = False
    delay_s: float = 0.0
    times: int = 1
    address: str = ""  #: Of RCPT: this recipient only.


@dataclass
class MailServerStage:
    """The server's state. Safe to look at from any thread.

    Args:
        users: Passwords by user; nobody needs to log in where there are none.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    faults: list[MailFault] = field(default_factory=list)
    logins: int = 0
    _delivered: list[Delivered] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def delivered(self) -> tuple[Delivered, ...]:
        with self._lock:
            return tuple(self._delivered)

    def keep(self, mail: Delivered) -> None:
        with self._lock:
            self._delivered.append(mail)

    def strike(self, command: str, address: str = "") -> MailFault | None:
        """Answer the oldest fault for a command, and count it."""
        with self._lock:
            for fault in self.faults:
                if fault.command != command or fault.address not in {"", address}:
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None


class _Handler:
    def __init__(self, stage: MailServerStage) -> None:
        self._stage = stage

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's names.
        self, server: SMTP, session: Session, _envelope: Envelope, host: str, offers: list[str]
    ) -> list[str]:
        session.host_name = host
        reply = await self._suffer(server, "EHLO")
        return [reply] if reply else offers

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names.
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        reply = await self._suffer(server, "MAIL")
        if self._stage.users and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        return reply or "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names.
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        reply = await self._suffer(server, "RCPT", address)
        if not reply:
            envelope.rcpt_tos.append(address)
        return reply or "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's names.
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        mail = Delivered(
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            content=content if isinstance(content, bytes) else str(content).encode(),
            encrypted=_is_encrypted(server),
            user=str(session.auth_data) if session.authenticated else "",
        )
        fault = self._stage.strike("DATA")
        if fault is None or fault.after:
            self._stage.keep(mail)
        if fault is not None:
            return await _told(server, fault) or "250 2.0.0 OK"
        return "250 2.0.0 OK"

    async def _suffer(self, server: SMTP, command: str, address: str = "") -> str:
        fault = self._stage.strike(command, address)
        return "" if fault is None else await _told(server, fault)


def _is_encrypted(server: SMTP) -> bool:
    transport = server.transport
    return transport is not None and transport.get_extra_info("sslcontext") is not None


async def _told(server: SMTP, fault: MailFault) -> str:
    await asyncio.sleep(fault.delay_s)
    if fault.drop and isinstance(server.transport, asyncio.WriteTransport):
        server.transport.abort()
    return fault.reply


def _authenticator(stage: MailServerStage) -> Any:
    def authenticate(
        _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any
    ) -> AuthResult:
        fault = stage.strike("AUTH")
        if fault is not None:
            return AuthResult(success=False, handled=False, message=fault.reply)
        known = isinstance(data, LoginPassword) and (
            stage.users.get(data.login.decode()) == data.password.decode()
        )
        if not known:
            return AuthResult(success=False, handled=False)
        stage.logins += 1
        return AuthResult(success=True, auth_data=data.login.decode())

    return authenticate


@contextlib.contextmanager
def mail_served(
    stage: MailServerStage,
    *,
    certificate: ssl.SSLContext | None = None,
    starttls: bool = True,
) -> Iterator[int]:
    """Serve it on 127.0.0.1, from a thread of its own; gives the port.

    Without a certificate there is no encryption; with one it is STARTTLS or, without
    `starttls`, TLS from the first byte.
    """
    # Not aiosmtpd's own controller: it wants to know the port before there is one.
    loop = asyncio.new_event_loop()
    early = None if starttls else certificate
    late = certificate if starttls else None

    def connection() -> SMTP:
        return SMTP(
            _Handler(stage),
            hostname="stage.test",
            loop=loop,
            tls_context=late,
            require_starttls=late is not None,
            # Where it doesn't speak TLS itself, it would warn of this, and so we see to it.
            auth_required=bool(stage.users) and late is not None,
            auth_require_tls=late is not None,
            authenticator=_authenticator(stage),
        )

    async def begin() -> asyncio.Server:
        return await loop.create_server(connection, "127.0.0.1", 0, ssl=early)

    thread = threading.Thread(target=loop.run_forever, name="stage:mail", daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    rest = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
