"""What the owner of a scenario has at hand: folders of work, contacts, and rules of conduct."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from locum.core.talk import Attention
from locum.rehearsal.scenario.values import STRICT, Name, Plain, Text

_Topics = tuple[Annotated[str, Field(min_length=1, max_length=200)], ...]
FilePath = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}){0,5}$"
    ),
]
"""Below its folder, and never above: no part begins with a dot."""


@dataclass(frozen=True)
class Conduct:
    """How the persona behaves in a conversation: `[personas.NAME]` of the config has the same.

    `update` is the text of the owner's prepared update.
    """

    __pydantic_config__ = STRICT
    attention: Attention = Attention.WHEN_ADDRESSED
    may_say: _Topics = ()
    may_commit: _Topics = ()
    must_defer: _Topics = ()
    tools: tuple[Name, ...] = ()
    update: Text = ""


@dataclass(frozen=True)
class Commit:
    """One commit of a folder's history: `files` are whole, as they are after it."""

    __pydantic_config__ = STRICT
    message: Plain
    files: dict[FilePath, Text]
    author: Plain = ""
    hours_ago: Annotated[float, Field(ge=0, le=24 * 90)] = 1.0

    @property
    def ago(self) -> timedelta:
        return timedelta(hours=self.hours_ago)


@dataclass(frozen=True)
class Folder:
    """A folder of work, told to the daemon as `[[workspace]]`.

    With `commits` it is a real git repository, made when the rehearsal begins.
    """

    __pydantic_config__ = STRICT
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    files: dict[FilePath, Text] = field(default_factory=dict)
    commits: Annotated[tuple[Commit, ...], Field(max_length=50)] = ()
    include: tuple[Plain, ...] = ("updates.md",)
    audience: tuple[Plain, ...] = ("internal",)


@dataclass(frozen=True)
class Contact:
    """Somebody in the owner's contacts."""

    __pydantic_config__ = STRICT
    email: Plain
    name: Plain = ""
    company: Plain = ""
    role: Plain = ""
    notes: Plain = ""
