"""The tables about what the stand-in knows: earlier meetings, and what its owner gives it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from locum.config.tables import Duration, LocalPath, Name, Organizer, Table
from locum.config.values import Between
from locum.core.compartments import parse_compartment_name


class BriefingTable(Table):
    """`[briefing]`: what the stand-in is told before a meeting."""

    enabled: bool = True
    """Whether it is told anything beside the invitation and the persona's instructions."""
    tokens: int = Field(default=2000, ge=100, le=100_000)
    """How much, at most; PikaStream takes some 4000."""


class WorkspaceTable(Table):
    """`[[workspace]]`: a folder of your work that the stand-in may know of. Read, never run."""

    name: Name
    """How locum calls it."""
    folder: LocalPath
    """Where it is."""
    include: tuple[str, ...] = ("updates.md",)
    """Which files: patterns like "docs/**/*.md". Those that may hold secrets are left out."""
    exclude: tuple[str, ...] = ()
    """Which of these not."""
    git_log: Annotated[Duration, Between(most="90d")] = timedelta(days=7)
    """How far back its commits are told, where it is a git repository; "0s" tells none."""
    audience: tuple[str, ...] = ("internal",)
    """Who may hear of it: "internal" (your own people), clients by their domain, or "anyone"."""


class Contacts(Table):
    """`[contacts]`: who the people are that you meet."""

    files: tuple[LocalPath, ...] = ()
    """vCards, or CSV with a header line ("name,email,company,role,notes")."""


class Skills(Table):
    """`[skills]`: what the stand-in knows how to do, as SKILL.md folders (agentskills.io)."""

    folders: tuple[LocalPath, ...] = ()
    """Folders of such folders. Each skill counts once you have approved it."""
    run: tuple[str, ...] = Field(default=(), max_length=50)
    """Which skills' scripts may be run, as they were approved: in the sandbox, without network."""


class CompartmentTable(Table):
    """`[[memory.compartments]]`: who belongs together, whatever their domains."""

    name: Annotated[str, AfterValidator(parse_compartment_name)]
    """What they are called: one word."""
    attendees: Annotated[tuple[str, ...], Field(min_length=1, max_length=1000)]
    """Addresses, domains ("example.com") or shell patterns ("*@*.example.com")."""


class Memory(Table):
    """`[memory]`: what earlier meetings left, and who may be told of it.

    What was said among one client's people (those of one domain) is never told to another's,
    nor what was said among your own people to any client. You alone see everything.
    """

    enabled: bool = True
    """Whether anything is remembered. Off, what is known stays until it is forgotten."""
    own_domains: tuple[Organizer, ...] = ()
    """Whose people are your own: domains, or single addresses. Without any, those of your own
    address's domain, unless it is one where strangers live (gmail.com …)."""
    keep: Annotated[Duration, Between(least="1d", most="3650d")] | None = None
    """How long lines are kept after their meeting; without it, until they are forgotten."""
    compartments: Annotated[tuple[CompartmentTable, ...], Field(max_length=1000)] = ()
    """Clients with several domains, or with public addresses. The first that fits counts."""
