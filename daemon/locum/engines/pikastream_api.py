"""PikaStream's calls, each with its deadline, and what its statuses mean for us.

This is the one place where HTTP becomes typed errors. The question behind the table for
`create_session` is whether money may be running: only an answer that surely came instead
of a session counts as "not running".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
IMAGES = "/proxy/openai/v1/images/generations"
SAMPLES = "/proxy/minimax/v1/files/upload"
VOICES = "/proxy/minimax/v1/voice_clone"
IMAGE_MODEL = "gpt-image-1-mini"
VOICE_MODEL = "speech-2.8-hd"

_KEY_HINT = "Check the key: it may be revoked or another service's; `locum doctor` tries it."
_UNTOLD_RETRY = timedelta(seconds=15)
#: Refusals that say "not now" in so many words, so that nothing can have been started.
_BUSY = frozenset({409, 425, 429, 503})
#: Answers of something in between that gave up waiting: what it waited for may have happened.
_GAVE_UP_WAITING = frozenset({408, 499})

_Value = TypeVar("_Value")


# What MiniMax's documentation calls passing, and its refusal of PikaStream's own sign-in there,
# which is nothing that our user could mend.
_VOICE_TROUBLE_PASSES = frozenset(
    {1000, 1001, 1002, 1004, 1024, 1033, 1039, 1041, 2045, 2049, 2056}
)
_VOICE_NO_CREDITS = 1008
_VOICE_NAME_TAKEN = 2039
_VOICE_ADVICE = {
    2037: " A sample lasts from 10 seconds to 5 minutes.",
    2038: " Cloning is switched off for this account: ask PikaStream.",
}


class NoCreditsError(LocumError):
    """The account can't pay for it (402)."""


class VoiceNameTakenError(PermanentError):
    """There is a voice of that name already."""


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
        wanted = _json({"product_id": products[0].product_id})
        made = await self._call("POST", "/developer/topup", payload=wanted)
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

    # ── faces and voices ─────────────────────────────────────────────────────────────────

    async def draw_image(self, prompt: str, *, deadline: timedelta) -> bytes | str:
        """Have a square PNG drawn; answers it, or the address that came instead of it.

        Raises:
            NoCreditsError: 402.
            TransientError: Not now, or its answer is lost: it may have been drawn and billed.
            HumanNeededError: The key is missing or refused.
            PermanentError: This description will never be drawn.
        """
        wanted = {
            "model": IMAGE_MODEL,
            "prompt": prompt,
            "size": "1024x1024",
            "n": 1,
            "quality": "medium",
            "output_format": "png",
        }
        answer = await self._make(
            IMAGES,
            _json(wanted),
            deadline,
            headers={"X-Generation-Type": "image", "X-Model": IMAGE_MODEL},
        )
        return self._read(answers.read_image, answer)

    async def upload_sample(self, payload: Payload, *, deadline: timedelta) -> int | str:
        """Hand in the recording of a voice; answers what it is called there.

        Raises:
            As `draw_image`.
        """
        answer = await self._make(SAMPLES, payload, deadline)
        self._check_voice_answer(answer)
        return self._read(answers.read_file_id, answer)

    async def clone_voice(
        self, file_id: int | str, voice_id: str, *, noise_reduction: bool, deadline: timedelta
    ) -> None:
        """Have a voice made of a recording, under a name of our own.

        Raises:
            VoiceNameTakenError: Another name might do.
            As `draw_image`.
        """
        wanted = {
            "file_id": file_id,
            "voice_id": voice_id,
            "model": VOICE_MODEL,
            "need_noise_reduction": noise_reduction,
            "need_volume_normalization": True,
        }
        self._check_voice_answer(await self._make(VOICES, _json(wanted), deadline))

    def _check_voice_answer(self, answer: Answer) -> None:
        """Look at what MiniMax says in a 200."""
        code, told = self._read(answers.read_base_resp, answer)
        if code == 0:
            return
        message = f"PikaStream's voice service says no ({code}: {self._scrubbed(told)})."
        if code == _VOICE_NO_CREDITS:
            raise NoCreditsError(message)
        if code in _VOICE_TROUBLE_PASSES:
            raise TransientError(message, retry_after=_UNTOLD_RETRY)
        if code == _VOICE_NAME_TAKEN:
            raise VoiceNameTakenError(message)
        raise PermanentError(message + _VOICE_ADVICE.get(code, ""))

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

    async def _make(
        self,
        path: str,
        payload: Payload,
        deadline: timedelta,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make a call that costs something, and that only a person repeats."""
        try:
            answer = await self._send("POST", path, deadline, payload, headers)
        except (NotSentError, AnswerLostError) as error:
            raise TransientError(str(error), retry_after=_UNTOLD_RETRY) from error
        if 200 <= answer.status < 300:
            return answer
        if answer.status == 402:
            raise NoCreditsError(f"PikaStream asks for payment ({self._refusal(answer)}).")
        raise self._refused(answer)

    async def _send(
        self,
        method: str,
        path: str,
        deadline: timedelta,
        payload: Payload | None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        # httpx's own type, because its repr hides this header from tracebacks.
        sent = httpx.Headers({"Authorization": f"DevKey {self._secret().reveal()}"})
        sent.update(headers)
        return await self._client.send(
            method, path, deadline=deadline, headers=sent, payload=payload
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


def _json(value: Mapping[str, object]) -> Payload:
    return Payload("application/json", (json.dumps(value).encode(),))


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
