"""Asks a model through pydantic-ai: one typed answer a call, no tools, no memory of the last.

`brain` imports it when a model is first asked, off the loop, because it takes a second or two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.usage import RunUsage, UsageLimits

from locum.brains.model.settings import ModelSettings
from locum.ports import Finding
from locum.providers.connection import STUMBLES, Connection, body_of

_TRIES = 3  # For one answer that can be read.
_NO_SCHEMA = re.compile(r"response_format|json_schema|structured output", re.IGNORECASE)

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
        self._connection = Connection(
            settings,
            too_long="Lower brain.max_words in the config.",
            unusable=f"gave no usable answer in {_TRIES} tries",
        )
        self._model = self._connection.model
        self._takes_schema = bool(dict(self._model.profile).get("supports_json_schema_output"))

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
                self._model = self._connection.made(
                    supports_json_schema_output=False, supports_json_object_output=False
                )
            outcome = await self._tried(wanted, instructions, prompt, spent)
        if isinstance(outcome, Exception):
            # Raised out here, so that no chained exception carries the transcript or the key.
            raise self._connection.translated(outcome, prompt)
        return outcome

    def _blames_schema(self, error: Exception) -> bool:
        return (
            self._takes_schema
            and isinstance(error, ModelHTTPError)
            and error.status_code in {400, 422}
            and _NO_SCHEMA.search(body_of(error)) is not None
        )

    async def _tried(
        self, wanted: type[AnswerT], instructions: str, prompt: str, spent: Spent
    ) -> AnswerT | Exception:
        try:
            return await self._ask(wanted, instructions, prompt, spent)
        except STUMBLES as error:
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

    async def check(self, subject: str) -> Finding:
        """Look whether the server answers and knows the model, without asking it anything."""
        return await self._connection.check(subject)

    async def aclose(self) -> None:
        await self._connection.aclose()


_TEMPLATE = """
Answer with one JSON object by this schema, and nothing before or after it:

{schema}
"""
