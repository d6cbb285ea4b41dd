"""A language model on the stage: a server that speaks OpenAI's chat completions.

https://platform.openai.com/docs/api-reference/chat/create and its errors, as far as a client
needs them: keys, models, credits, limits, JSON by a schema, usage, streams. What it says comes
from `modelwits`; what goes wrong with the connection from `faults`.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
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
from locum.rehearsal.modelwits import Behaviour, answer, obeying_calls, texts

__all__ = ["Behaviour", "ModelSettings", "ModelStage", "model_app"]

_LARGEST = 8 * 1024 * 1024
_MINUTE = timedelta(minutes=1)
_KEPT = 1000


@dataclass(frozen=True)
class ModelSettings:
    """How it behaves. A change counts for the requests after it.

    `credits` is how many tokens are left to pay for, None without end. `delay_s` is how long
    it thinks, in the host's seconds. `takes_schema` is whether it knows `response_format`.
    `context_tokens` is how much it can read at once.
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

    def __post_init__(self) -> None:
        if not 0 <= self.delay_s <= 3600:
            raise ValueError("delay_s must be from 0 to 3600")


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
    calls = obeying_calls(payload) if behaviour is Behaviour.OBEDIENT else []
    # It gives up on its tools once it was told that there are none.
    calls = [] if any(m.get("tool_calls") for m in payload["messages"]) else calls
    said = "" if calls else answer(payload, behaviour)
    stage.keep(Exchange(payload, behaviour, said), asked=asked, said=_tokens(said))
    message: dict[str, Any] = {"role": "assistant", "content": said or None}
    if calls:
        message["tool_calls"] = calls
    reason = "tool_calls" if calls else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    whole = {
        "id": f"chatcmpl-{len(stage.exchanges)}",
        "object": "chat.completion",
        "created": int(datetime.now(timezone.utc).timestamp()),
        "model": stage.settings.model,
        "choices": [] if behaviour is Behaviour.EMPTY else [choice],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": _tokens(said),
            "total_tokens": asked + _tokens(said),
        },
    }
    if payload.get("stream"):
        return StreamingResponse(_streamed(whole, said), media_type="text/event-stream")
    return JSONResponse(whole)


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


def _streamed(whole: dict[str, Any], said: str) -> Iterator[str]:
    chunk = {**whole, "object": "chat.completion.chunk"}
    usage = chunk.pop("usage")
    pieces: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant"}, None)]
    pieces += [({"content": said[at : at + 64]}, None) for at in range(0, len(said), 64)]
    pieces.append(({}, "stop"))
    for delta, reason in pieces:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        yield f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n"
    yield f"data: {json.dumps({**chunk, 'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"
