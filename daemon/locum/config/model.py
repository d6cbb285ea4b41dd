"""The whole config, table by table: the schema is made from this.

What is large has a module beside this one. A key stands in one only if something reads it.
Secrets never do: they are files, systemd credentials or environment variables, and the config
names where.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field

from locum.config.attendance import Attend, Budget, PersonaTable, Rule
from locum.config.brain import BrainTable
from locum.config.calendars import Calendar
from locum.config.engines import Engine
from locum.config.knowing import BriefingTable, Contacts, Memory, Skills, WorkspaceTable
from locum.config.notices import Notify
from locum.config.sinks import Sink, Summaries
from locum.config.tables import Address, Duration, LocalPath, Name, Table
from locum.config.talking import HearingTable, McpTable, ToolTable, VoiceTable
from locum.config.values import Between


class Transcripts(Table):
    """`[transcripts]`: what is fetched after a meeting, from an account's `meet_transcripts`.

    Asked with growing pauses: at a first_after of 2m after 2, 5, 10, 20, 40 minutes more.
    """

    first_after: Annotated[Duration, Between(least="1s", most="1h")] = timedelta(minutes=2)
    """How long after the end of a meeting it is first asked for."""
    give_up_after: Annotated[Duration, Between(least="1m", most="29d")] = timedelta(days=1)
    """How long it is asked for. Google deletes a transcript's entries after 30 days."""


class Privacy(Table):
    """`[privacy]`: what is owed to the others in the room."""

    forget_on_opt_out: bool = True
    """Whether what was heard in a meeting is deleted when somebody there says "opt out". The
    stand-in leaves and stays away from the series in any case."""


class Images(Table):
    """`[images]`: what draws faces for `locum persona avatar generate`.

    Any service with OpenAI's images call, hosted or on this machine. Without this table, a
    PikaStream engine draws them.
    """

    base_url: Address = "https://api.openai.com/v1"
    """The API's root; /images/generations is added to it."""
    model: str = Field(default="gpt-image-1-mini", min_length=1, max_length=200)
    """The model, as the service calls it."""
    api_key_file: LocalPath | None = None
    """A file with the key, if the service wants one."""


class Metrics(Table):
    """`[metrics]`: Prometheus figures and /healthz, on loopback only. Off unless a port is given."""

    port: int = Field(ge=0, le=65535)
    """The TCP port; 0 takes any that is free."""


class Stage(Table):
    """`[stage]`: for rehearsals. Refused unless every address is on loopback."""

    speed: float = Field(default=1.0, gt=0, le=10_000, allow_inf_nan=False)
    """How many seconds pass in a second of the host's."""
    epoch_host: AwareDatetime | None = None
    """The host's instant at which both clocks agreed …"""
    epoch: AwareDatetime | None = None
    """… and what the stage's clock said then."""


class Config(Table):
    """The whole of locum.toml. Relative paths start at the config file's folder."""

    state_dir: LocalPath | None = None
    """Where the ledger and the sign-ins are kept. Default: systemd's STATE_DIRECTORY,
    otherwise $XDG_STATE_HOME/locum, otherwise ~/.local/state/locum."""
    runtime_dir: LocalPath | None = None
    """Where the control socket is. Default: systemd's RUNTIME_DIRECTORY, otherwise
    $XDG_RUNTIME_DIR/locum, otherwise the state directory."""
    calendar: Calendar = Calendar()
    """What is watched, and how often."""
    attend: Attend = Attend()
    """Which invitations are a reason to be there, and how."""
    rules: tuple[Rule, ...] = ()
    """Exceptions by title, organizer, attendee, calendar or platform."""
    personas: dict[Name, PersonaTable] = Field(default={})
    """Who goes, by name."""
    engines: dict[Name, Engine] = Field(default={})
    """What carries a persona into a meeting, by name."""
    sinks: tuple[Sink, ...] = ()
    """Where summaries go."""
    briefing: BriefingTable = BriefingTable()
    """What the stand-in is told before a meeting."""
    workspace: tuple[WorkspaceTable, ...] = ()
    """Folders of your work that it may know of."""
    contacts: Contacts = Contacts()
    """Who the people are."""
    skills: Skills = Skills()
    """What it knows how to do."""
    hearing: HearingTable = HearingTable()
    """What makes words of what our own engine hears."""
    voices: dict[Name, VoiceTable] = Field(default={})
    """Voices that an engine of ours speaks with, by name."""
    tools: tuple[ToolTable, ...] = ()
    """Programs that a persona may run. None, unless it is told so."""
    mcp: tuple[McpTable, ...] = ()
    """MCP servers whose tools a persona may use. None, unless it is told so."""
    summary: Summaries = Summaries()
    """How summaries are written."""
    transcripts: Transcripts = Transcripts()
    """What is fetched after a meeting."""
    budget: Budget = Budget()
    """The most that may be spent."""
    privacy: Privacy = Privacy()
    """What is owed to the others in the room."""
    memory: Memory = Memory()
    """What is kept of earlier meetings, and who may be told of it."""
    images: Images | None = None
    """What draws faces."""
    brain: BrainTable | None = None
    """What writes the minutes, where it is a language model."""
    notify: Notify | None = None
    """Whether and how the owner is told."""
    metrics: Metrics | None = None
    """Figures for Prometheus."""
    stage: Stage | None = None
    """For rehearsals only."""
