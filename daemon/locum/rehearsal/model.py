"""A language model on the stage: a server that speaks OpenAI's chat completions.

https://platform.openai.com/docs/api-reference/chat/create and its errors, as far as a client
needs them: keys, models, credits, limits, JSON by a schema, tools, usage, streams. What it says
comes from `modelwits`, and in a conversation from `modeltalk`; what goes wrong with the
connection from `faults`.
"""

from __future__ import annotations

import hmac
import itertools
import json
import re
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import anyio
from pydantic import ConfigDict
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from locum.rehearsal.faults import Faults, RequestLog, control_routes, with_faults
from locum.rehearsal.modeltalk import Manner, ScriptedAnswer, ScriptedCall, Turn, talk
from locum.rehearsal.modelwits import Behaviour, answer, obeying_calls, texts, wanted_key

__all__ = [
    "Behaviour",
    "ModelSettings",
    "ModelStage",
    "ScriptedAnswer",
    "ScriptedCall",
    "model_app",
]

_LARGEST = 8 * 1024 * 1024
_MINUTE = timedelta(minutes=1)
_KEPT = 1000


@dataclass(frozen=True)
class ModelSettings:
    """How it behaves. A change counts for the requests after it.

    `credits` is how many tokens are left to pay for, None without end. `delay_s` is how long
    it thinks, in the host's seconds. `takes_schema` is whether it knows `response_format`.
    `context_tokens` is how much it can read at once.

    Of a stream, `first_token_s` is how long the first word takes (of the host's time; `delay_s`
    comes before it), and `words_per_second` how quickly the others follow, None for at once.
    `script` is what it says in a conversation.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # For reading it from TOML.

    api_key: str = "sk-rehearsal"
    model: str = "stage-1"
    behaviour: Behaviour = Behaviour.GOOD
    delay_s: float = 0.0
    credits: int | None = None
    requests_per_minute: int | None = None
    context_tokens: int = 128_000
    takes_schema: bool = True
    first_token_s: float = 0.0
    words_per_second: float | None = None
    script: tuple[ScriptedAnswer, ...] = ()

    def __post_init__(self) -> None:
        for name in ("delay_s", "first_token_s"):
            if not 0 <= getattr(self, name) <= 3600:
                raise ValueError(f"{name} must be from 0 to 3600")
        if self.words_per_second is not None and not 0 < self.words_per_second <= 10_000:
            raise ValueError("words_per_second must be above 0, and 10000 at most")


@dataclass
class Exchange:
    """One request that was answered: what was asked, and what the model said."""

    payload: dict[str, Any] = field(repr=False)
    behaviour: Behaviour
    said: str = field(repr=False)


class ModelStage:
    """What the server has: its settings, what it was asked, what is left. For any thread."""

    def __init__(
        self,
        settings: ModelSettings | None = None,
        *,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._now = now or (lambda: datetime.now(timezone.utc))
        self._lock = threading.Lock()
        self._settings = settings or ModelSettings()
        self._next: deque[Behaviour] = deque()
        self._exchanges: deque[Exchange] = deque(maxlen=_KEPT)
        self._recent: deque[datetime] = deque()
        self.input_tokens = self.output_tokens = 0
        self.working = self.peak = 0
        """How many requests are being answered now, and at most."""
        self.hung_up = 0
        """How many streams their reader ended before they were whole."""
        self.faults = Faults()
        self.log = RequestLog(self._now)

    @property
    def settings(self) -> ModelSettings:
        with self._lock:
            return self._settings

    def configure(self, **changes: Any) -> None:
        with self._lock:
            self._settings = replace(self._settings, **changes)

    def then(self, *behaviours: Behaviour) -> None:
        """Let the next requests be answered like this, one each; then as the settings say."""
        with self._lock:
            self._next.extend(behaviours)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        with self._lock:
            return tuple(self._exchanges)

    def admit(self) -> timedelta | None:
        """Count a request; answers how long to wait where there were too many of them."""
        with self._lock:
            now, most = self._now(), self._settings.requests_per_minute
            while self._recent and self._recent[0] <= now - _MINUTE:
                self._recent.popleft()
            if most is not None and len(self._recent) >= most:
                return self._recent[0] + _MINUTE - now
            self._recent.append(now)
            return None

    def behave(self) -> Behaviour:
        with self._lock:
            return self._next.popleft() if self._next else self._settings.behaviour

    def enter(self, step: int) -> None:
        with self._lock:
            self.working += step
            self.peak = max(self.peak, self.working)

    def keep(self, exchange: Exchange, *, asked: int, said: int) -> None:
        """Note an answer, and let it be paid."""
        with self._lock:
            self._exchanges.append(exchange)
            self.input_tokens += asked
            self.output_tokens += said
            if self._settings.credits is not None:
                left = max(self._settings.credits - asked - said, 0)
                self._settings = replace(self._settings, credits=left)

    def lose_reader(self) -> None:
        with self._lock:
            self.hung_up += 1


class _RefusedError(Exception):
    def __init__(
        self, status: int, message: str, code: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code = status, code
        self.headers = headers or {}


async def _refuse(request: Request, refused: Exception) -> Response:
    """Answer as OpenAI writes its errors."""
    del request
    if not isinstance(refused, _RefusedError):
        raise TypeError(f"no refusal: {refused!r}")
    kind = refused.code if refused.code == "insufficient_quota" else "invalid_request_error"
    told = {"message": str(refused), "type": kind, "param": None, "code": refused.code or None}
    return JSONResponse({"error": told}, refused.status, refused.headers)


def model_app(stage: ModelStage) -> Starlette:
    """Serve `/v1/chat/completions` and `/v1/models`, with faults around them.

    `GET /_stage/model` tells how it stands; `POST` takes {"behaviour": …}.
    """

    async def complete(request: Request) -> Response:
        stage.enter(1)
        try:
            _know(request, stage)
            return await _completed(await _payload(request), stage)
        finally:
            stage.enter(-1)

    async def models(request: Request) -> Response:
        _know(request, stage)
        shown = _model(stage)
        name = request.path_params.get("name")
        if name is not None and name != shown["id"]:
            raise _RefusedError(404, f"The model '{name}' does not exist.", "model_not_found")
        return JSONResponse(shown if name else {"object": "list", "data": [shown]})

    async def control(request: Request) -> Response:
        if request.method == "POST":
            try:
                stage.configure(behaviour=Behaviour((await request.json())["behaviour"]))
            except (ValueError, KeyError, TypeError) as error:
                return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse(
            {
                "behaviour": stage.settings.behaviour.value,
                "answers": len(stage.exchanges),
                "input_tokens": stage.input_tokens,
                "output_tokens": stage.output_tokens,
            }
        )

    routes = [
        Route("/v1/chat/completions", complete, methods=["POST"]),
        Route("/v1/models", models),
        Route("/v1/models/{name:path}", models),
        Route("/_stage/model", control, methods=["GET", "POST"]),
        *control_routes(stage.faults, stage.log),
    ]
    app = Starlette(routes=routes, exception_handlers={_RefusedError: _refuse})
    return with_faults(app, stage.faults, stage.log)


def _know(request: Request, stage: ModelStage) -> None:
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {stage.settings.api_key}".encode()):
        # OpenAI's own words, which show a part of what was sent.
        shown = given.removeprefix("Bearer ")[:8]
        message = f"Incorrect API key provided: {shown}***."
        raise _RefusedError(401, message, "invalid_api_key")


def _model(stage: ModelStage) -> dict[str, Any]:
    return {"id": stage.settings.model, "object": "model", "created": 0, "owned_by": "stage"}


async def _payload(request: Request) -> dict[str, Any]:
    try:
        body = await request.body()
        found = json.loads(body[:_LARGEST])
    except (ValueError, ClientDisconnect):
        found = None
    if not isinstance(found, dict):
        raise _RefusedError(400, "We could not parse the JSON body of your request.", "")
    messages = found.get("messages")
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        raise _RefusedError(400, "Missing required parameter: 'messages'.", "missing_parameter")
    return found


async def _completed(payload: dict[str, Any], stage: ModelStage) -> Response:
    asked = _tokens("\n".join(texts(payload)))
    _check(payload, asked, stage)
    behaviour = stage.behave()
    await anyio.sleep(stage.settings.delay_s)
    turn = _turn(payload, behaviour, stage)
    stage.keep(Exchange(payload, behaviour, turn.text), asked=asked, said=_tokens(turn.text))
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or None}
    if turn.calls:
        message["tool_calls"] = list(turn.calls)
    reason = "tool_calls" if turn.calls else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    whole = {
        "id": f"chatcmpl-{len(stage.exchanges)}",
        "object": "chat.completion",
        "created": int(datetime.now(timezone.utc).timestamp()),
        "model": stage.settings.model,
        "choices": [] if behaviour is Behaviour.EMPTY else [choice],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": _tokens(turn.text),
            "total_tokens": asked + _tokens(turn.text),
        },
    }
    if payload.get("stream"):
        options = payload.get("stream_options")
        tells = isinstance(options, dict) and options.get("include_usage") is True
        chunks = _streamed(whole, turn, stage, tells_usage=tells)
        return StreamingResponse(chunks, media_type="text/event-stream")
    return JSONResponse(whole)


def _turn(payload: dict[str, Any], behaviour: Behaviour, stage: ModelStage) -> Turn:
    """Answer what it does: in a conversation as the script has it, else as its wits go."""
    if payload.get("stream") and not wanted_key(payload) and "response_format" not in payload:
        return talk(payload, behaviour, stage.settings.script)
    calls = obeying_calls(payload) if behaviour is Behaviour.OBEDIENT else []
    # It gives up on its tools once it was told that there are none.
    if calls and not any(m.get("tool_calls") for m in payload["messages"]):
        return Turn(calls=tuple(calls))
    return Turn(answer(payload, behaviour))


def _check(payload: dict[str, Any], asked: int, stage: ModelStage) -> None:
    """Refuse what OpenAI refuses, in its order and words."""
    settings = stage.settings
    if payload.get("model") != settings.model:
        message = (
            f"The model `{payload.get('model')}` does not exist or you do not have access."
        )
        raise _RefusedError(404, message, "model_not_found")
    if not settings.takes_schema and "response_format" in payload:
        raise _RefusedError(400, "Unknown parameter: 'response_format'.", "unknown_parameter")
    wait = stage.admit()
    if wait is not None:
        seconds = str(max(int(wait.total_seconds()) + 1, 1))
        message = f"Rate limit reached for {settings.model}. Please try again in {seconds}s."
        raise _RefusedError(429, message, "rate_limit_exceeded", {"retry-after": seconds})
    if settings.credits == 0:
        message = "You exceeded your current quota, please check your plan and billing details."
        raise _RefusedError(429, message, "insufficient_quota")
    if asked > settings.context_tokens:
        message = (
            f"This model's maximum context length is {settings.context_tokens} tokens. "
            f"However, your messages resulted in {asked} tokens."
        )
        raise _RefusedError(400, message, "context_length_exceeded")


def _tokens(text: str) -> int:
    return (len(text) + 3) // 4


_WORD = re.compile(r"\S+\s*|\s+")
_STALL_S = 3600.0
_ENDLESS_PACE = 500.0  # Words a second.
_HEARD = 3  # Words that come before a stream goes wrong.


async def _streamed(
    whole: dict[str, Any], turn: Turn, stage: ModelStage, *, tells_usage: bool
) -> AsyncIterator[str]:
    """Tell an answer in chunks, as server-sent events."""
    stage.enter(1)
    is_whole = False
    try:
        await anyio.sleep(stage.settings.first_token_s)
        async for chunk in _chunks(whole, turn, stage, tells_usage=tells_usage):
            yield chunk
        is_whole = True
    finally:
        stage.enter(-1)
        if not is_whole:
            stage.lose_reader()


async def _chunks(
    whole: dict[str, Any], turn: Turn, stage: ModelStage, *, tells_usage: bool
) -> AsyncIterator[str]:
    chunk = {**whole, "object": "chat.completion.chunk"}
    usage = chunk.pop("usage")
    has_choices = bool(whole["choices"])

    def told(delta: dict[str, Any], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        choices = [choice] if has_choices else []
        return f"data: {json.dumps({**chunk, 'choices': choices})}\n\n"

    yield told({"role": "assistant", "content": ""})
    async for text in _paced(turn, stage.settings.words_per_second):
        yield told({"content": text}) if text is not None else "data: {no JSON\n\nevent: ?\n\n"
    if turn.manner is Manner.CUT:
        return
    for call in _told_calls(turn):
        yield told({"tool_calls": [call]})
    yield told({}, "tool_calls" if turn.calls else "stop")
    if tells_usage:
        yield f"data: {json.dumps({**chunk, 'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"


async def _paced(turn: Turn, pace: float | None) -> AsyncIterator[str | None]:
    """Tell the words as they come; None is something that nobody can read."""
    if pace is None and turn.manner is Manner.ENDLESS:
        pace = _ENDLESS_PACE
    for number, word in enumerate(_words_of(turn)):
        if number and pace is not None:
            await anyio.sleep(1 / pace)
        if number == _HEARD and turn.manner is Manner.CUT:
            return
        if number == _HEARD and turn.manner is Manner.GARBLED:
            yield None
        if number == _HEARD and turn.manner is Manner.STALLS:
            await anyio.sleep(_STALL_S)
        yield word


def _told_calls(turn: Turn) -> Iterator[dict[str, Any]]:
    """Tell calls as OpenAI does: the name first, then the arguments bit by bit."""
    for number, call in enumerate(turn.calls):
        arguments = call["function"]["arguments"]
        named = {"name": call["function"]["name"], "arguments": ""}
        yield {**call, "index": number, "function": named}
        for at in range(0, len(arguments), 16):
            yield {"index": number, "function": {"arguments": arguments[at : at + 16]}}


def _words_of(turn: Turn) -> Iterator[str]:
    if turn.manner is Manner.ENDLESS:
        yield from itertools.cycle(_WORD.findall(f"{turn.text or 'And so on'}, and then "))
    yield from _WORD.findall(turn.text)
