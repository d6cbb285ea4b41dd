"""Talks with a model through pydantic-ai: words as they come, and the tools that it wants.

The only module here that imports pydantic-ai; `model` does so when a model is first asked, off the
loop, because it takes a second or two. What the SDKs raise is translated by `Connection`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    SystemPromptPart,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from locum.core.briefing import tokens_of
from locum.errors import LocumError, TransientError
from locum.minds.bounds import Patience, Wanted
from locum.ports import Tool
from locum.providers import ModelAddress
from locum.providers.connection import STUMBLES, Connection

_LARGEST_ARGUMENTS = 20_000  # Characters.


@dataclass
class Used:
    """Tokens, as the provider counts them, or else as we estimate."""

    tokens: int = 0
    requests: int = 0


class Talker:
    """One model for one meeting; its connection stays open. Close it with `aclose`.

    Raises:
        HumanNeededError: There is no key, or its provider's SDK isn't installed.
        PermanentError: There is no such provider.
    """

    def __init__(self, address: ModelAddress) -> None:
        self._address = address
        self._connection = Connection(
            address, too_long="Lower briefing.tokens in the config.", unusable="gave no answer"
        )

    async def warm(self) -> None:
        """Open the connection, so that the first answer needn't. Raises nothing."""
        await self._connection.touch()

    def begin(
        self, beforehand: str, prompt: str, *, most_tokens: int, tools: Sequence[Tool] = ()
    ) -> Dialogue:
        """Begin to ask for one answer, of so many tokens at most."""
        settings = ModelSettings(max_tokens=most_tokens)
        if self._address.base_url is None and self._address.model.startswith("anthropic"):
            settings["cache"] = True  # Others do it by themselves.
        return Dialogue(self._connection, beforehand, prompt, settings, tools)

    async def aclose(self) -> None:
        await self._connection.aclose()


class Dialogue:
    """One answer in the making, with the tools that it takes."""

    def __init__(
        self,
        connection: Connection,
        beforehand: str,
        prompt: str,
        settings: ModelSettings,
        tools: Sequence[Tool],
    ) -> None:
        self.used = Used()
        self._connection = connection
        self._settings = settings
        self._sent = f"{beforehand}\n{prompt}"
        self._messages: list[ModelMessage] = [
            ModelRequest(parts=[SystemPromptPart(beforehand), UserPromptPart(prompt)])
        ]
        self._parameters = ModelRequestParameters(
            function_tools=[
                ToolDefinition(
                    name=tool.name,
                    description=tool.about,
                    parameters_json_schema=dict(tool.parameters)
                    or {"type": "object", "properties": {}},
                )
                for tool in tools
            ]
        )

    async def go_on(
        self, on_words: Callable[[str], None], patience: Patience
    ) -> tuple[Wanted, ...]:
        """Hear the model out; answers what it wants to use before it goes on, often nothing.

        Raises:
            TransientError: Busy, unreachable, or too slow.
            HumanNeededError: The key, or what pays for it.
            PermanentError: What comes is no answer.
        """
        heard: list[str] = []

        def hear(words: str) -> None:
            heard.append(words)
            on_words(words)

        outcome: ModelResponse | Exception | None = None
        try:
            outcome = await self._heard(hear, patience)
        except STUMBLES as error:
            outcome = error
        finally:
            # What was broken off is paid for too.
            self._count(outcome, heard)
        if isinstance(outcome, Exception):
            # Raised out here, so that no chained exception carries the meeting or the key.
            raise self._translated(outcome)
        self._messages.append(outcome)
        calls = [part for part in outcome.parts if isinstance(part, ToolCallPart)]
        return tuple(_wanted(call) for call in calls)

    def _translated(self, error: Exception) -> LocumError:
        if isinstance(error, TimeoutError):
            return TransientError("The model didn't answer in time.")
        return self._connection.translated(error, self._sent)

    async def _heard(
        self, on_words: Callable[[str], None], patience: Patience
    ) -> ModelResponse:
        with anyio.fail_after(patience.first.total_seconds()) as scope:
            async with model_request_stream(
                self._connection.model,
                self._messages,
                model_settings=self._settings,
                model_request_parameters=self._parameters,
            ) as stream:
                async for event in stream:
                    words = _words_of(event)
                    if words:
                        on_words(words)
                    scope.deadline = anyio.current_time() + patience.between.total_seconds()
                return stream.get()

    def _count(self, outcome: ModelResponse | Exception | None, heard: Sequence[str]) -> None:
        told = outcome.usage.total_tokens if isinstance(outcome, ModelResponse) else 0
        self.used.requests += 1
        self.used.tokens += told or tokens_of(self._sent) + tokens_of("".join(heard))

    def answer(self, results: Sequence[tuple[Wanted, str]]) -> None:
        """Take what the tools answered to the last `go_on`; it is called again then."""
        parts = [
            ToolReturnPart(tool_name=wanted.name, content=text, tool_call_id=wanted.id)
            for wanted, text in results
        ]
        self._sent += "".join(text for _, text in results)
        self._messages.append(ModelRequest(parts=parts))


def _words_of(event: object) -> str:
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _wanted(call: ToolCallPart) -> Wanted:
    arguments = call.args
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments[:_LARGEST_ARGUMENTS] or "{}")
        except (ValueError, RecursionError):
            arguments = {}
    return Wanted(
        call.tool_call_id,
        call.tool_name[:100],
        arguments if isinstance(arguments, dict) else {},
    )
