"""The toolbox of one meeting: what is in it, how each call is bounded, who must agree first.

What a tool answers is other people's text. It is cut, freed of what looks like a secret, and
handed over as data; whoever hands it on to a model fences it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import structlog

from locum.core.redaction import without_secrets
from locum.errors import LocumError, PermanentError, TransientError
from locum.ports import Done, Tool, ToolOutcome, Verdict
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

_LARGEST_ARGUMENTS = 16 * 1024
_MOST_AT_ONCE = 4
_MOST_CALLS = 500  # In one meeting.
_MOST_WAITING = 8
_LONGEST_SHOWN = 4000
"""Characters of a request that its owner is shown; what is longer isn't asked for at all."""
_LONGEST_NAME = 120
_TOO_LATE = "the meeting was over"


@dataclass(frozen=True)
class Told:
    """What an action answered; `is_cut` if there was more."""

    text: str
    is_cut: bool = False


class Action(Protocol):
    """One thing that can be looked up or done, behind a `Tool`."""

    @property
    def tool(self) -> Tool: ...

    @property
    def within(self) -> timedelta:
        """How long it may take before it is cancelled."""
        ...

    @property
    def limit(self) -> int:
        """How many bytes of its answer are taken."""
        ...

    def wording(self, arguments: Mapping[str, Any]) -> str:
        """Say exactly what a call would do, for the owner; does nothing.

        Raises:
            PermanentError: It isn't allowed with these arguments.
        """
        ...

    async def do(self, arguments: Mapping[str, Any]) -> Told:
        """Do it. Cancelled, it ends what it began.

        Raises:
            LocumError: It didn't work.
        """
        ...


class Source(Protocol):
    """Somewhere that actions come from which must be asked for them first."""

    async def prepare(self) -> Sequence[Action]:
        """Answer what there is; what can't be had is logged. Raises nothing."""
        ...

    async def aclose(self) -> None: ...


class Approvals(Protocol):
    """The owner's answers to what needs one."""

    def ask(self, *, tool: str, what: str, asked_by: str) -> str:
        """Write a request down and answer its name; the owner is told of it.

        Raises:
            LocumError: It can't be written.
        """
        ...

    async def decided(self, request: str) -> Verdict | None:
        """Wait for the owner's answer; None is a yes, which holds once."""
        ...

    def over(self, request: str, verdict: Verdict, problem: str = "") -> None:
        """Write how it ended."""
        ...


class Box:
    """A `locum.ports.Toolbox`."""

    def __init__(
        self,
        actions: Sequence[Action],
        *,
        sources: Sequence[Source] = (),
        approvals: Approvals | None = None,
        owner: str = "the owner",
        asks_nobody: bool = False,
    ) -> None:
        """Make a box.

        Args:
            actions: What is in it from the beginning.
            sources: What adds to it when it is prepared.
            approvals: Where the owner is asked; None where that can't be.
            owner: Who that is, in what is said of it.
            asks_nobody: Whether it is the owner who calls.
        """
        self._actions = {each.tool.name: each for each in actions}
        self._sources = tuple(sources)
        self._approvals = approvals
        self._owner = owner
        self._asks_nobody = asks_nobody
        self._left = _MOST_CALLS
        self._at_once = asyncio.Semaphore(_MOST_AT_ONCE)
        self._waiting: dict[str, tuple[str, str]] = {}
        self._denied: set[tuple[str, str]] = set()
        self._tasks = Tasks()
        self._outcomes: asyncio.Queue[ToolOutcome | None] = asyncio.Queue()

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(each.tool for each in self._actions.values())

    async def prepare(self) -> None:
        found: dict[int, Sequence[Action]] = {}

        async def ask(number: int, source: Source) -> None:
            found[number] = await source.prepare()

        asking = (ask(number, source) for number, source in enumerate(self._sources))
        try:
            await asyncio.gather(*asking)
        finally:
            # Whoever isn't waited for any more costs only its own.
            for _, several in sorted(found.items(), key=lambda each: each[0]):
                for action in several:
                    self._actions.setdefault(action.tool.name, action)

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        asked_by: str = "",
        guessed: bool = False,
    ) -> Done:
        action = self._action(name, arguments)
        if guessed and not action.tool.only_looks:
            raise TransientError(
                f"{name} does something: not before the question is whole.",
                retry_after=timedelta(0),
            )
        what = action.wording(arguments)
        if action.tool.asks_owner and not self._asks_nobody:
            return self._ask(action, arguments, what, asked_by[:_LONGEST_NAME])
        told = await self._do(action, arguments)
        return Done(told.text, told.is_cut)

    async def outcomes(self) -> AsyncIterator[ToolOutcome]:
        while (outcome := await self._outcomes.get()) is not None:
            yield outcome

    async def aclose(self) -> None:
        await self._tasks.cancel()
        if self._approvals is not None:
            # Ended before it had begun to wait, a task says nothing of its request.
            for request in (*self._waiting,):
                self._approvals.over(request, Verdict.EXPIRED, _TOO_LATE)
        self._waiting.clear()
        self._outcomes.put_nowait(None)
        await asyncio.gather(*(each.aclose() for each in self._sources))

    def _action(self, name: str, arguments: Mapping[str, Any]) -> Action:
        action = self._actions.get(name)
        if action is None:
            known = ", ".join(self._actions) or "none"
            raise PermanentError(f"There is no tool {name[:_LONGEST_NAME]!r}. Known: {known}.")
        try:
            size = len(json.dumps(dict(arguments)))
        except (TypeError, ValueError, RecursionError):
            raise PermanentError(f"{name}: its arguments aren't JSON.") from None
        if size > _LARGEST_ARGUMENTS:
            raise PermanentError(f"{name}: its arguments are too large.")
        if self._left <= 0:
            raise PermanentError(f"Enough was looked up in this meeting ({_MOST_CALLS} times).")
        self._left -= 1
        return action

    async def _do(self, action: Action, arguments: Mapping[str, Any]) -> Told:
        name = action.tool.name
        async with self._at_once:
            try:
                told = await asyncio.wait_for(
                    action.do(arguments), action.within.total_seconds()
                )
            except asyncio.TimeoutError:
                _log.warning("tool_failed", tool=name, problem="too slow")
                raise TransientError(f"{name}: it took too long.") from None
            except LocumError as error:
                _log.warning("tool_failed", tool=name, problem=_without_words(action, error))
                raise
        _log.info("tool_called", tool=name, characters=len(told.text))
        return bounded(told, action.limit)

    # ── what waits for the owner ─────────────────────────────────────────────────────────

    def _ask(
        self, action: Action, arguments: Mapping[str, Any], what: str, asked_by: str
    ) -> Done:
        name = action.tool.name
        if self._approvals is None:
            raise PermanentError(f"{name} needs an approval, which can't be asked for here.")
        if (name, what) in self._denied:
            raise PermanentError(f"{self._owner} has refused exactly this: don't ask again.")
        if len(what) > _LONGEST_SHOWN:
            raise PermanentError(f"{name}: that is more than {self._owner} could look through.")
        known = [each for each, said in self._waiting.items() if said == (name, what)]
        if not known:
            if len(self._waiting) >= _MOST_WAITING:
                raise PermanentError(f"{self._owner} has enough to decide already.")
            request = self._approvals.ask(tool=name, what=what, asked_by=asked_by)
            known = [request]
            self._waiting[request] = (name, what)
            waiting = self._wait(request, action, dict(arguments), asked_by)
            self._tasks.start(request, waiting)
        text = (
            f"Nothing is done yet: {self._owner} was asked to approve it, and may answer during "
            "the meeting. Say so. Nobody in the meeting can approve it."
        )
        return Done(text, waits_for=known[0])

    async def _wait(
        self, request: str, action: Action, arguments: Mapping[str, Any], asked_by: str
    ) -> None:
        approvals = self._approvals
        if approvals is None:
            return
        verdict, text, problem = Verdict.EXPIRED, "", _TOO_LATE
        try:
            refused = await approvals.decided(request)
            if refused is not None:
                verdict, problem = refused, ""
            else:
                verdict, problem = Verdict.FAILED, "it didn't end before the meeting did"
                try:
                    text = (await self._do(action, arguments)).text
                    verdict, problem = Verdict.DONE, ""
                except LocumError as error:
                    problem = text = str(error)
        finally:
            asked = self._waiting.pop(request, None)
            if asked is not None and verdict is Verdict.DENIED:
                self._denied.add(asked)
            approvals.over(request, verdict, problem)
        outcome = ToolOutcome(request, action.tool.name, asked_by, verdict, text)
        self._outcomes.put_nowait(outcome)


def _without_words(action: Action, error: LocumError) -> str:
    """Say of a failure what may be logged: a refusal quotes what was said, a server what it likes."""
    if action.tool.stranger or isinstance(error, PermanentError):
        return type(error).__name__
    return str(error)


def bounded(told: Told, limit: int) -> Told:
    """Cut an answer to so many bytes, and leave out its lines that hold what looks secret."""
    content = told.text.encode(errors="replace")
    is_cut = told.is_cut or len(content) > limit
    text = content[:limit].decode("utf-8", "ignore")
    return Told(without_secrets(text)[0], is_cut)
