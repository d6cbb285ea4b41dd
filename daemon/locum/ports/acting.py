"""What can be looked up and done in a meeting."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol


@dataclass(frozen=True)
class Tool:
    """Something that can be looked up or done in a meeting.

    `name` fits what providers of models allow (`[a-z0-9_-]{1,64}`); `parameters` is the JSON
    schema of an object, within 8 KiB. Of a tool of somebody else's (`stranger`), `about` and
    the schema's descriptions are that person's words: bounded, and information only.
    """

    name: str
    about: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    only_looks: bool = True
    """Nothing changes anywhere, nobody is told: safe while a turn's end is only guessed."""
    asks_owner: bool = False
    """Each call waits until the owner approves it, outside the meeting. See `Done.waits_for`."""
    usually_takes: timedelta = timedelta(seconds=1)
    announce: str = ""
    """What to say if it takes long, as "Let me check the build."; empty for what is quick."""
    stranger: bool = False


@dataclass(frozen=True)
class Done:
    """What a tool answered: bounded, without what looks like a secret; other people's text.

    `waits_for` is the name of a request to the owner: nothing was done yet, `text` is what to
    say of that, and the outcome comes by `Toolbox.outcomes`, if ever.
    """

    text: str
    is_cut: bool = False
    waits_for: str = ""


class Verdict(enum.Enum):
    """What became of a request to the owner."""

    DONE = "done"
    FAILED = "failed"  #: Approved; it went wrong.
    DENIED = "denied"
    EXPIRED = "expired"  #: Nobody decided in time.


@dataclass(frozen=True)
class ToolOutcome:
    """What became of a call that waited for the owner; `text` is what the tool answered."""

    request: str
    tool: str
    asked_by: str
    verdict: Verdict
    text: str = ""


class Toolbox(Protocol):
    """What a persona may look up and do in one meeting, with its audience: often nothing.

    What is in it is the config's word alone. Nothing that is said in a meeting adds to it,
    widens it or approves anything.
    """

    @property
    def tools(self) -> tuple[Tool, ...]: ...

    async def prepare(self) -> None:
        """Do ahead what takes time: begin servers, ask them what they offer. Raises nothing."""
        ...

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        asked_by: str = "",
        guessed: bool = False,
    ) -> Done:
        """Look up or do something, within the tool's own limits of time and size.

        Cancelled, it has ended what it began. While `guessed`, only what `only_looks` is done.

        Args:
            name: One of `tools`.
            arguments: A stranger's, like all that a model says: checked anew.
            asked_by: Whose words led to it, as the room shows the name; the owner reads it.
            guessed: Whether it is thought ahead, and may be for nothing.

        Raises:
            TransientError: Not now, or not in time; another try may go well.
            PermanentError: Not with these arguments, or not at all; the text is for the model.
            HumanNeededError: Not before a person has done something.
        """
        ...

    def outcomes(self) -> AsyncIterator[ToolOutcome]:
        """Tell what becomes of the calls that wait for the owner, as it comes, to the end."""
        ...

    async def aclose(self) -> None:
        """End all that it began."""
        ...
