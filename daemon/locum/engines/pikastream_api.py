"""PikaStream's calls, each with its deadline, and what its statuses mean for us.

This is the one place where HTTP becomes typed errors. The question behind the table for
`create_session` is whether money may be running: only an answer that surely came instead
of a session counts as "not running".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar
from urllib.parse import quote, urlsplit

import httpx

from locum.core.model import SessionHandle
from locum.core.secret import Secret
from locum.engines import pikastream_answers as answers
from locum.engines.http import Answer, AnswerLostError, BoundedClient, NotSentError, Payload
from locum.engines.pikastream_answers import SessionState, SessionStatus, UnreadableError
from locum.errors import (
    AmbiguousError,
    HumanNeededError,
    LocumError,
    PermanentError,
    TransientError,
)

SESSIONS = "/proxy/realtime/session"
CREATE = "/proxy/realtime/meeting-session"

_KEY_HINT = "Check the key: it may be revoked or another service's; `locum doctor` tries it."
_UNTOLD_RETRY = timedelta(seconds=15)
#: Refusals that say "not now" in so many words, so that nothing can have been started.
_BUSY = frozenset({409, 425, 429, 503})
#: Answers of something in between that gave up waiting: what it waited for may have happened.
_GAVE_UP_WAITING = frozenset({408, 499})

_Value = TypeVar("_Value")


class NoCreditsError(LocumError):
    """The account can't pay for a session (402)."""


class ToldToWaitError(TransientError):
    """Busy, and the service itself said for how long."""


@dataclass(frozen=True)
class Look:
    """How a session is doing, with the raw answer, which may carry something of the meeting."""

    state: SessionState
    body: bytes = field(repr=False)


class PikaStreamApi:
    """Every call that the engine makes. The key is asked for as late as possible."""

    def __init__(
        self,
        client: BoundedClient,
        key: Callable[[], Secret],
        *,
        request_deadline: timedelta,
        join_deadline: timedelta,
    ) -> None:
        self._client = client
        self._key = key
        self._known_key: Secret | None = None
        self._key_refused = False
        self._request_deadline = request_deadline
        self._join_deadline = join_deadline

    async def balance(self) -> float:
        """Read the credits left.

        Raises:
            TransientError: It can't be told now; that doesn't mean that there are none.
            HumanNeededError: The key is missing or refused.
            PermanentError: This address has no such call.
        """
        answer = await self._call("GET", "/developer/balance")
        return self._read(answers.read_balance, answer)

    async def checkout_url(self) -> str:
        """Have a payment link made for the smallest package of credits. Buys nothing.

        Raises:
            TransientError, HumanNeededError, PermanentError: There is no link to show.
        """
        listed = await self._call("GET", "/developer/topup/products")
        products = self._read(answers.read_products, listed)
        if not products:
            raise PermanentError("PikaStream offers no package of credits")
        wanted = json.dumps({"product_id": products[0].product_id}).encode()
        made = await self._call(
            "POST", "/developer/topup", payload=Payload("application/json", (wanted,))
        )
        return self._read(answers.read_checkout_url, made)

    async def create_session(self, payload: Payload) -> SessionHandle:
        """Ask for a presence: the call that starts the money. Never repeated in here.

        Raises:
            NoCreditsError: 402.
            TransientError, HumanNeededError, PermanentError: Surely no session was made.
            AmbiguousError: One may have been made, and its name is not known to us.
        """
        lost = ""
        try:
            answer = await self._send("POST", CREATE, self._join_deadline, payload)
        except NotSentError as error:
            raise TransientError(str(error), retry_after=_UNTOLD_RETRY) from error
        except AnswerLostError as error:
            raise AmbiguousError(f"PikaStream may have begun a session: {error}") from error
        status = answer.status
        if status == 402:
            raise NoCreditsError(self._refusal(answer))
        if 200 <= status < 300:
            try:
                return answers.read_session_id(answer.body)
            except UnreadableError as error:
                lost = self._scrubbed(str(error))
        elif (status >= 500 and status not in _BUSY) or status in _GAVE_UP_WAITING:
            lost = self._refusal(answer)
        else:
            raise self._refused(answer)
        raise AmbiguousError(
            "PikaStream may have begun a session that can't be named:"
            f" POST {CREATE} answered {status} ({lost})"
        )

    async def look(self, handle: SessionHandle) -> Look:
        """See how a session is doing; an unknown one is `GONE`.

        Raises:
            TransientError: It can't be told now.
            HumanNeededError, PermanentError: As long as nobody acts, it can't be told.
        """
        answer = await self._call("GET", _session_path(handle), missing_is_fine=True)
        if answer.status in {404, 410}:
            gone = SessionState(SessionStatus.GONE, "the service knows no such session")
            return Look(gone, answer.body)
        return Look(self._read(answers.read_state, answer), answer.body)

    async def end_session(self, handle: SessionHandle) -> bytes:
        """Tell a session to leave, and answer the raw body. Proves nothing by itself.

        Raises:
            TransientError, HumanNeededError, PermanentError: It may not have been told.
        """
        answer = await self._call("DELETE", _session_path(handle), missing_is_fine=True)
        return answer.body

    def scrubbed(self, body: bytes, longest: int) -> str:
        """Write a raw body for the record: bounded, and without the key, should it echo it."""
        return self._scrubbed(answers.decoded(body))[:longest]

    def require_key(self) -> None:
        """Look whether there is a key at all, without calling anybody.

        Raises:
            HumanNeededError: There is none, or it doesn't look like one.
        """
        self._secret()

    async def aclose(self) -> None:
        await self._client.aclose()

    # ── what all calls share ─────────────────────────────────────────────────────────────

    async def _call(
        self,
        method: str,
        path: str,
        *,
        payload: Payload | None = None,
        missing_is_fine: bool = False,
    ) -> Answer:
        """Make a call that may be repeated, so that a lost answer is a passing trouble."""
        try:
            answer = await self._send(method, path, self._request_deadline, payload)
        except (NotSentError, AnswerLostError) as error:
            raise TransientError(str(error), retry_after=_UNTOLD_RETRY) from error
        if 200 <= answer.status < 300 or (missing_is_fine and answer.status in {404, 410}):
            return answer
        raise self._refused(answer)

    async def _send(
        self, method: str, path: str, deadline: timedelta, payload: Payload | None
    ) -> Answer:
        return await self._client.send(
            method,
            path,
            deadline=deadline,
            # httpx's own type, because its repr hides this header from tracebacks.
            headers=httpx.Headers({"Authorization": f"DevKey {self._secret().reveal()}"}),
            payload=payload,
        )

    def _refused(self, answer: Answer) -> LocumError:
        """Say what a refusal means: a person must act, it passes, or it stays."""
        status, told = answer.status, self._refusal(answer)
        if status in {401, 403}:
            self._key_refused = True
            return HumanNeededError(
                f"PikaStream refuses the key ({status}: {told}).", hint=_KEY_HINT
            )
        if status == 402:
            return HumanNeededError(
                f"PikaStream asks for payment ({told}).", hint="Top up the account."
            )
        if status in _BUSY or status in _GAVE_UP_WAITING or status >= 500:
            message = f"PikaStream answers {status} ({told})"
            if answer.retry_after is not None:
                return ToldToWaitError(message, retry_after=answer.retry_after)
            return TransientError(message, retry_after=_UNTOLD_RETRY)
        if 300 <= status < 400:
            return PermanentError(
                f"PikaStream answers {status}, a redirect{_other_host(answer)}: redirects are"
                " never followed; set base_url to the API's present address"
            )
        return PermanentError(f"PikaStream refuses the request ({status}: {told})")

    def _refusal(self, answer: Answer) -> str:
        return self._scrubbed(answers.quote_detail(answer.body)) or "no reason given"

    def _scrubbed(self, text: str) -> str:
        return self._known_key.scrub(text) if self._known_key is not None else text

    def _secret(self) -> Secret:
        """Answer the key; after a refusal it is read anew, for it may have been replaced."""
        if self._known_key is None or self._key_refused:
            self._known_key = self._key()
            self._key_refused = False
        return self._known_key

    def _read(self, reader: Callable[[bytes], _Value], answer: Answer) -> _Value:
        try:
            return reader(answer.body)
        except UnreadableError as error:
            raise TransientError(
                f"PikaStream's answer can't be read: {self._scrubbed(str(error))}",
                retry_after=_UNTOLD_RETRY,
            ) from None


def _session_path(handle: SessionHandle) -> str:
    if not answers.is_session_id(handle):
        raise PermanentError(f"{handle[:80]!r} is no PikaStream session")
    return f"{SESSIONS}/{quote(handle, safe='')}"


def _other_host(answer: Answer) -> str:
    """Name where a redirect points to, as far as its host, in case it is the API's new home."""
    try:
        host = urlsplit(answer.location or "").hostname
    except ValueError:
        host = None
    return f" to {answers.printable(host, 100)}" if host else ""
