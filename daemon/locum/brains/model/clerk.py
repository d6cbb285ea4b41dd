"""Asks a model through pydantic-ai: one typed answer a call, no tools, no memory of the last.

The only module that imports pydantic-ai; `brain` does so when a model is first asked, off the
loop, because it takes a second or two. All errors of the SDKs end here, and none of ours
carries theirs along: they hold what was sent.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import httpx2
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput
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
from pydantic_ai.usage import RunUsage, UsageLimits

from locum.brains.model.settings import ModelSettings
from locum.brains.model.wire import AnswerTooLargeError, bounded_client
from locum.core.secret import Secret
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Finding, Health

_TRIES = 3  # For one answer that can be read.
_LONGEST_RETRY_AFTER = timedelta(hours=1)
_RETRY_AFTER = timedelta(seconds=30)
_LONGEST_TOLD = 300
_PAYS = re.compile(r"insufficient_quota|billing|credit balance|insufficient (?:funds|credits)")
_TOO_LONG = re.compile(r"context[_ ](?:length|window)|too many tokens|prompt is too long")
_NO_SCHEMA = re.compile(r"response_format|json_schema|structured output", re.IGNORECASE)
_SHARED_WORDS = 5  # That many in a row of what was sent make an echo.

# Malformed bodies come out of the SDKs as whatever their code stumbled over.
_STUMBLES = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError),
    *(AgentRunError, httpx2.HTTPError, httpx2.StreamError, OSError),
)

AnswerT = TypeVar("AnswerT", bound=BaseModel)


@dataclass
class Spent:
    """What requests took, as far as the provider tells."""

    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0


class Clerk:
    """One model for one meeting or question; close it with `aclose`.

    Raises:
        HumanNeededError: There is no key, or its provider's SDK isn't installed.
        PermanentError: There is no such provider.
    """

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._key: Secret | None = settings.key()
        self._client = bounded_client(settings.base_url)
        self._takes_schema = True
        self._model = self._made()
        self._takes_schema = bool(dict(self._model.profile).get("supports_json_schema_output"))

    def _made(self, **profile: bool) -> Model:
        settings = self._settings
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

    async def ask(
        self, wanted: type[AnswerT], instructions: str, prompt: str, spent: Spent
    ) -> AnswerT:
        """Ask once, and again for a better answer where one can't be read.

        Raises:
            TransientError: Busy or unreachable; see `retry_after`.
            HumanNeededError: The key, or what pays for it.
            PermanentError: No usable answer.
        """
        outcome = await self._tried(wanted, instructions, prompt, spent)
        if isinstance(outcome, Exception) and self._blames_schema(outcome):
            # Plain words do where a server knows no schemas, or not this one.
            self._takes_schema = False
            if self._settings.base_url is not None:
                self._model = self._made(
                    supports_json_schema_output=False, supports_json_object_output=False
                )
            outcome = await self._tried(wanted, instructions, prompt, spent)
        if isinstance(outcome, Exception):
            # Raised out here, so that no chained exception carries the transcript or the key.
            raise self._translated(outcome, prompt)
        return outcome

    def _blames_schema(self, error: Exception) -> bool:
        return (
            self._takes_schema
            and isinstance(error, ModelHTTPError)
            and error.status_code in {400, 422}
            and _NO_SCHEMA.search(_body(error)) is not None
        )

    async def _tried(
        self, wanted: type[AnswerT], instructions: str, prompt: str, spent: Spent
    ) -> AnswerT | Exception:
        try:
            return await self._ask(wanted, instructions, prompt, spent)
        except _STUMBLES as error:
            return error

    async def _ask(
        self, wanted: type[AnswerT], instructions: str, prompt: str, spent: Spent
    ) -> AnswerT:
        output: Any = (
            # Written into the prompt too: some servers pass over a schema without a word.
            NativeOutput(wanted, template=_TEMPLATE)
            if self._takes_schema and self._settings.base_url is not None
            else NativeOutput(wanted)
            if self._takes_schema
            else PromptedOutput(wanted)
        )
        agent = Agent(
            self._model, output_type=output, instructions=instructions, retries=_TRIES - 1
        )
        usage = RunUsage()
        try:
            done = await agent.run(
                prompt,
                usage=usage,
                usage_limits=UsageLimits(request_limit=_TRIES),
                infer_name=False,
            )
        finally:
            spent.input_tokens += usage.input_tokens
            spent.output_tokens += usage.output_tokens
            spent.requests += usage.requests
        answer: AnswerT = done.output
        return answer

    # ── errors ───────────────────────────────────────────────────────────────────────────

    def _translated(self, error: Exception, prompt: str) -> LocumError:
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
            told = f"gave no usable answer in {_TRIES} tries"
        elif told is None and not lost:
            told = f"answers what can't be read ({type(error).__name__})"
        named = f"The model {self._settings.model} at {self._settings.place}"
        if told is not None:
            return PermanentError(f"{named} {told}.")
        return TransientError(f"{named} isn't reached ({type(chain[-1]).__name__}).")

    def _refused(self, error: ModelHTTPError, prompt: str) -> LocumError:
        status, body = error.status_code, _body(error).lower()
        told = self._told(error, prompt)
        message = f"The model {self._settings.model} at {self._settings.place}: {status}{told}."
        if status == 402 or (status in {400, 403, 429} and _PAYS.search(body)):
            hint = "Top up the account that the model's key belongs to."
            return HumanNeededError(message, hint=hint)
        if status in {401, 403}:
            return HumanNeededError(message, hint="Check the key: brain.api_key_file.")
        if status in {408, 409, 425, 429} or status >= 500:
            return TransientError(message, retry_after=_retry_after(error))
        if status in {400, 413, 422} and _TOO_LONG.search(body):
            return PermanentError(f"{message} Lower brain.max_words in the config.")
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
        name, place = self._settings.model, self._settings.place
        client: Any = getattr(getattr(self._model, "client", None), "models", None)
        retrieve = getattr(client, "retrieve", None)
        if retrieve is None:
            told = f"{name}: {place} can't be tried without a request that costs"
            return Finding(subject, Health.OK, told)
        bare = name if self._settings.base_url is not None else name.partition(":")[2]
        try:
            await retrieve(bare)
        except Exception as error:  # noqa: BLE001 - Each SDK has errors of its own; all are told.
            return await self._judged(subject, error, client, bare)
        return Finding(subject, Health.OK, f"{place} answers, and knows {bare}")

    async def _judged(self, subject: str, error: Exception, client: Any, name: str) -> Finding:
        place, status = self._settings.place, getattr(error, "status_code", None)
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
        place = self._settings.place
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

    async def aclose(self) -> None:
        await self._client.aclose()


_TEMPLATE = """
Answer with one JSON object by this schema, and nothing before or after it:

{schema}
"""


def _of_provider(
    settings: ModelSettings, key: Secret | None, client: httpx2.AsyncClient
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


def _body(error: Exception) -> str:
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
