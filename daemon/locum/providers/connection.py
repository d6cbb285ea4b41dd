"""A connection to a model through pydantic-ai, and the only place where the SDKs' errors end.

Imported when a model is first asked, off the loop, because it takes a second or two. None of
our errors carries theirs along: they hold what was sent.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import httpx2
from openai import AsyncOpenAI
from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAPIError,
    ModelHTTPError,
    UnexpectedModelBehavior,
    UserError,
)
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers import Provider, infer_provider_class
from pydantic_ai.providers.openai import OpenAIProvider

from locum.core.secret import Secret
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Finding, Health
from locum.providers.address import ModelAddress
from locum.providers.wire import AnswerTooLargeError, bounded_client

_LONGEST_RETRY_AFTER = timedelta(hours=1)
_RETRY_AFTER = timedelta(seconds=30)
_LONGEST_TOLD = 300
# Mere mentions of billing or quota stand in rate limits too, which pass.
_PAYS = re.compile(
    r"insufficient_quota|billing_(?:hard_limit|not_active)|credit balance"
    r"|insufficient (?:funds|credits|balance)"
)
_BAD_KEY = re.compile(r"api key not valid|api_key_invalid")  # Google's, with a status of 400.
_TOO_LONG = re.compile(r"context[_ ](?:length|window)|too many tokens|prompt is too long")
_SHARED_WORDS = 5  # That many in a row of what was sent make an echo.

# Malformed bodies come out of the SDKs as whatever their code stumbled over.
STUMBLES = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError),
    *(AgentRunError, httpx2.HTTPError, httpx2.StreamError, OSError),
)


class Connection:
    """To one model; close it with `aclose`.

    `too_long` says what to do where it can't read so much at once, `unusable` what became of an
    answer that isn't one.

    Raises:
        HumanNeededError: There is no key, or its provider's SDK isn't installed.
        PermanentError: There is no such provider.
    """

    def __init__(
        self,
        address: ModelAddress,
        *,
        too_long: str = "",
        unusable: str = "gave no usable answer",
    ) -> None:
        # This one holds a part of the answer, and warnings are logged.
        warnings.filterwarnings("ignore", "Pydantic serializer warnings", UserWarning)
        self._address = address
        self._too_long = too_long
        self._unusable = unusable
        self._key: Secret | None = address.key()
        self._client = bounded_client(address.base_url)
        self.model = self.made()

    def made(self, **profile: bool) -> Model:
        """Make the model; `profile` says what else it can do, for a server of one's own."""
        settings = self._address
        if settings.base_url is None:
            return _of_provider(settings, self._key, self._client)
        client = AsyncOpenAI(
            base_url=settings.base_url,
            # Never the environment's OPENAI_API_KEY: this may be anybody's server.
            api_key=self._key.reveal() if self._key else "none",
            http_client=self._client,
            max_retries=0,
        )
        provider = OpenAIProvider(openai_client=client)
        made = OpenAIChatModel(settings.model, provider=provider)
        if not profile:
            return made
        changed: Any = {**dict(made.profile), **profile}
        return OpenAIChatModel(settings.model, provider=provider, profile=changed)

    # ── errors ───────────────────────────────────────────────────────────────────────────

    def translated(self, error: Exception, prompt: str) -> LocumError:
        """Answer an SDK's error as one of ours, for one that raises it out of its handler."""
        if isinstance(error, ModelHTTPError):
            return self._refused(error, prompt)
        chain = _chain(error)
        # What is no JSON passes for a lost connection too.
        garbled = any(isinstance(each, (ValueError, RecursionError)) for each in chain)
        lost = isinstance(error, (ModelAPIError, httpx2.HTTPError, OSError)) and not garbled
        told = _unusable(chain)
        if told is None and isinstance(error, UserError):
            told = f"can't be used{self._told(error, prompt)}"
        elif told is None and isinstance(error, UnexpectedModelBehavior):
            told = self._unusable
        elif told is None and not lost:
            told = f"answers what can't be read ({type(error).__name__})"
        named = f"The model {self._address.model} at {self._address.place}"
        if told is not None:
            return PermanentError(f"{named} {told}.")
        return TransientError(f"{named} isn't reached ({type(chain[-1]).__name__}).")

    def _refused(self, error: ModelHTTPError, prompt: str) -> LocumError:
        status, body = error.status_code, body_of(error).lower()
        told = self._told(error, prompt)
        message = f"The model {self._address.model} at {self._address.place}: {status}{told}."
        if status == 402 or (status in {400, 403, 429} and _PAYS.search(body)):
            hint = "Top up the account that the model's key belongs to."
            return HumanNeededError(message, hint=hint)
        if status in {401, 403} or (status == 400 and _BAD_KEY.search(body)):
            return HumanNeededError(message, hint="Check the key: brain.api_key_file.")
        if status in {408, 409, 425, 429} or status >= 500:
            return TransientError(message, retry_after=_retry_after(error))
        if status in {400, 413, 422} and _TOO_LONG.search(body):
            return PermanentError(" ".join(filter(None, (message, self._too_long))))
        return PermanentError(message)

    def _told(self, error: Exception, prompt: str) -> str:
        """Answer what the server says for itself, unless it repeats what it was sent."""
        text = _message(error.body) if isinstance(error, ModelHTTPError) else str(error)
        text = " ".join((self._key.scrub(text) if self._key else text).split()).rstrip(".")
        if not text or _echoes(text, prompt):
            return ""
        return f", {text[:_LONGEST_TOLD]}"

    # ── the self-check ───────────────────────────────────────────────────────────────────

    async def check(self, subject: str) -> Finding:
        """Look whether the server answers and knows the model, without asking it anything."""
        name, place = self._address.model, self._address.place
        client: Any = getattr(getattr(self.model, "client", None), "models", None)
        retrieve = getattr(client, "retrieve", None)
        if retrieve is None:
            told = f"{name}: {place} can't be tried without a request that costs"
            return Finding(subject, Health.OK, told)
        bare = name if self._address.base_url is not None else name.partition(":")[2]
        try:
            await retrieve(bare)
        except Exception as error:  # noqa: BLE001 - Each SDK has errors of its own; all are told.
            return await self._judged(subject, error, client, bare)
        return Finding(subject, Health.OK, f"{place} answers, and knows {bare}")

    async def _judged(self, subject: str, error: Exception, client: Any, name: str) -> Finding:
        place, status = self._address.place, getattr(error, "status_code", None)
        if status in {401, 403}:
            step = "Check the key: brain.api_key_file, and that it may use this model."
            return Finding(subject, Health.BROKEN, f"{place} refuses the key ({status})", step)
        if status == 404:
            return await self._among(subject, client, name)
        told = f"{place} answers {status}" if status else f"{place} isn't reached"
        step = "Check brain.base_url, and that the server runs."
        return Finding(subject, Health.BROKEN, f"{told} ({type(error).__name__})", step)

    async def _among(self, subject: str, client: Any, name: str) -> Finding:
        """Look into the list of models; many servers have nothing but that, some not even it."""
        place = self._address.place
        try:
            listed = await client.list()
            known = [str(each.id)[:100] for each in listed.data[:1000]]
        except Exception:  # noqa: BLE001 - As above; here it only means that nobody tells.
            told = f"{place} answers, and doesn't tell which models it has"
            return Finding(subject, Health.WARNING, told, "Check brain.model.")
        if name in known:
            return Finding(subject, Health.OK, f"{place} answers, and knows {name}")
        shown = ", ".join(known[:5]) or "none"
        step = "Correct brain.model in the config."
        return Finding(subject, Health.BROKEN, f"{place} has no {name}; it has {shown}", step)

    async def touch(self) -> None:
        """Open the connection ahead, so that the next request needn't. Raises nothing."""
        await self.check("")

    async def aclose(self) -> None:
        await self._client.aclose()


def _of_provider(
    settings: ModelAddress, key: Secret | None, client: httpx2.AsyncClient
) -> Model:
    name = settings.model.partition(":")[0]
    try:
        model = infer_model(settings.model, lambda each: _provider(each, key, client))
    except ImportError:
        raise HumanNeededError(
            f"The SDK for {settings.model} isn't installed.",
            hint=f"Install it: pip install 'pydantic-ai-slim[{name}]'.",
        ) from None
    except (UserError, ValueError) as error:
        told = " ".join(str(error).split())[:_LONGEST_TOLD]
        if "_KEY" in told or "_TOKEN" in told:
            raise HumanNeededError(
                f"There is no key for {settings.model}: {told}",
                hint="Name a file with it as brain.api_key_file.",
            ) from None
        raise PermanentError(f"brain.model: {told}") from None
    sdk: Any = getattr(model, "client", None)
    if hasattr(sdk, "max_retries"):
        sdk.max_retries = 0  # When to try again is ours to say.
    return model


def _provider(name: str, key: Secret | None, client: httpx2.AsyncClient) -> Provider[Any]:
    """Make a provider with our key and our bounded client, where it takes them."""
    kind = infer_provider_class(name)
    parameters = inspect.signature(kind.__init__).parameters
    given: dict[str, Any] = {}
    if key is not None and "api_key" in parameters:
        given["api_key"] = key.reveal()
    # A few SDKs still want httpx's own client, which isn't ours: theirs is bounded by time only.
    wanted = parameters.get("http_client")
    if wanted is not None and not re.match(r"httpx\.|AsyncClient", str(wanted.annotation)):
        given["http_client"] = client
    return kind(**given)


def _chain(error: BaseException) -> list[BaseException]:
    """Answer an error and what it came from, the first cause last."""
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found and len(found) < 16:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found


def _unusable(chain: Sequence[BaseException]) -> str | None:
    """Say what is wrong with an answer that the SDKs took for a lost connection, if that is so."""
    for each in chain:
        if isinstance(each, AnswerTooLargeError):
            return f"can't be used: {each}"
        status = getattr(each, "status_code", None)
        if status and 300 <= status < 400:
            return (
                f"answers {status}, and redirects aren't followed: correct brain.base_url in "
                "the config"
            )
    return None


def body_of(error: Exception) -> str:
    return str(getattr(error, "body", ""))[:20_000]


def _message(body: object) -> str:
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        found = inner.get("message") if isinstance(inner, Mapping) else inner
        return found[:2000] if isinstance(found, str) else ""
    return ""


def _echoes(text: str, prompt: str) -> bool:
    """Whether words of what was sent stand in a text: they would end in a log."""
    words = re.findall(r"\w+", text.casefold())
    sent = " ".join(["", *re.findall(r"\w+", prompt.casefold()), ""])
    runs = (words[at : at + _SHARED_WORDS] for at in range(len(words) - _SHARED_WORDS + 1))
    return any(f" {' '.join(run)} " in sent for run in runs)


def _retry_after(error: ModelHTTPError) -> timedelta:
    """Read Retry-After in seconds; a date, or nothing, is half a minute."""
    for cause in _chain(error):
        response = getattr(cause, "response", None)
        text = str(getattr(response, "headers", {}).get("retry-after", "")).strip()
        if re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", text, re.ASCII):
            seconds = min(max(float(text), 1.0), _LONGEST_RETRY_AFTER.total_seconds())
            return timedelta(seconds=seconds)
    return _RETRY_AFTER
